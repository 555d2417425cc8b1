"""Several configurations judged together: Holm over the p of the rule in force."""

from collections.abc import Sequence
from dataclasses import replace

from archab.errors import ArchabError
from archab.evidence.fields import Verdict
from archab.evidence.notes import Note
from archab.evidence.rule import Rule, RuleName
from archab.evidence.statistics import FLOOR, holm
from archab.evidence.study import Study
from archab.evidence.verdict import assess, decide


def judge_family(
    configurations: Sequence[Study],
    *,
    rule: RuleName | None = None,
    alpha: float = 0.05,
    margin: float = 1.10,
    planned: int | None = None,
    floor: float = FLOOR,
    family_size: int | None = None,
) -> list[Verdict]:
    """A verdict each, given only where p_adjusted passes; equivalence with the interval at alpha/k.

    Args:
        configurations: k of them, one fingerprint each.
        family_size: how many there are in the store, where that is more than are shown; a note then says so.

    Raises:
        ArchabError: if a configuration's rows are refused (its label comes first) or a setting makes no sense.
    """
    assessed = []
    for c in configurations:
        try:
            assessed.append(assess(c, Rule(rule, alpha, margin, planned, floor, c.overlap)))
        except ArchabError as error:
            raise ArchabError(f"{c.label}: {error}") from error
    adjusted = holm([v.p_rule for v in assessed])
    note = _family_note(len(assessed), family_size)
    return [
        decide(
            replace(v, label=c.label, notes=(*v.notes, *note)),
            p_adjusted=float(p),
            family=len(assessed),
            command=c.command,
        )
        for c, v, p in zip(configurations, assessed, adjusted, strict=True)
    ]


def _family_note(shown: int, size: int | None) -> tuple[Note, ...]:
    if size is not None and size > shown:
        return (Note("family", f"Corrected for the {shown} configurations that are shown of {size}."),)
    return (Note("family", f"Corrected for {shown} configurations (Holm)."),) if shown > 1 else ()
