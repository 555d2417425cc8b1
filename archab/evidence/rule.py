"""The rule by which a verdict is given, and its settings."""

import math
from dataclasses import dataclass
from typing import Literal

from archab.errors import ArchabError
from archab.evidence.statistics import FLOOR

RuleName = Literal["anytime", "fixed", "hybrid"]
FEWEST_BLOCKS = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """When a verdict is given: rule, error rate, ratio that matters, the hybrid's planned N, the floor; see `judge`.

    Attributes:
        name: where left out, `anytime`, and of overlapping splits `fixed`, which alone is valid there.
        overlap: held-out over training rows of targets that are splits of one data set; 0 where they are independent.

    Raises:
        ArchabError: naming the setting that makes no sense.
    """

    name: RuleName | None = None
    alpha: float = 0.05
    margin: float = 1.10
    planned: int | None = None
    floor: float = FLOOR
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.name is None:
            object.__setattr__(self, "name", "fixed" if self.overlap else "anytime")
        elif self.overlap and self.name != "fixed":
            raise ArchabError(
                f"rule={self.name}: targets are splits of one data set, which overlap; no number of them is as good as "
                "further data, so that looking again and again would find a difference in the end. rule=fixed corrects "
                "for it (Nadeau and Bengio 2003)"
            )
        if self.name not in ("anytime", "fixed", "hybrid"):
            raise ArchabError(f"rule={self.name}: no such rule. There are: anytime, fixed, hybrid")
        if not 1e-9 <= self.alpha < 0.5:
            raise ArchabError(f"alpha={self.alpha:g}: an error rate from 1e-9 to below 0.5 is needed, such as 0.05")
        if not 1 < self.margin < math.inf:
            text = "a ratio above 1 is needed; 1.10 calls a difference of 10% important"
            raise ArchabError(f"margin={self.margin:g}: {text}")
        if self.name == "hybrid" and self.planned is None:
            raise ArchabError("rule=hybrid: the planned number of rounds is needed, such as planned=40")
        if self.planned is not None and self.planned < FEWEST_BLOCKS:
            raise ArchabError(f"planned={self.planned}: at least {FEWEST_BLOCKS} rounds are needed")
        if not 0 < self.floor < 1:
            raise ArchabError(f"floor={self.floor:g}: an error between 0 and 1 is needed, such as 1e-12")

    @property
    def rounds(self) -> int:
        """The hybrid's planned number of rounds; 0 under the other rules, which read none."""
        return (self.planned or 0) if self.name == "hybrid" else 0
