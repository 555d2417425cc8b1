"""What a figure draws is what the rows hold: artists against rows, never pixels."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from tables import crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.errors import ArchabError
from archab.evidence import figures
from archab.evidence.figures import DARK, LIGHT, Absent, Picture, differences, rounds, scales, share, size, training
from archab.evidence.figures.names import named, short
from archab.evidence.figures.sheet import TITLE, WIDTH, inches, wrapped
from archab.evidence.replays import replay
from archab.evidence.sequential import log_e_path
from archab.evidence.verdict import judge


def many(n: int, members: int = 5, effect: float = -0.3, sizes: tuple[float, float] = (1.0, 1.5)) -> pd.DataFrame:
    """Rows of n targets, `members` of each size, 40 targets a seed."""
    rng, each = np.random.default_rng(0), n // members
    return pd.concat(
        pd.DataFrame(
            {
                "seed": np.arange(each) // 40,
                "member": member,
                "target": [f"{member}-{i}" for i in range(each)],
                "draw": np.arange(each) % 40,
                "side": side,
                "restart": 0,
                "nmse": np.exp(level + shift + rng.normal(0, 0.3, each)),
                "measure": 100.0 * (member + 1) * factor,
            }
        )
        for member in range(members)
        for level in [rng.normal(-3, 0.5, each)]
        for side, shift, factor in (("a", effect, sizes[0]), ("b", 0.0, sizes[1]))
    )


def curves(members: int = 2) -> pd.DataFrame:
    """Two runs' training curves of both sides: halved every 100 steps, the second run's 10% above the first's."""
    return pd.DataFrame(
        [
            {"seed": s, "member": m, "side": side, "step": step, "q25": 0.8 * q, "q50": q, "q75": 1.2 * q}
            for s in range(2)
            for m in range(members)
            for side in "ab"
            for step in range(0, 401, 20)
            for q in [(1 + 0.1 * s) * 0.5 ** (step / 100)]
        ]
    )


def drawn(picture: Picture, index: int = 0):
    """Lines by label, and the axes, of one of the axes of a figure."""
    axes = picture.figure().axes[index]
    return {str(line.get_label()): line for line in axes.lines}, axes


def test_error_by_size_draws_every_target_and_the_geometric_means():
    rows = many(200)
    lines, axes = drawn(size.picture(judge(rows), "parameters"))
    for side in "ab":
        for member in range(5):
            own = rows[(rows["side"] == side) & (rows["member"] == member)]
            assert np.allclose(lines[f"{side}{member}"].get_ydata(), own["nmse"])
        means = [math.exp(np.log(g).mean()) for _, g in rows[rows["side"] == side].groupby("member")["nmse"]]
        assert np.allclose(lines[side].get_ydata(), means)
        sizes = rows[rows["side"] == side].groupby("member")["measure"].first()
        assert np.allclose(np.exp(np.asarray(lines[side].get_xdata())), sizes)
    assert axes.get_xlabel() == "size, parameters (log)"


def test_error_by_size_leads_only_where_sizes_are_unequal():
    first = next(p.name for p in figures.pictures(judge(many(100))))
    equal = next(p.name for p in figures.pictures(judge(many(100, sizes=(1.0, 1.0)))))
    assert (first, equal) == ("error_by_size", "differences")


@pytest.mark.parametrize("n", [40, 100, 2000])
def test_dots_are_the_differences_and_the_row_of_all_carries_the_verdicts_own_interval(n):
    verdict = judge(many(n))
    lines, axes = drawn(differences.picture(verdict))
    low, high = verdict.interval()
    assert np.allclose(lines["all interval"].get_xdata(), np.log([low, high]))
    assert lines["all ratio"].get_xdata() == pytest.approx([verdict.theta])
    member = verdict.members[1]
    assert np.allclose(lines["member 1 interval"].get_xdata(), np.log([member.ci_low, member.ci_high]))
    [dots] = [c for c in axes.collections if c.get_label() == "all"]
    at = np.asarray(dots.get_offsets())[:, 0]
    d = verdict.data.values[~np.isnan(verdict.data.values)]
    assert len(at) == min(n, differences.MOST_ALL)
    assert (at < 0).mean() == pytest.approx((d < 0).mean(), abs=0.02)
    assert np.median(at) == pytest.approx(np.median(d), abs=0.06)


def test_a_tie_is_drawn_between_the_sides_and_counted_in_the_caption():
    pairs = [(-3.0, -2.0)] * 6 + [(0.5, 0.7)] * 3 + [(-2.0, -3.0)] * 2
    picture = differences.picture(judge(paired_rows({0: pairs})))
    [dots] = [c for c in picture.figure().axes[0].collections if c.get_label() == "all"]
    at = np.asarray(dots.get_offsets())[:, 0]
    assert [(at < 0).sum(), (at == 0).sum(), (at > 0).sum()] == [6, 3, 2]
    assert "3 ties" in picture.caption


