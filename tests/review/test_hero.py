"""The hero draws the verdict: its sentence, its sizes, its differences, its crossing, and the functions it is given."""

import math
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from tables import crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.errors import ArchabError
from archab.evidence import sentences
from archab.evidence.family import judge_family
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review.context import Context
from archab.review.figures.hero import hero, write
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.sheet import STYLE
from archab.review.functions import Functions, typical


def decided():
    rows = random_rows(0, members=3, targets=60, effect=0.6)
    sizes = {(m, s): 100.0 * (m + 1) * (1.5 if s == "b" else 1.0) for m in range(3) for s in "ab"}
    rows["measure"] = [sizes[m, s] for m, s in zip(rows["member"], rows["side"], strict=True)]
    return judge(rows, names=("gate", "plain"))


def waves() -> Functions:
    x = np.linspace(0, 1, 50)
    targets = np.array([np.sin((k + 2) * x) for k in range(9)])
    return Functions(x, targets, 4, targets[4] + 0.1, targets[4] - 0.1)


def texts(figure) -> str:
    return "\n".join(t.get_text() for t in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)])


def test_every_part_is_drawn_from_the_verdict_and_the_functions():
    verdict, functions = decided(), waves()
    figure = hero(verdict, Context(unit="parameters", question="Does it?"), functions, LIGHT)
    said = texts(figure)
    d = np.nanmean(verdict.data.values, axis=1)
    for text in (verdict.sentence().rstrip("."), "Does it?", "100 to 450 parameters", "180 targets",
                 f"lower on {(d < 0).sum()} of 180", f"after round {verdict.stop_at} of 60"):  # fmt: skip
        assert text in said
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    assert np.allclose(lines["target"].get_ydata(), functions.targets[4])
    assert np.allclose(lines["a"].get_ydata(), functions.a)
    assert np.allclose(lines["b"].get_ydata(), functions.b)
    assert np.allclose(lines["all interval"].get_xdata(), np.log(verdict.interval()))
    assert lines["all ratio"].get_xdata() == pytest.approx([verdict.theta])
    assert lines["crossing"].get_xdata() == pytest.approx([verdict.stop_at])
    bars = [p.get_width() for axes in figure.axes for p in axes.patches if str(p.get_label()).startswith(("a ", "b "))]
    assert np.allclose(sorted(bars), sorted(size / 450 for size in (100, 200, 300, 150, 300, 450)))


def test_what_is_said_is_never_cut():
    question = "Does tanh on queries and keys, just before their product, make a transformer learn better than without?"
    names = ("a_quite_long_name_of_a_side_v2", "softmax_attention_layer_with_bias")
    verdict = judge(decided().data.students, names=names)
    reference = "fully connected networks of rather many layers with a very long description"
    said = " ".join(texts(hero(verdict, Context(question=question, reference=reference), waves(), LIGHT)).split())
    for whole in (verdict.sentence().rstrip("."), sentences.of_size(verdict), question, reference,
                  "a typical one, along a line"):  # fmt: skip
        assert whole in said


def test_without_functions_it_has_three_parts():
    said = texts(hero(decided(), Context(), None, LIGHT))
    assert "two architectures" in said
    assert "both learn each one" not in said


def test_it_is_written_for_light_and_dark_paper_in_the_format_of_its_name(tmp_path):
    for suffix in ("png", "svg", "pdf"):
        write(decided(), tmp_path / f"x.{suffix}", functions=waves())
        assert {f.name for f in tmp_path.glob(f"*.{suffix}")} == {f"x.{suffix}", f"x-dark.{suffix}"}
    assert LIGHT.b in (tmp_path / "x.svg").read_text()
    assert DARK.b in (tmp_path / "x-dark.svg").read_text()
    with pytest.raises(ArchabError, match=r"one of \.png, \.svg, \.pdf"):
        write(decided(), tmp_path / "x.jpg")
    with pytest.raises(ArchabError, match="cannot be written"):
        write(decided(), tmp_path / "absent" / "x.png")


