"""Multi-query associative recall (Arora et al. 2023, arXiv:2312.04927, section 3.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError
from archab.targets.task import UNCOUNTED


@dataclass(frozen=True)
class Recall:
    """Pairs of a key and its value, then each key again, at which its value is asked for.

    Sequences are blanks (token 0), k₁ v₁ … k_p v_p, then the keys in another order. Keys are the tokens 1 … keys,
    values those behind them; labels are 0 … values − 1 at the keys asked for, and count nowhere else.

    Attributes:
        length: tokens of a sequence, at least three a pair; outputs are (length, values).
        pairs: how many must be remembered.
        keys, values: how many there are of each.

    Raises:
        ArchabError: if the pairs do not fit.

    Example:
        >>> x, y = Recall(length=6, pairs=2, keys=3, values=2).draw(2, 1, None, torch.Generator().manual_seed(0))
        >>> x.shape, (y[0] == -100).tolist()
        (torch.Size([3, 6]), [True, True, True, True, False, False])
    """

    name: ClassVar[str] = "associative recall"
    drawn: ClassVar[bool] = False
    rows: ClassVar[None] = None
    length: int = 24
    pairs: int = 4
    keys: int = 16
    values: int = 16

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= min(self.keys, self.length // 3) or self.values < 2:
            raise ArchabError(
                f"target.pairs={self.pairs}: at least 1, at most keys={self.keys} and a third of length={self.length}; "
                f"and at least 2 values, got {self.values}"
            )

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        count, at = training + heldout, torch.arange(training + heldout).unsqueeze(1)
        keys = torch.rand(count, self.keys, generator=generator).argsort(1)[:, : self.pairs]
        values = torch.randint(self.values, (count, self.pairs), generator=generator)
        order = torch.rand(count, self.pairs, generator=generator).argsort(1)
        x = torch.zeros(count, self.length, dtype=torch.int64)
        y = torch.full_like(x, UNCOUNTED)
        begin = self.length - 3 * self.pairs
        x[:, begin : begin + 2 * self.pairs : 2] = 1 + keys
        x[:, begin + 1 : begin + 2 * self.pairs : 2] = 1 + self.keys + values
        x[:, -self.pairs :] = 1 + keys[at, order]
        y[:, -self.pairs :] = values[at, order]
        return x, y
