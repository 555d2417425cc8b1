"""What bundled networks share in their construction: how many units a shape has, and what weights are drawn from."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Size = int | Sequence[int]


def flat(*shapes: Size) -> list[int]:
    """How many numbers each shape holds; a number alone is a shape of one axis."""
    return [shape if isinstance(shape, int) else math.prod(shape) for shape in shapes]


def uniform(*shape: int, fan_in: int) -> Tensor:
    """Entries uniform within ±1/sqrt(fan_in), as torch draws the weights of its linear layers."""
    return torch.empty(*shape).uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
