import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from archab.evidence import power as planning
from archab.evidence.statistics import Estimate, Group, paired_estimate, unpaired_estimate


@pytest.mark.parametrize(("effect", "n"), [(0.2, 10), (0.5, 20), (1.2, 8), (0.1, 400)])
def test_power_is_statsmodels(effect, n):
    reference = TTestPower().power(effect, n, 0.05)
    assert planning.power(effect, 1 / np.sqrt(n), n - 1) == pytest.approx(reference, abs=1e-6)
    reference = TTestIndPower().power(effect, n, 0.05, 1.0)
    assert planning.power(effect, np.sqrt(2 / n), 2 * n - 2) == pytest.approx(reference, abs=1e-6)


@pytest.mark.parametrize("wanted", [0.8, 0.9])
def test_more_blocks_is_the_smallest_number_at_the_upper_limit_of_the_sd(wanted):
    d = np.random.default_rng(0).normal(0.3, 1, 12)
    sd = d.std(ddof=1) * np.sqrt(11 / stats.chi2.ppf(0.2, 11))
    more = planning.more_blocks(paired_estimate(d / 12), 12, wanted)
    powers = [TTestPower().power(abs(d.mean()) / sd, 12 + m, 0.05) for m in (more - 1, more)]
    assert powers[0] < wanted <= powers[1]


def test_more_blocks_of_a_balanced_unpaired_design_counts_targets_a_side():
    a = np.random.default_rng(1).normal(0, 1, 10)
    estimate = unpaired_estimate([Group(a, a + 0.5)])
    sd = a.std(ddof=1) * np.sqrt(18 / stats.chi2.ppf(0.2, 18))
    more = planning.more_blocks(estimate, 10, 0.8)
    powers = [TTestIndPower().power(0.5 / sd, 10 + m, 0.05, 1.0) for m in (more - 1, more)]
    assert powers[0] < 0.8 <= powers[1]


def test_more_blocks_is_zero_where_there_are_enough_and_none_where_nothing_is_in_sight():
    assert planning.more_blocks(Estimate(1.0, 0.1, 19), 20, 0.8) == 0
    assert planning.more_blocks(Estimate(0.0, 0.1, 19), 20, 0.8) is None
    assert planning.more_blocks(Estimate(1e-6, 1.0, 19), 20, 0.8) is None
    assert planning.more_blocks(Estimate(1.0, float("nan"), float("nan")), 1, 0.8) is None
