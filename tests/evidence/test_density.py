"""The simultaneous band: its width by hand, and how often it holds the whole curve, of strata of every kind."""

import math

import numpy as np
import pytest
from scipy import stats

from archab.evidence.density import effective, half_width

EXPERIMENTS = 2000


def test_of_one_stratum_it_is_massarts():
    n = 50
    bound = half_width(effective(np.full(n, 1 / n)), 0.05)
    assert 2 * math.exp(-2 * n * bound**2) == pytest.approx(0.05)
    # Kolmogorov's own quantile at this n lies just below.
    assert stats.kstwo.isf(0.05, n) < bound < 1.03 * stats.kstwo.isf(0.05, n)


def test_targets_of_unequal_weight_count_for_fewer():
    assert effective(np.full(12, 0.3)) == pytest.approx(12)
    weights = np.concatenate([np.full(10, 1 / 20), np.full(40, 1 / 80)])  # two members alike, of 10 and 40 targets
    assert effective(weights) == pytest.approx(4 / (1 / 10 + 1 / 40))


def largest(x: np.ndarray, weights: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The largest deviation of each experiment's weighted share from the truth, x of shape (experiments, n)."""
    order = np.argsort(x, axis=1)
    ordered = np.take_along_axis(x, order, axis=1)
    after = np.cumsum(weights[order], axis=1)
    truth = np.mean([stats.norm.cdf(ordered, mean) for mean in means], axis=0)
    return np.maximum(after - truth, truth - after + weights[order]).max(axis=1)


@pytest.mark.parametrize("means", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 0, 9]], ids=["alike", "apart", "one far"])
@pytest.mark.parametrize("targets", [[2, 2, 2, 2], [20, 20, 20, 20], [4, 40, 8, 20]], ids=["few", "many", "unequal"])
def test_it_holds_the_whole_curve_of_strata_in_its_share_of_experiments(means, targets):
    rng = np.random.default_rng(0)
    member = np.repeat(np.arange(4), targets)
    weights = 1 / (4 * np.array(targets)[member])
    x = rng.normal(np.array(means)[member], 1, (EXPERIMENTS, member.size))
    bound = half_width(effective(weights), 0.05)
    outside = (largest(x, weights, np.array(means)) > bound).mean()
    assert outside <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)
    if means == [0, 0, 0, 0]:  # the least favourable case: the band is no wider than it must be
        assert outside >= 0.02


@pytest.mark.parametrize("common", [0.0, 1.0], ids=["independent", "equal"])
def test_a_target_that_members_share_counts_once(common):
    rng, n, means = np.random.default_rng(1), 20, np.array([0.0, 0.5])
    level = rng.normal(0, math.sqrt(common), (EXPERIMENTS, 1, n))
    x = means[:, None] + level + rng.normal(0, math.sqrt(1 - common), (EXPERIMENTS, 2, n))
    found = largest(x.reshape(EXPERIMENTS, -1), np.full(2 * n, 0.5 / n), means)
    assert (found > half_width(n, 0.05)).mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / EXPERIMENTS)
    # As many targets as there are students would be too many.
    if common:
        assert (found > half_width(2 * n, 0.05)).mean() > 0.08
