"""All rules, by operation."""

from archab.engine.cpp.kernels import RULES
from archab.engine.cpp.rules import indices, linalg, pointwise, products, reductions, windows

__all__ = ["RULES", "indices", "linalg", "pointwise", "products", "reductions", "windows"]
