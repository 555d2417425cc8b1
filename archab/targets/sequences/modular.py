"""Addition modulo a number (Power et al. 2022, arXiv:2201.02177)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError

MOST = 2**22  # sums of which a list is made, so that none is both learnt and scored


@dataclass(frozen=True)
class ModularAddition:
    """Numbers below a modulus; the label is their sum modulo it. No sequence is both learnt and scored, where they
    are few; another order of its numbers may be.

    Attributes:
        modulus: how many numbers there are; outputs are (modulus,), one logit a label.
        terms: how many are added, the first of a sequence; those behind them are 0.
        length: numbers of a sequence.

    Raises:
        ArchabError: if a number is out of range, or there are fewer different sums than samples.

    Example:
        >>> x, y = ModularAddition(modulus=5).draw(20, 5, None, torch.Generator().manual_seed(0))
        >>> len(x.unique(dim=0)), bool((y == x.sum(1) % 5).all())
        (25, True)
    """

    name: ClassVar[str] = "modular addition"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    modulus: int = 59
    terms: int = 2
    length: int = 2

    def __post_init__(self) -> None:
        if self.modulus < 2 or not 1 <= self.terms <= self.length:
            raise ArchabError(
                f"target.modulus={self.modulus}, terms={self.terms}: at least 2, and 1 to length={self.length}"
            )

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        count, sums = training + heldout, self.modulus**self.terms
        if count > sums:
            raise ArchabError(
                f"samples={training}, heldout_samples={heldout}: there are {sums:,} sums of {self.terms} numbers "
                f"modulo {self.modulus}, and none may be both"
            )
        few = sums <= MOST
        which = torch.randperm(sums, generator=generator)[:count] if few else torch.zeros(count, dtype=torch.int64)
        x = torch.zeros(count, self.length, dtype=torch.int64)
        for term in range(self.terms):
            x[:, term] = which % self.modulus if few else torch.randint(self.modulus, (count,), generator=generator)
            which = which // self.modulus
        return x, x.sum(1) % self.modulus
