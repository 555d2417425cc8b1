"""How a sequence model is told of positions: what is learnt of each, sines, or queries and keys turned by them."""

import math

import torch
from torch import Tensor, nn

POSITIONS = ("learnt", "sinusoidal", "rotary", "none")
LONGEST = 10_000.0  # wave over 2π, of both papers


def angles(length: int, width: int) -> Tensor:
    """Position times frequency, shape (length, width / 2): frequencies fall from 1 to nearly 1/10,000.

    Raises:
        ValueError: if the width is odd.
    """
    if width % 2:
        raise ValueError(f"a width of {width} has no pairs of sines and cosines; an even one is needed")
    frequency = LONGEST ** (-torch.arange(0, width, 2) / width)
    return torch.arange(length)[:, None] * frequency


class Learnt(nn.Module):
    """A vector that is learnt of each position is added."""

    def __init__(self, length: int, d_model: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.randn(length, d_model) / math.sqrt(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        return x + self.vector


class Sinusoidal(nn.Module):
    """Sines and cosines of each position are added (Vaswani et al. 2017, arXiv:1706.03762, section 3.5)."""

    def __init__(self, length: int, d_model: int) -> None:
        super().__init__()
        found = angles(length, d_model)
        self.register_buffer("wave", torch.stack([found.sin(), found.cos()], -1).flatten(1), persistent=False)
        self.wave: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        return x + self.wave


class Rotary(nn.Module):
    """Pairs of coordinates turn by position times frequency (RoPE: Su et al. 2021, arXiv:2104.09864, equation 34).

    The inner product of a query and a key then depends on how far they are apart, not on where they stand.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        found = angles(length, width)
        self.register_buffer("cosine", found.cos(), persistent=False)
        self.register_buffer("sine", found.sin(), persistent=False)
        self.cosine: Tensor
        self.sine: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, length, width) to the same; the pairs are the coordinates i and i + width / 2."""
        first, second = x.chunk(2, -1)
        turned = first * self.cosine - second * self.sine, first * self.sine + second * self.cosine
        return torch.cat(turned, -1)
