"""A share of one run's work, so that several processes or machines can do it together: shard=2/8."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from archab.errors import ArchabError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """The work units number, number + of, number + 2 of, … of a run's plan, counted from 1."""

    number: int
    of: int

    @classmethod
    def named(cls, text: str) -> "Shard":
        """Read `2/8`.

        Raises:
            ArchabError: if that is no share of a whole.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ArchabError(f"shard={text}: a share such as shard=1/8, up to 8/8, or null for the whole run")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def take(self, units: Sequence[Item]) -> list[Item]:
        """Its share of the work units.

        Raises:
            ArchabError: if there are more shards than units.
        """
        if self.of > len(units):
            raise ArchabError(
                f"shard={self}: the run has {len(units)} parts of whole chunks; at most shard=…/{len(units)}, or a "
                "smaller engine.chunk"
            )
        return list(units[self.number - 1 :: self.of])
