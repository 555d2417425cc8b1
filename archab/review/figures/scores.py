"""What the figures draw of the rows: a score for each target, side and member, and its mean with an interval."""

import numpy as np
import pandas as pd

from archab.evidence import statistics as st
from archab.evidence.fields import Verdict
from archab.evidence.statistics import Array


def per_target(verdict: Verdict) -> pd.DataFrame:
    """One line a target, side and member, in key order: y, the mean over restarts of log NMSE, and the measure."""
    students = verdict.data.students
    columns = {"y": ("y", "mean"), **({"measure": ("measure", "median")} if "measure" in students else {})}
    key = ["member", "side", "seed", "draw", "source", "target"]
    return students.groupby(key, as_index=False).agg(**columns)


def mean_and_interval(y: Array, alpha: float, overlap: float = 0.0) -> tuple[float, float, float]:
    """Geometric mean of errors from their logs, shape (n,), with its t interval; NaN for one target.

    For `overlap` see `archab.evidence.statistics.paired_estimate`.
    """
    low, high = st.t_interval(st.paired_estimate(y / y.size, overlap=overlap), alpha)
    return float(np.exp(y.mean())), float(np.exp(low)), float(np.exp(high))


def spread_out(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly spaced in their order."""
    if values.size <= most:
        return values
    return values[np.linspace(0, values.size - 1, most).round().astype(int)]
