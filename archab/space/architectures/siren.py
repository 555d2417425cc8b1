"""Networks of sines (SIREN: Sitzmann et al. 2020, arXiv:2006.09661)."""

import math

import torch
from torch import Tensor, nn

from archab.space.architectures.units import Size, flat


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


def siren(inputs: Size, outputs: Size, hidden: int, depth: int = 2, omega: float = 30.0) -> nn.Sequential:
    """A network of sines with a linear last layer.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of the hidden layers.
        depth: how many hidden layers.
        omega: by which the arguments of the sines are multiplied.
    """
    given, wanted = flat(inputs, outputs)
    layers = [Sine(given if i == 0 else hidden, hidden, omega, i == 0) for i in range(depth)]
    last = nn.Linear(hidden, wanted)
    bound = math.sqrt(6 / hidden) / omega
    with torch.no_grad():
        last.weight.uniform_(-bound, bound)
    return nn.Sequential(*layers, last)
