import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from archab.evidence import statistics as st
from archab.evidence.statistics import Group


def exact_sign_flip(contributions: list[Fraction]) -> Fraction:
    observed = abs(sum(contributions))
    vectors = list(itertools.product((1, -1), repeat=len(contributions)))
    hits = sum(abs(sum(s * c for s, c in zip(v, contributions, strict=True))) >= observed for v in vectors)
    return Fraction(hits, len(vectors))


@pytest.mark.parametrize("n", [1, 2, 6, 9, 12])
@pytest.mark.parametrize("denominator", [3, 10])
def test_sign_flip_counts_all_sign_vectors_in_exact_arithmetic_ties_included(n, denominator):
    rng = np.random.default_rng(n)
    # Few distinct thirds and tenths: many sums tie exactly and differ in floating point.
    d = [Fraction(int(x), denominator) for x in rng.integers(-4, 6, n)]
    assert st.sign_flip_p([float(x) for x in d]) == float(exact_sign_flip(d))


def test_sign_flip_weighs_members_of_unequal_number():
    c = [Fraction(x, 2 * n) for x, n in [(3, 3), (-1, 3), (2, 3), (4, 5), (1, 5), (-2, 5), (3, 5), (2, 5)]]
    assert st.sign_flip_p([float(x) for x in c]) == float(exact_sign_flip(c))


def test_sign_flip_is_exact_to_14_blocks_and_monte_carlo_with_a_correction_beyond():
    d = np.random.default_rng(1).normal(0.4, 1, 15)
    signs = np.array(list(itertools.product((1, -1), repeat=15)))
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
    p = st.sign_flip_p(d)
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / 9999))
    assert p * 10_000 == pytest.approx(round(p * 10_000), abs=1e-6)
    assert st.sign_flip_p(np.full(15, 0.2)) == pytest.approx(exact_tail(15), abs=4e-4)
    assert (st.sign_flip_p(d[:14]) * 2**14) % 1 == 0
    assert st.sign_flip_p(np.zeros(20)) == st.sign_flip_p([0.3]) == 1


def exact_tail(n: int) -> float:
    return (1 + 9999 * 2 / 2**n) / 10_000


def test_above_2000_blocks_the_t_test_stands_in():
    d = np.random.default_rng(2).normal(0.05, 1, 2001)
    assert st.paired_p(d / d.size) == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    a, b = d[:1000], d[1000:]
    assert st.unpaired_p([Group(a, b)]) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def squared_welch(a: list[Fraction], b: list[Fraction]) -> tuple[Fraction, Fraction]:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    term = [sum((x - m) ** 2 for x in s) / ((len(s) - 1) * len(s)) for s, m in ((a, mean_a), (b, mean_b))]
    return (mean_a - mean_b) ** 2, sum(term)


def test_permuted_welch_agrees_with_all_relabellings_in_exact_arithmetic():
    values = [Fraction(int(x), 4) for x in np.random.default_rng(5).integers(-8, 9, 11)]
    a, b = values[:4], values[4:]
    top, bottom = squared_welch(a, b)
    hits = total = 0
    for chosen in itertools.combinations(range(11), 4):
        other = [values[i] for i in range(11) if i not in chosen]
        num, den = squared_welch([values[i] for i in chosen], other)
        hits += num * bottom >= top * den
        total += 1
    p = hits / total
    ours = st.unpaired_p([Group(np.array(a, dtype=float), np.array(b, dtype=float))])
    assert ours == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 9999) + 1e-4)


def test_permuted_welch_within_members_agrees_with_all_relabellings():
    rng = np.random.default_rng(6)
    groups = [
        Group(rng.normal(0, 1, 4), rng.normal(1, 1, 4), 0.5),
        Group(rng.normal(5, 2, 3), rng.normal(6, 1, 5), 0.5),
    ]

    def relabelled(g: Group) -> list[tuple[float, float]]:
        pooled, k = np.concatenate([g.a, g.b]), g.a.size
        out = []
        for chosen in itertools.combinations(range(pooled.size), k):
            x, y = pooled[list(chosen)], np.delete(pooled, chosen)
            out.append((x.mean() - y.mean(), x.var(ddof=1) / x.size + y.var(ddof=1) / y.size))
        return out

    t = [abs(d + e) / np.sqrt(v + w) for (d, v), (e, w) in itertools.product(*map(relabelled, groups))]
    observed = abs(st.unpaired_estimate(groups).theta) / st.unpaired_estimate(groups).se
    p = np.mean(np.array(t) >= observed - 1e-9)
    assert st.unpaired_p(groups) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 9999) + 1e-4)


