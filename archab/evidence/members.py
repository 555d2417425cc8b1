"""Every member on its own: its effect behind the gate of the pooled test, its errors, its sizes and its control."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence import statistics as st
from archab.evidence.design import Design
from archab.evidence.estimate import NAN, fixed, groups_of, member_column
from archab.evidence.linear import fit_of
from archab.evidence.notes import Note
from archab.evidence.outcome import Member, Rule
from archab.evidence.words import called, listed
from archab.results import CONTROLS

HALF, FEWEST = 0.5, 2


def at_a_glance(design: Design) -> dict[str, float]:
    """The figures of a design of one member that need no test, by the names under which they are logged."""
    values, is_a = member_column(design.values, design.is_a, 0)
    [member], [(size_a, size_b)] = design.members, _sizes(design)
    theta = float(values.mean() if is_a is None else values[is_a].mean() - values[~is_a].mean())
    lost = design.students.groupby("side")["diverged"].sum()
    figures = {"a/measure": size_a, "b/measure": size_b, "member/gmr": math.exp(theta)}
    for side in ("a", "b"):
        figures[f"{side}/nmse"] = float(np.exp(_block_scores(design.students, member, side).mean()))
        figures[f"{side}/diverged"] = float(lost[side])
    figures["member/linear"] = fit_of(design, member).error
    better = float((values < 0).mean()) if is_a is None else st.probability_lower(groups_of(values, is_a))
    return {**figures, "member/prob_a_better": better}


def describe(design: Design, gate: float, rule: Rule, control: pd.DataFrame | None = None) -> tuple[Member, ...]:
    """One `Member` each, p_holm = max(gate, Holm over members), with the pooled p as the gate."""
    alpha = rule.alpha
    figures = [fixed(*member_column(design.values, design.is_a, j), alpha) for j in range(len(design.members))]
    adjusted = np.maximum(gate, st.holm([f.p for f in figures]))
    sizes = _sizes(design)
    lost = design.students.groupby(["member", "side"])["diverged"].sum()
    reached = _controls(design, control, alpha)
    linear = {member: fit_of(design, member) for member in design.members}
    enough = sum(found.targets for found in reached.values()) >= CONTROLS
    described = []
    for member, f, p_holm, (size_a, size_b) in zip(design.members, figures, adjusted, sizes, strict=True):
        low, high = st.t_interval(f.estimate, alpha)
        scores = {side: _block_scores(design.students, member, side) for side in ("a", "b")}
        own = reached.get(member, _Control(0, NAN, NAN))
        described.append(
            Member(
                member=member,
                blocks=f.blocks,
                theta=f.estimate.theta,
                gmr=math.exp(f.estimate.theta),
                ci_low=float(np.exp(low)),
                ci_high=float(np.exp(high)),
                p_value=f.p,
                p_holm=float(p_holm),
                p_equivalence=st.equivalence_p(f.estimate, rule.margin),
                prob_a_better=f.share,
                lower=f.lower,
                typical_a=float(np.exp(scores["a"].mean())),
                typical_b=float(np.exp(scores["b"].mean())),
                iqm_a=math.exp(st.iqm(scores["a"])),
                iqm_b=math.exp(st.iqm(scores["b"])),
                best_of_a=_best_of(design.students, member, "a"),
                best_of_b=_best_of(design.students, member, "b"),
                size_a=size_a,
                size_b=size_b,
                size_ratio=size_b / size_a,
                diverged_a=int(lost[member, "a"]),
                diverged_b=int(lost[member, "b"]),
                control=own.error,
                limited_by_training=enough and own.low > HALF,
                linear=linear[member].error,
                below_linear=linear[member].beaten is False,
            )
        )
    return tuple(described)


def size_ratios(design: Design) -> tuple[float, ...] | None:
    """B's measure over A's, a number per member; None where the rows carry no measure."""
    ratios = tuple(b / a for a, b in _sizes(design))
    return None if all(map(math.isnan, ratios)) else ratios


def _sizes(design: Design) -> list[tuple[float, float]]:
    if "measure" not in design.students:
        return [(NAN, NAN)] * len(design.members)
    sizes = design.students.groupby(["member", "side"])["measure"].median().unstack().reindex(list(design.members))
    return [(float(a), float(b)) for a, b in sizes[["a", "b"]].itertuples(index=False)]


def limited(members: Sequence[Member], control_name: str, member_names: Sequence[str]) -> list[Note]:
    """The note on members whose control shows that training, not size, is what limits them."""
    held = [m for m in members if m.limited_by_training]
    if not held:
        return []
    errors = sorted({f"{m.control:.2g}" for m in held}, key=float)
    reached = errors[0] if len(errors) == 1 else f"{errors[0]} to {errors[-1]}"
    where = listed([called(m.member, member_names) for m in held])
    control = f"the control ({control_name}) reaches only {reached} on the same targets"
    return [Note("limited by training", f"Limited by training, not by size: {control} ({where}).")]


def _block_scores(students: pd.DataFrame, member: int, side: str) -> st.Array:
    own = students[(students["member"] == member) & (students["side"] == side)]
    return own.groupby(["seed", "target"])["y"].mean().to_numpy(dtype=float)


def _best_of(students: pd.DataFrame, member: int, side: str) -> tuple[float, ...] | None:
    """Expected best of 1, 2, … restarts: geometric mean over blocks, as far as every block has restarts."""
    own = students[(students["member"] == member) & (students["side"] == side)]
    if own.groupby(["seed", "target"]).size().min() < FEWEST:
        return None
    blocks = [np.exp(y.to_numpy(dtype=float)) for _, y in own.groupby(["seed", "target"])["y"]]
    most = min(errors.size for errors in blocks)
    return tuple(np.exp(np.mean([np.log(st.expected_best(errors)[:most]) for errors in blocks], axis=0)).tolist())


@dataclass(frozen=True, slots=True)
class _Control:
    """What the control's students of one member reached.

    Attributes:
        targets: how many they learnt that the sides learnt, too.
        error: typical error.
        low: of that over the better side's on the same targets, the lower end of the interval.
    """

    targets: int
    error: float
    low: float


def _controls(design: Design, control: pd.DataFrame | None, alpha: float) -> dict[int, _Control]:
    """The control by member."""
    if control is None or control.empty:
        return {}
    key = ["seed", "member", "target"]
    if missing := [name for name in (*key, "nmse") if name not in control]:
        raise ArchabError(f"no column {', '.join(missing)} in the control: {', '.join(key)}, nmse are needed")
    scored = control.assign(y=st.score(control["nmse"], design.floor), target=control["target"].astype(str))
    reached = scored.groupby(key)["y"].mean()
    sides = design.students.groupby([*key, "side"])["y"].mean().unstack()
    both = sides.join(reached.rename("control"), how="inner").dropna()
    return {int(str(member)): _control(own, alpha) for member, own in both.groupby("member")}


def _control(scores: pd.DataFrame, alpha: float) -> _Control:
    """From a target's scores a row: columns a, b and control."""
    better = scores[["a", "b"]].mean().idxmin()
    estimate = st.paired_estimate((scores["control"] - scores[better]) / len(scores))
    low = estimate.theta if estimate.se == 0 else st.t_interval(estimate, alpha)[0]
    return _Control(len(scores), math.exp(scores["control"].mean()), math.exp(low))