def test_the_evidence_is_drawn_round_by_round_with_its_crossing():
    verdict = judge(many(200))
    lines, _ = drawn(rounds.picture(verdict))
    assert list(lines["E"].get_xdata()) == list(range(1, 41))
    assert np.allclose(lines["E"].get_ydata(), np.array(verdict.log_e) / math.log(10))
    assert list(lines["crossing"].get_xdata()) == [verdict.stop_at]


def test_an_undecided_verdict_shows_how_far_ahead_a_decision_is():
    rng = np.random.default_rng(1)
    verdict = judge(paired_rows({0: [(-2 - 0.15 + x, -2) for x in rng.normal(0, 0.35, 25)]}))
    ahead = verdict.forecast
    assert verdict.verdict == "undecided"
    assert ahead is not None
    assert ahead.median is not None
    assert ahead.point80 is not None
    lines, _ = drawn(picture := rounds.picture(verdict))
    assert list(lines["forecast"].get_xdata()) == [25, 25 + ahead.median]
    assert list(lines["forecast to 80%"].get_xdata()) == [25 + ahead.median, 25 + ahead.point80]
    assert f"{ahead.median:,} more rounds" in picture.caption


def test_replays_flip_the_signs_of_the_rounds_and_count_false_winners():
    d = np.random.default_rng(0).normal(0.4, 1, 12)
    found = replay(d, 0.05)
    signs = np.array([[1 - 2 * (k >> i & 1) for i in range(12)] for k in range(4096)])
    every = log_e_path(signs * d)  # all sign vectors: the exact share that the random ones estimate
    exact = (every.max(1) >= math.log(20)).mean()
    assert found.this_rule[-1] == pytest.approx(exact, abs=4 * math.sqrt(exact / found.count) + 1e-9)
    for path in found.paths[:5]:
        assert np.isclose(every, path).all(1).any()
    assert found.t_test[-1] > 0.1  # looking after every round with a fixed test


def test_shares_count_targets_within_epsilon_and_a_diverged_student_never():
    rows = paired_rows({0: [(math.log(a), math.log(b)) for a, b in [(0.1, 0.3), (0.15, 0.12), (0.4, 0.3), (1, 0.5)]]})
    rows.loc[(rows["side"] == "a") & (rows["draw"] == 3), "nmse"] = np.nan
    found = share.shares(size.per_target(judge(rows)), 0.05)
    assert found.epsilon == 0.2  # B: one of four within 0.2, three within 0.5; the first of the two nearest to half
    assert found.at == (0.5, 0.25)
    assert found.a[0][-1] == 0.75
    assert found.b[0][-1] == 1.0


def test_epsilon_does_not_depend_on_side_a():
    rows = random_rows(0)
    worse = rows.assign(nmse=rows["nmse"].where(rows["side"] == "b", rows["nmse"] * 5))
    assert _epsilon(rows) == _epsilon(worse)


def _epsilon(rows: pd.DataFrame) -> float:
    return share.shares(size.per_target(judge(rows)), 0.05).epsilon


def test_training_curves_are_the_medians_over_the_runs():
    verdict = judge(many(100, members=2))
    picture = next(p for p in figures.pictures(verdict, curves=curves()) if p.name == "training")
    lines, _ = drawn(picture, 1)
    assert np.allclose(lines["a median"].get_ydata(), [1.05 * 0.5 ** (step / 100) for step in range(0, 401, 20)])
    # The last fifth is 80 steps of 400, and the error halves every 100.
    assert f"−{100 * (1 - 0.5**0.8):.0f}%" in picture.title


def test_without_training_curves_the_figure_says_so_and_wrong_ones_are_refused():
    verdict = judge(many(100, members=2))
    assert training.picture(verdict, None) == Absent("training", "Training curves", "No training curves in this table.")
    with pytest.raises(ArchabError, match="no column q50 in the training curves"):
        figures.pictures(verdict, curves=curves().drop(columns="q50"))


def test_the_crossed_figure_shows_both_sides_at_home_and_away():
    pairs = np.random.default_rng(0).normal([-0.4, 0.4], 0.1, (12, 2)).tolist()
    verdict = judge(crossed_rows(pairs))
    picture = figures.pictures(verdict)[0]
    lines, _ = drawn(picture)
    assert np.allclose(lines["b"].get_ydata(), math.exp(-5))
    assert np.allclose(lines["a"].get_ydata(), np.exp(-5 + np.mean(pairs, axis=0)))
    home = verdict.home_advantage
    assert home is not None
    assert home.ci_low > 1
    assert "at home the error is" in picture.title
    ends = [
        line.get_xdata() for axes in picture.figure().axes[1:] for line in axes.lines if "interval" in line.get_label()
    ]
    assert np.allclose(ends[-1], np.log([home.ci_low, home.ci_high]))


def test_an_unpaired_design_shows_rounds_and_names_no_target_as_won():
    rng = np.random.default_rng(0)
    verdict = judge(unpaired_rows({0: (rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist())}))
    picture = differences.picture(verdict)
    assert "a round" in picture.caption
    assert "is lower on" not in picture.alt
    [dots] = [c for c in picture.figure().axes[0].collections if c.get_label() == "all"]
    assert len(dots.get_offsets()) == 30


