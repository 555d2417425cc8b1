"""The table of training curves: quartiles of the students' training error by optimiser step, several runs as one."""

import math

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence.notes import Note
from archab.evidence.words import listed, signed

COLUMNS = ("member", "side", "step", "q25", "q50", "q75")


def checked(curves: pd.DataFrame | None) -> pd.DataFrame | None:
    """The curves, joined over seeds and sorted; None where there are none.

    Args:
        curves: columns member, side (`a` or `b`), step, q25, q50, q75, and seed where several runs are joined: then
            each quartile is the median of the runs' own.

    Raises:
        ArchabError: if a column is missing, a cell is no number, or quartiles are out of order.
    """
    if curves is None or curves.empty:
        return None
    if missing := [name for name in COLUMNS if name not in curves]:
        raise ArchabError(f"no column {', '.join(missing)} in the training curves: {', '.join(COLUMNS)} are needed")
    table = curves[list(COLUMNS)].copy()
    table["side"] = table["side"].astype(str).str.lower()
    for name in ("member", "step", "q25", "q50", "q75"):
        try:
            table[name] = pd.to_numeric(table[name])
        except (ValueError, TypeError) as error:
            raise ArchabError(f"{name} in the training curves: {error}") from error
    table = table.replace([np.inf, -np.inf], np.nan).dropna()
    if ((table["q25"] < 0) | (table["q25"] > table["q50"]) | (table["q50"] > table["q75"])).any():
        raise ArchabError("q25, q50, q75 in the training curves: quartiles of errors are 0 or more and in this order")
    table = table[table["side"].isin(["a", "b"])]
    return None if table.empty else table.groupby(["member", "side", "step"], as_index=False).median()


def latest_change(curves: pd.DataFrame, side: str) -> float:
    """Median error at the end over that four fifths of the way: geometric mean over members; NaN where unknown."""
    ratios = []
    for _, own in curves[curves["side"] == side].groupby("member"):
        steps, q50 = own["step"].to_numpy(dtype=float), own["q50"].to_numpy(dtype=float)
        if len(steps) > 1 and (q50 > 0).all():
            before = np.interp(0.8 * steps[-1], steps, np.log(q50))
            ratios.append(np.log(q50[-1]) - before)
    return float(np.exp(np.mean(ratios))) if ratios else float("nan")


def training_notes(curves: pd.DataFrame | None, names: tuple[str, str], margin: float, longer: str) -> list[Note]:
    """What curves tell of the training: that it had not ended, or that the sides took different numbers of steps.

    Training had not ended where a side's error fell over the last fifth of its steps by more than the margin: to go on
    for a quarter longer would move it by more than a difference that was said to matter.

    Args:
        curves: as `checked` takes them.
        names: what the sides are called.
        margin: ratio of typical errors from which a difference matters, above 1.
        longer: the overrides that double the epochs; empty where none would.
    """
    known = checked(curves)
    if curves is None or known is None:
        return []
    moved = {name: latest_change(known, side) for name, side in zip(names, "ab", strict=True)}
    notes = []
    if any(ratio < 1 / margin for ratio in moved.values()):
        said = ", ".join(f"{name} {signed(ratio)}" for name, ratio in moved.items() if math.isfinite(ratio))
        text = f"Training had not ended: the error over the last fifth of the steps moved by {said}."
        notes.append(Note("still falling", text, longer))
    # Of all points: the curve of students who diverged ends early, not their training.
    taken_by = curves.assign(side=curves["side"].astype(str).str.lower(), step=pd.to_numeric(curves["step"]))
    steps = taken_by.groupby(["member", "side"])["step"].max().unstack().reindex(columns=["a", "b"]).dropna()
    unequal = steps[(steps.max(axis=1) > 1.05 * steps.min(axis=1))]
    if not unequal.empty:
        taken = [
            f"{name} {'to '.join(f'{n:,.0f} ' for n in sorted({own.min(), own.max()})).strip()}"
            for name, own in zip(names, (unequal["a"], unequal["b"]), strict=True)
        ]
        notes.append(Note("unequal training", f"Unequal training: optimiser steps of {listed(taken)}."))
    return notes
