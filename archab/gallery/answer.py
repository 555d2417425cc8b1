"""What a comparison answers: trained and judged on one seed, and the few facts of its verdict that a table holds."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archab.cli.overrides import configured
from archab.evidence import words
from archab.evidence.fields import Verdict
from archab.evidence.verdict import judge
from archab.experiment.build import comparison
from archab.review.finding import replicates

DISAGREE = "members disagree"
WINNERS = {"a_better": "a", "b_better": "b"}


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes:
        names: of the sides.
        verdict: `a_better`, `b_better`, `equivalent` or `undecided`.
        sentence: the verdict in one line.
        caveats: what belongs with it, in a few words each.
        gmr: ratio of A's to B's error over all members.
        low, high: its interval.
        counted: on how many targets, or pairs of targets.
        errors, sizes: of A and of B, a pair a member.
        seconds: that it took, tuning and programs that had to be compiled included.
    """

    names: tuple[str, str]
    verdict: str
    sentence: str
    caveats: tuple[str, ...]
    gmr: float
    low: float
    high: float
    counted: str
    errors: tuple[tuple[float, float], ...]
    sizes: tuple[tuple[float, float], ...]
    seconds: float

    @classmethod
    def of(cls, verdict: Verdict, seconds: float) -> "Answer":
        """The facts of a verdict."""
        errors = tuple((m.a.typical, m.b.typical) for m in verdict.members)
        sizes = tuple((m.a.size, m.b.size) for m in verdict.members)
        said = verdict.verdict, verdict.sentence(), verdict.caveats
        return cls(verdict.names, *said, verdict.gmr, *verdict.interval(), replicates(verdict), errors, sizes, seconds)

    @classmethod
    def read(cls, plain: dict[str, Any]) -> "Answer":
        """The same from `plain()`.

        Raises:
            KeyError, TypeError, ValueError: where it is something else.
        """
        pairs = {name: tuple((float(a), float(b)) for a, b in plain[name]) for name in ("errors", "sizes")}
        a, b = map(str, plain["names"])
        return cls(**{**plain, **pairs, "names": (a, b), "caveats": tuple(map(str, plain["caveats"]))})

    def plain(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return asdict(self)

    @property
    def found(self) -> str:
        """`a` or `b`, the side that is better; `none` where the verdict names none."""
        return WINNERS.get(self.verdict, "none")

    @property
    def lower(self) -> float:
        """By which share the lower error is below the other."""
        return 1 - min(self.gmr, 1 / self.gmr)

    @property
    def winner(self) -> str:
        """Who is better and by how much, in words."""
        if self.found == "none":
            return "equivalent" if self.verdict == "equivalent" else "no winner"
        disagree = "; members disagree" if DISAGREE in self.caveats else ""
        return f"{self.names[self.found == 'b']}, {words.percent(self.lower)} lower{disagree}"


def ask(typed: Sequence[str]) -> tuple[Verdict, float]:
    """Train and judge what these overrides ask; the verdict, and the seconds that it took.

    Raises:
        ArchabError: on a mistake in them.
    """
    begun = time.monotonic()
    study = comparison(configured(typed)).ready.study()
    return judge(study), time.monotonic() - begun


def together(pair: tuple[float, float], count: bool = False) -> str:
    """A figure of both sides: errors with two digits, or counts."""
    return " and ".join(f"{value:,.0f}" if count else f"{value:.2g}" for value in pair)
