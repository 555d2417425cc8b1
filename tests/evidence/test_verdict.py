import dataclasses
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.text import Text
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower
from tables import crossed_rows, paired_rows, random_rows, swapped, unpaired_rows

from archab.errors import ArchabError
from archab.evidence import sentences
from archab.evidence.e_process import log_e_path
from archab.evidence.family import judge_family
from archab.evidence.notes import Note, kept, restored
from archab.evidence.sentences import title, word
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.evidence.words import effect
from archab.review import terminal
from archab.review.markdown import described
from archab.review.report.plain import minded

NAMES = (
    "sentence names verdict status rule design blocks theta gmr interval_low interval_high ci_low ci_high "
    "anytime_low anytime_high p_value p_adjusted p_wilcoxon p_brunnermunzel p_equivalence p_anytime log_e stop_at "
    "prob_a_better diverged capped size_ratio members home_advantage more_targets equal_error spread notes caveats "
    "students alpha margin planned floor scope next_step"
)


def sign_flips(c: np.ndarray) -> float:
    signs = np.array(list(itertools.product((1, -1), repeat=len(c))))
    return float(np.mean(np.abs(signs @ c) >= abs(c.sum()) - 1e-9))


def e_path(d: list[float]) -> list[float]:
    path = []
    for n in range(1, len(d) + 1):
        products = []
        for c, s in itertools.product((0.25, 0.5, 1, 2), (1, -1)):
            r = [math.sqrt(sum(y**2 for y in d[:t]) / t) for t in range(1, n + 1)]
            products.append(math.prod(1 + math.tanh(s * c * x / q) for x, q in zip(d[:n], r, strict=True)))
        path.append(sum(products) / 8)
    return path


def test_a_paired_fixture_with_every_figure_derived():
    d = np.array([-1, -2, -1.5, -0.5, -2.5, 0.5, -1, -2])
    v = judge(paired_rows({0: [(-3 + x, -3.0) for x in d]}), order=[0]).to_dict()
    # Mean −10/8, sum of squared deviations 6.5, t_.975(7) = 2.364624.
    se = math.sqrt(6.5 / 7 / 8)
    assert (v["design"], v["blocks"]) == ("paired", 8)
    assert v["theta"] == pytest.approx(-1.25)
    assert v["gmr"] == pytest.approx(math.exp(-1.25))
    assert v["ci_low"] == pytest.approx(math.exp(-1.25 - 2.364624 * se), rel=1e-6)
    assert v["ci_high"] == pytest.approx(math.exp(-1.25 + 2.364624 * se), rel=1e-6)
    assert v["p_value"] == sign_flips(d) == v["members"][0]["p_value"] == v["members"][0]["p_holm"]
    # Ranks of |d| with ties at their mean: .5 .5 1 1 1.5 2 2 2.5 -> 1.5 1.5 3.5 3.5 5 6.5 6.5 8.
    ranks = np.array([3.5, 6.5, 5, 1.5, 8, 1.5, 3.5, 6.5])
    assert v["p_wilcoxon"] == pytest.approx(sign_flips(ranks * np.sign(d)))
    assert v["p_brunnermunzel"] is None
    assert v["p_equivalence"] == pytest.approx(stats.t.sf((math.log(1.1) - 1.25) / se, 7))
    path = e_path(d.tolist())
    np.testing.assert_allclose(np.exp(v["log_e"]), path)
    assert v["p_anytime"] == v["p_adjusted"] == pytest.approx(1 / max(path))
    assert v["stop_at"] == next((i for i, e in enumerate(path, 1) if e >= 20), None)
    assert v["prob_a_better"] == 7 / 8
    assert (v["size_ratio"], v["home_advantage"]) == (None, None)
    assert v["diverged"] == v["capped"] == {"a": 0, "b": 0}
    upper = math.sqrt(6.5 / 7) * math.sqrt(7 / stats.chi2.ppf(0.2, 7))
    needed = next(n for n in range(2, 50) if TTestPower().power(1.25 / upper, n, 0.05) >= 0.9)
    assert v["more_targets"]["power90"] == max(0, needed - 8)


