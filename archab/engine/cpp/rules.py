"""All rules, by operation."""

from archab.engine.cpp import indices, pointwise, products, reductions, windows
from archab.engine.cpp.kernels import RULES

__all__ = ["RULES", "indices", "pointwise", "products", "reductions", "windows"]
