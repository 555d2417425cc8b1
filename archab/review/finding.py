"""A verdict in the few words of a label or a caption: what was counted, and what of it may be shown as found."""

import math
from dataclasses import dataclass

import numpy as np

from archab.evidence.fields import Verdict
from archab.evidence.sentences import Better, better
from archab.evidence.statistics import Array

SCORED = (
    "error: held out, a target at most 1 (a constant), geometric mean. Intervals and p: of a single look (Holm), "
    "but for all together the interval of the rule"
)


def measured(verdict: Verdict) -> bool:
    """Whether there are blocks enough for any verdict, so that an interval and a colour say something."""
    return verdict.status != "too_few"


def fitted(verdict: Verdict) -> bool:
    """Whether the linear fit of a member's targets is known."""
    return any(math.isfinite(m.linear) for m in verdict.members)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is shown of all members together, or of one.

    Attributes:
        gmr: ratio of A's to B's error.
        low, high: its interval, of all together that of the rule.
        side: the lower one, `a` or `b`; empty where that is not decided.
    """

    name: str
    gmr: float
    low: float
    high: float
    side: str


def effects(verdict: Verdict) -> list[Effect]:
    """That of all members together, and one a member."""
    found = better(verdict)
    own = []
    for m in verdict.members:
        side = "" if not decided(verdict, m.p_holm) else "a" if m.gmr < 1 else "b"
        own.append(Effect(verdict.member_name(m.member), m.gmr, m.ci_low, m.ci_high, side))
    return [Effect("all", verdict.gmr, *verdict.interval(), found.side if found else ""), *own]


def differences(verdict: Verdict) -> Array:
    """Logs of A's over B's error, shape (n,): of blocks, ties are 0; of rounds where no block has both sides."""
    design = verdict.data
    return np.nanmean(design.values, axis=1) if design.is_a is None else design.rounds


def counts(verdict: Verdict) -> tuple[int, int, int] | None:
    """On how many blocks A is lower, B is, and neither; None where no block has both sides."""
    d = differences(verdict)
    return None if verdict.data.is_a is not None else (int((d < 0).sum()), int((d > 0).sum()), int((d == 0).sum()))


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
    return measured(verdict) and p_holm <= verdict.alpha


def caveat_line(verdict: Verdict) -> str:
    """What limits a verdict, for the line right under it: "Mind: limited by training; not tuned."; else empty."""
    return f"Mind: {'; '.join(verdict.caveats)}." if verdict.caveats else ""


def outright(verdict: Verdict) -> Better | None:
    """Who is better without an "if": None, too, where targets differ, members disagree or the evidence has faded."""
    qualified = any(note.kind in ("direct", "members disagree", "faded") for note in verdict.notes)
    return None if qualified else better(verdict)
