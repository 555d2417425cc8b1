"""Verdicts on metrics, held against scipy, statsmodels and brute force."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from made import runs
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from archab.errors import ArchabError
from archab.evidence.closed import e_holm
from archab.evidence.e_process import log_e_path
from archab.evidence.rule import Rule
from archab.evidence.statistics import signed_ranks
from archab.metrics.compare import compare_runs

FIXED = Rule("fixed")


def one(table, rule=None, **options):
    """The verdict on new against old."""
    asked = {"sides": "model=new,old", "pair": "seed", "metric": "val_loss"} | options
    return compare_runs(table, rule=rule, **asked).verdicts[0]


def wide(table):
    """The metric of either side by seed."""
    sides = table.pivot(index="seed", columns="model", values="val_loss")
    return sides["new"].to_numpy(), sides["old"].to_numpy()


@pytest.mark.parametrize("key", range(20))
@pytest.mark.parametrize(("scale", "turn"), [("difference", np.asarray), ("log", np.log)])
def test_pairs_agree_with_scipy(key, scale, turn):
    table = runs(6 + key % 9, key=key)
    a, b = (turn(x) for x in wide(table))
    found = one(table, FIXED, scale=scale).found
    t = stats.ttest_rel(a, b)
    assert found.theta == pytest.approx((a - b).mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(t.confidence_interval()), rel=1e-9)
    exact = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.p_value == pytest.approx(exact.pvalue, abs=1e-12)
    assert found.p_robust == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert found.share == np.mean(a < b)
    assert found.correlation == pytest.approx(stats.pearsonr(a, b).statistic)


def welch(x, y, axis):
    """How far apart means are, by Welch's t."""
    return abs(stats.ttest_ind(x, y, axis=axis, equal_var=False).statistic)


@pytest.mark.parametrize("key", range(20))
def test_runs_that_are_not_paired_agree_with_scipy(key):
    table = runs(10, key=key)
    table = table.drop(index=[i for i in (2, 4) if key % 2])  # two runs of new fewer
    a, b = (table.loc[table["model"] == name, "val_loss"].to_numpy() for name in ("new", "old"))
    found = one(table, FIXED, pair=()).found
    t = stats.ttest_ind(a, b, equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(t.confidence_interval()), rel=1e-9)
    assert found.p_robust == pytest.approx(stats.brunnermunzel(a, b).pvalue)
    assert found.share == pytest.approx(stats.mannwhitneyu(b, a).statistic / (a.size * b.size))
    reference = stats.permutation_test((a, b), welch, vectorized=True, n_resamples=2000, rng=key, alternative="greater")
    assert found.p_value == pytest.approx(reference.pvalue, abs=4 * math.sqrt(0.25 / 2000))


@pytest.mark.parametrize("key", range(20))
def test_equivalence_is_that_of_two_one_sided_tests(key):
    table = runs(12, {"new": 0.01, "old": 0.0}, key=key)
    a, b = wide(table)
    p, _, _ = ttost_paired(a, b, -0.1, 0.1)
    verdict = one(table, FIXED, margin=0.1).verdict
    rejected = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue <= 0.05
    assert (verdict == "equivalent") == (p <= 0.05 and not rejected)


def test_without_a_margin_nothing_is_called_equivalent():
    table = runs(40, {"new": 0.0, "old": 0.0}, noise=1e-6)
    assert one(table).verdict == "undecided"
    assert one(table, margin=0.01).verdict == "equivalent"
    assert one(table, margin=0.01).sentence() == (
        "new and old are equivalent in val_loss: any difference is within 0.01."
    )


@pytest.mark.parametrize("rule", [None, FIXED, Rule("hybrid", planned=12)])
def test_the_direction_decides_who_is_better_and_sides_may_be_exchanged(rule):
    table = runs(12, {"new": -0.3, "old": 0.0})
    as_loss, as_gain = one(table, rule), one(table, rule, lower_is_better=False)
    assert (as_loss.verdict, as_gain.verdict) == ("a_better", "b_better")
    assert as_loss.found.log_e.tolist() == as_gain.found.log_e.tolist()
    other = one(table, rule, sides="model=old,new")
    assert (other.verdict, other.p_rule) == ("b_better", as_loss.p_rule)
    assert other.found.theta == -as_loss.found.theta
    assert as_loss.sentence() == other.sentence()
    difference = table.pivot(index="seed", columns="model", values="val_loss").eval("new - old").mean()
    assert as_loss.to_dict()["difference"] == pytest.approx(difference)
    assert as_gain.to_dict()["difference"] == pytest.approx(difference)


def test_an_accuracy_is_won_by_the_higher_one():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [(m, s, 0.9 + 0.02 * (m == "new") + 0.003 * rng.normal()) for s in range(20) for m in ("new", "old")],
        columns=["model", "seed", "val_acc"],
    )
    found = one(table, metric="val_acc")
    assert found.winner == "new"
    assert "higher" in found.sentence()
    assert "Higher val_acc is better" in found.counted()


