"""Contrasts whose answer is known, asked through the whole path: `python -m archab.known`."""
