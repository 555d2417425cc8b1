"""Structural causal models: outputs that hang on inputs by a random graph of mechanisms (as in Hollmann et al. 2023,
arXiv:2207.01848, section 4.1)."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError

MECHANISMS = (torch.tanh, torch.sin, torch.relu, torch.abs, lambda x: x)


@dataclass(frozen=True)
class CausalModel:
    """Hidden variables in order, each a random function of some inputs and earlier variables; the last are outputs.

    A mechanism is one of tanh, sin, relu, the absolute value and the identity, of a weighted sum of its causes.

    Attributes:
        variables: how many hidden ones.
        causes: how many each has.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if a number is not positive, or there are fewer variables than outputs.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> CausalModel(variables=6)(torch.randn(8, 3, generator=draw), draw).shape
        torch.Size([8, 1])
    """

    name: ClassVar[str] = "structural causal models"
    variables: int = 16
    causes: int = 3
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.outputs < 1 or self.causes < 1 or self.variables < self.outputs:
            raise ArchabError(
                f"target.variables={self.variables}, causes={self.causes}, outputs={self.outputs}: at least 1 cause, "
                "and as many variables as outputs, are needed"
            )

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        known = x.double().flatten(1)
        for _ in range(self.variables):
            count = min(self.causes, known.shape[1])
            which = torch.randperm(known.shape[1], generator=draw)[:count]
            weights = torch.randn(count, generator=draw, dtype=known.dtype)
            shift = torch.randn(1, generator=draw, dtype=known.dtype)
            mechanism = MECHANISMS[int(torch.randint(len(MECHANISMS), (), generator=draw))]
            value = mechanism(2 * (known[:, which] @ weights) / sqrt(count) + shift)
            known = torch.cat([known, value.unsqueeze(1)], 1)
        return known[:, -self.outputs :]