def test_large_losses_are_compared_without_a_cap():
    table = runs(20, {"new": -0.5, "old": 0.0})
    big = table.assign(val_loss=table["val_loss"] * 1e6)
    assert one(big).winner == "new"
    assert one(big).found.log_e.tolist() == pytest.approx(one(table).found.log_e.tolist())


def test_evidence_is_that_of_the_pairs_in_their_order():
    table = runs(20)
    a, b = wide(table)
    assert one(table).found.log_e.tolist() == log_e_path(a - b).tolist()
    shuffled = table.sample(frac=1, random_state=3)
    assert one(shuffled).to_dict() == one(table).to_dict()


def test_failed_runs_are_counted_as_the_worst_of_their_pair():
    table = runs(12, {"new": 0.0, "old": 0.0}, key=3)
    table.loc[table["model"].eq("old") & table["seed"].lt(9), "val_loss"] = np.nan
    found = one(table, FIXED)
    assert found.winner == "new"
    assert found.sentence() == "new beats old: 9 runs of old failed." or "lower" in found.sentence()
    assert found.found.failed == (0, 9)
    assert "9 of 12 of old" in found.counted()
    assert one(table).found.differences.size == 12
    assert one(table, margin=10.0, rule=FIXED).verdict != "equivalent"


def test_both_failed_is_a_tie_and_the_test_is_of_signed_ranks():
    table = runs(10, key=5)
    table.loc[[0, 1, 2], "val_loss"] = np.nan  # both of seed 0, new of seed 1
    found = one(table, FIXED).found
    a, b = wide(table)
    d = np.array([0.0, np.inf, *(a - b)[2:]])
    ranks = signed_ranks(d)
    assert ranks[1] == 10
    sums = [abs(np.dot(signs, np.abs(ranks))) for signs in itertools.product((-1, 1), repeat=10)]
    assert found.p_value == pytest.approx(np.mean(np.array(sums) >= abs(ranks.sum()) - 1e-9))


def test_a_failure_is_evidence_whose_sign_alone_counts():
    d = np.array([0.5, -0.2, np.inf, 0.3, -np.inf, 0.1])
    paths = [log_e_path(np.array(signs) * np.abs(d)) for signs in itertools.product((-1, 1), repeat=6)]
    assert np.exp(paths).mean(axis=0) == pytest.approx(np.ones(6))  # a martingale over fair signs
    assert log_e_path(d).tolist() == log_e_path(-d).tolist()
    assert log_e_path(1000 * d).tolist() == pytest.approx(log_e_path(d).tolist())


@pytest.mark.parametrize("lost", [range(3), range(10)])
def test_the_hybrid_rule_tests_ranks_at_its_end_where_runs_failed(lost):
    table = runs(12, {"new": 0.0, "old": 0.0}, key=11)
    table.loc[table["model"].eq("old") & table["seed"].isin(lost), "val_loss"] = np.nan
    found, rule = one(table, Rule("hybrid", planned=12)).found, Rule("hybrid", planned=12)
    d = found.differences
    sums = [abs(np.dot(signs, np.abs(signed_ranks(d)))) for signs in itertools.product((-1, 1), repeat=12)]
    final = np.mean(np.array(sums) >= abs(signed_ranks(d).sum()) - 1e-9)
    early = np.exp(-max(0.0, log_e_path(d).max()))
    assert one(table, rule).p_rule == pytest.approx(min(1.0, early / 0.4, final / 0.6))
    assert one(table, rule).winner == ("new" if len(lost) == 10 else "")


def test_the_range_counts_failures_as_worse_by_any_amount():
    table = runs(20, {"new": -0.5, "old": 0.0})
    whole = one(table)
    table.loc[[7, 11], "val_loss"] = np.nan  # two of old
    lost = one(table)
    assert lost.interval[0] <= whole.interval[0]
    assert lost.interval[1] < 0
    assert "worse by any amount" in lost.paragraph()


def test_ragged_pairs_are_left_out_and_said():
    table = runs(12).drop(index=[0, 3])
    found = one(table)
    assert found.found.blocks == 10
    assert "Pairs of which a side has no run: 2" in found.paragraph()


def test_evidence_waits_from_a_run_on_that_has_not_ended():
    table = runs(12).assign(status="FINISHED")
    table.loc[12, "status"] = "RUNNING"  # new of seed 6
    found = one(table)
    assert found.found.differences.size == 6
    assert found.found.blocks == 11
    assert found.found.waiting == 6
    assert found.next_step == "Let the runs end that have not: evidence waits for them."


def test_a_pairing_that_carries_no_correlation_is_said():
    rng = np.random.default_rng(1)
    table = runs(20).assign(val_loss=rng.normal(size=40))
    assert "carries no correlation that can be told" in one(table).paragraph()
    assert "carries no correlation that" not in one(runs(20, noise=0.01)).paragraph()


def test_runs_sorted_by_the_metric_bear_no_looking_again():
    table = runs(12).sort_values("val_loss")
    with pytest.raises(ArchabError, match=r"sorted by the metric itself.*--rule fixed"):
        one(table, pair=())
    assert one(table, FIXED, pair=()).found.blocks == 12


