"""What a figure draws is what the rows hold: artists against rows, never pixels."""

import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy import stats
from tables import costs, crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.errors import ArchabError
from archab.evidence.e_process import log_e_path
from archab.evidence.family import judge_family
from archab.evidence.fields import Verdict
from archab.evidence.replays import replay
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review import figures
from archab.review.figures import DARK, LIGHT, Absent, Picture, cost, differences, rounds, scales, share, size, training
from archab.review.figures.names import IN_TITLES, LONGEST, LONGEST_MEMBER, named, short
from archab.review.figures.sheet import STYLE, TITLE, WIDTH, inches, wrapped


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


def test_error_by_size_has_a_bar_from_size_to_size_at_one_error_where_they_differ():
    rows = many(200)
    falling = rows.assign(nmse=rows["nmse"] / rows["measure"])
    verdict = judge(falling)
    equal = verdict.equal_error
    picture = size.picture(verdict, "parameters")
    lines, _ = drawn(picture)
    assert equal.larger == "b"
    assert np.allclose(np.exp(np.asarray(lines["equal error"].get_xdata())), [equal.size_a, equal.size_b])
    assert set(lines["equal error"].get_ydata()) == {math.sqrt(equal.error_low * equal.error_high)}
    assert "at one error" in picture.caption
    alike = many(200, effect=0.0, sizes=(1.0, 1.0))
    for other in (judge(alike.assign(nmse=alike["nmse"] / alike["measure"])), judge(many(200, members=1))):
        assert "at one error" not in size.picture(other).caption
        assert "equal error" not in drawn(size.picture(other))[0]


def test_error_by_size_leads_only_where_sizes_are_unequal():
    first = next(p.name for p in figures.pictures(judge(many(100))))
    equal = next(p.name for p in figures.pictures(judge(many(100, sizes=(1.0, 1.0)))))
    assert (first, equal) == ("error_by_size", "differences")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.5, "A reaches a lower error for less training"), (0.5, "A reaches a lower error, for more training"),
     (1.0, "A reaches a lower error for equal training")],
)  # fmt: skip
def test_error_by_cost_draws_what_error_by_size_does_along_the_operations_of_training(ratio, said):
    verdict = judge(many(200), costs=costs(5, ratio))
    picture = cost.picture(verdict)
    assert isinstance(picture, Picture)
    lines, axes = drawn(picture)
    sized, _ = drawn(size.picture(verdict))
    for side, factor in (("a", 1.0), ("b", ratio)):
        assert np.allclose(lines[side].get_ydata(), sized[side].get_ydata())
        at = np.exp(np.asarray(lines[side].get_xdata())) / (1e6 * np.arange(1, 6))
        assert np.allclose(at, factor, rtol=0.05 if ratio == 1 else 1e-9)  # equal ones are drawn apart
    assert axes.get_xlabel() == "training of a student, FLOPs (log)"
    assert (picture.name, picture.title) == ("error_by_cost", said)
    names = [p.name for p in figures.pictures(verdict)]
    assert names.index("error_by_cost") == names.index("error_by_size") + 1


def test_without_the_cost_of_every_member_and_side_the_figure_says_so():
    for known in (None, costs(4), costs(5).assign(training_flops=np.nan), costs(5)[1:]):
        found = cost.picture(judge(many(200), costs=known))
        assert isinstance(found, Absent)
        assert found.why == "What training took is not known of these rows."


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


def test_shares_have_an_interval_at_each_error_and_a_band_at_all(tmp_path):
    verdict = judge(many(200))
    found = share.shares(size.per_target(verdict), 0.05)
    band = math.sqrt(math.log(40) / 400)
    for values in (found.a, found.b):
        p, low, high, lowest, highest = values
        intervals = [stats.binomtest(round(200 * x), 200).proportion_ci(method="wilson") for x in p]
        assert np.allclose([low, high], np.array([(i.low, i.high) for i in intervals]).T)
        assert np.allclose([lowest, highest], np.clip([p - band, p + band], 0, 1))
    picture = share.picture(verdict)
    lines, axes = drawn(picture)
    assert np.allclose(lines["b highest"].get_ydata(), found.b[4])
    said = [t.get_text() for t in axes.get_legend().get_texts()]
    assert said == ["95% pointwise (Wilson)", "95% simultaneous (DKW)"]
    few = share.picture(judge(many(10)))
    assert few.figure().axes[0].get_legend() is None
    assert ("Dvoretzky" in picture.caption, "Dvoretzky" in few.caption) == (True, False)


