"""How fast archab is, beside what one would write oneself: python -m archab.benchmark."""
