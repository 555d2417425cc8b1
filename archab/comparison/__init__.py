"""Who learns what: two spaces under a protocol, and the rows of their students."""

from archab.comparison.comparison import Comparison

__all__ = ["Comparison"]
