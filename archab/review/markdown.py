"""Verdicts as markdown, for the description of a run."""

import math
from collections.abc import Sequence

from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.sentences import word
from archab.evidence.words import between, effect
from archab.review.finding import SCORED, caveat_line, fitted


def described(verdicts: Sequence[Verdict]) -> str:
    """One verdict in full, or a table of several and each in a paragraph."""
    if len(verdicts) == 1:
        return _one(verdicts[0])
    head = "| configuration | verdict | lower error | p adjusted | targets |\n|---|---|---|---|---|\n"
    lines = [
        f"| {_cell(v.label)} | {word(v)} | {_effect(v.gmr, *v.interval())} | "
        f"{words.probability(v.p_adjusted, v.alpha)} | {v.blocks} |"
        for v in verdicts
    ]
    return head + "\n".join(lines) + "\n\n" + "\n\n".join(f"### {_cell(v.label)}\n\n{_one(v)}" for v in verdicts)


def _one(verdict: Verdict) -> str:
    a, b = verdict.names
    alpha, linear = verdict.alpha, fitted(verdict)
    rows = [("member", _cell(a), _cell(b), "linear fit", "lower error", "p"), ("---",) * 6]
    for m in verdict.members:
        fit = words.error(m.linear) if math.isfinite(m.linear) else "–"
        cells = (_cell(verdict.member_name(m.member)), words.error(m.typical_a), words.error(m.typical_b), fit)
        rows.append((*cells, _effect(m.gmr, m.ci_low, m.ci_high), words.probability(m.p_holm, alpha)))
    whole = _effect(verdict.gmr, *verdict.interval())
    rows.append(("**all**", "", "", "", whole, words.probability(verdict.p_value, alpha)))
    table = "\n".join(_line(row if linear else (*row[:3], *row[4:])) for row in rows)
    rest = verdict.paragraph().removeprefix(verdict.sentence()).strip()
    s = verdict.settings
    rule = f"Rule: {s.name}, error rate {s.alpha:g}, margin {words.margin(verdict.margin)}."
    said = f"A is {a}, B is {b}; in brackets {words.level(verdict.alpha)} intervals."
    head_lines = [f"**{verdict.sentence()}**", caveat_line(verdict), rest]
    return "\n\n".join((*filter(None, head_lines), table, f"{said} {SCORED[0].upper()}{SCORED[1:]}. {rule}"))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _effect(gmr: float, low: float, high: float) -> str:
    interval = f" ({between(low, high)})" if math.isfinite(low) else ""
    return f"{effect(gmr)}{interval}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
