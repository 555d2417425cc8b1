"""Functions that are linear in pieces: on each region between random hyperplanes another one, and continuous."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class PiecewiseLinear:
    """A linear map plus ridges |u·x − t| of random directions, each bending it along one hyperplane.

    Attributes:
        pieces: how many hyperplanes.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if a number is not positive.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> PiecewiseLinear(pieces=4)(torch.randn(8, 3, generator=draw), draw).shape
        torch.Size([8, 1])
    """

    name: ClassVar[str] = "piecewise linear functions"
    pieces: int = 16
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.pieces < 1 or self.outputs < 1:
            raise ArchabError(f"target.pieces={self.pieces}, outputs={self.outputs}: at least 1 is needed")

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        flat = x.double().flatten(1)
        directions = torch.randn(flat.shape[1], self.pieces, generator=draw, dtype=flat.dtype)
        thresholds = torch.randn(self.pieces, generator=draw, dtype=flat.dtype)
        ridges = (flat @ (directions / directions.norm(dim=0)) - thresholds).abs()
        bends = torch.randn(self.pieces, self.outputs, generator=draw, dtype=flat.dtype) / sqrt(self.pieces)
        slopes = torch.randn(flat.shape[1], self.outputs, generator=draw, dtype=flat.dtype) / sqrt(flat.shape[1])
        return ridges @ bends + flat @ slopes
