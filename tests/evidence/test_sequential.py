import itertools
import math

import numpy as np
import pytest
from scipy import stats

from archab.evidence import e_process as seq


@pytest.fixture(autouse=True)
def _the_same_numbers_in_any_order_of_tests():
    global RANDOM
    RANDOM = np.random.default_rng(0)


def e_by_hand(d: list[float]) -> float:
    """The formula as it is written, product by product."""
    products = {}
    for c, s in itertools.product((0.25, 0.5, 1, 2), (1, -1)):
        products[c, s] = 1.0
        for t, x in enumerate(d, 1):
            r = math.sqrt(sum(y**2 for y in d[:t]) / t)
            products[c, s] *= 1 + math.tanh(s * c * (x / r if x else 0))
    return sum(products.values()) / 8


def test_log_e_is_the_product_worked_out_by_hand():
    d = [0.3, -0.1, 0.0, 0.7, 0.2, -0.4, 0.5]
    np.testing.assert_allclose(np.exp(seq.log_e_path(d)), [e_by_hand(d[:n]) for n in range(1, 8)])
    assert seq.log_e_path([0.0, 0.0, 0.0]).tolist() == [0, 0, 0]
    # One round says nothing: z is +1 or −1, and the mean over s of 1 + tanh(s c) is 1.
    assert seq.log_e_path([5.0])[0] == pytest.approx(0, abs=1e-15)
    # Two equal rounds: mean over c of ((1 + tanh c)² + (1 − tanh c)²)/2 = 1 + mean of tanh² c.
    tanh2 = np.mean(np.tanh([0.25, 0.5, 1, 2]) ** 2)
    assert np.exp(seq.log_e_path([2.0, 2.0])[1]) == pytest.approx(1 + tanh2)


def test_e_is_a_martingale_over_fair_signs():
    size = np.abs(RANDOM.standard_t(2, 9))
    signs = np.array(list(itertools.product((1, -1), repeat=9)))
    e = np.exp(seq.log_e_path(signs * size))
    np.testing.assert_allclose(e.mean(axis=0), 1)
    known = signs[:, :4] @ [8, 4, 2, 1]
    for past in np.unique(known):
        np.testing.assert_allclose(e[known == past, 8].mean(), e[known == past, 3].mean())


def test_ever_crossing_over_all_signs_is_at_most_alpha():
    signs = np.array(list(itertools.product((1, -1), repeat=13)))
    for size in (np.ones(13), RANDOM.lognormal(0, 2, 13)):
        ever = seq.log_e_path(signs * size).max(axis=1) >= np.log(20)
        assert ever.mean() <= 0.05


def test_swapping_sides_leaves_the_path_identical_and_turns_the_direction():
    d = RANDOM.normal(0.8, 1, 60)
    assert seq.log_e_path(d).tolist() == seq.log_e_path(-d).tolist()
    stop = seq.crossing(seq.log_e_path(d))
    assert (seq.direction(d, stop), seq.direction(-d, stop)) == (1, -1)
    assert seq.hybrid_p(d, 40) == seq.hybrid_p(-d, 40)
    np.testing.assert_allclose(seq.anytime_interval(-d), [-x for x in seq.anytime_interval(d)[::-1]])


def test_scaling_all_differences_changes_nothing():
    d = RANDOM.normal(0.3, 1, 30)
    np.testing.assert_allclose(seq.log_e_path(1000 * d), seq.log_e_path(d), atol=1e-10)


def test_anytime_p_is_the_best_that_was_ever_reached():
    assert seq.anytime_p(np.log([1.0, 4.0, 2.0])) == pytest.approx(1 / 4)
    assert seq.anytime_p(np.log([0.5, 0.2])) == 1
    assert seq.anytime_p([]) == 1


def test_crossing_counts_rounds_from_one():
    assert seq.crossing(np.log([1, 3, 21, 5, 30])) == 3
    assert seq.crossing(np.log([1, 20])) == 2
    assert seq.crossing(np.log([1, 3])) is None
    assert seq.crossing([]) is None