def test_a_target_that_members_share_is_counted_once_in_intervals_of_shares():
    rows = many(200)
    found = share.shares(size.per_target(judge(rows.assign(target=rows["draw"]))), 0.05)
    p, _, _, lowest, _ = found.b
    assert lowest.max() == pytest.approx(p.max() - math.sqrt(math.log(40) / (2 * 40)))


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
    assert "At home the error is" in picture.title
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
    assert max(map(len, drawn_names)) <= 20
    assert drawn_names[1] == "B"
    assert short("softmax_attention_layer_v2", 20) == "softmax_atten…yer_v2"
    assert short("split transformer", LONGEST) == "split transformer"
    for picture in figures.pictures(verdict):
        if isinstance(picture, Picture):
            picture.figure().canvas.draw()
    text = [t.get_text() for t in size.picture(verdict).figure().axes[0].texts]
    assert any(t.startswith("$\\frac") for t in text)
    assert not any(t.get_parse_math() for t in size.picture(verdict).figure().axes[0].texts)


@pytest.mark.slow
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
    assert max(inches(line, TITLE, "bold") for line in lines) <= WIDTH


WORKED = ("split transformer", "transformer")


@cache
def verdicts() -> dict[str, Verdict]:
    """Verdicts of every kind, with names of every length."""
    rng = np.random.default_rng(0)
    long = ("a_quite_long_name_of_a_side_v2", "WWWWWWWWWWWWWWWWWWWWWWWW")
    apart = rng.normal([-0.4, 0.4], 0.1, (12, 2)).tolist()
    sides = rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist()
    unsized = many(600, members=60, effect=-1.8).drop(columns="measure")
    return {
        "paired": judged(many(100), names=WORKED),
        "undecided": judged(random_rows(1, targets=30, effect=0.02), names=WORKED),
        "long names": judged(many(100), names=long, member_names=["W" * 30] * 5),
        "crossed": judged(crossed_rows(apart), names=("gate", "plain")),
        "crossed, long": judged(crossed_rows(apart, level=-9.0), names=long),
        "crossed, few": judged(crossed_rows(apart[:3]), names=WORKED),
        "unpaired": judged(unpaired_rows({0: sides}), names=WORKED),
        "one member": judged(many(60, members=1), names=WORKED),
        "one block": judged(paired_rows({0: [(-3.0, -2.0)]})),
        "60 members": judged(many(600, members=60), names=WORKED),
        "60 members, no sizes": judged(unsized, names=long),
        "far apart": judged(random_rows(0, targets=60, effect=3.0), names=WORKED),
        "10,000 targets": judged(many(10_000), names=WORKED),
        "one of a family": one_of_a_family(),
    }


def judged(rows: pd.DataFrame, **given) -> Verdict:
    """The verdict on rows whose costs are known."""
    return judge(rows, costs=costs(rows["member"].nunique(), 1.3), **given)


def one_of_a_family() -> Verdict:
    tables = [random_rows(i, targets=60, effect=3.0) for i in range(2)]
    return judge_family([Study(rows, WORKED, label=f"lr={i}", costs=costs(2)) for i, rows in enumerate(tables)])[0]


def all_drawn(
    verdict: Verdict, bare: bool = False, only: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, Figure, RendererAgg]]:
    """Every figure of a verdict as it is saved, drawn."""
    table = curves(len(verdict.members))
    for picture in figures.pictures(named(verdict, IN_TITLES), "parameters", table):
        assert isinstance(picture, Picture)
        if not only(picture.name):
            continue
        figure = picture.figure(bare=bare)
        figure.set_dpi(figures.PIXELS)
        with mpl.rc_context(STYLE):
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
            yield picture.name, figure, renderer


def texts(figure: Figure, renderer: RendererAgg) -> list[tuple[str, Bbox]]:
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in found]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("kind", verdicts())
def test_all_text_is_inside_the_sheet_and_no_two_touch(kind, bare):
    for name, figure, renderer in all_drawn(verdicts()[kind], bare):
        width, height = figure.bbox.width, figure.bbox.height
        found = texts(figure, renderer)
        outside = [t for t, box in found if box.x0 < 0 or box.y0 < -1 or box.x1 > width or box.y1 > height + 1]
        assert outside == [], name
        over = [(s, t) for (s, a), (t, b) in combinations(found, 2) if a.padded(-1).overlaps(b.padded(-1))]
        assert over == [], name


@pytest.mark.parametrize("kind", verdicts())
def test_no_two_figures_have_one_title(kind):
    verdict = verdicts()[kind]
    found = [p.title.lower() for p in figures.pictures(verdict, curves=curves(len(verdict.members)))]
    assert [(s, t) for s, t in combinations(found, 2) if s in t or t in s] == []


