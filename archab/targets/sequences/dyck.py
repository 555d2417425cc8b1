"""Dyck languages: brackets of several kinds that close in order (Hewitt et al. 2020, arXiv:2010.07515)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Dyck:
    """Beginnings of well-formed words; the label at each bracket is which kind is open then, `kinds` where none is.

    Token k opens a bracket of kind k, token kinds + k closes it.

    Attributes:
        length: brackets of a sequence; outputs are (length, kinds + 1).
        kinds: how many there are.
        depth: how many may be open at once.

    Raises:
        ArchabError: if a number is not positive.

    Example:
        >>> x, y = Dyck(length=4, kinds=1, depth=1).draw(1, 1, None, torch.Generator().manual_seed(0))
        >>> x[0].tolist(), y[0].tolist()
        ([0, 1, 0, 1], [0, 1, 0, 1])
    """

    name: ClassVar[str] = "a Dyck language"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 16
    kinds: int = 2
    depth: int = 4

    def __post_init__(self) -> None:
        if min(self.length, self.kinds, self.depth) < 1:
            raise ArchabError(
                f"target.length={self.length}, kinds={self.kinds}, depth={self.depth}: at least 1 is needed"
            )

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        count = training + heldout
        every, stack = torch.arange(count), torch.zeros(count, self.depth + 1, dtype=torch.int64)
        stack[:, 0] = self.kinds  # below the first bracket
        height = torch.zeros(count, dtype=torch.int64)
        x, y = (torch.empty(count, self.length, dtype=torch.int64) for _ in range(2))
        for at in range(self.length):
            coin = torch.rand(count, generator=generator) < 0.5
            opens = (height == 0) | (coin & (height < self.depth))
            kind = torch.randint(self.kinds, (count,), generator=generator)
            x[:, at] = torch.where(opens, kind, self.kinds + stack[every, height])
            height = height + torch.where(opens, 1, -1)
            stack[every[opens], height[opens]] = kind[opens]
            y[:, at] = stack[every, height]
        return x, y