def test_seven_rounds_are_the_fewest():
    assert seq.fewest_rounds() == 7
    assert seq.crossing(seq.log_e_path(np.full(6, 0.4))) is None
    assert seq.crossing(seq.log_e_path(np.full(7, 0.4))) == 7


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_interval_ends_where_e_reaches_its_bar(alpha):
    for d in (RANDOM.normal(0.2, 1, 25), RANDOM.standard_t(2, 40), RANDOM.lognormal(0, 1, 12)):
        low, high = seq.anytime_interval(d, alpha)
        # E jumps where theta passes the first difference, whose z is its sign alone: an edge may lie at that jump.
        for edge, outwards in ((low, -1e-7), (high, 1e-7)):
            assert seq.log_e_path(d - edge - outwards).max() >= -np.log(alpha) - 1e-5
            assert seq.log_e_path(d - edge + outwards).max() < -np.log(alpha) + 1e-5
        inside = np.linspace(low, high, 50)[1:-1]
        outside = np.concatenate([low - np.geomspace(0.01, 100, 30), high + np.geomspace(0.01, 100, 30)])
        assert (seq.log_e_path(d - inside[:, None]).max(axis=1) < -np.log(alpha)).all()
        assert (seq.log_e_path(d - outside[:, None]).max(axis=1) >= -np.log(alpha)).all()


def test_a_rule_decides_exactly_where_its_interval_holds_no_equality():
    for seed, drift in itertools.product(range(8), (0.0, 0.3, 0.5)):
        d = np.random.default_rng(seed).normal(np.linspace(drift, -0.2, 40), 0.4)
        low, high = seq.anytime_interval(d)
        assert (low <= 0 <= high) == (seq.anytime_p(seq.log_e_path(d)) > 0.05) or np.isnan(low)
        assert seq.anytime_within(d, np.exp(0.2)) == (low > -0.2 and high < 0.2)
        early = seq.hybrid_interval(d, 60)
        assert np.allclose(early, seq.anytime_interval(d, 0.02), equal_nan=True)
        low, high = seq.hybrid_interval(d, 30)
        t = stats.ttest_1samp(d[:30], 0).confidence_interval(0.97)
        ends = seq.anytime_interval(d[:30], 0.02)
        assert np.isnan(low) or np.allclose((low, high), (max(ends[0], t.low), min(ends[1], t.high)))


def test_the_interval_is_unbounded_below_seven_rounds_and_never_a_point():
    d = RANDOM.normal(size=7)
    assert seq.anytime_interval(d[:6]) == (-np.inf, np.inf)
    assert seq.anytime_interval([]) == (-np.inf, np.inf)
    assert np.isfinite(seq.anytime_interval(d)).all()
    assert np.isnan(seq.anytime_interval(np.full(9, 0.2))).all()


def test_hybrid_stops_early_at_50_and_else_at_a_sign_flip_of_3_percent():
    strong = np.full(9, 0.5) + RANDOM.normal(0, 0.01, 9)
    path = seq.log_e_path(strong)
    assert seq.hybrid_p(strong, 20) == pytest.approx(2.5 * np.exp(-path.max()))
    assert (seq.hybrid_p(strong, 20) <= 0.05) == (path.max() >= np.log(50))
    # At N = 6 with one sign: E cannot reach 50, the sign-flip p is 2/64, and 5/3 of it is above .05.
    assert seq.hybrid_p(strong[:6], 6) == pytest.approx(5 / 3 * 2 / 64)


def test_hybrid_uses_exactly_the_first_n_rounds():
    d = RANDOM.normal(0.2, 1, 30)
    assert seq.hybrid_p(d, 12) == seq.hybrid_p(d[:12], 12)
    assert seq.hybrid_p(d[:11], 12) == pytest.approx(min(1, 2.5 * seq.anytime_p(seq.log_e_path(d[:11]))))
    weak = np.array([0.1, -0.2, 0.3, -0.1, 0.2, 0.1, -5, -5, -5])
    assert seq.hybrid_direction(weak, 6) == 1


def test_the_forecast_is_near_what_continuing_would_take():
    d = np.random.default_rng(7).normal(0.5, 1, 12)
    assert seq.crossing(seq.log_e_path(d)) is None
    ahead = seq.forecast(d)
    assert 1 <= ahead.median <= ahead.point80 <= 240
    assert seq.forecast(d) == ahead
    assert seq.forecast(np.zeros(10)) == seq.Forecast(None, None)
    assert seq.forecast([0.1]) == seq.Forecast(None, None)
