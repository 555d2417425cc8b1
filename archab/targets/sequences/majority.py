"""Majority of a sequence of bits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Majority:
    """Random bits; the label is whether more than half of them are ones.

    Attributes:
        length: bits of a sequence, an odd number; outputs are (2,), one logit a label.

    Raises:
        ArchabError: if it is even.

    Example:
        >>> x, y = Majority(length=3).draw(8, 2, None, torch.Generator().manual_seed(0))
        >>> bool((y == (x.sum(1) >= 2)).all())
        True
    """

    name: ClassVar[str] = "majority"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 15

    def __post_init__(self) -> None:
        if self.length < 1 or self.length % 2 == 0:
            raise ArchabError(f"target.length={self.length}: an odd number is needed, so that there is a majority")

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        x = torch.randint(2, (training + heldout, self.length), generator=generator)
        return x, (2 * x.sum(1) > self.length).long()