@pytest.mark.parametrize("sized", [True, False])
def test_where_there_is_one_size_both_sides_stand_at_it(sized):
    rows = many(60, members=1, sizes=(1.0, 1.0))
    _, axes = drawn(size.picture(judge(rows if sized else rows.drop(columns="measure"))))
    left, right = axes.get_xlim()
    at = [line.get_xdata()[0] for line in axes.lines if line.get_label() in ("a", "b")]
    assert 0.02 < abs(at[0] - at[1]) / (right - left) < 0.1


def test_a_title_claims_no_more_than_the_headline():
    sides = np.random.default_rng(0).normal(-3, 0.4, 30).tolist(), np.random.default_rng(1).normal(-2, 0.4, 30).tolist()
    direct = judge(unpaired_rows({0: sides}).assign(measure=100.0), names=("gate", "plain"))
    mixed = many(600, members=3, effect=-1.0, sizes=(1.0, 1.0))
    mixed.loc[(mixed["member"] == 2) & (mixed["side"] == "a"), "nmse"] *= math.exp(1.4)
    disagreeing = judge(mixed, names=("gate", "plain"))
    assert (direct.verdict, disagreeing.verdict) == ("a_better", "a_better")
    for verdict in (direct, disagreeing):
        for title in [p.title for p in figures.pictures(verdict, curves=curves(3))]:
            assert not re.search(r"reaches a lower|learns better", title), title
    own = [p.title for p in figures.pictures(direct) if p.name in ("error_by_size", "share_within")]
    assert all("targets of its own" in title for title in own)


def test_members_whose_short_names_would_be_one_are_told_apart():
    names = [f"a_long_family_name heads={h} hidden=64" for h in (1, 2, 4)]
    shown = named(judge(many(60, members=3), member_names=names)).member_names
    assert len(set(shown)) == 3
    assert max(map(len, shown)) <= LONGEST_MEMBER
    assert named(judge(many(60, members=2), member_names=["rank 1", "rank 2"])).member_names == ("rank 1", "rank 2")


@pytest.mark.parametrize("fall", [0.1, 5.0])
def test_the_sides_of_training_curves_are_named_within_their_panel(fall):
    table = curves(5)
    columns = ["q25", "q50", "q75"]
    falling = np.exp(-fall * table["step"] / 100) + 0.01
    table[columns] = (table[columns] * 0 + 1).mul(falling, axis=0) * [0.8, 1, 1.2]
    table.loc[table["side"] == "a", columns] *= 1.3
    picture = next(p for p in figures.pictures(judge(many(100)), curves=table) if p.name == "training")
    assert isinstance(picture, Picture)
    figure = picture.figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    first = figure.axes[0]
    assert [t.get_text() for t in first.texts] == ["A", "B"]
    for text in first.texts:
        box = text.get_window_extent(renderer)
        assert first.bbox.y0 <= box.y0
        assert box.y1 <= first.bbox.y1
        assert not box.overlaps(first.title.get_window_extent(renderer))


def test_of_very_many_members_some_are_shown_and_rows_without_dots_claim_none():
    verdict = judge(many(600, members=60))
    picture = differences.picture(verdict)
    lines, axes = drawn(picture)
    shown = [label.removesuffix(" ratio") for label in lines if label.endswith(" ratio")]
    assert len(shown) == 1 + differences.MOST_ROWS
    assert (shown[1], shown[-1]) == ("member 0", "member 59")
    assert "12 of 60 members are shown" in picture.caption
    assert picture.caption.startswith("In the top row a dot is 1/100 of the 600 targets; members' rows have no dots.")
    assert len([c for c in axes.collections if c.get_label() in shown]) == 1
    assert "members" not in differences.picture(judge(many(100))).caption.replace("members: of a single look", "")


def test_rows_that_would_be_empty_are_left_out():
    verdict = judge(many(60, members=60))
    assert "Too few" in verdict.reason
    picture = differences.picture(verdict)
    assert picture.caption.startswith("A dot is a target.")
    assert "shown" not in picture.caption
    assert "member 3" not in [t.get_text() for t in picture.figure().texts]


def test_what_lies_beyond_the_axis_has_an_arrow_at_its_end():
    near, far = [(-3.0 - 0.01 * i, -3.0) for i in range(12)], [(-8.0, -1.0), (-1.0, -8.0)]
    verdict = judge(paired_rows({0: near * 40, 1: far * 4}))
    lines, axes = drawn(differences.picture(verdict))
    left, right = axes.get_xlim()
    ends = {float(line.get_xdata()[0]) for line in axes.lines if line.get_label() == "member 1 beyond"}
    assert ends == {left, right}
    assert "member 0 beyond" not in {str(line.get_label()) for line in axes.lines}
    verdict = judge(paired_rows({0: near * 40, 1: [(-8.0, -1.0 + 0.01 * i) for i in range(8)]}))
    lines, axes = drawn(differences.picture(verdict))
    assert "member 1 ratio" not in lines
    assert lines["member 1 beyond"].get_xdata() == [axes.get_xlim()[0]]


