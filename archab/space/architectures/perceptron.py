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


class Residual(nn.Module):
    """x + f(x), or x + f(LayerNorm(x)) (He et al. 2016, arXiv:1512.03385, equation 1)."""

    def __init__(self, branch: nn.Module, width: int, norm: bool) -> None:
        super().__init__()
        self.branch = branch
        self.norm = nn.LayerNorm(width) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, width) to the same."""
        branch: Tensor = self.branch(x if self.norm is None else self.norm(x))
        return x + branch


def perceptron(
    inputs: int | Sequence[int],
    outputs: int | Sequence[int],
    hidden: int,
    depth: int = 1,
    activation: str = "relu",
    gated: bool = False,
    residual: bool = False,
    norm: bool = False,
) -> nn.Sequential:
    """A multi-layer perceptron.

    Args:
        inputs, outputs: the shape of one input and of one output.
        hidden: width of the hidden layers.
        depth: how many hidden layers.
        activation: a name in torch or torch.nn.functional, such as relu, gelu or silu.
        gated: whether each hidden layer is multiplied by a linear one; SwiGLU is silu, gated.
        residual: whether hidden layers behind the first are added to what they take.
        norm: whether they take it behind a LayerNorm; of residual layers.

    Raises:
        ValueError: if `norm` is asked for without `residual`.
    """
    if norm and not residual:
        raise ValueError("norm=true: goes with residual=true")
    given, wanted = ([size] if isinstance(size, int) else list(size) for size in (inputs, outputs))
    widths = [math.prod(given), *[hidden] * depth]
    layers: list[nn.Module] = [nn.Flatten()] if len(given) != 1 else []
    hidden_layers = [Hidden(n, m, named(activation), gated) for n, m in pairwise(widths)]
    layers.append(hidden_layers[0])
    layers += [Residual(layer, hidden, norm) if residual else layer for layer in hidden_layers[1:]]
    layers.append(nn.Linear(hidden, math.prod(wanted)))
    return nn.Sequential(*layers, *([nn.Unflatten(1, wanted)] if len(wanted) != 1 else []))
