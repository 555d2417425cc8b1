"""Many null hypotheses at once by e-values: Holm's step-down with averages, valid however often one looks."""

import numpy as np
from numpy.typing import ArrayLike

from archab.evidence.statistics import Array


def e_holm(log_e: ArrayLike) -> Array:
    """Log e-values adjusted for k hypotheses, so that those >= log(1/alpha) are wrong together at most at rate alpha.

    The closure of the arithmetic mean, which is the e-value of an intersection: an adjusted value is the smallest mean
    of it with any number of the others (Vovk and Wang 2021, "E-values: Calibration, combination, and applications",
    Annals of Statistics 49(3)). Where all k are e-processes over the same rounds, so is every mean, and the rate holds
    at all rounds together, by Ville's inequality. Adjusted values are never below e/k, Bonferroni's.

    Args:
        log_e: shape (k, …), one hypothesis a row; further axes, such as rounds, are adjusted one by one.

    Returns:
        The same shape.
    """
    given = np.asarray(log_e, dtype=float)
    ranked = np.argsort(given, axis=0, kind="stable")
    ordered = np.take_along_axis(given, ranked, axis=0)
    adjusted = ordered.copy()
    sums = np.logaddexp.accumulate(ordered, axis=0)
    for j in range(1, len(ordered)):
        # With larger ones than itself a mean only rises: those below are enough.
        with_smallest = np.logaddexp(sums[:j], ordered[j]) - np.log(np.arange(2, j + 2)).reshape(
            -1, *[1] * (given.ndim - 1)
        )
        adjusted[j] = np.minimum(adjusted[j], with_smallest.min(axis=0))
    out = np.empty_like(adjusted)
    np.put_along_axis(out, ranked, adjusted, axis=0)
    return out
