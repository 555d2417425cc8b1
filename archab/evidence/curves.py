"""The table of training curves: quartiles of the students' training error by optimiser step, several runs as one."""

import numpy as np
import pandas as pd

from archab.errors import ArchabError

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
