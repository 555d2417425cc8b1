"""All rules, by operation."""

from archab.engine.cpp.kernels import RULES
from archab.engine.cpp.rules import complexes, indices, linalg, orders, pointwise, products, reductions, windows

__all__ = [
    "RULES",
    "complexes",
    "indices",
    "linalg",
    "orders",
    "pointwise",
    "products",
    "reductions",
    "windows",
]
