"""Regular languages of random automata."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class RegularLanguage:
    """Random words; the label at each letter is whether a finite automaton, drawn for each target, accepts so far.

    Attributes:
        length: letters of a word; outputs are (length, 2), one logit a label.
        states: of the automaton; half of them, rounded up, accept.
        letters: of its alphabet.

    Raises:
        ArchabError: if there are less than two states or letters.

    Example:
        >>> x, y = RegularLanguage(length=5).draw(3, 1, None, torch.Generator().manual_seed(0))
        >>> x.shape, y.shape
        (torch.Size([4, 5]), torch.Size([4, 5]))
    """

    name: ClassVar[str] = "regular languages of random automata"
    drawn: ClassVar[bool] = True
    rows: ClassVar[None] = None
    length: int = 16
    states: int = 4
    letters: int = 2

    def __post_init__(self) -> None:
        if self.length < 1 or min(self.states, self.letters) < 2:
            raise ArchabError(
                f"target.length={self.length}, states={self.states}, letters={self.letters}: at least 1, 2 and 2 are "
                "needed"
            )

    def draw(
        self, training: int, heldout: int, inputs: Callable[[int], Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """See `archab.targets.task.Task`."""
        following = torch.randint(self.states, (self.states, self.letters), generator=generator)
        accepting = torch.randperm(self.states, generator=generator) < -(-self.states // 2)
        x = torch.randint(self.letters, (training + heldout, self.length), generator=generator)
        state, visited = torch.zeros(len(x), dtype=torch.int64), []
        for letter in x.T:
            state = following[state, letter]
            visited.append(accepting[state])
        return x, torch.stack(visited, 1).long()
