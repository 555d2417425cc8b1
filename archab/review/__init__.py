"""How a verdict is shown: in the terminal, on a page, as figures."""
