"""Symbolic formulas: sums and products of simple functions of few inputs, as physics writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError

Univariate = Callable[[Tensor], Tensor]
INNER: tuple[Univariate, ...] = (
    torch.sin,
    torch.square,
    torch.tanh,
    lambda x: (-x.square()).exp(),
    torch.abs,
    lambda x: x,
)
OUTER: tuple[Univariate, ...] = (torch.sin, torch.tanh, lambda x: (-x.square()).exp(), lambda x: x)


@dataclass(frozen=True)
class Formula:
    """Σ over terms of g(Σ over variables h(w x + b)): g and h are drawn from sin, tanh, exp(−x²), |x|, x² and x.

    Compositions of univariate functions and sums, as those of Liu et al. 2024 (arXiv:2404.19756, section 3).

    Attributes:
        terms: how many are summed.
        variables: inputs of each.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if a number is not positive.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> Formula(terms=2)(torch.randn(8, 4, generator=draw), draw).shape
        torch.Size([8, 1])
    """

    name: ClassVar[str] = "symbolic formulas"
    terms: int = 2
    variables: int = 2
    outputs: int = 1

    def __post_init__(self) -> None:
        if min(self.terms, self.variables, self.outputs) < 1:
            raise ArchabError(
                f"target.terms={self.terms}, variables={self.variables}, outputs={self.outputs}: at least 1 is needed"
            )

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        flat = x.double().flatten(1)
        return torch.stack([self._sum(flat, draw) for _ in range(self.outputs)], 1)

    def _sum(self, x: Tensor, draw: Generator) -> Tensor:
        total = torch.zeros(len(x), dtype=x.dtype)
        for _ in range(self.terms):
            inner = torch.zeros_like(total)
            for column in torch.randperm(x.shape[1], generator=draw)[: self.variables].tolist():
                weight, shift = torch.randn(2, generator=draw, dtype=x.dtype)
                inner = inner + _one(INNER, draw)(1.5 * weight * x[:, column] + shift)
            total = total + _one(OUTER, draw)(inner)
        return total


def _one(functions: Sequence[Univariate], draw: Generator) -> Univariate:
    return functions[int(torch.randint(len(functions), (), generator=draw))]