def test_the_sides_are_named_alike_over_the_differences():
    for verdict in verdicts().values():
        heads = [t.get_text() for t in differences.picture(verdict).figure().texts if " lower" in t.get_text()]
        heads = [head for head in heads if "←" in head or "→" in head]
        for head, letter, name in zip(heads, "AB", named(verdict).names, strict=True):
            assert f"{letter} {name} lower" in head or name == letter


@pytest.mark.parametrize("kind", verdicts())
def test_shares_are_named_in_the_order_of_their_values_and_off_the_curves(kind):
    verdict = verdicts()[kind]
    for _, figure, renderer in all_drawn(verdict, only="share_within".__eq__):
        axes = figure.axes[0]
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        upper, lower = boxes
        assert upper.y0 >= lower.y1 - 1
        found = share.shares(size.per_target(verdict), 0.05).at
        order = [n for _, n in sorted(zip(found, named(verdict).names, strict=True), key=lambda pair: -pair[0])]
        assert [t.get_text().rsplit(" ", 1)[0] for t in axes.texts] == order
        for line in axes.lines:
            if line.get_label() in "ab":
                path = axes.transData.transform(np.column_stack(line.get_data()))
                fine = np.concatenate([np.linspace(p, q, 50) for p, q in pairwise(path)])
                on = [((fine > [b.x0, b.y0]) & (fine < [b.x1, b.y1])).all(1).any() for b in boxes]
                assert not any(on), kind


def test_where_the_evidence_leaves_the_figure_an_arrow_and_its_end_say_so():
    verdict = judge(random_rows(0, targets=60, effect=3.0))
    lines, axes = drawn(rounds.picture(verdict))
    top = axes.get_ylim()[1]
    first = int(np.argmax(np.array(verdict.log_e) / math.log(10) > top)) + 1
    [x], [y] = lines["beyond"].get_data()
    assert y == top
    assert first - 1 <= x <= first
    [end] = [t for t in axes.texts if t.get_text().startswith("to E = 10")]
    assert end.xy == (x, top)
    lines, axes = drawn(rounds.picture(judge(many(100))))
    assert "beyond" not in lines
    assert not [t for t in axes.texts if t.get_text().startswith("to ")]


def test_in_a_family_the_line_decides_for_one_configuration_alone():
    verdict = one_of_a_family()
    assert verdict.verdict == "a_better"
    picture = rounds.picture(verdict)
    assert picture.title == f"E first reached 20 in round {verdict.stop_at} of 60"
    assert "20 decides for one configuration alone" in picture.alt
    said = [t.get_text().replace("\n", " ") for t in picture.figure().axes[0].texts]
    assert "20: decides for one configuration alone" in said
    assert "20: decided" not in said


def test_the_crossed_figure_promises_the_intervals_that_it_draws():
    for kind, said in (("crossed", "with their 95% intervals"), ("crossed, few", "too little data for an interval")):
        picture = figures.pictures(verdicts()[kind])[0]
        drawn_ones = [
            line for axes in picture.figure().axes[1:] for line in axes.lines if "interval" in line.get_label()
        ]
        assert said in picture.caption
        assert bool(drawn_ones) == ("intervals" in picture.caption)


def test_letters_that_stand_for_names_are_explained():
    [crossed] = [p for p in figures.pictures(verdicts()["crossed, few"]) if p.name == "crossed"]
    [panels] = [p for p in figures.pictures(verdicts()["paired"], curves=curves(5)) if p.name == "training"]
    for picture in (crossed, panels):
        assert "A: split transformer; B: transformer." in picture.caption


def test_bare_files_have_neither_title_nor_caption(tmp_path):
    verdict = judge(many(100))
    [file, *_] = figures.save(verdict, tmp_path / "bare", suffixes=("svg",), bare=True)
    [whole, *_] = figures.save(verdict, tmp_path / "whole", suffixes=("svg",))
    assert file.name == whole.name
    assert "replicate" in whole.read_text()
    assert "replicate" not in file.read_text()


def test_thousands_are_parted():
    verdict = judged(many(10_000))
    for name, figure, renderer in all_drawn(verdict):
        for text, _ in texts(figure, renderer):
            assert not re.search(r"(?<![.\d])\d{4}", text), (name, text)
    assert "of 2,000 rounds" in rounds.picture(verdict).title
    rare = judge(many(100), alpha=1e-4)
    assert "10,000: decided" in [t.get_text() for t in rounds.picture(rare).figure().axes[0].texts]
