"""The fixed-n figures of a design, of all members together or of one: the same functions on more or fewer columns."""

import math
from dataclasses import dataclass

import numpy as np

from archab.errors import ArchabError
from archab.evidence import statistics as st
from archab.evidence.statistics import Array, Estimate, Group

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Fixed:
    """What n blocks say; NaN where the design does not have the figure.

    Attributes:
        blocks: how many; in an unpaired design of both sides together.
        smallest: the same, in an unpaired design of the smaller side.
        per_member: harmonic mean over members (and sides) of their blocks.
        lower: how many differences are below zero; None where unpaired.
    """

    blocks: int
    smallest: int
    per_member: float
    estimate: Estimate
    p: float
    p_wilcoxon: float
    p_brunnermunzel: float
    share: float
    share_low: float
    share_high: float
    lower: int | None


def fixed(values: Array, is_a: np.ndarray | None, alpha: float = 0.05) -> Fixed:
    """Estimate, test and robustness line.

    Args:
        values: shape (blocks, M), NaN where a block does not hold a member: differences y_A − y_B, or scores.
        is_a: None for differences; for scores, shape (blocks,): whether the block is one of side a.
        alpha: 1 − alpha is the level of the interval of the share.

    Raises:
        ArchabError: if an unpaired target is shared by some of the members that share another.
    """
    return _paired(values, alpha) if is_a is None else _unpaired(values, is_a)


def estimate_of(values: Array, is_a: np.ndarray | None = None) -> Estimate:
    """The stratified estimate of differences or scores, shapes as in `fixed`."""
    return (
        st.paired_estimate(*_contributions(values)) if is_a is None else st.unpaired_estimate(groups_of(values, is_a))
    )


def member_column(values: Array, is_a: np.ndarray | None, column: int) -> tuple[Array, np.ndarray | None]:
    """The blocks that hold one member, shape (n_m, 1), with their sides."""
    held = ~np.isnan(values[:, column])
    return values[held][:, [column]], None if is_a is None else is_a[held]


def ratio_interval(low: float, high: float) -> tuple[float, float]:
    """An interval of theta as one of ratios; NaN where it is unbounded or nothing was measured."""
    bounded = math.isfinite(low) and math.isfinite(high)
    return (math.exp(low), math.exp(high)) if bounded else (NAN, NAN)


def _paired(values: Array, alpha: float) -> Fixed:
    contributions, strata = _contributions(values)
    d = np.nanmean(values, axis=1)
    share, low, high = st.share_lower(d, alpha)
    return Fixed(
        blocks=d.size,
        smallest=d.size,
        per_member=_harmonic_mean(np.count_nonzero(~np.isnan(values), axis=0)),
        estimate=st.paired_estimate(contributions, strata),
        p=st.paired_p(contributions, strata),
        p_wilcoxon=st.wilcoxon_p(d),
        p_brunnermunzel=NAN,
        share=share,
        share_low=low,
        share_high=high,
        lower=int(np.count_nonzero(d < 0)),
    )


def _unpaired(values: Array, is_a: np.ndarray) -> Fixed:
    groups = groups_of(values, is_a)
    held = ~np.isnan(values)
    counts = np.concatenate([np.count_nonzero(held[side], axis=0) for side in (is_a, ~is_a)])
    return Fixed(
        blocks=len(values),
        smallest=int(min(np.count_nonzero(is_a), np.count_nonzero(~is_a))),
        per_member=_harmonic_mean(counts),
        estimate=st.unpaired_estimate(groups),
        p=st.unpaired_p(groups),
        p_wilcoxon=NAN,
        p_brunnermunzel=st.brunner_munzel_p(groups),
        share=st.probability_lower(groups),
        share_low=NAN,
        share_high=NAN,
        lower=None,
    )


def _contributions(values: Array) -> tuple[Array, np.ndarray]:
    """w_b d_b of every block, with 1/(M n_m) for each member in it, and its stratum: the members that it holds."""
    held = ~np.isnan(values)
    weights = 1 / (values.shape[1] * np.count_nonzero(held, axis=0))
    return np.nansum(values * weights, axis=1), np.unique(held, axis=0, return_inverse=True)[1].ravel()


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


def _harmonic_mean(counts: np.ndarray) -> float:
    return float(counts.size / np.sum(1 / counts))
