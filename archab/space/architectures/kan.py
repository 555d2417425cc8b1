"""Kolmogorov-Arnold networks: a learnable spline on every edge (Liu et al. 2024, arXiv:2404.19756)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archab.space.architectures.units import Size, flat


class Splines(nn.Module):
    """Sums over inputs of univariate functions: w silu(x) + a B-spline (equations 2.10 and 2.11).

    Args:
        inputs, outputs: how many.
        grid: intervals of the splines between −`reach` and `reach`, beyond which they end.
        order: their degree.
        reach: of the grid; inputs of later layers are drawn into it by tanh.
    """

    knots: Tensor

    def __init__(self, inputs: int, outputs: int, grid: int, order: int, reach: float) -> None:
        super().__init__()
        self.order = order
        step = 2 * reach / grid
        self.register_buffer("knots", torch.arange(-order, grid + order + 1) * step - reach)
        self.base = nn.Parameter(torch.randn(outputs, inputs) / math.sqrt(inputs))
        self.spline = nn.Parameter(0.1 * torch.randn(outputs, inputs, grid + order) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs) to (n, outputs)."""
        return F.silu(x) @ self.base.T + self._bases(x).flatten(1) @ self.spline.flatten(1).T

    def _bases(self, x: Tensor) -> Tensor:
        """The values of all B-splines, shape (n, inputs, grid + order), by the recursion of Cox and de Boor."""
        x, knots = x.unsqueeze(-1), self.knots
        found = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            rising = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
            falling = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
            found = rising * found[..., :-1] + falling * found[..., 1:]
        return found


def kan(
    inputs: Size,
    outputs: Size,
    hidden: int,
    depth: int = 1,
    grid: int = 5,
    order: int = 3,
    reach: float = 3.0,
) -> nn.Sequential:
    """A Kolmogorov-Arnold network of `depth` hidden layers.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of the hidden layers.
        depth: how many hidden layers.
        grid, order, reach: of the splines.
    """
    given, wanted = flat(inputs, outputs)
    widths = [given, *[hidden] * depth, wanted]
    return nn.Sequential(*(Splines(n, m, grid, order, reach) for n, m in pairwise(widths)))