def test_an_unpaired_fixture_with_every_figure_derived():
    a, b = [-3.0, -2.5, -4.0, -3.5, -2.0, -3.0], [-2.0, -1.0, -1.5, -2.5, -1.0, -1.6]
    v = judge(unpaired_rows({0: (a, b)}), rule="fixed", order=[0]).to_dict()
    # Means −3 and −1.6; variances 2.5/5 and 1.7/5.
    u, w = 0.5 / 6, 0.34 / 6
    df = (u + w) ** 2 / (u**2 / 5 + w**2 / 5)
    half = stats.t.ppf(0.975, df) * math.sqrt(u + w)
    assert (v["design"], v["blocks"]) == ("unpaired", 12)
    assert v["theta"] == pytest.approx(-1.4)
    assert (v["ci_low"], v["ci_high"]) == pytest.approx((math.exp(-1.4 - half), math.exp(-1.4 + half)))
    pooled, t = np.array(a + b), []
    for chosen in itertools.combinations(range(12), 6):
        x, y = pooled[list(chosen)], np.delete(pooled, chosen)
        t.append(abs(x.mean() - y.mean()) / math.sqrt(x.var(ddof=1) / 6 + y.var(ddof=1) / 6))
    p = np.mean(np.array(t) >= 1.4 / math.sqrt(u + w) - 1e-9)
    assert v["p_value"] == pytest.approx(p, abs=4 * math.sqrt(p / 9999) + 1e-4)
    assert v["p_wilcoxon"] is None
    # Placements after Brunner and Munzel: how many of the other side lie below, half for ties.
    below_a = np.array([sum((y < x) + (y == x) / 2 for y in b) for x in a])
    below_b = np.array([sum((x < y) + (y == x) / 2 for x in a) for y in b])
    effect = below_b.mean() / 6
    spread = [np.var(below, ddof=1) / 6 for below in (below_a, below_b)]
    statistic = 6 * (effect - 0.5) / math.sqrt(sum(spread))
    df = sum(spread) ** 2 / sum(s**2 / 5 for s in spread)
    assert v["prob_a_better"] == pytest.approx(effect)
    assert v["p_brunnermunzel"] == pytest.approx(2 * stats.t.sf(statistic, df))
    np.testing.assert_allclose(np.exp(v["log_e"]), e_path([x - y for x, y in zip(a, b, strict=True)]))
    # Equal counts: 10 degrees of freedom would be a pooled test's; the plan scales Welch's own.
    assert v["more_targets"]["power80"] <= 3
    assert TTestIndPower().power(1.4 / math.sqrt(0.42), 6, 0.05) > 0.8
    assert v["verdict"] == "a_better"


def test_an_unbalanced_fixture_of_two_members_with_every_figure_derived():
    d0, d1 = np.array([-1, -2, 0.5, -1.5, -1]), np.array([-0.5, 1, -1, -2, -0.25, -0.75, 0.25, -1.5])
    rows = paired_rows({0: [(-3 + x, -3.0) for x in d0], 1: [(-2 + x, -2.0) for x in d1]})
    v = judge(rows, rule="fixed", order=[0]).to_dict()
    assert v["theta"] == pytest.approx((d0.mean() + d1.mean()) / 2)
    terms = [d.var(ddof=1) / (4 * d.size) for d in (d0, d1)]
    df = sum(terms) ** 2 / (terms[0] ** 2 / 4 + terms[1] ** 2 / 7)
    half = stats.t.ppf(0.975, df) * math.sqrt(sum(terms))
    assert v["ci_low"] == pytest.approx(math.exp(v["theta"] - half))
    assert v["ci_high"] == pytest.approx(math.exp(v["theta"] + half))
    assert v["p_equivalence"] == pytest.approx(stats.t.sf((math.log(1.1) + v["theta"]) / math.sqrt(sum(terms)), df))
    gate = sign_flips(np.concatenate([d0 / 10, d1 / 16]))
    assert v["p_value"] == gate
    p0, p1 = sign_flips(d0), sign_flips(d1)
    assert [m["p_value"] for m in v["members"]] == [p0, p1]
    smaller, larger = sorted([p0, p1])
    holm = {smaller: min(1, 2 * smaller), larger: min(1, max(2 * smaller, larger))}
    assert [m["p_holm"] for m in v["members"]] == pytest.approx([max(gate, holm[p]) for p in (p0, p1)])
    assert [m["theta"] for m in v["members"]] == pytest.approx([d0.mean(), d1.mean()])
    rounds = [(x + y) / 2 for x, y in zip(d0, d1[:5], strict=True)]
    np.testing.assert_allclose(np.exp(v["log_e"]), e_path(rounds))
    assert (v["blocks"], v["prob_a_better"]) == (13, 10 / 13)
    assert any("Draws without a partner or a member: 3." in note for note in v["notes"])
    assert v["members"][1]["typical_b"] == pytest.approx(math.exp(-2))


def test_crossed_reports_the_student_effect_and_the_home_advantage_apart():
    effect = np.array([-0.3, -0.1, -0.2, -0.4, -0.1, -0.25, -0.15, -0.3])
    home = np.array([0.9, 1.1, 1.0, 0.8, 1.2, 1.0, 0.95, 1.05])
    v = judge(crossed_rows(list(zip(effect - home, effect + home, strict=True))), order=[0])
    reference = stats.ttest_1samp(home, 0).confidence_interval()
    shown = v.to_dict()["home_advantage"]
    assert (v.design, v.blocks) == ("paired", 8)
    assert v.theta == pytest.approx(effect.mean())
    assert shown["gmr"] == pytest.approx(math.exp(home.mean()))
    assert (shown["ci_low"], shown["ci_high"]) == pytest.approx((math.exp(reference.low), math.exp(reference.high)))
    said = "a side's error is 63% lower on targets of its own prior (95% interval of a single look: 59% to 67% lower)"
    assert f"Home advantage: {said}." in v.paragraph()
    away = judge(crossed_rows([(x + 0.02, x - 0.02) for x in effect]))
    assert "error is 2.0% lower on targets of the other's" in away.paragraph().replace("2% lower", "2.0% lower")
    single = judge(paired_rows({0: [(-3 + x, -3.0) for x in effect]}), order=[0])
    assert v.more_targets.power90 == 2 * single.more_targets.power90


