"""Sums of soft decision trees that ask single columns (as oblivious ones: Popov et al. 2019, arXiv:1909.06312)."""

import math

import torch
from torch import Tensor, nn

from archab.space.architectures.units import Size, flat


class SoftTrees(nn.Module):
    """Trees whose levels each ask one mixture of columns, by a steep logistic function; a leaf's weight is a product.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        trees: how many are summed.
        depth: questions of each.
        steep: the slope of a question at first.
    """

    def __init__(self, inputs: Size, outputs: Size, trees: int, depth: int = 4, steep: float = 4.0) -> None:
        super().__init__()
        given, wanted = flat(inputs, outputs)
        self.choice = nn.Parameter(torch.randn(trees, depth, given))
        self.threshold = nn.Parameter(torch.randn(trees, depth))
        self.slope = nn.Parameter(torch.full((trees, depth), math.log(steep)))
        self.leaf = nn.Parameter(torch.randn(trees, 2**depth, wanted) / math.sqrt(trees))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs) to (n, outputs)."""
        trees, depth, _ = self.choice.shape
        columns = (2 * self.choice).softmax(-1)
        asked = (x @ columns.flatten(0, 1).T).unflatten(1, (trees, depth))
        right = torch.sigmoid(self.slope.exp() * (asked - self.threshold))
        weight = torch.ones_like(right[..., :1])
        for level in range(depth):
            share = right[..., level : level + 1]
            weight = torch.cat([weight * (1 - share), weight * share], -1)
        return torch.einsum("ntl,tlo->no", weight, self.leaf)
