"""Where the spread of differences comes from: one target (or data set) to the next, or one run to the next."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from archab.evidence import words
from archab.evidence.statistics import Array

FEWEST_GROUPS = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """The variance of a single difference, split in two.

    Attributes:
        between: variance from group to group, such as targets; 0 where the estimate is below.
        within: variance within a group, from run to run.
        share, low, high: of `between` in the sum, with its interval.
        groups: how many; `each`: differences of a group, the harmonic mean where groups differ.
        buying_groups, buying_each: what is left of the variance of the mean after twice as many groups, and after twice
            as many differences a group, which take as many runs.
    """

    between: float
    within: float
    share: float
    low: float
    high: float
    groups: int
    each: float
    buying_groups: float
    buying_each: float


def split(
    differences: Array, groups: np.ndarray, strata: np.ndarray | None = None, alpha: float = 0.05
) -> Spread | None:
    """One-way analysis of variance with random groups.

    Args:
        differences: shape (n,), finite.
        groups: shape (n,), a label each; groups of one label are one.
        strata: shape (n,), such as members: groups are compared within a stratum alone.
        alpha: 1 − alpha is the level of the interval, that of Searle, Casella and McCulloch 1992, "Variance
            Components", section 3.6; where groups differ in size, with the unweighted means of Thomas and Hultquist
            1978, Annals of Statistics 6(3).

    Returns:
        None where a stratum has fewer than four groups, or no group has two differences or all are equal.
    """
    table = pd.DataFrame({"d": differences, "group": groups, "stratum": 0 if strata is None else strata})
    cells = table.groupby(["stratum", "group"], observed=True)["d"].agg(["mean", "size", "var"]).reset_index()
    count = cells.groupby("stratum")["mean"].agg(["size", "var"])
    freedom = float((cells["size"] - 1).sum())
    if (count["size"] < FEWEST_GROUPS).any() or freedom < 1:
        return None
    within = float((cells["var"].fillna(0.0) * (cells["size"] - 1)).sum() / freedom)
    own = count["size"] - 1
    of_means, of_groups = float((count["var"] * own).sum() / own.sum()), float(own.sum())
    if not (within > 0 or of_means > 0):
        return None
    each = float(len(cells) / (1 / cells["size"]).sum())
    ratio = each * of_means / within if within > 0 else math.inf
    ends = (ratio / special.fdtri(of_groups, freedom, q) for q in (1 - alpha / 2, alpha / 2))
    low, high = (_share(float(end - 1) / each) for end in ends)
    between = max(0.0, of_means - within / each)
    now = between + within / each
    return Spread(
        between=between,
        within=within,
        share=between / (between + within),
        low=low,
        high=high,
        groups=len(cells),
        each=each,
        buying_groups=0.5,
        buying_each=(between + within / (2 * each)) / now if now > 0 else 0.5,
    )


def sentence(spread: Spread, group: str, groups: str, one: str, ones: str) -> str:
    """The split in words, and what to buy next.

    Args:
        spread: the split.
        group, groups: what a group is called, and several: "target", "targets".
        one, ones: what there are several of in each: "restart", "restarts".
    """
    share, low, high = (words.percent(x) for x in (spread.share, spread.low, spread.high))
    left = words.percent(spread.buying_each)
    return (
        f"Of the spread of a difference {share} is from one {group} to the next ({low} to {high}), the rest from one "
        f"{one} to the next. For the same number of further runs, twice as many {groups} leave 50% of the variance of "
        f"the mean, twice as many {ones} {left}."
    )


def _share(ratio: float) -> float:
    return 1.0 if math.isinf(ratio) else max(0.0, ratio) / (1 + max(0.0, ratio))
