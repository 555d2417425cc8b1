"""Compression: a student with a bottleneck is to give all of a sequence again (Poli et al. 2024, arXiv:2403.17844)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Compression:
    """Random tokens, all of them asked for again: what a student's own bottleneck lets through is what is measured.

    Attributes:
        length: tokens of a sequence; outputs are (length, vocabulary).
        vocabulary: how many kinds there are.

    Raises:
        ArchabError: if there is no token, or one kind alone.

    Example:
        >>> x, y = Compression(length=5).draw(3, 1, None, torch.Generator().manual_seed(0))
        >>> x.shape, bool((x == y).all())
        (torch.Size([4, 5]), True)
    """

    name: ClassVar[str] = "compression"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 8
    vocabulary: int = 8

    def __post_init__(self) -> None:
        if self.length < 1 or self.vocabulary < 2:
            raise ArchabError(f"target.length={self.length}, vocabulary={self.vocabulary}: at least 1 and 2 are needed")

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        x = torch.randint(self.vocabulary, (training + heldout, self.length), generator=generator)
        return x, x.clone()
