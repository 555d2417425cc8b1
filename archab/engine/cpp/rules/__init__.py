"""All rules, by operation."""

from archab.engine.cpp.kernels import RULES
from archab.engine.cpp.rules import indices, pointwise, products, reductions, windows

__all__ = ["RULES", "indices", "pointwise", "products", "reductions", "windows"]