TABLES = {
    "paired": random_rows(1),
    "crossed": crossed_rows(np.random.default_rng(2).normal(0.3, 1, (9, 2)).tolist()),
    "unpaired": unpaired_rows(
        {m: tuple(np.random.default_rng(m).normal(-2, 0.5, (2, 8)) - [[0.4], [0]]) for m in (0, 1)}
    ),
    "unpaired, unbalanced": unpaired_rows(
        {
            0: ([-3, -2, -2.5, -4, -1], [-2, -1, -1.5]),
            1: ([-3, -3.5], [-1, -2, -3, -1.2, -1.9]),
            2: ([-1, -2], [-3, -1]),
        }
    ),
}
P_VALUES = ("p_value", "p_adjusted", "p_wilcoxon", "p_brunnermunzel", "p_equivalence", "p_anytime")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("rule", ["anytime", "fixed", "hybrid"])
def test_row_order_leaves_the_verdict_identical_and_swapping_sides_every_p(name, rule):
    planned = 8 if rule == "hybrid" else None
    rows = TABLES[name]
    one = judge(rows, rule=rule, planned=planned).to_dict()
    two = judge(rows.sample(frac=1, random_state=3), rule=rule, planned=planned).to_dict()
    other = judge(swapped(rows), rule=rule, planned=planned).to_dict()
    assert json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert [one[p] for p in P_VALUES] == [other[p] for p in P_VALUES]
    assert [m["p_holm"] for m in one["members"]] == [m["p_holm"] for m in other["members"]]
    assert (other["theta"], other["log_e"], other["stop_at"]) == (-one["theta"], one["log_e"], one["stop_at"])
    mirrored = {"a_better": "b_better", "b_better": "a_better"}
    assert other["verdict"] == mirrored.get(one["verdict"], one["verdict"])
    assert other["home_advantage"] == one["home_advantage"] or name == "crossed"


def figures(rows: pd.DataFrame) -> list[float]:
    v = judge(rows)
    return [v.theta, v.ci_low, v.ci_high, v.p_value, v.p_equivalence, v.anytime_low, *v.log_e]


def test_scaling_a_target_doubling_restarts_or_members_that_share_targets_changes_rounding_only():
    rows = random_rows(4)
    factors = dict(zip(rows["target"].unique(), np.random.default_rng(0).uniform(0.2, 1.2, 24), strict=True))
    np.testing.assert_allclose(figures(rows.assign(nmse=rows["nmse"] * rows["target"].map(factors))), figures(rows))
    np.testing.assert_allclose(figures(pd.concat([rows, rows.assign(restart=1)])), figures(rows))
    one = random_rows(4, members=1)
    np.testing.assert_allclose(figures(pd.concat([one, one.assign(member=1)])), figures(one))


def test_nan_infinity_a_huge_error_and_an_empty_cell_are_one():
    rows = random_rows(5).assign(status="ok")
    lost = rows.index[rows["side"] == "a"][::5]

    def with_cell(cell: object) -> dict[str, object]:
        changed = rows.astype({"nmse": object})
        changed.loc[lost, "nmse"] = cell
        return judge(changed).to_dict()

    one, *others = (with_cell(cell) for cell in (np.nan, np.inf, "", "NaN"))
    assert all(json.dumps(one) == json.dumps(other) for other in others)
    assert one["diverged"] == one["capped"] == {"a": len(lost), "b": 0}
    huge = with_cell(1e9)
    for shown in (one, huge):
        shown.pop("diverged")
        for member in shown["members"]:
            member.pop("diverged_a")
    assert huge == one


def test_the_json_object_has_the_fixed_names_and_is_valid():
    v = judge(paired_rows({0: [(-3.0, -1.0)] * 2}))
    shown = v.to_dict()
    assert list(shown) == NAMES.split()
    assert (shown["names"], shown["margin"], shown["members"][0]["name"]) == (["A", "B"], 1.1, "member 0")
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text().split("## JSON")[1]
    assert {name for name in (*shown, *shown["members"][0]) if f"`{name}`" not in page} == set()
    text = json.dumps(shown, allow_nan=False)
    assert json.loads(text)["anytime_low"] is None
    assert set(shown["members"][0]) >= {"member", "theta", "gmr", "p_holm"}
    assert dataclasses.is_dataclass(v)
    with pytest.raises(dataclasses.FrozenInstanceError):
        v.verdict = "a_better"


def test_every_figure_of_the_json_object_is_an_attribute_of_that_name():
    v = judge(random_rows(1))
    shown = v.to_dict()
    for name in set(shown) - {"sentence", "notes", "members"}:
        found = getattr(v, name)
        found = dataclasses.asdict(found) if dataclasses.is_dataclass(found) else found
        assert json.dumps(found).replace("NaN", "null") == json.dumps(shown[name])
    for member, own in zip(v.members, shown["members"], strict=True):
        assert all(hasattr(member, name) for name in set(own) - {"name"})
        assert (member.gmr, member.typical_a, member.figures.blocks) == (own["gmr"], own["typical_a"], own["blocks"])


