"""A verdict in the few words of a title, a label or a caption: who is lower and by how much, and what was counted."""

import math
from dataclasses import dataclass

from archab.evidence import words as words
from archab.evidence.headline import title as finding
from archab.evidence.headline import word
from archab.evidence.outcome import Verdict
from archab.evidence.words import effect

__all__ = [
    "SCORED",
    "better",
    "between",
    "decided",
    "effect",
    "finding",
    "level",
    "measured",
    "replicate",
    "replicates",
    "word",
]

SCORED = (
    "error: held out, a target at most 1 (a constant), geometric mean. Intervals and p: of a single look (Holm), "
    "but for all together the interval of the rule"
)


@dataclass(frozen=True, slots=True)
class Better:
    """The side that a verdict names.

    Attributes:
        side: `a` or `b`.
        name, other: what it and the other side are called.
        ratio: its typical error over the other's, below 1.
    """

    side: str
    name: str
    other: str
    ratio: float


def better(verdict: Verdict) -> Better | None:
    """Who is better, None where the verdict names no side."""
    a, b = verdict.names
    if verdict.verdict == "a_better":
        return Better("a", a, b, verdict.gmr)
    return Better("b", b, a, 1 / verdict.gmr) if verdict.verdict == "b_better" else None


def measured(verdict: Verdict) -> bool:
    """Whether there are blocks enough for any verdict, so that an interval and a colour say something."""
    return verdict.status != "too_few"


def fitted(verdict: Verdict) -> bool:
    """Whether the linear fit of a member's targets is known."""
    return any(math.isfinite(m.linear) for m in verdict.members)


def between(low: float, high: float) -> str:
    """An interval of that ratio: "12% to 28%" of the lower side, or from one side's gain to the other's."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval"
    if high <= 1:
        return f"{words.percent(1 - high)} to {words.percent(1 - low)}"
    if low >= 1:
        return f"{words.percent(1 - 1 / low)} to {words.percent(1 - 1 / high)}"
    return f"A {words.percent(1 - low)} to B {words.percent(1 - 1 / high)}"


def level(verdict: Verdict) -> str:
    """The level of the intervals: "95%"."""
    return f"{100 * (1 - verdict.settings.alpha):g}%"


def replicates(verdict: Verdict) -> str:
    """What was counted, and how many: "200 targets", "80 pairs of targets"."""
    n = verdict.blocks
    if verdict.data.is_a is not None:
        a = int(verdict.data.is_a.sum())
        return f"{n:,} targets ({a:,} learnt by A, {n - a:,} by B)"
    if verdict.data.kind == "crossed":
        return f"{n:,} {'pair' if n == 1 else 'pairs'} of targets"
    return f"{n:,} {'target' if n == 1 else 'targets'}"


def replicate(verdict: Verdict) -> str:
    """What counts as one: "a target", "a pair of targets"."""
    return "a pair of targets" if verdict.data.kind == "crossed" else "a target"


def decided(verdict: Verdict, p_holm: float) -> bool:
    """Whether a member on its own differs: behind the pooled gate, and its p after Holm passes."""
    return measured(verdict) and p_holm <= verdict.settings.alpha


def caveat_line(verdict: Verdict) -> str:
    """What limits a verdict, for the line right under it: "Mind: limited by training; not tuned."; else empty."""
    return f"Mind: {'; '.join(verdict.caveats)}." if verdict.caveats else ""


def outright(verdict: Verdict) -> Better | None:
    """Who is better without an "if": None, too, where targets differ, members disagree or the evidence has faded."""
    qualified = any(note.kind in ("direct", "members disagree", "faded") for note in verdict.notes)
    return None if qualified else better(verdict)
