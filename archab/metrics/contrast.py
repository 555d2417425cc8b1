"""Two sides of some rounds: estimate, tests, evidence and interval on the metric's scale, failed runs counted."""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from archab.evidence import e_process as sequential
from archab.evidence import statistics as st
from archab.evidence.rule import FEWEST_BLOCKS, Rule
from archab.evidence.statistics import Array, Estimate, Group
from archab.metrics.rounds import Rounds

NAN = math.nan
NOTHING = Estimate(NAN, NAN, NAN)


@dataclass(frozen=True)
class Contrast:
    """What A's and B's runs say of each other; scores are lower where better, and NaN is a figure that is not there.

    Attributes:
        sides: positions of A and B among the names of the rounds.
        a, b: scores of rounds that count, infinite where a run failed; paired, they are of one length.
        differences: a − b of the rounds that the anytime rule reads, in their order, shape (n,).
        at: the positions of these rounds among all.
        estimate: of the mean of a − b, over what has not failed.
        low, high: its t interval.
        log_e: log E after every round.
        share: probability that A's run is better than B's, ties as a half.
        correlation: of the sides' scores over pairs; NaN where unpaired or not defined.
        correlated_p: two-sided p of that.
        failed: how many runs of A and of B failed.
        alone: how many runs have no partner, or wait for one.
        waiting: how many rounds wait for a run that has not ended, themselves or since one before them does.
    """

    sides: tuple[int, int]
    a: Array
    b: Array
    differences: Array
    at: np.ndarray
    estimate: Estimate
    low: float
    high: float
    log_e: Array
    share: float
    correlation: float
    correlated_p: float
    failed: tuple[int, int]
    alone: int
    waiting: int
    paired: bool
    alpha: float

    @cached_property
    def p_value(self) -> float:
        """Of a permutation test at a single look: of mean differences, of ranks where a run failed."""
        if not self.blocks:
            return NAN
        if self.paired:
            return st.paired_p(self.ranked / self.a.size)
        x, y = _ranks(self.a, self.b) if self.any_failed else (self.a, self.b)
        return st.unpaired_p([Group(x, y)])

    @cached_property
    def p_robust(self) -> float:
        """Wilcoxon's signed-rank test, unpaired Brunner and Munzel's."""
        if not self.blocks:
            return NAN
        return st.wilcoxon_p(self.ranked) if self.paired else st.brunner_munzel_p([Group(*_ranks(self.a, self.b))])

    @cached_property
    def anytime(self) -> tuple[float, float]:
        """What no round has excluded of the mean of a − b."""
        return sequential.anytime_interval(self.differences, self.alpha)

    @property
    def ranked(self) -> Array:
        """What a test of pairs counts: differences, or where a run failed their signed ranks."""
        return st.counted(_less(self.a, self.b))

    @property
    def theta(self) -> float:
        """Mean of A's score less B's."""
        return self.estimate.theta

    @property
    def blocks(self) -> int:
        """Pairs; where runs are not paired, runs of the smaller side."""
        return min(self.a.size, self.b.size)

    @property
    def any_failed(self) -> bool:
        """Whether a run failed that counts."""
        return any(self.failed)


def contrast(rounds: Rounds, a: int, b: int, alpha: float = 0.05) -> Contrast:
    """Compare two sides.

    Args:
        rounds: see `Rounds`.
        a, b: positions of the sides among the names.
        alpha: 1 − alpha is the level of the intervals.
    """
    both = rounds.scores[:, [a, b]]
    there = ~np.isnan(both)
    going = rounds.waiting[:, [a, b]]
    whole = there.all(axis=1)
    x, y = both[whole].T if rounds.paired else (both[there[:, i], i] for i in range(2))
    touched = there.any(axis=1) | going.any(axis=1)
    first_wait = int(np.argmax(going.any(axis=1))) if going.any() else len(both)
    at = np.flatnonzero(whole & (np.arange(len(both)) < first_wait))
    d = _less(*both[at].T)
    log_e = sequential.log_e_path(d)
    failed = int(np.isinf(x).sum()), int(np.isinf(y).sum())
    estimate, share = _paired(_less(x, y)) if rounds.paired else _unpaired(x, y)
    low, high = st.t_interval(estimate, alpha)
    correlation, correlated_p, alone = NAN, NAN, abs(x.size - y.size)
    if rounds.paired:
        kept = np.isfinite(x) & np.isfinite(y)
        correlation, correlated_p = _correlation(x[kept], y[kept])
        alone = int((touched & ~whole & ~going.any(axis=1)).sum())
    return Contrast(
        sides=(a, b),
        a=x,
        b=y,
        differences=d,
        at=at,
        estimate=estimate,
        low=low,
        high=high,
        log_e=log_e,
        share=share,
        correlation=correlation,
        correlated_p=correlated_p,
        failed=failed,
        alone=alone,
        waiting=int((touched & (np.arange(len(both)) >= first_wait)).sum()),
        paired=rounds.paired,
        alpha=alpha,
    )


def within(found: Contrast, edge: float, rule: Rule, alpha: float) -> bool:
    """Whether the difference lies within ± edge, by the rule in force at this error rate; never where a run failed."""
    if math.isnan(edge) or found.any_failed or found.blocks < FEWEST_BLOCKS:
        return False
    if rule.name == "anytime":
        return sequential.anytime_within(found.differences / edge, math.e, alpha)
    if rule.name == "hybrid":
        d = found.differences[: rule.rounds] / edge
        return d.size == rule.rounds and st.equivalence_p(st.paired_estimate(d / d.size), math.e) <= alpha
    scaled = Estimate(found.estimate.theta / edge, found.estimate.se / edge, found.estimate.df)
    return st.equivalence_p(scaled, math.e) <= alpha


def _less(x: Array, y: Array) -> Array:
    """x − y, 0 where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(x) & np.isinf(y), 0.0, x - y)


def _ranks(x: Array, y: Array) -> tuple[Array, Array]:
    """Ranks of both among all."""
    ranks = stats.rankdata(np.concatenate([x, y]))
    return ranks[: x.size], ranks[x.size :]


def _paired(d: Array) -> tuple[Estimate, float]:
    finite = d[np.isfinite(d)]
    estimate = st.paired_estimate(finite / finite.size) if finite.size else NOTHING
    return estimate, float(np.mean((d < 0) + (d == 0) / 2)) if d.size else NAN


def _unpaired(x: Array, y: Array) -> tuple[Estimate, float]:
    kept = Group(x[np.isfinite(x)], y[np.isfinite(y)])
    met = min(kept.a.size, kept.b.size) > 0
    share = st.probability_lower([Group(*_ranks(x, y))]) if min(x.size, y.size) else NAN
    return st.unpaired_estimate([kept]) if met else NOTHING, share


def _correlation(x: Array, y: Array) -> tuple[float, float]:
    if x.size < FEWEST_BLOCKS or np.ptp(x) <= 1e-13 or np.ptp(y) <= 1e-13:
        return NAN, NAN
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        found = stats.pearsonr(x, y)
    return float(found.statistic), float(found.pvalue)