@pytest.mark.parametrize("rule", ["anytime", "fixed", "hybrid"])
def test_the_clearly_better_side_is_named(rule):
    planned = 15 if rule == "hybrid" else None
    rows = paired_rows({0: [(-2 + x, -1.5) for x in np.random.default_rng(0).normal(0, 0.3, 20)]})
    v = judge(rows, rule=rule, planned=planned, names=("tanh", "ReLU"))
    assert v.verdict == "a_better"
    assert v.sentence().startswith("tanh learns better than ReLU: its typical error is")
    w = judge(swapped(rows), rule=rule, planned=planned, names=("ReLU", "tanh"))
    assert (w.verdict, w.sentence()) == ("b_better", v.sentence())


def test_fewer_than_six_blocks_are_a_verdict_with_its_reason():
    rows = paired_rows({0: [(-3.0, -1.0 + k / 10) for k in range(5)]}, per_seed=2)
    v = judge(rows, rule="fixed")
    assert v.verdict == "undecided"
    assert v.sentence() == "Too few targets for any verdict: 5 of at least 6."
    assert (v.status, v.to_dict()["status"]) == ("too_few", "too_few")
    assert judge(rows).sentence() == "Too few targets for any verdict: 5 of at least 7."
    assert "possible: -m 'seed=range(3,4)'" in judge(rows, command="-m").paragraph()
    assert judge(rows).next_step == "About 2 more targets a member to the first verdict that is possible."
    both = pd.concat([rows, rows.assign(member=1)])
    assert judge(both).sentence() == "Too few targets a member for any verdict: 5 of at least 7."
    crossed = judge(crossed_rows([(0.1, 0.2)] * 6))
    assert crossed.sentence() == "Too few pairs of targets for any verdict: 6 of at least 7."
    assert "About 1 more target a member" in judge(rows[rows["draw"] < 6], planned=6, rule="hybrid").next_step
    assert "Plausible range" not in v.paragraph()


def test_seven_equal_signs_decide_and_six_do_not():
    d = [-1.0, -1.1, -0.9, -1.05, -0.95, -1.2, -1.0, -1.0]
    assert judge(paired_rows({0: [(-3 + x, -3.0) for x in d[:6]]})).verdict == "undecided"
    v = judge(paired_rows({0: [(-3 + x, -3.0) for x in d]}))
    assert (v.verdict, v.stop_at in (7, 8)) == ("a_better", True)


def noise(n: int, sd: float, mean: float = 0.0) -> list[tuple[float, float]]:
    return [(-3 + x, -3.0) for x in np.random.default_rng(1).normal(mean, sd, n)]


@pytest.mark.parametrize(("rule", "planned"), [("anytime", None), ("fixed", None), ("hybrid", 40)])
def test_a_small_difference_that_is_measured_well_is_equivalence(rule, planned):
    v = judge(paired_rows({0: noise(40, 0.05)}), rule=rule, planned=planned)
    assert v.verdict == "equivalent"
    assert v.sentence() == "A and B learn equally well: any difference is within 10%."


def test_the_hybrid_calls_nothing_equivalent_before_its_planned_end():
    v = judge(paired_rows({0: noise(40, 0.05)}), rule="hybrid", planned=60, command="-m")
    assert v.verdict == "undecided"
    assert "About 20 more targets a member to the planned 60 rounds: -m 'seed=range(1,2)'" in v.next_step
    assert "used up" in judge(paired_rows({0: noise(40, 0.9)}), rule="hybrid", planned=30).next_step


def test_a_rejection_inside_the_margin_names_the_better_side_and_says_that_it_is_small():
    v = judge(paired_rows({0: noise(60, 0.02, mean=-0.03)}))
    assert v.verdict == "a_better"
    assert "real but smaller than the 10% that was declared to matter" in v.paragraph()


def test_equivalence_is_refused_where_nothing_was_learnt():
    capped = paired_rows({0: [(0.0, 0.0)] * 4 + noise(11, 0.01)})
    for rule in ("anytime", "fixed"):
        v = judge(capped, rule=rule, names=("P", "Q"))
        assert (v.verdict, v.capped.a) == ("undecided", 4)
        assert v.sentence() == "Undecided: 27% of P's students learnt nothing, and two untrained sides are not equal."
    untrained = judge(paired_rows({0: [(0.3, 0.2)] * 20}))
    assert (
        untrained.sentence() == "Undecided: 100% of A's students learnt nothing, and two untrained sides are not equal."
    )


def test_equivalence_is_refused_where_nothing_was_measured_or_on_too_few_targets():
    same = judge(paired_rows({0: [(-2.0, -2.0)] * 20}))
    assert same.sentence() == "Undecided: all differences are equal, so nothing was measured."
    few = paired_rows({0: [(0.0, -0.001), (-0.001, 0.0), *noise(5, 0.001)]})
    reason = judge(few, rule="fixed").sentence()
    assert reason == "Undecided: something was learnt on 5 targets, and at least 6 are needed."


def test_members_of_opposite_effect_leave_the_verdict_undecided():
    rng = np.random.default_rng(3)
    # The rounds are in favour of A first, and the mean over all blocks is on B's side.
    early, late = rng.normal(-1, 0.1, 12), rng.normal(1.5, 0.1, 40)
    v = judge(paired_rows({0: [(-4 + x, -4.0) for x in [*early, *late]]}))
    assert v.stop_at == 7
    assert v.verdict == "undecided"
    assert v.sentence().startswith("Undecided: the evidence and the mean point to opposite sides")


