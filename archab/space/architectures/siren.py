"""Networks of sines (SIREN: Sitzmann et al. 2020, arXiv:2006.09661)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Sine(nn.Module):
    """sin(ω (W x + b)), drawn so that layer after layer has the same distribution (section 3.2 and supplement 1.5)."""

    def __init__(self, inputs: int, outputs: int, omega: float, first: bool) -> None:
        super().__init__()
        self.linear, self.omega = nn.Linear(inputs, outputs), omega
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / omega
        with torch.no_grad():
            self.linear.weight.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs) to (n, outputs)."""
        return torch.sin(self.omega * self.linear(x))


def siren(
    inputs: int | Sequence[int], outputs: int | Sequence[int], hidden: int, depth: int = 2, omega: float = 30.0
) -> nn.Sequential:
    """A network of sines with a linear last layer.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of the hidden layers.
        depth: how many hidden layers.
        omega: by which the arguments of the sines are multiplied.
    """
    given, wanted = (size if isinstance(size, int) else math.prod(size) for size in (inputs, outputs))
    layers = [Sine(given if i == 0 else hidden, hidden, omega, i == 0) for i in range(depth)]
    last = nn.Linear(hidden, wanted)
    bound = math.sqrt(6 / hidden) / omega
    with torch.no_grad():
        last.weight.uniform_(-bound, bound)
    return nn.Sequential(*layers, last)
