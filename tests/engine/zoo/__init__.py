"""Small networks after the kinds of layers that people publish, and what each engine makes of them."""

from zoo import algebra, attention, functions, layers, noise, odd, once_wrong, recurrence, shapes, state, ties
from zoo.kind import ZOO, Kind

__all__ = [
    "ZOO",
    "Kind",
    "algebra",
    "attention",
    "functions",
    "layers",
    "noise",
    "odd",
    "once_wrong",
    "recurrence",
    "shapes",
    "state",
    "ties",
]