def test_members_that_pass_holm_are_named_where_sizes_disagree():
    rng = np.random.default_rng(4)
    strong = [(-5 + x, -5.0) for x in rng.normal(-1.0, 0.1, 12)]
    weak = [(-5 + x, -5.0) for x in rng.normal(0.5, 0.1, 12)]
    extra = [(-5 + x, -5.0) for x in rng.normal(4.0, 0.1, 40)]
    v = judge(paired_rows({0: strong, 3: weak + extra}))
    assert v.verdict == "undecided"
    assert v.sentence() == "Undecided: members disagree. A is better at member 0, B at member 3."


@pytest.mark.parametrize(("rule", "planned"), [("anytime", None), ("fixed", None), ("hybrid", 40)])
def test_members_that_cancel_are_not_equivalent_and_those_beyond_the_margin_are_named(rule, planned):
    spread = np.random.default_rng(6).normal(0, 0.04, (3, 40))
    opposite = judge(
        paired_rows({0: noise_around(0.25, spread[0]), 1: noise_around(-0.25, spread[1])}), rule=rule, planned=planned
    )
    assert opposite.sentence() == "Undecided: members disagree. A is better at member 1, B at member 0."
    assert (opposite.status, "members disagree" in opposite.caveats) == ("members_disagree", True)
    assert opposite.p_equivalence == max(m.p_equivalence for m in opposite.members)
    wide = {m: noise_around(0.0, (10 if m == 1 else 1) * spread[m]) for m in range(3)}
    one = judge(paired_rows(wide), rule=rule, planned=planned, member_names=["small", "middle", "large"])
    said = "Undecided: all members together are within 10%, not yet so at middle."
    assert (one.sentence(), one.status) == (said, "members_open")
    assert judge(paired_rows({0: wide[0], 2: wide[2]}), rule=rule, planned=planned).verdict == "equivalent"


def noise_around(mean: float, spread: np.ndarray) -> list[tuple[float, float]]:
    return [(-3 + mean + x, -3.0) for x in spread - spread.mean()]


def test_a_winner_says_where_the_other_side_is_better():
    spread = np.random.default_rng(7).normal(0, 0.1, (4, 30))
    names = {"names": ("n-diagonal", "LoRA"), "member_names": ["rank 2", "rank 4", "rank 8", "rank 16"]}

    def sentence(*means: float) -> str:
        return judge(
            paired_rows({i: noise_around(m, s) for i, (m, s) in enumerate(zip(means, spread, strict=True))}), **names
        ).sentence()

    lower = "over all, LoRA's typical error is 33% lower."
    assert (
        sentence(0.6, 0.6, 0.6, -0.2) == f"LoRA learns better than n-diagonal to rank 8, n-diagonal at rank 16: {lower}"
    )
    assert sentence(0.6, -0.2, 0.6, 0.6) == (
        f"LoRA learns better than n-diagonal at rank 2, rank 8 and rank 16, n-diagonal at rank 4: {lower}"
    )
    assert "LoRA learns better than n-diagonal: its" in sentence(0.6, 0.6, 0.6, 0.0)


def test_a_direct_verdict_says_what_it_measured_and_never_that_a_side_learns_better():
    rng = np.random.default_rng(8)
    rows = unpaired_rows({0: tuple(rng.normal(-2, 0.3, (2, 30)) - [[0.0], [1.1]])})
    v = judge(rows, names=("P", "Q"))
    said = "Q's students on P's targets err 67% less (3 times) than P's on Q's"
    assert (v.verdict, v.sentence()) == ("b_better", f"{said}; this design cannot tell skill from easier targets.")
    assert title(v) == "Q's students err 67% less on their targets than P's on theirs"
    assert word(v) == "B lower"
    foreign = judge(rows.drop(columns="source"), names=("P", "Q"))
    assert foreign.sentence().startswith("Q's students on their targets err 67% less (3 times) than P's on theirs; ")
    for shown in (v, foreign):
        assert "better" not in shown.paragraph() + described([shown])
    alike = judge(unpaired_rows({0: tuple(np.linspace(-2.05, -1.95, 40) + np.zeros((2, 1)))}), rule="fixed")
    assert alike.sentence().startswith(
        "A's students on B's targets err as B's on A's: any difference is within 10%; this"
    )


def test_a_winner_whose_evidence_has_faded_says_so_and_its_range_is_that_of_the_rule():
    # By chance E crosses in round 17 and falls again; no difference is there.
    v = judge(paired_rows({0: [(-4 + x, -4.0) for x in np.random.default_rng(58).normal(0.0, 0.4, 171)]}))
    said = "decided at round 17; since then the evidence has faded: all 171 rounds together do not show it"
    assert v.sentence() == f"A learns better than B, {said} (typical error 3% lower)."
    assert (v.faded, v.caveats) == (True, ("the evidence has faded since",))
    assert v.interval()[0] < v.gmr < v.interval()[1] < 1 < v.ci_high
    assert f"a single look at all gives p = {v.p_value:.2g}, from A 9% lower to B 3% lower" in v.notes[-1].text
    assert not judge(paired_rows({0: noise(40, 0.1, mean=0.5)})).faded


