"""Selective copying (Gu and Dao 2023, arXiv:2312.00752, section 4.1.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError
from archab.targets.task import UNCOUNTED


@dataclass(frozen=True)
class SelectiveCopying:
    """Tokens among blanks at random places, to be given in their order at the end.

    Sequences are blanks (token 0) and `tokens` others, then as many times the mark, token vocabulary + 1, at which the
    labels 0 … vocabulary − 1 are asked for.

    Attributes:
        length: tokens of a sequence, at least twice as many as are copied; outputs are (length, vocabulary).
        tokens: how many must be copied.
        vocabulary: how many kinds there are.

    Raises:
        ArchabError: if the tokens do not fit.

    Example:
        >>> x, y = SelectiveCopying(length=7, tokens=2).draw(1, 1, None, torch.Generator().manual_seed(0))
        >>> (x[0, :5] > 0).sum().item(), (y[0] >= 0).tolist()
        (2, [False, False, False, False, False, True, True])
    """

    name: ClassVar[str] = "selective copying"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 24
    tokens: int = 4
    vocabulary: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.tokens <= self.length // 2 or self.vocabulary < 2:
            raise ArchabError(
                f"target.tokens={self.tokens}: at least 1 and at most half of length={self.length}; and at least 2 in "
                f"the vocabulary, got {self.vocabulary}"
            )

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        count, places = training + heldout, self.length - self.tokens
        at = torch.rand(count, places, generator=generator).argsort(1)[:, : self.tokens].sort(1).values
        what = torch.randint(self.vocabulary, (count, self.tokens), generator=generator)
        x = torch.zeros(count, self.length, dtype=torch.int64).scatter(1, at, 1 + what)
        x[:, places:] = 1 + self.vocabulary
        y = torch.full_like(x, UNCOUNTED)
        y[:, places:] = what
        return x, y
