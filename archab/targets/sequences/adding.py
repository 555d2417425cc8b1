"""The adding problem (Hochreiter and Schmidhuber 1997, experiment 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Adding:
    """Numbers from 0 to 1 of which two are marked, one in either half; the output is the sum of these.

    Attributes:
        length: of a sequence; inputs are (length, 2), a number and its mark, outputs (1,).

    Raises:
        ArchabError: if there are less than two.

    Example:
        >>> x, y = Adding(length=6).draw(4, 1, None, torch.Generator().manual_seed(0))
        >>> x.shape, y.shape, bool((y[:, 0] == (x[..., 0] * x[..., 1]).sum(1)).all())
        (torch.Size([5, 6, 2]), torch.Size([5, 1]), True)
    """

    name: ClassVar[str] = "the adding problem"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 16

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ArchabError(f"target.length={self.length}: at least 2 are needed")

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        count, half = training + heldout, self.length // 2
        numbers = torch.rand(count, self.length, generator=generator)
        first = torch.randint(half, (count, 1), generator=generator)
        second = half + torch.randint(self.length - half, (count, 1), generator=generator)
        marks = torch.zeros(count, self.length).scatter(1, torch.cat([first, second], 1), 1.0)
        return torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True)
