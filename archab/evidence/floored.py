"""Errors at the floor: one exact zero, powers of ten away from all others, can carry a geometric mean."""

import math

from archab.evidence.design import Design
from archab.evidence.notes import Note
from archab.evidence.words import counted, effect, small


def without(design: Design) -> float:
    """Theta over the targets (crossed: pairs) on which no student was below the floor; NaN where none is left."""
    key = ["seed", "member", "draw", *(["side"] if design.kind == "unpaired" else [])]
    floored = design.students.groupby(key, observed=True)["floored"].transform("any")
    kept = design.students[~floored]
    units = kept.groupby([*dict.fromkeys([*key, "source", "side"])], observed=True)["y"].mean()
    sides = units.groupby(["member", "side"], observed=True).mean().unstack("side").reindex(columns=["a", "b"])
    return float((sides["a"] - sides["b"]).mean())


def notes(design: Design, theta: float, margin: float, names: tuple[str, str]) -> list[Note]:
    """How many students are at the floor, and the typical errors' ratio without their targets beside that with them.

    Args:
        theta: mean difference of log errors over all targets.
        margin: ratio from which a difference matters: by more than that, the floor carries the result.
    """
    number = int(design.students["floored"].sum())
    if not number:
        return []
    rest = without(design)
    text = f"Errors below {small(design.floor)} count as that: {counted(number, 'student')}."
    if math.isnan(rest):
        return [Note("floor", f"{text} No target is without them.")]
    both = f"With their targets {effect(math.exp(theta), names)}, without them {effect(math.exp(rest), names)}."
    return [Note("floor" if abs(rest - theta) > math.log(margin) else "design", f"{text} {both}")]