@pytest.mark.parametrize("case", ["one block", "unpaired", "crossed", "all diverged", "undecided", "long names"])
def test_every_kind_of_verdict_has_a_hero(case):
    rng = np.random.default_rng(0)
    rows = {
        "one block": paired_rows({0: [(-3.0, -2.0)]}),
        "unpaired": unpaired_rows({0: (rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist())}),
        "crossed": crossed_rows(rng.normal(0, 0.05, (12, 2)).tolist()),
        "all diverged": random_rows(0).assign(nmse=np.nan),
    }.get(case, random_rows(1, effect=0.02))
    names = ("$x^2_1$ <b>" * 20, "层") if case == "long names" else ("A", "B")
    for palette in (LIGHT, DARK):
        hero(judge(rows, names=names), Context(), waves(), palette).canvas.draw()


def test_the_typical_target_is_the_one_nearest_its_members_mean():
    d = [-1.0, -0.2, 0.1, -0.35, -0.5]  # their mean is −0.39
    verdict = judge(paired_rows({0: [(-2 + x, -2.0) for x in d]}))
    for among, draw in ((16, 3), (3, 1)):
        found = typical(verdict, among)
        assert found is not None
        assert (found.seed, found.member, found.draw, found.source) == (0, 0, draw, "reference")
        assert (found.a, found.b) == pytest.approx((-2 + d[draw], -2.0))


def test_where_nothing_is_between_the_sides_the_typical_target_is_not_one_that_neither_learnt():
    pairs = [(0.0, 0.0), (-3.0, -2.8), (-3.1, -3.05), (-2.8, -3.0), (-3.0, -3.2), (0.0, 0.0), (-6.0, -5.9)]
    found = typical(judge(paired_rows({0: pairs})), 16)
    assert found is not None
    assert found.draw in (1, 2, 3, 4)


def test_an_unpaired_verdict_has_no_typical_target():
    rng = np.random.default_rng(0)
    rows = unpaired_rows({0: (rng.normal(-3, 0.4, 9).tolist(), rng.normal(-2, 0.4, 9).tolist())})
    assert typical(judge(rows), 16) is None
    assert math.isnan(judge(rows).prob_low)


@pytest.mark.parametrize(
    "names", [("split transformer", "transformer"), ("A", "B"), ("gate", "softmax_attention_layer_v2"), ("W" * 30, "b")]
)
@pytest.mark.parametrize("effect", [0.6, 3.0, 0.02])
def test_nothing_touches_and_nothing_leaves_the_picture(names, effect):
    verdict = judge(random_rows(0, members=3, targets=60, effect=effect), names=names)
    for functions in (waves(), None):
        figure = hero(verdict, Context(reference="fully connected networks"), functions, LIGHT)
        figure.set_dpi(200)
        with mpl.rc_context(STYLE):
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
            found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
            boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in found]
        near = [(s, t) for (s, a), (t, b) in combinations(boxes, 2) if a.padded(6, -1).overlaps(b)]
        assert near == []
        width, height = figure.bbox.width, figure.bbox.height
        assert [t for t, b in boxes if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height] == []


def test_the_names_of_the_worked_example_stand_whole_in_every_part():
    verdict = judge(random_rows(0, members=3, targets=60, effect=0.6), names=("split transformer", "transformer"))
    said = texts(hero(verdict, Context(), waves(), LIGHT))
    assert "…" not in said
    assert "← split transformer" in said
    assert "transformer →" in said


def test_one_of_a_family_is_not_said_to_be_decided_by_its_line():
    tables = [random_rows(i, targets=60, effect=0.9) for i in range(2)]
    verdict = judge_family([Study(rows, label=f"lr={i}") for i, rows in enumerate(tables)])[0]
    assert verdict.verdict == "a_better"
    said = texts(hero(verdict, Context(), waves(), LIGHT))
    assert "decided" not in said
    assert "after 60 rounds" in said
    assert "E = 20" in said
