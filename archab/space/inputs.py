"""Distributions of the inputs on which targets are sampled: callables of a shape and a generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


class Inputs(Protocol):
    """A distribution of inputs; a user's own is any callable with this signature.

    Example:
        >>> def angles(shape, generator):
        ...     return 2 * math.pi * torch.rand(*shape, generator=generator)
        >>> angles((2, 8, 3), Generator().manual_seed(0)).shape
        torch.Size([2, 8, 3])
    """

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        """Draw a tensor of this shape (targets, samples, *input_shape), from this generator alone."""


@dataclass(frozen=True)
class Normal:
    """Independent normal coordinates.

    Attributes:
        mean: of each.
        std: their standard deviation, a positive number.

    Example:
        >>> Normal(mean=1.0, std=0.5)((2, 8, 3), Generator().manual_seed(0)).shape
        torch.Size([2, 8, 3])
    """

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.std < math.inf):
            raise ArchabError(f"inputs: mean={self.mean}, std={self.std}: a number and a positive one are needed")

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        """Draw float32 inputs."""
        return torch.randn(*shape, generator=generator).mul_(self.std).add_(self.mean)


@dataclass(frozen=True)
class Uniform:
    """Independent coordinates, uniform in [low, high).

    Attributes:
        low: the smallest value.
        high: what every value is below.

    Example:
        >>> x = Uniform(low=0.0, high=2.0)((100, 8, 3), Generator().manual_seed(0))
        >>> bool((x >= 0).all() and (x < 2).all())
        True
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ArchabError(f"inputs: low={self.low}, high={self.high}: low must be below high, and both finite")

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        """Draw float32 inputs."""
        return torch.rand(*shape, generator=generator).mul_(self.high - self.low).add_(self.low)


@dataclass(frozen=True)
class Tokens:
    """Independent integers, uniform in 0 … vocabulary − 1, for networks that begin with an embedding.

    Attributes:
        vocabulary: how many there are, at least 2.

    Example:
        >>> sorted(set(Tokens(3)((1, 50, 4), Generator().manual_seed(0)).flatten().tolist()))
        [0, 1, 2]
    """

    vocabulary: int

    def __post_init__(self) -> None:
        if not isinstance(self.vocabulary, int) or self.vocabulary < 2:
            raise ArchabError(f"inputs: vocabulary={self.vocabulary}: at least 2 tokens are needed")

    def __call__(self, shape: Sequence[int], generator: Generator) -> Tensor:
        """Draw int64 inputs."""
        return torch.randint(self.vocabulary, tuple(shape), generator=generator)