def test_permuted_welch_agrees_with_scipy_within_monte_carlo_error():
    rng = np.random.default_rng(7)
    a, b = rng.normal(0, 1, 15), rng.normal(0.7, 2, 11)
    method = stats.PermutationMethod(n_resamples=9999, rng=np.random.default_rng(0))
    reference = stats.ttest_ind(a, b, equal_var=False, method=method).pvalue
    assert st.unpaired_p([Group(a, b)]) == pytest.approx(reference, abs=0.01)


def test_permuted_welch_with_one_block_a_side_or_without_variation():
    assert st.unpaired_p([Group(np.array([9.0]), np.array([1.0, 2.0, 3.0]))]) == pytest.approx(1 / 4, abs=0.02)
    assert st.unpaired_p([Group(np.zeros(4), np.zeros(5))]) == 1
    assert st.unpaired_p([Group(np.zeros(4), np.ones(4))]) == pytest.approx(2 / 70, abs=0.007)


# Two sides with the same values have no order of their own.
TIED = (np.array([1.0, 3.0, 2.0]), np.array([3.0, 2.0, 1.0]))


@pytest.mark.parametrize("tied", [[], [TIED], [TIED, TIED]])
@pytest.mark.parametrize("sizes", [[(6, 6)], [(5, 9)], [(6, 6), (4, 7), (7, 4)]])
def test_swapping_sides_leaves_every_p_identical(sizes, tied):
    rng = np.random.default_rng(len(sizes))
    sides = [*tied, *((rng.normal(0, 1, n), rng.normal(0.5, 1, m)) for n, m in sizes)]
    groups = [Group(a, b, 1 / len(sides)) for a, b in sides]
    other = [Group(g.b, g.a, g.weight) for g in groups]
    assert st.unpaired_p(groups) == st.unpaired_p(other)
    assert st.brunner_munzel_p(groups) == st.brunner_munzel_p(other)
    one, two = st.unpaired_estimate(groups), st.unpaired_estimate(other)
    assert (one.theta, one.se, one.df) == (-two.theta, two.se, two.df)
    assert st.probability_lower(groups) == pytest.approx(1 - st.probability_lower(other))
    for n in (9, 14, 30):
        d = rng.normal(0.3, 1, n)
        assert st.sign_flip_p(d) == st.sign_flip_p(-d)
        assert st.wilcoxon_p(d) == st.wilcoxon_p(-d)
        assert st.equivalence_p(st.paired_estimate(d), 1.1) == st.equivalence_p(st.paired_estimate(-d), 1.1)


def test_one_stratum_is_students_t_and_welchs():
    rng = np.random.default_rng(3)
    d, a, b = rng.normal(0.2, 1, 9), rng.normal(0, 1, 7), rng.normal(1, 3, 12)
    estimate, reference = st.paired_estimate(d / d.size), stats.ttest_1samp(d, 0)
    assert st.t_interval(estimate) == pytest.approx(tuple(reference.confidence_interval()))
    assert st.t_p(estimate) == pytest.approx(reference.pvalue)
    estimate, reference = st.unpaired_estimate([Group(a, b)]), stats.ttest_ind(a, b, equal_var=False)
    assert st.t_interval(estimate, 0.1) == pytest.approx(tuple(reference.confidence_interval(0.9)))
    assert st.t_p(estimate) == pytest.approx(reference.pvalue)


def test_strata_add_their_variances_with_satterthwaites_degrees_of_freedom():
    d, e = np.array([1.0, 2.0, 6.0]), np.array([0.0, 1.0, 2.0, 5.0])
    estimate = st.paired_estimate(np.concatenate([d / 6, e / 8]), np.array([0] * 3 + [1] * 4))
    # s² = 7 and 14/3; se² = s²/(M² n) summed.
    u, v = 7 / (4 * 3), 14 / 3 / (4 * 4)
    assert estimate.theta == pytest.approx((3 + 2) / 2)
    assert estimate.se**2 == pytest.approx(u + v)
    assert estimate.df == pytest.approx((u + v) ** 2 / (u**2 / 2 + v**2 / 3))


