"""Random polynomials of the inputs."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError

MOST = 20_000  # monomials


@dataclass(frozen=True)
class Polynomial:
    """Every monomial up to a degree, with independent normal coefficients; those of one degree share one variance.

    Attributes:
        degree: the largest.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if a number is not positive; when called, if there are more than 20,000 monomials.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> Polynomial(degree=2)(torch.randn(8, 4, generator=draw), draw).shape
        torch.Size([8, 1])
    """

    name: ClassVar[str] = "random polynomials"
    degree: int = 3
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.degree < 1 or self.outputs < 1:
            raise ArchabError(f"target.degree={self.degree}, outputs={self.outputs}: at least 1 is needed")

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        flat = x.double().flatten(1)
        if (terms := comb(flat.shape[1] + self.degree, self.degree)) > MOST:
            raise ArchabError(
                f"target.degree={self.degree}: {terms:,} monomials of {flat.shape[1]} coordinates, at most {MOST:,}"
            )
        total = torch.zeros(len(flat), self.outputs, dtype=flat.dtype)
        for degree in range(1, self.degree + 1):
            which = torch.tensor(list(combinations_with_replacement(range(flat.shape[1]), degree)))
            coefficients = torch.randn(len(which), self.outputs, generator=draw, dtype=flat.dtype)
            total += flat[:, which].prod(-1) @ coefficients / sqrt(len(which))
        return total