def test_too_few_pairs_give_no_verdict_and_no_range():
    found = one(runs(4))
    assert found.sentence() == "Too few pairs for any verdict: 4 of at least 7."
    assert found.range() == ""


@pytest.mark.parametrize("k", [2, 3, 5])
def test_adjusted_e_values_are_those_of_closed_testing(k):
    e = np.random.default_rng(k).lognormal(1, 2, k)
    wanted = [
        min(np.mean(e[list(s)]) for r in range(1, k + 1) for s in itertools.combinations(range(k), r) if i in s)
        for i in range(k)
    ]
    assert np.exp(e_holm(np.log(e))) == pytest.approx(wanted)
    assert (np.exp(e_holm(np.log(e))) >= e / k - 1e-12).all()
    assert e_holm(np.log(np.tile(e[:, None], 3))).T.tolist() == [e_holm(np.log(e)).tolist()] * 3


FOUR = {"a": 0.0, "b": 0.0, "c": 0.5, "d": 1.0}


def test_several_sides_are_judged_at_one_error_rate_and_ranked_as_far_as_supported():
    found = compare_runs(runs(20, FOUR), sides="model", pair="seed", metric="val_loss")
    assert [v.names for v in found.verdicts] == list(itertools.combinations("abcd", 2))
    winners = {v.names: v.winner for v in found.verdicts}
    assert winners == {
        ("a", "b"): "",
        ("a", "c"): "a",
        ("a", "d"): "a",
        ("b", "c"): "b",
        ("b", "d"): "b",
        ("c", "d"): "c",
    }
    from archab.metrics.ranking import ranked, sentence

    assert [name for name, _ in ranked(found.rounds)][2:] == ["c", "d"]
    text = sentence(found.rounds, found.verdicts)
    assert "c, d." in text
    assert "Not told apart: a, b." in text or "Not told apart: b, a." in text


def test_holm_is_statsmodels():
    from statsmodels.stats.multitest import multipletests

    found = compare_runs(runs(12, FOUR), sides="model", pair="seed", metric="val_loss", rule=FIXED).verdicts
    wanted = multipletests([v.p_rule for v in found], method="holm")[1]
    assert [v.p_adjusted for v in found] == pytest.approx(list(wanted))


def test_a_baseline_is_the_second_side_of_every_pair():
    found = compare_runs(runs(20, FOUR), sides="model", pair="seed", metric="val_loss", baseline="c")
    assert [v.names for v in found.verdicts] == [("a", "c"), ("b", "c"), ("d", "c")]
    assert [v.winner for v in found.verdicts] == ["a", "b", "c"]


def test_where_the_spread_comes_from_is_said_of_pairs_in_groups():
    rng = np.random.default_rng(0)
    rows = []
    for data in range(8):
        effect = rng.normal(0, 1)
        for seed in range(5):
            rows += [(m, f"set{data}", seed, (m == "new") * effect + 0.5 * rng.normal()) for m in ("new", "old")]
    table = pd.DataFrame(rows, columns=["model", "data", "seed", "val_loss"])
    found = one(table, pair=["data", "seed"])
    assert found.spread.share > 0.4
    assert "from one value of data to the next" in found.paragraph()
    assert found.to_dict()["spread"]["groups"] == 8


def test_one_round_that_hides_all_others_is_said():
    table = runs(20, {"new": -0.5, "old": 0.0})
    table.loc[3, "val_loss"] = 1e6  # old of seed 1
    found = one(table)
    assert found.verdict == "undecided"
    assert "One round (1) carries" in found.paragraph()
    assert "One round" not in one(runs(20)).paragraph()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_evidence_has_no_scale_however_large_or_small_values_are(scale):
    d = np.random.default_rng(0).normal(0.5, 1, 20)
    assert log_e_path(scale * d).tolist() == pytest.approx(log_e_path(d).tolist())


def test_a_range_of_those_that_did_not_fail_names_its_side():
    table = runs(20, {"new": -0.5, "old": 0.0}, noise=0.02)
    table.loc[table["model"].eq("new") & table["seed"].lt(17), "val_loss"] = np.nan
    found = one(table, FIXED)
    assert found.sentence() == "old beats new: 17 runs of new failed."
    assert found.range().startswith("Of the runs that did not fail: new 0.")


def test_the_next_step_of_a_single_look_knows_what_a_permutation_can_reach():
    found = compare_runs(
        runs(6, {"a": 0.0, "b": 0.5, "c": 1.0}, noise=0.01), sides="model", pair="seed", metric="val_loss", rule=FIXED
    )
    assert {v.verdict for v in found.verdicts} == {"undecided"}
    assert all(v.next_step.startswith("About 1 more pair for 80% power") for v in found.verdicts)


def test_the_order_of_pairs_is_no_matter_of_a_single_look():
    assert "ascending" in one(runs()).paragraph()
    assert "ascending" not in one(runs(), FIXED).paragraph()
