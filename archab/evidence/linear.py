"""The linear fit: whether students beat the least-squares affine map of the inputs, fitted to their own target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from archab.evidence import statistics as st
from archab.evidence.design import Design
from archab.evidence.notes import Note
from archab.evidence.outcome import Member
from archab.evidence.words import called, error, listed

BEATS = 0.99  # of the fit's error: what is nearer to it is the same fit, found by descent


@dataclass(frozen=True, slots=True)
class Fit:
    """The fit on a member's targets: its typical error, and whether a side beats it; NaN and None if not known."""

    error: float
    beaten: bool | None


def fit_of(design: Design, member: int) -> Fit:
    """The fit of a member; each side is compared on the targets that it learnt."""
    if "linear" not in design.students:
        return Fit(math.nan, None)
    own = design.students[(design.students["member"] == member) & design.students["linear"].notna()]
    if own["side"].nunique() < 2:
        return Fit(math.nan, None)
    both = own.assign(fit=st.score(own["linear"], design.floor))
    scores = both.groupby(["side", "seed", "target"], observed=True)[["y", "fit"]]
    typical = scores.mean().groupby("side", observed=True).mean()
    targets = own.drop_duplicates(["seed", "target"])
    beaten = (typical["y"] < typical["fit"] + math.log(BEATS)).any()
    return Fit(math.exp(float(st.score(targets["linear"], design.floor).mean())), bool(beaten))


def unbeaten(members: Sequence[Member], member_names: Sequence[str]) -> str:
    """At which members neither side beats it, as " at rank 1"; empty where these are all or none."""
    held = [called(m.member, member_names) for m in members if m.below_linear]
    return f" at {listed(held)}" if 0 < len(held) < len(members) else ""


def note(
    members: Sequence[Member], names: tuple[str, str], member_names: Sequence[str], longer: str
) -> tuple[Note, ...]:
    """What is said where neither side beats it; `longer` are the overrides that double the epochs."""
    held = [m for m in members if m.below_linear]
    if not held:
        return ()
    a, b = names
    errors = ([m.typical_a for m in held], [m.typical_b for m in held], [m.linear for m in held])
    typical = [f"{name} {_range(own)}" for name, own in zip((a, b, "the fit"), errors, strict=True)]
    at = unbeaten(members, member_names)
    said = f"Neither side beats a linear fit of the inputs{at} (typical errors: {', '.join(typical)})"
    remedy = "train longer (routine.epochs, routine.lr), or on more samples"
    return (Note("linear fit", f"{said}: {remedy}.", longer),)


def _range(errors: Sequence[float]) -> str:
    low, high = error(min(errors)), error(max(errors))
    return low if low == high else f"{low} to {high}"