def test_every_caption_says_n_and_the_unit_of_replication():
    for rows, n in (
        (many(100), "100 targets"),
        (crossed_rows([(-0.2, 0.1)] * 5 + [(0.1, 0.2)] * 4), "9 pairs of targets"),
    ):
        for picture in figures.pictures(judge(rows)):
            if isinstance(picture, Picture) and picture.name != "evidence":
                assert n in picture.caption
                assert "no replicate" in picture.caption


def test_titles_are_the_verdicts_own_and_never_a_second_judgement():
    undecided, equal, better = judge(many(10)), judge(many(2000, effect=0.0)), judge(many(400), names=("new", "old"))
    assert (undecided.verdict, equal.verdict, better.verdict) == ("undecided", "equivalent", "a_better")
    titles = [differences.picture(v).title for v in (undecided, equal, better)]
    assert titles[0] == undecided.sentence().rstrip(".")
    assert titles[1] == "A and B learn equally well, within 10%"
    assert titles[2] == f"new's typical error is {round(100 * (1 - better.gmr))}% lower than old's"


def test_one_block_has_neither_interval_nor_colour():
    verdict = judge(paired_rows({0: [(-3.0, -2.0)]}))
    lines, axes = drawn(differences.picture(verdict))
    assert "all interval" not in lines
    colours = {tuple(c) for s in axes.collections for c in np.asarray(s.get_facecolors())[:, :3].round(3)}
    assert tuple(np.round([int(LIGHT.ref[i : i + 2], 16) / 255 for i in (1, 3, 5)], 3)) in colours
    for picture in figures.pictures(verdict):
        if isinstance(picture, Picture):
            picture.figure()


@pytest.mark.parametrize("case", ["all of A diverged", "all diverged", "errors below 1e-12", "a member is missing"])
def test_extreme_tables_are_drawn(case):
    rows = many(100)
    if "diverged" in case:
        rows["nmse"] = rows["nmse"].mask((rows["side"] == "a") | (case == "all diverged"))
    rows = rows.assign(nmse=rows["nmse"] * 1e-13) if "1e-12" in case else rows
    rows = rows[rows["member"] != 2] if "missing" in case else rows
    for picture in figures.pictures(judge(rows), "bits"):
        if isinstance(picture, Picture):
            picture.figure(DARK).canvas.draw()


def test_names_are_drawn_as_they_are_and_short(tmp_path):
    verdict = judge(many(100), names=("$\\frac{a}{b}$ <b>&_^ and a very long name of a side", "层 no glyphs"))
    drawn_names = named(verdict).names
    assert max(map(len, drawn_names)) <= 16
    assert drawn_names[1] == "B"
    assert (
        short("softmax_attention_layer_v2", 16) == "softmax_att…r_v2"
        or len(short("softmax_attention_layer_v2", 16)) == 16
    )
    for picture in figures.pictures(verdict):
        if isinstance(picture, Picture):
            picture.figure().canvas.draw()
    text = [t.get_text() for t in size.picture(verdict).figure().axes[0].texts]
    assert any(t.startswith("$\\frac") for t in text)
    assert not any(t.get_parse_math() for t in size.picture(verdict).figure().axes[0].texts)


def test_ten_thousand_targets_stay_small_in_every_format(tmp_path):
    files = figures.save(judge(many(10_000)), tmp_path, "x-", "bits")
    assert {f.suffix for f in files} == {".svg", ".pdf", ".png"}
    names = {re.sub(r"(-dark)?\.\w+$", "", f.name) for f in files}
    assert names == {"x-error_by_size", "x-differences", "x-evidence", "x-share_within"}
    assert max(f.stat().st_size for f in files) < 300_000
    assert "<image" in (tmp_path / "x-error_by_size.svg").read_text()


def test_a_figure_is_the_same_to_the_last_byte_when_drawn_again(tmp_path):
    verdict = judge(many(100))
    first, again = figures.save(verdict, tmp_path / "1"), figures.save(verdict, tmp_path / "2")
    assert all(f.read_bytes() == g.read_bytes() for f, g in zip(first, again, strict=True))


def test_ticks_are_round_and_few_on_any_axis():
    for low, high in ((80, 260), (0.035, 1), (1e-12, 1), (0.4, 0.5), (8256, 33024), (0.036, 0.041)):
        values = scales.round_numbers(low, high)
        assert 3 <= len(values) <= 8, (low, high)
        assert all(low * 0.999 <= v <= high * 1.001 for v in values)
    assert [scales.number(v) for v in (1e-5, 0.05, 1200, 3e7)] == ["10⁻⁵", "0.05", "1,200", "3·10⁷"]


def test_a_title_is_broken_to_fit():
    lines = wrapped("a title with many words, some of which are " + "W" * 120, WIDTH, TITLE, "bold")
    assert max(inches(line, TITLE, "bold") for line in lines) <= WIDTH + 0.02