def test_rounds_that_exclude_each_others_ranges_leave_none():
    rng = np.random.default_rng(9)
    d = [(-4 + x, -4.0) for x in [*rng.normal(0.6, 0.2, 15), *rng.normal(-0.04, 0.2, 160)]]
    for rule, planned in (("anytime", None), ("hybrid", 175)):
        v = judge(paired_rows({0: d}), rule=rule, planned=planned)
        assert (v.verdict, v.faded) == ("b_better", True)
        assert "No plausible range: early and later rounds exclude each other's." in v.paragraph()


def test_twenty_percent_divergence_makes_the_other_side_better():
    rng = np.random.default_rng(5)
    rows = paired_rows({0: [(-2 + x, -2 + y) for x, y in rng.normal(0, 0.2, (80, 2))]})
    lost = rows.index[(rows["side"] == "a") & (rows["draw"] % 5 == 0)]
    rows.loc[lost, "nmse"] = np.nan
    v = judge(rows)
    assert v.verdict == "b_better"
    assert "Diverged: 16 of 80 students of A, 0 of 80 of B" in v.paragraph()
    assert not [note for note in v.notes if note.kind == "diverged"]


def test_where_most_students_of_a_side_diverged_the_next_step_is_a_lower_learning_rate():
    rows = paired_rows({0: [(-2.0, -2.0 - 0.1 * i) for i in range(12)]})
    lost = rows.index[(rows["side"] == "a") & (rows["draw"] > 1)]
    rows.loc[lost, "nmse"] = np.nan
    v = judge(rows, names=("gate", "plain"))
    [note] = [note for note in v.notes if note.kind == "diverged"]
    assert note.text == "10 of 12 students of gate diverged: a lower learning rate is needed."
    assert v.caveats[0] == "most students of a side diverged"
    assert v.next_step == "Most students of a side diverged; train at a lower learning rate (routine.lr)."


def test_sizes_are_printed_and_named_where_they_differ_by_over_five_percent():
    rows = random_rows(6)
    equal = judge(rows.assign(measure=100.0))
    assert (equal.size_ratio, sentences.of_size(equal)) == ((1.0, 1.0), "")
    sizes = rows["side"].map({"a": 80, "b": 100}) + 20 * rows["member"] * (rows["side"] == "b")
    larger = judge(rows.assign(measure=sizes), names=("P", "Q"))
    assert larger.size_ratio == (1.25, 1.5)
    assert sentences.of_size(larger) == "At unequal size: Q has 1.25 to 1.5 times the size."
    mirrored = judge(swapped(rows.assign(measure=sizes)), names=("Q", "P"))
    assert sentences.of_size(mirrored) == sentences.of_size(larger)


def controlled(reached: dict[int, float], spread: float, targets: int):
    """Two members on 20 targets each, and a control on the first of them: its ratio to A, the better side, spreads."""
    rows = paired_rows({m: [(math.log(0.2), math.log(0.3))] * 20 for m in reached})
    first = rows[(rows["side"] == "a") & (rows["draw"] < targets)]
    wave = np.exp(spread * np.where(first["draw"] % 2, 1, -1))
    control = first.assign(nmse=first["member"].map(reached) * wave)
    return rows, judge(rows, control=control, control_name="full matrices")


def test_the_control_says_where_training_is_the_limit():
    _, v = controlled({0: 0.15, 1: 0.05}, 0.1, 16)
    assert [m.limited_by_training for m in v.members] == [True, False]
    assert [m.control for m in v.members] == pytest.approx([0.15, 0.05])
    note = "the control (full matrices) reaches only 0.15 on the same targets (member 0)."
    assert f"Limited by training, not by size: {note}" in [n.text for n in v.notes if n.kind == "limited by training"]
    rows, few = controlled({0: 0.15, 1: 0.05}, 0.1, 15)
    assert not few.members[0].limited_by_training, "30 students of the control"
    # Its ratio is .75 on average, and se of its log 2/√16 · √(16/15): t_.975(15) = 2.131 of it reaches to .25.
    _, wide = controlled({0: 0.15, 1: 0.05}, 2.0, 16)
    assert not wide.members[0].limited_by_training
    with pytest.raises(ArchabError, match="no column target in the control"):
        judge(rows, control=rows.drop(columns="target"))


def alike(linear: dict[int, float] | None) -> pd.DataFrame:
    """Two members of 40 targets on which both sides err by .3, to 5%."""
    log = math.log(0.3)
    rng = np.random.default_rng(1)
    rows = paired_rows({m: [(log + x, log) for x in rng.normal(0, 0.05, 40)] for m in (0, 1)})
    return (
        rows if linear is None else rows.assign(linear=rows["member"].map(linear) * 2.0 ** (1 - 2 * (rows["draw"] % 2)))
    )


