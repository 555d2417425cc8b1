"""Error against training cost: what error against size shows, along the operations that a student's training takes."""

import math
from dataclasses import replace

from archab.evidence.fields import Verdict
from archab.review.figures import scales
from archab.review.figures.picture import Absent, Picture
from archab.review.figures.size import Across, errors_against, lower_error

LABEL = "training of a student, FLOPs (log)"
JOINED = (
    "dotted lines join the members that were compared. FLOPs, an estimate: 3 × steps × those of a forward pass for a "
    "mini-batch"
)


def picture(verdict: Verdict) -> Picture | Absent:
    """Error against training cost, see `archab.evidence.costs.Cost`; absent where that of a student is not known."""
    pairs = {m.member: (m.cost_a, m.cost_b) for m in verdict.members}
    flops = {i: (a.training_flops, b.training_flops) for i, (a, b) in pairs.items() if a and b}
    if len(flops) < len(pairs) or not all(math.isfinite(value) for pair in flops.values() for value in pair):
        return Absent("error_by_cost", "Error against training cost", "What training took is not known of these rows.")
    across = Across("error_by_cost", "training FLOPs", LABEL, flops)
    # Without the control, whose training is none of these.
    shown = replace(verdict, members=tuple(replace(m, control=math.nan) for m in verdict.members))
    return errors_against(shown, across, _title(verdict, flops), "one member", JOINED)


def _title(verdict: Verdict, flops: dict[int, tuple[float, float]]) -> str:
    how = " for less training", ", for more training", " for equal training", " on average over training costs"
    if found := lower_error(verdict, flops, *how):
        return found
    sides = zip(verdict.names, zip(*flops.values(), strict=True), strict=True)
    return "Training FLOPs of a student: " + ", ".join(f"{name} {_range(values)}" for name, values in sides)


def _range(values: tuple[float, ...]) -> str:
    ends = dict.fromkeys(scales.number(float(f"{value:.2g}")) for value in (min(values), max(values)))
    return " to ".join(ends)
