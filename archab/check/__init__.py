"""Which engine trains a network, and why not a faster one: `python -m archab.check`."""