def test_two_sides_of_which_neither_beats_a_linear_fit_are_not_equivalent():
    assert judge(alike(None)).verdict == judge(alike({0: 0.4, 1: 0.4})).verdict == "equivalent"
    assert judge(alike(None)).to_dict()["members"][0]["linear"] is None
    v = judge(alike({0: 0.2, 1: 0.2}))
    assert (v.verdict, v.status) == ("undecided", "below_linear")
    assert v.sentence().startswith("Undecided: neither side beats a linear fit, ")
    assert [m.linear for m in v.members] == pytest.approx([0.2, 0.2]), "geometric mean of .4 and .1"
    assert "neither side beats a linear fit" in v.caveats
    assert "train longer (routine.epochs, routine.lr), or on more samples" in v.next_step
    one = judge(alike({0: 0.4, 1: 0.2}), member_names=["small", "large"])
    assert [m.below_linear for m in one.members] == [False, True]
    assert one.sentence().startswith("Undecided: neither side beats a linear fit at large,")
    table = terminal.table(one, 110, terminal.BLOCKS)
    [fitted] = [[str(cell) for cell in column.cells] for column in table.columns if column.header == "linear fit"]
    assert fitted == ["0.40", "0.20", ""]


@pytest.mark.parametrize("design", ["paired", "crossed", "unpaired"])
def test_training_that_had_not_ended_or_was_unequal_is_said(design):
    rows = TABLES[design]

    def training(a: float, b: float, steps: int = 100) -> pd.DataFrame:
        """Curves that fall over the last fifth of the steps to these shares."""
        points = [
            {"member": m, "side": side, "step": at * last, "q25": q, "q50": q, "q75": q}
            for m in (0, 1)
            for side, last, share in (("a", 100, a), ("b", steps, b))
            for at, q in ((0.4, 0.5), (0.8, 0.5), (1, 0.5 * share))
        ]
        return pd.DataFrame(points)

    assert not {"still falling", "unequal training"} & {n.kind for n in judge(rows, curves=training(0.92, 1)).notes}
    study = Study(
        rows, ("P", "Q"), curves=training(0.9, 0.5), longer="routine.epochs=20", command="run routine.epochs=10"
    )
    v = judge(study)
    [note] = [n for n in v.notes if n.kind == "still falling"]
    assert note.text == "Training had not ended: the error over the last fifth of the steps moved by P −10%, Q −50%."
    assert note.command == "routine.epochs=20"
    assert "training had not ended" in v.caveats
    assert "routine.epochs=20" in v.next_step
    seeds = ",".join(map(str, sorted(rows["seed"].unique())))
    again = f"run routine.epochs=20 seed={seeds}" if len(seeds) < 5 else "run routine.epochs=20 'seed=range(0,3)'"
    assert v.verdict == "undecided" or v.next_step == f"Training had not ended; train longer: {again}"
    [unequal] = [n for n in judge(rows, curves=training(1, 1, steps=200)).notes if n.kind == "unequal training"]
    assert unequal.text == "Unequal training: optimiser steps of A 100 and B 200."
    broken = training(1, 1).assign(q50=lambda t: t["q50"].where((t["side"] == "b") | (t["step"] < 100)))
    kinds = {n.kind for n in judge(rows, curves=broken).notes}
    assert "unequal training" not in kinds, "students that diverged were trained as long"
    assert note.text in judge(Study.of(study.table())).to_dict()["notes"], "in Python, from the table alone"


