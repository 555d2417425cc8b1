"""Verdicts as markdown, for the description of a run."""

import math
from collections.abc import Sequence

from archab.evidence import wording as words
from archab.evidence.outcome import Verdict


def described(verdicts: Sequence[Verdict]) -> str:
    """One verdict in full, or a table of several and each in a paragraph."""
    if len(verdicts) == 1:
        return _one(verdicts[0])
    head = "| configuration | verdict | A against B | p adjusted | targets |\n|---|---|---|---|---|\n"
    lines = [
        f"| {_cell(v.label)} | {v.verdict} | {_effect(v.gmr, *v.interval())} | {words.probability(v.p_adjusted)} "
        f"| {v.blocks} |"
        for v in verdicts
    ]
    return head + "\n".join(lines) + "\n\n" + "\n\n".join(f"### {_cell(v.label)}\n\n{_one(v)}" for v in verdicts)


def _one(verdict: Verdict) -> str:
    a, b = verdict.names
    head = f"| member | {_cell(a)} | {_cell(b)} | A against B | p Holm |\n|---|---|---|---|---|\n"
    lines = [
        f"| {_cell(verdict.member_name(m.member))} | {m.typical_a:.2g} | {m.typical_b:.2g} "
        f"| {_effect(m.gmr, m.ci_low, m.ci_high)} | {words.probability(m.p_holm)} |"
        for m in verdict.members
    ]
    effect = f"A against B over all members: {_effect(verdict.gmr, verdict.ci_low, verdict.ci_high)}."
    rest = verdict.paragraph().removeprefix(verdict.sentence()).strip()
    s = verdict.settings
    rule = f"Rule: {s.name}, error rate {s.alpha:g}, margin {verdict.margin_percent}."
    return "\n\n".join((f"**{verdict.sentence()}**", rest, head + "\n".join(lines), f"{effect} {rule}"))


def _effect(gmr: float, low: float, high: float) -> str:
    interval = f" ({words.signed(low)} to {words.signed(high)})" if math.isfinite(low) else ""
    return f"{words.signed(gmr)}{interval}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
