"""The evidence round by round, thinned to what a chart can show."""

import numpy as np

from archab.evidence.fields import Verdict

MOST_POINTS = 200


def by_round(verdict: Verdict, most: int = MOST_POINTS) -> dict[str, list[tuple[int, float]]]:
    """`log_e`, `p_anytime` and `gmr` as (round, value), rounds counted from 1 and log-spaced where there are many.

    `gmr` is that of the rounds so far; `p_anytime` the smallest so far.
    """
    log_e, rounds = np.array(verdict.log_e), verdict.data.rounds
    n = len(log_e)
    if n == 0:
        return {}
    at = np.unique(np.geomspace(1, n, min(n, most)).round().astype(int)) - 1 if n > most else np.arange(n)
    series = {
        "log_e": log_e,
        "p_anytime": np.exp(-np.maximum.accumulate(np.maximum(log_e, 0))),
        "gmr": np.exp(np.cumsum(rounds) / np.arange(1, n + 1)),
    }
    return {name: [(int(i) + 1, float(values[i])) for i in at] for name, values in series.items()}