def test_restarts_give_the_expected_best_of_k():
    rows = random_rows(7, members=1)
    more = pd.concat([rows, rows.assign(restart=1, nmse=rows["nmse"] * 0.5)])
    best = judge(more).members[0].best_of_a
    own = rows.loc[rows["side"] == "a", "nmse"]
    typical = math.exp(np.log(own).mean())
    assert best == pytest.approx((0.75 * typical, 0.5 * typical))
    assert judge(rows).members[0].best_of_a is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "bayes"}, "rule=bayes: no such rule. There are: anytime, fixed, hybrid"),
        ({"rule": "hybrid"}, "rule=hybrid: the planned number of rounds is needed"),
        ({"planned": 3}, "planned=3: at least 6"),
        ({"alpha": 0.0}, "alpha=0: an error rate"),
        ({"margin": 0.9}, "margin=0.9: a ratio above 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ArchabError, match=message):
        judge(random_rows(0), **settings)


def test_the_notes_hold_the_null_the_limit_and_what_the_caller_adds():
    own = "Limit: as Null tested: has it."
    v = judge(random_rows(8), notes=[own, own, Note("not tuned", "One rate.", "routine.lr=0.1")])
    assert [note.kind for note in v.notes] == ["null", "limit", "design", "said", "said", "not tuned"]
    assert "exchangeable given the target" in v.notes[0].text
    assert "strongly skewed" in v.notes[1].text
    assert v.to_dict()["notes"] == [note.text for note in v.notes]
    assert all(note.text in v.paragraph() for note in v.notes)
    assert minded(v) == [note.text for note in v.notes[2:]]
    assert v.caveats == ("not tuned",)
    unpaired = judge(TABLES["unpaired"], notes=v.notes[-1:])
    assert unpaired.caveats == ("skill and the targets' difficulty are confounded", "not tuned")


def test_notes_are_kept_as_texts_with_their_kinds_beside_them():
    notes = (Note("not tuned", "One rate."), Note("said", "Limit: 3."), Note("still falling", "It fell.", "epochs=9"))
    texts = [note.text for note in notes]
    assert restored(texts, json.loads(json.dumps(kept(notes)))) == notes
    assert restored(texts) == tuple(Note("said", text) for text in texts)
    assert restored(["New."], [["of a later version", ""]]) == (Note("said", "New."),)


def test_the_table_has_a_line_a_member_and_one_for_all():
    table = judge(random_rows(9)).to_rich()
    assert table.row_count == 3


def test_a_verdict_needs_neither_torch_nor_mlflow_nor_hydra():
    code = (
        "import sys, archab.evidence.family, archab.calibration;"
        "print([m for m in ('torch', 'mlflow', 'hydra', 'matplotlib', 'rich') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_names_that_are_equal_are_told_apart_and_errors_below_the_floor_are_counted():
    rows = random_rows(0, targets=20, effect=1.0)
    v = judge(rows, names=("same", "same"))
    assert v.names == ("same (A)", "same (B)")
    tiny = rows.assign(nmse=rows["nmse"].where(rows["draw"] > 1, 1e-15))
    assert "Errors below 10⁻¹² count as that: 32 students." in judge(tiny).paragraph()
    assert "10⁻¹²" not in v.paragraph()


@pytest.mark.parametrize("kind", ["paired", "crossed", "unpaired"])
def test_one_exact_zero_that_carries_the_typical_error_is_said_with_the_ratio_without_it(kind):
    d = np.random.default_rng(10).normal(-0.3, 0.1, 20)
    rows = {
        "paired": paired_rows({0: [(-5 + x, -5.0) for x in d]}),
        "crossed": crossed_rows([(x, x) for x in d]),
        "unpaired": unpaired_rows({0: (-5 + d, -5.0 + np.linspace(-1e-3, 1e-3, 20))}),
    }[kind]
    zero = rows.index[(rows["side"] == "b") & (rows["draw"] == 7)][:1]
    rows.loc[zero, "nmse"] = 0.0
    v = judge(rows, names=("P", "Q"))
    kept = rows.drop(index=zero) if kind == "unpaired" else rows[rows["draw"] != 7]
    [note] = [note.text for note in v.notes if note.kind == "floor"]
    assert v.gmr > 1
    assert f"{effect(v.gmr, ('P', 'Q'))}, without them {effect(judge(kept).gmr, ('P', 'Q'))}." in note
    assert "errors at the floor carry the result" in v.caveats
    higher = judge(rows, names=("P", "Q"), floor=3e-3)
    assert (higher.to_dict()["floor"], higher.gmr < 1) == (3e-3, True)
    assert [note.kind for note in judge(rows, floor=3e-3).notes].count("floor") == 0


def test_where_every_target_is_at_the_floor_there_is_no_ratio_without_it():
    v = judge(random_rows(0).assign(nmse=0.0))
    assert "No target is without them." in v.paragraph()
    with pytest.raises(ArchabError, match="floor=0: an error between 0 and 1"):
        judge(random_rows(0), floor=0.0)


def test_a_side_that_would_go_on_learning_is_trained_longer_before_targets_are_added():
    rows = paired_rows({0: [(-0.1, -0.1 - 0.01 * i) for i in range(5)]}).assign(linear=0.1)
    v = judge(Study(rows, longer="routine.epochs=6", command="run routine.epochs=3"))
    assert v.status == "too_few"
    assert v.next_step.startswith("Neither side beats a linear fit; train longer")
    assert v.next_step.endswith(": run routine.epochs=6 seed=0")
    assert "more target" not in v.next_step


def test_pairs_are_counted_as_targets_in_the_table_of_a_family():
    effect = np.random.default_rng(0).normal(-0.3, 0.1, (8, 2))
    table = terminal.family(
        judge_family([Study(crossed_rows(effect.tolist()), label=label) for label in ("one", "other")]), terminal.BLOCKS
    )
    assert list(table.columns[-1].cells) == [Text("16"), Text("16")]


def test_a_home_advantage_is_none_where_every_student_is_at_the_cap():
    capped = judge(crossed_rows([(0.0, 0.0)] * 8, level=0.0))
    assert capped.home_advantage is None
    away = judge(crossed_rows([(0.3, -0.3), (0.2, -0.4)] * 4))
    assert "Home disadvantage: a side's error is" in away.paragraph()


@pytest.mark.parametrize("given", ["rows.csv", None])
def test_what_is_no_table_is_refused_with_what_would_be_right(given):
    with pytest.raises(ArchabError, match=r"a table of students .* archab-compare --table FILE"):
        judge(given)


def test_the_limit_says_how_often_skewed_differences_of_mean_0_are_taken_for_a_winner():
    rng = np.random.default_rng(0)
    differences = rng.exponential(size=(1000, 200)) - 1, rng.lognormal(size=(1000, 200)) - np.exp(0.5)
    exponential, log_normal = ((log_e_path(d).max(1) >= np.log(20)).mean() for d in differences)
    [limit] = [note.text for note in judge(random_rows(0)).notes if note.kind == "limit"]
    assert f"in {exponential:.0%} of cases where they are exponential, in {log_normal:.0%} where log-normal" in limit