def test_a_stratum_with_one_block_has_no_interval():
    estimate = st.paired_estimate([0.1, 0.2, 0.4], [0, 0, 1])
    assert np.isnan([*st.t_interval(estimate), st.t_p(estimate), st.equivalence_p(estimate, 1.1)]).all()
    assert np.isnan(st.t_interval(st.paired_estimate([0.3, 0.3, 0.3]))).all()


def test_equivalence_is_statsmodels_tost():
    rng = np.random.default_rng(4)
    a, b, bound = rng.normal(-2, 0.1, 12), rng.normal(-2.02, 0.1, 12), np.log(1.1)
    paired = st.equivalence_p(st.paired_estimate((a - b) / 12), 1.1)
    assert paired == pytest.approx(ttost_paired(a, b, -bound, bound)[0])
    welch = st.equivalence_p(st.unpaired_estimate([Group(a, b[:9])]), 1.1)
    assert welch == pytest.approx(ttost_ind(a, b[:9], -bound, bound, usevar="unequal")[0])


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_statsmodels(seed):
    p = np.random.default_rng(seed).uniform(0, 0.3, 7)
    np.testing.assert_allclose(st.holm(p), multipletests(p, method="holm")[1])


def test_holm_keeps_the_running_maximum_and_counts_what_has_no_p():
    np.testing.assert_allclose(st.holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(st.holm([0.01, np.nan]), [0.02, np.nan])


def test_share_lower_has_wilsons_interval():
    share, low, high = st.share_lower([-1, -2, -0.5, 0, 3, -1, -4, 2])
    assert share == 5 / 8
    assert (low, high) == pytest.approx(proportion_confint(5, 8, 0.05, "wilson"))


def test_robustness_lines_are_scipys():
    rng = np.random.default_rng(8)
    d, a, b = rng.normal(0.4, 1, 12), rng.normal(0, 1, 9), rng.normal(0.5, 1, 14)
    assert st.wilcoxon_p(d) == stats.wilcoxon(d).pvalue
    assert st.brunner_munzel_p([Group(a, b)]) == pytest.approx(stats.brunnermunzel(a, b).pvalue)
    assert np.isnan(st.wilcoxon_p(np.zeros(5)))
    assert np.isnan(st.brunner_munzel_p([Group(np.zeros(5), np.ones(5))]))
    assert np.isnan(st.brunner_munzel_p([Group(np.zeros(5), np.zeros(5))]))


def test_brunner_munzel_is_blind_to_the_level_of_a_stratum():
    rng = np.random.default_rng(9)
    groups = [
        Group(rng.normal(0, 1, 6), rng.normal(1, 1, 8), 0.5),
        Group(rng.normal(0, 1, 9), rng.normal(1, 1, 5), 0.5),
    ]
    shifted = [groups[0], Group(groups[1].a + 64, groups[1].b + 64, 0.5)]
    assert st.brunner_munzel_p(groups) == pytest.approx(st.brunner_munzel_p(shifted))


def test_probability_lower_counts_pairs_and_half_of_the_ties():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    pairs = [1.0 if x < y else 0.5 if x == y else 0.0 for x in a for y in b]
    assert st.probability_lower([Group(a, b)]) == pytest.approx(np.mean(pairs))
    assert st.probability_lower([Group(np.zeros(12), np.zeros(11))]) == 0.5


def test_score_takes_a_diverged_student_for_the_constant_predictor():
    np.testing.assert_array_equal(st.score([np.nan, np.inf, 1e9, 1.0]), 0.0)
    np.testing.assert_allclose(st.score([0.5, 0.0]), np.log([0.5, 1e-12]))


def test_iqm_is_the_mean_of_the_middle_half():
    assert st.iqm([100, 1, 2, 3, 4, 5, 6, -50]) == pytest.approx(np.mean([2, 3, 4, 5]))


def test_expected_best_is_the_mean_over_all_subsets():
    errors = np.random.default_rng(0).lognormal(size=7)
    by_hand = [np.mean([min(s) for s in itertools.combinations(errors, k)]) for k in range(1, 8)]
    np.testing.assert_allclose(st.expected_best(errors), by_hand, rtol=1e-12)
    np.testing.assert_allclose(st.expected_best(np.stack([errors, 2 * errors]))[1], 2 * np.array(by_hand))
    with pytest.raises(ValueError, match="1 are NaN"):
        st.expected_best([0.1, np.nan])
