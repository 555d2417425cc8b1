"""The fixed-n figures of a design, of all members together or of one: the same functions on more or fewer columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from archab.errors import ArchabError
from archab.evidence import statistics as st
from archab.evidence.statistics import Array, Estimate, Group

NAN = float("nan")


@dataclass(frozen=True)
class Figures:
    """What n blocks say at a single look; NaN where the design does not have the figure.

    Attributes:
        blocks: how many; in an unpaired design of both sides together.
        per_member: harmonic mean over members (and sides) of their blocks.
        estimate: of theta = E[y_A − y_B].
        ci_low, ci_high: the t interval of the gmr.
        p_value: of the permutation test.
        p_equivalence: of two one-sided tests against the margin.
        prob_a_better, prob_low, prob_high: share of blocks on which A is lower, with Wilson's interval; in an unpaired
            design Mann and Whitney's, without one.
        lower: on how many blocks A's error is the lower one; None where unpaired.
        differences, groups: what the tests beside it are of, which are made when they are asked for.
    """

    blocks: int
    per_member: float
    estimate: Estimate
    ci_low: float
    ci_high: float
    p_value: float
    p_equivalence: float
    prob_a_better: float
    prob_low: float
    prob_high: float
    lower: int | None
    differences: np.ndarray | None = field(default=None, repr=False, compare=False)
    groups: Sequence[Group] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def p_wilcoxon(self) -> float:
        """Of the differences; NaN without any."""
        return NAN if self.differences is None else st.wilcoxon_p(self.differences)

    @cached_property
    def p_brunnermunzel(self) -> float:
        """Of the groups; NaN without any."""
        return NAN if self.groups is None else st.brunner_munzel_p(self.groups)

    @property
    def theta(self) -> float:
        """Mean difference of logs."""
        return self.estimate.theta

    @property
    def gmr(self) -> float:
        """Ratio of A's to B's typical error."""
        return math.exp(self.estimate.theta)


def fixed(
    values: Array, is_a: np.ndarray | None, alpha: float = 0.05, margin: float = 1.10, overlap: float = 0.0
) -> Figures:
    """Estimate, tests and robustness line.

    Args:
        values: shape (blocks, M), NaN where a block does not hold a member: differences y_A − y_B, or scores.
        is_a: None for differences; for scores, shape (blocks,): whether the block is one of side a.
        alpha: 1 − alpha is the level of the intervals.
        margin: ratio of typical errors, above 1.
        overlap: held-out over training rows of blocks that are splits of one data set, else 0.

    Raises:
        ArchabError: if an unpaired target is shared by some of the members that share another.
    """
    held, lower, differences, groups = ~np.isnan(values), None, None, None
    if is_a is None:
        contributions, strata = _contributions(values)
        estimate, counts = estimate_of(values, None, overlap), held.sum(0)
        p = st.t_p(estimate) if overlap else st.paired_p(contributions, strata)
        d = np.nanmean(values, axis=1)
        share, lower = st.share_lower(d, alpha), int(np.count_nonzero(d < 0))
        share = (share[0], NAN, NAN) if overlap else share
        differences = None if overlap else d  # Wilcoxon's test takes blocks to be independent
    else:
        groups = groups_of(values, is_a)
        estimate, p = st.unpaired_estimate(groups), st.unpaired_p(groups)
        counts = np.concatenate([held[side].sum(0) for side in (is_a, ~is_a)])
        share = st.probability_lower(groups), NAN, NAN
    low, high = ratio_interval(*st.t_interval(estimate, alpha))
    return Figures(
        blocks=len(values),
        per_member=float(counts.size / np.sum(1 / counts)),
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        p_value=p,
        p_equivalence=st.equivalence_p(estimate, margin),
        prob_a_better=share[0],
        prob_low=share[1],
        prob_high=share[2],
        lower=lower,
        differences=differences,
        groups=groups,
    )


def estimate_of(values: Array, is_a: np.ndarray | None = None, overlap: float = 0.0) -> Estimate:
    """The stratified estimate of differences or scores, shapes and `overlap` as in `fixed`."""
    if is_a is not None:
        return st.unpaired_estimate(groups_of(values, is_a))
    return st.paired_estimate(*_contributions(values), overlap)


def member_column(values: Array, is_a: np.ndarray | None, column: int) -> tuple[Array, np.ndarray | None]:
    """The blocks that hold one member, shape (n_m, 1), with their sides."""
    held = ~np.isnan(values[:, column])
    return values[held][:, [column]], None if is_a is None else is_a[held]


def ratio_interval(low: float, high: float) -> tuple[float, float]:
    """An interval of theta as one of ratios; NaN where it is unbounded or nothing was measured."""
    bounded = math.isfinite(low) and math.isfinite(high)
    return (math.exp(low), math.exp(high)) if bounded else (NAN, NAN)


def _contributions(values: Array) -> tuple[Array, np.ndarray]:
    """w_b d_b of every block, with 1/(M n_m) for each member in it, and its stratum: the members that it holds."""
    held = ~np.isnan(values)
    weights = 1 / (values.shape[1] * np.count_nonzero(held, axis=0))
    return np.nansum(values * weights, axis=1), patterns(held)


def patterns(held: np.ndarray) -> np.ndarray:
    """The inverse that `np.unique` gives of rows of truth values, shape (n, M), eight columns at a time."""
    labels = np.zeros(len(held), np.int64)
    for octet in np.packbits(held, axis=1).T:  # which keeps their order
        labels = np.unique(labels * 256 + octet, return_inverse=True)[1]
    return labels


def groups_of(values: Array, is_a: np.ndarray) -> list[Group]:
    """The scores of each side, in groups of blocks that hold the same members."""
    held = ~np.isnan(values)
    patterns = np.unique(held, axis=0)[::-1]
    if (patterns.sum(axis=0) != 1).any():
        raise ArchabError("some unpaired targets are shared by members and some are not: all or none is needed")
    scores = np.nanmean(values, axis=1)
    groups = []
    for pattern in patterns:
        inside = (held == pattern).all(axis=1)
        groups.append(Group(scores[inside & is_a], scores[inside & ~is_a], float(pattern.mean())))
    if any(min(g.a.size, g.b.size) == 0 for g in groups):
        raise ArchabError("some unpaired targets are shared by members on one side only: on both or none is needed")
    return groups
