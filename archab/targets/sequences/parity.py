"""Parity of the first bits of a sequence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Parity:
    """Random bits; the label is whether the first few hold an odd number of ones.

    Attributes:
        length: bits of a sequence; outputs are (2,), one logit a label.
        bits: how many of them count, all where None.

    Raises:
        ArchabError: if more bits count than there are.

    Example:
        >>> x, y = Parity(length=4, bits=2).draw(8, 2, None, torch.Generator().manual_seed(0))
        >>> bool((y == (x[:, 0] ^ x[:, 1])).all())
        True
    """

    name: ClassVar[str] = "parity"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 8
    bits: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= (self.length if self.bits is None else self.bits) <= self.length:
            raise ArchabError(f"target.bits={self.bits}: 1 to length={self.length}, or null for all")

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        x = torch.randint(2, (training + heldout, self.length), generator=generator)
        return x, x[:, : self.bits].sum(1) % 2
