"""Every member on its own: its effect behind the gate of the pooled test, errors, sizes, control and linear fit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence import statistics as st
from archab.evidence.costs import Cost
from archab.evidence.design import Design
from archab.evidence.estimate import NAN, Figures, fixed, groups_of, member_column
from archab.evidence.fields import Fit, Member, Side
from archab.evidence.notes import Note
from archab.evidence.rule import Rule
from archab.evidence.words import called, errors, listed
from archab.results import CONTROLS

HALF, FEWEST = 0.5, 2
BEATS = 0.99  # of the linear fit's error: what is nearer to it is the same fit, found by descent


def at_a_glance(design: Design) -> dict[int, dict[str, float]]:
    """Of each member the figures that need no test, by the names under which they are logged."""
    sizes = dict(zip(design.members, _sizes(design), strict=True))
    lost = design.students.groupby(["member", "side"])["diverged"].sum()
    found = {}
    for column, member in enumerate(design.members):
        values, is_a = member_column(design.values, design.is_a, column)
        theta = float(values.mean() if is_a is None else values[is_a].mean() - values[~is_a].mean())
        figures = {"a/measure": sizes[member]["a"], "b/measure": sizes[member]["b"], "member/gmr": math.exp(theta)}
        for side in ("a", "b"):
            figures[f"{side}/nmse"] = float(np.exp(_block_scores(design.students, member, side).mean()))
            figures[f"{side}/diverged"] = float(lost[member, side])
        figures["member/linear"] = fit_of(design, member).error
        better = float((values < 0).mean()) if is_a is None else st.probability_lower(groups_of(values, is_a))
        found[member] = {**figures, "member/prob_a_better": better}
    return found


def describe(
    design: Design, gate: float, rule: Rule, control: pd.DataFrame | None, costs: Mapping[tuple[int, str], Cost]
) -> tuple[Member, ...]:
    """One `Member` each, p_holm = max(gate, Holm over members), with the pooled p as the gate."""
    columns = [member_column(design.values, design.is_a, j) for j in range(len(design.members))]
    figures = [fixed(*column, rule.alpha, rule.margin, rule.overlap) for column in columns]
    adjusted = np.maximum(gate, st.holm([f.p_value for f in figures])).tolist()
    reached = _controls(design, control, rule.alpha)
    enough = sum(found.targets for found in reached.values()) >= CONTROLS

    def described(member: int, figures: Figures, p_holm: float, sizes: dict[str, float]) -> Member:
        a, b = (_side(design.students, member, side, sizes[side], costs.get((member, side))) for side in ("a", "b"))
        own = reached.get(member, _Control(0, NAN, NAN))
        return Member(member, figures, p_holm, a, b, own.error, enough and own.low > HALF, fit_of(design, member))

    return tuple(map(described, design.members, figures, adjusted, _sizes(design)))


def _side(students: pd.DataFrame, member: int, side: str, size: float, cost: Cost | None) -> Side:
    own = students[(students["member"] == member) & (students["side"] == side)]
    scores = _block_scores(students, member, side)
    return Side(
        typical=float(np.exp(scores.mean())),
        iqm=math.exp(st.iqm(scores)),
        best_of=_best_of(own),
        size=size,
        diverged=int(own["diverged"].sum()),
        cost=cost,
        accuracy=float(own["accuracy"].mean()) if "accuracy" in own else NAN,
    )


def _sizes(design: Design) -> list[dict[str, float]]:
    """The measure of both sides, by side, a member each."""
    if "measure" not in design.students:
        return [{"a": NAN, "b": NAN}] * len(design.members)
    sizes = design.students.groupby(["member", "side"])["measure"].median().unstack().reindex(list(design.members))
    return [{"a": float(a), "b": float(b)} for a, b in sizes[["a", "b"]].itertuples(index=False)]


def fit_of(design: Design, member: int) -> Fit:
    """The linear fit of a member; each side is compared on the targets that it learnt."""
    if "linear" not in design.students:
        return Fit(NAN, None)
    own = design.students[(design.students["member"] == member) & design.students["linear"].notna()]
    if own["side"].nunique() < 2:
        return Fit(NAN, None)
    both = own.assign(fit=st.score(own["linear"], design.floor))
    scores = both.groupby(["side", "seed", "name"], observed=True)[["y", "fit"]]
    typical = scores.mean().groupby("side", observed=True).mean()
    targets = own.drop_duplicates(["seed", "name"])
    beaten = (typical["y"] < typical["fit"] + math.log(BEATS)).any()
    return Fit(math.exp(float(st.score(targets["linear"], design.floor).mean())), bool(beaten))


def unbeaten(members: Sequence[Member], member_names: Sequence[str]) -> str:
    """At which members neither side beats the linear fit, as " at rank 1"; empty where these are all or none."""
    held = [called(m.member, member_names) for m in members if m.below_linear]
    return f" at {listed(held)}" if 0 < len(held) < len(members) else ""


def below_linear(
    members: Sequence[Member], names: tuple[str, str], member_names: Sequence[str], longer: str
) -> list[Note]:
    """What is said where neither side beats the linear fit; `longer` are the overrides that double the epochs."""
    held = [m for m in members if m.below_linear]
    if not held:
        return []
    found = ([m.a.typical for m in held], [m.b.typical for m in held], [m.linear for m in held])
    typical = [f"{name} {errors(own)}" for name, own in zip((*names, "the fit"), found, strict=True)]
    at = unbeaten(members, member_names)
    said = f"Neither side beats a linear fit of the inputs{at} (typical errors: {', '.join(typical)})"
    remedy = "train longer (routine.epochs, routine.lr), or on more samples"
    return [Note("linear fit", f"{said}: {remedy}.", longer)]


def limited(members: Sequence[Member], control_name: str, member_names: Sequence[str]) -> list[Note]:
    """The note on members whose control shows that training, not size, is what limits them."""
    held = [m for m in members if m.limited_by_training]
    if not held:
        return []
    found = sorted({f"{m.control:.2g}" for m in held}, key=float)
    reached = found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}"
    where = listed([called(m.member, member_names) for m in held])
    control = f"the control ({control_name}) reaches only {reached} on the same targets"
    return [Note("limited by training", f"Limited by training, not by size: {control} ({where}).")]


def _block_scores(students: pd.DataFrame, member: int, side: str) -> st.Array:
    own = students[(students["member"] == member) & (students["side"] == side)]
    return own.groupby(["seed", "name"])["y"].mean().to_numpy(dtype=float)


def _best_of(own: pd.DataFrame) -> tuple[float, ...] | None:
    """Expected best of 1, 2, … restarts: geometric mean over blocks, as far as every block has restarts."""
    if own.groupby(["seed", "name"]).size().min() < FEWEST:
        return None
    blocks = [np.exp(y.to_numpy(dtype=float)) for _, y in own.groupby(["seed", "name"])["y"]]
    most = min(block.size for block in blocks)
    return tuple(np.exp(np.mean([np.log(st.expected_best(block)[:most]) for block in blocks], axis=0)).tolist())


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
    learnt = design.students[design.students["target"].isin(scored["target"])]
    sides = learnt.groupby([*key, "side"])["y"].mean().unstack()
    both = sides.join(reached.rename("control"), how="inner").dropna()
    return {int(str(member)): _control(own, alpha) for member, own in both.groupby("member")}


def _control(scores: pd.DataFrame, alpha: float) -> _Control:
    """From a target's scores a row: columns a, b and control."""
    better = scores[["a", "b"]].mean().idxmin()
    estimate = st.paired_estimate((scores["control"] - scores[better]) / len(scores))
    low = estimate.theta if estimate.se == 0 else st.t_interval(estimate, alpha)[0]
    return _Control(len(scores), math.exp(scores["control"].mean()), math.exp(low))
