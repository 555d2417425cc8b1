"""The effect as one strip under the verdict: ratio, interval and margin, placed in per cent of the width."""

import math
from dataclasses import dataclass

from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.sentences import better
from archab.evidence.words import effect
from archab.review.figures.names import named
from archab.review.finding import measured
from archab.review.report.inline import isolated

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
LEAST_GAP = 9.0  # per cent of the width between two ticks
EDGE = 4.0


@dataclass(frozen=True)
class Tick:
    """A place on the strip and what it is called; `minor` ones may go where there is little room."""

    at: float
    text: str
    minor: bool = False


@dataclass(frozen=True)
class Strip:
    """Places in per cent of the width, from the left.

    Attributes:
        low, high: of the interval.
        at: of the ratio; `text` says it, `side` is the winner's.
        band: both ends of the margin.
        ticks: of the axis.
    """

    low: float
    high: float
    at: float
    text: str
    side: str
    band: tuple[float, float]
    ticks: tuple[Tick, ...]


def strip(verdict: Verdict) -> Strip | None:
    """The strip of a verdict; None where there is no interval to be shown."""
    low, high = verdict.interval()
    if not (measured(verdict) and math.isfinite(low) and math.isfinite(high)):
        return None
    margin = verdict.margin
    ends = [math.log(r) for r in (low, high, 1 / margin, margin)]
    left, right = min(ends), max(ends)
    room = 0.18 * (right - left)
    left, right = left - room, right + room

    def place(log_ratio: float) -> float:
        return EDGE + (100 - 2 * EDGE) * (log_ratio - left) / (right - left)

    found = better(verdict)
    return Strip(
        low=place(math.log(low)),
        high=place(math.log(high)),
        at=place(math.log(verdict.gmr)),
        text=isolated(effect(verdict.gmr, named(verdict).names)),
        side=found.side if found else "ink",
        band=(place(-math.log(margin)), place(math.log(margin))),
        ticks=_ticks(left, right, place(0.0), (100 - 2 * EDGE) / (right - left)),
    )


def _ticks(left: float, right: float, middle: float, scale: float) -> tuple[Tick, ...]:
    """Equal in the middle, and outwards round shares by which a side is lower, as near as they can stand."""
    ticks = [Tick(middle, "equal")]
    for end, sign in ((left, -1), (right, 1)):
        last, count = 0.0, 0
        for share in SHARES:
            at = -math.log(1 - share)
            if at <= abs(end) and (at - last) * scale >= LEAST_GAP:
                last, count = at, count + 1
                ticks.append(Tick(middle + sign * at * scale, words.percent(share), minor=count % 2 == 1))
    return tuple(sorted(ticks, key=lambda tick: tick.at))
