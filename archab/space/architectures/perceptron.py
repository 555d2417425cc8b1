"""Multi-layer perceptrons, plain or gated, from inputs of any shape to outputs of any shape."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from archab.space.architectures.activation import named


class Hidden(nn.Module):
    """A hidden layer: f(W x + b), or gated f(W x + b) ⊙ (V x + c) (Shazeer 2020, arXiv:2002.05202, equation 5)."""

    def __init__(self, inputs: int, hidden: int, activation: Callable[[Tensor], Tensor], gated: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, hidden)
        self.gate = nn.Linear(inputs, hidden) if gated else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs) to (n, hidden)."""
        found = self.activation(self.linear(x))
        return found if self.gate is None else found * self.gate(x)


def perceptron(
    inputs: int | Sequence[int],
    outputs: int | Sequence[int],
    hidden: int,
    depth: int = 1,
    activation: str = "relu",
    gated: bool = False,
) -> nn.Sequential:
    """A multi-layer perceptron.

    Args:
        inputs, outputs: the shape of one input and of one output.
        hidden: width of the hidden layers.
        depth: how many hidden layers.
        activation: a name in torch or torch.nn.functional, such as relu, gelu or silu.
        gated: whether each hidden layer is multiplied by a linear one; SwiGLU is silu, gated.
    """
    given, wanted = ([size] if isinstance(size, int) else list(size) for size in (inputs, outputs))
    widths = [math.prod(given), *[hidden] * depth]
    layers: list[nn.Module] = [nn.Flatten()] if len(given) != 1 else []
    layers += [Hidden(n, m, named(activation), gated) for n, m in pairwise(widths)]
    layers.append(nn.Linear(hidden, math.prod(wanted)))
    return nn.Sequential(*layers, *([nn.Unflatten(1, wanted)] if len(wanted) != 1 else []))
