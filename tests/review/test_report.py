"""A report says what the verdict says, escapes what users write, asks nobody for anything, names what is missing."""

import io
import re
import time
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pages import Page, page
from rich.console import Console
from tables import costs, crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.errors import ArchabError
from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.family import judge_family
from archab.evidence.fields import Verdict
from archab.evidence.notes import Note
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review import paper, report, terminal
from archab.review.context import Context
from archab.review.figures import LIGHT, differences
from archab.review.figures.hero import hero
from archab.review.markdown import described
from archab.review.report.strip import strip

CONTEXT = Context(
    heading="gates",
    question="Does a gate learn better?",
    protocol="reference",
    reference="full matrices",
    heldout=512,
    unit="parameters",
    commands=("python -m archab -m +space=gates 'seed=0'", "archab-compare --space gates --report page.html"),
    versions={"trained by archab": "0.1.0"},
    config="space:\n  a: gate\n",
)


def written(folder: Path, *verdicts: Verdict, contexts: tuple[Context, ...] = ()) -> tuple[str, Page]:
    """The page's source, and the page taken apart."""
    report.write(verdicts, folder / "page.html", contexts)
    source = (folder / "page.html").read_text()
    return source, page(source)


@pytest.fixture
def text_alone(monkeypatch) -> None:
    """Pages with one figure, since figures take most of the time that a page does."""
    monkeypatch.setattr(report, "pictures", lambda verdict, *given: [differences.picture(verdict)])


def decided() -> Verdict:
    return judge(random_rows(0, targets=60, effect=0.6), names=("gate", "plain layer"), notes=["Not tuned."])


@pytest.mark.usefixtures("text_alone")
def test_the_answer_comes_first_then_the_evidence_then_how_to_do_it_again(tmp_path):
    verdict = decided()
    source, found = written(tmp_path, verdict, contexts=(CONTEXT,))
    assert found.within("h1") == verdict.sentence()
    order = [
        sentences.of_range(verdict)[:20],
        "Why you can trust it",
        "What it cannot say",
        "The evidence",
        "Do it again",
    ]
    places = [source.index(text) for text in order]
    assert places == sorted(places)
    for said in ("Does a gate learn better?", *CONTEXT.commands, "a: gate", "0.1.0", "Not tuned.", "512 inputs"):
        assert said in found.outside("style")


@pytest.mark.usefixtures("text_alone")
@pytest.mark.parametrize(
    ("note", "said"),
    [
        (Note("tuned", "Tuned alike: 4 learning rates."), "Which is better at values that were not tried."),
        (Note("not tuned", "Shared learning rate, not tuned."), "Which is better after tuning."),
    ],
)
def test_what_a_page_cannot_say_of_tuning_is_what_was_not_tuned(tmp_path, note, said):
    verdict = judge(random_rows(0, targets=20, effect=0.6), names=("gate", "plain"), notes=[note])
    source, _ = written(tmp_path, verdict)
    assert said in source


@pytest.mark.usefixtures("text_alone")
def test_caveats_are_one_line_right_under_the_headline_wherever_a_verdict_is_shown(tmp_path):
    rng = np.random.default_rng(0)
    rows = unpaired_rows({0: (rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist())})
    notes = [
        Note("not tuned", "Shared learning rate, not tuned."),
        Note("still falling", "It fell by 14%."),
        "By hand.",
    ]
    verdict = judge(rows, names=("gate", "plain"), notes=notes)
    line = f"Mind: {'; '.join(verdict.caveats)}."
    assert len(verdict.caveats) == 3
    _, found = written(tmp_path, verdict)
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    terminal.show(console, verdict)
    shown = " ".join(console.file.getvalue().replace("│", " ").split())
    fragment = page(report.fragment(verdict))
    for text in (found.within("body"), fragment.outside("style"), described([verdict]), shown):
        places = [text.index(said) for said in (verdict.sentence(), line, sentences.of_range(verdict))]
        assert places == sorted(places)
        between = text[places[0] + len(verdict.sentence()) : places[1]]
        assert not re.search(r"\w", between)
    assert line in "\n".join(t.get_text() for t in hero(verdict, Context(), None, LIGHT).texts)
    assert 'class="caveats"' not in written(tmp_path, judge(random_rows(0, targets=60, effect=0.6)))[0]


@pytest.mark.usefixtures("text_alone")
def test_sizes_at_equal_error_are_said_wherever_a_verdict_is_shown_and_else_the_page_says_why_not(tmp_path):
    rows = random_rows(0, targets=60, members=3, effect=0.6)
    falling = rows.assign(nmse=rows["nmse"] / 2.0 ** rows["member"], measure=100.0 * 2.0 ** rows["member"])
    for table, why in ((falling, ""), (falling.assign(source="a"), "Each size has a prior of its own")):
        verdict = judge(table, names=("gate", "plain"))
        line = sentences.of_equal_error(verdict)
        assert line.startswith("At equal error") == (not why)
        _, found = written(tmp_path, verdict)
        console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
        terminal.show(console, verdict)
        shown = " ".join(console.file.getvalue().replace("│", " ").split())
        assert all(
            line in text for text in (found.within("body"), page(report.fragment(verdict)).outside("style"), shown)
        )
        assert ("At equal error" in shown) == (not why)
        assert ("Which is larger at equal error." in found.within("body")) == bool(why)
        assert why in found.within("body")


def test_the_linear_fit_is_a_column_of_the_description_where_it_is_known():
    rows = random_rows(0, targets=60, effect=0.6)
    for known, head in (
        (rows.assign(linear=0.25), "| member | A | B | linear fit | lower error | p |"),
        (rows, "| member | A | B | lower error | p |"),
    ):
        lines = [line for line in described([judge(known)]).splitlines() if line.startswith("|")]
        assert lines[0] == head
        assert {line.count("|") for line in lines} == {head.count("|")}
        assert ("0.25" in lines[2].split("|")[4]) == ("linear" in known)


def test_no_address_no_script_and_no_id_twice(tmp_path):
    _, found = written(tmp_path, decided(), judge(random_rows(1)), contexts=(CONTEXT, CONTEXT))
    assert "script" not in found.tags
    links = [value for _, name, value in found.attributes if name in ("src", "href", "xlink:href")]
    assert all(link.startswith(("data:", "#")) for link in links)
    styles = [value for _, name, value in found.attributes if name in ("style", "clip-path")]
    assert all(target.startswith("#") for style in styles for target in re.findall(r"url\(([^)]*)", style))
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    ids = Counter(value for _, name, value in found.attributes if name == "id")
    assert ids.most_common(1)[0][1] == 1
    wanted = {link[1:] for link in links if link.startswith("#")}
    assert wanted <= set(ids)


@pytest.mark.usefixtures("text_alone")
def test_the_page_has_a_table_of_costs_where_they_are_known(tmp_path):
    known = costs(2, 1.5).astype({"steps": float})
    known.loc[known["side"] == "b", ["steps", "training_flops"]] = np.nan
    source, found = written(tmp_path, judge(random_rows(0, targets=60), costs=known))
    assert "<h2>Cost</h2>" in source
    for cells in ("3,200 / 3,200", "190 / 190", "400 / –", "10⁶ / –", "2·10⁶ / –", "0.012 / 0.018"):
        assert cells in found.outside("style")
    assert "<h2>Cost</h2>" not in written(tmp_path, decided())[0]


def test_every_figure_is_described_for_who_cannot_see_it(tmp_path):
    verdict = decided()
    _, found = written(tmp_path, verdict)
    labels = [value for tag, name, value in found.attributes if tag == "svg" and name == "aria-label"]
    images = [value for tag, name, value in found.attributes if tag == "svg" and name == "role"]
    assert len(labels) == len(images) == 5  # the strip and four figures; a table without curves has no fifth
    assert all(len(label) > 20 for label in labels)


HOSTILE = '<script>alert(1)</script> & "$\\frac{1}{2}$" {{ 7 * 7 }}'


def test_what_users_write_is_text(tmp_path):
    rows = random_rows(0, targets=60, effect=0.6)
    verdict = judge(rows, names=(HOSTILE, "b" * 300), member_names=[HOSTILE, "$x_1^2$"], notes=[HOSTILE])
    context = Context(heading=HOSTILE, question=HOSTILE, commands=(HOSTILE,), config=HOSTILE, unit=HOSTILE)
    _, found = written(tmp_path, verdict, contexts=(context,))
    assert "script" not in found.tags
    assert found.outside("style").count(HOSTILE) >= 6
    fragment = page(report.fragment(verdict))
    assert "script" not in fragment.tags
    assert HOSTILE in fragment.outside("style")


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,.]*\d|\d", text))


@pytest.mark.parametrize(("seed", "targets", "effect"), [(0, 60, 0.6), (1, 87, 0.9), (2, 30, 0.02)])
@pytest.mark.usefixtures("text_alone")
def test_every_number_of_the_text_is_the_verdicts(seed, targets, effect, tmp_path):
    verdict = judge(random_rows(seed, targets=targets, effect=effect), names=("gate", "plain"))
    _, found = written(tmp_path, verdict)
    d = np.nanmean(verdict.data.values, axis=1)
    # The level, the rate, the margin, the threshold, the error of a constant and where scores are clipped.
    method = {"95", "5", "0.05", "10", "20", "1", "100"}
    rows = {f"{n:,}" for n in (verdict.blocks, verdict.students.a, (d < 0).sum(), (d > 0).sum(), len(verdict.members))}
    fixed = numbers(words.span(verdict.ci_low, verdict.ci_high, verdict.names)) | numbers(
        words.p_is(verdict.p_value) + words.p_is(verdict.p_wilcoxon)
    )
    member = {"0", "1"}
    text = found.outside("style", "svg", "figure", "pre", "table")
    cited = numbers(" ".join(reference.cited for reference in paper.references(verdict)))
    unexplained = numbers(text) - numbers(verdict.paragraph()) - method - rows - fixed - member - cited
    assert not unexplained


@pytest.mark.parametrize(
    "case", ["one block", "all diverged", "errors below 1e-12", "a member is missing", "A diverged"]
)
def test_a_page_of_an_extreme_table_is_right_and_says_what_is_missing(case, tmp_path):
    rows = random_rows(0, members=3, targets=60)
    if case == "one block":
        rows = paired_rows({0: [(-3.0, -2.0)]})
    elif "diverged" in case:
        rows["nmse"] = rows["nmse"].mask((rows["side"] == "a") | (case == "all diverged"))
    elif "1e-12" in case:
        rows["nmse"] *= 1e-13
    else:
        rows = rows[rows["member"] != 1]
    verdict = judge(rows)
    _, found = written(tmp_path, verdict)
    text = found.outside("style")
    assert found.within("h1") == verdict.sentence()
    assert "No training curves in this table." in text
    assert "The table holds no sizes." in text
    assert "The configuration behind these rows is not known." in text
    assert not re.search(r"\bnan\b|\binf\b|None", found.outside("style", "pre"))
    if case == "one block":
        assert strip(verdict) is None
        assert "interval" not in found.within("h1")
    if case == "A diverged":
        assert "100% of A's students had an error of 1 or more" in text
    if case == "a member is missing":
        assert "member 0" in text
        assert "member 1" not in text


@pytest.mark.usefixtures("text_alone")
def test_a_direct_comparison_says_that_skill_and_difficulty_are_confounded(tmp_path):
    rng = np.random.default_rng(0)
    verdict = judge(unpaired_rows({0: (rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist())}))
    _, found = written(tmp_path, verdict)
    assert "skill and difficulty are confounded" in found.within("li")
    assert "Lower error" not in found.within("dt")


@pytest.mark.usefixtures("text_alone")
def test_a_crossed_comparison_counts_pairs(tmp_path):
    verdict = judge(crossed_rows(np.random.default_rng(0).normal(0, 0.1, (12, 2)).tolist()))
    _, found = written(tmp_path, verdict)
    assert "12 pairs of targets" in found.within("dd")
    assert found.within("h3").startswith("1. ")


@pytest.mark.usefixtures("text_alone")
def test_an_undecided_verdict_says_what_to_type(tmp_path):
    command = "python -m archab -m +space=gates 'name=a: b'"
    verdict = judge(random_rows(1, targets=30, effect=0.1), command=command)
    source, found = written(tmp_path, verdict)
    sentence, typed = verdict.next_step.split(": ", 1)
    assert typed.startswith(command)
    assert f"<p>{sentence}:</p>" in source
    assert typed in found.within("code")
    assert typed not in found.outside("code", "style")
    assert typed in page(verdict._repr_html_()).within("code")
    assert "That the sides are equal." in found.within("li")


@pytest.mark.usefixtures("text_alone")
def test_where_there_is_nothing_to_type_the_next_step_is_a_sentence(tmp_path):
    verdict = judge(random_rows(3, effect=0.02))
    _, found = written(tmp_path, verdict)
    assert "in sight" in verdict.next_step
    assert verdict.next_step in found.within("p")
    assert "code" not in found.tags


@pytest.mark.parametrize("effect", [0.6, 0.02])
@pytest.mark.parametrize("names", [("المحول المنقسم", "המרה"), ("gate & <b>amp</b>", "amp"), ("分割変換器", "変換器")])
@pytest.mark.usefixtures("text_alone")
def test_every_name_of_a_side_is_set_apart_from_the_direction_around_it(names, effect, tmp_path):
    verdict = judge(random_rows(0, targets=60, effect=effect), names=names, notes=[f"{names[0]} was tuned."])
    _, found = written(tmp_path, verdict)
    for part in (found, page(report.fragment(verdict))):
        bare = part.outside("bdi", "style", "title", "svg", "pre")
        assert not [name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", bare)]
        assert all(part.within("bdi").count(name) >= 3 for name in names)
    assert found.within("h1") == verdict.sentence()


def test_right_to_left_words_in_a_drawing_leave_the_numbers_where_they_are(tmp_path):
    names = ("المحول المنقسم", "plain")
    source, _ = written(tmp_path, judge(random_rows(0, targets=60, effect=0.6), names=names))
    drawn = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", source) if names[0] in text]
    assert drawn
    assert all(f"\u2068{names[0]}\u2069" in text for text in drawn)


def family(k: int) -> list[Verdict]:
    rows = [random_rows(i, members=1, targets=30, effect=0.5) for i in range(k)]
    return judge_family([Study(table, label=f"lr={i}") for i, table in enumerate(rows)])


@pytest.mark.usefixtures("text_alone")
def test_several_configurations_stand_in_one_table_with_a_section_each(tmp_path):
    verdicts = family(2)
    _, found = written(tmp_path, *verdicts)
    assert found.within("h1") == "2 configurations"
    assert [value for tag, name, value in found.attributes if (tag, name) == ("a", "href")] == ["#c0", "#c1"]
    assert found.tags.count("section") == 6
    assert all(v.sentence() in found.within("h2") for v in verdicts)


def test_a_page_of_very_many_configurations_leaves_the_figures_out_and_says_so(tmp_path):
    _, found = written(tmp_path, *family(report.MOST_WITH_FIGURES + 1))
    assert "figure" not in found.tags
    assert "leaves the figures out" in found.within("p")


def test_a_file_that_cannot_be_written_is_one_message(tmp_path):
    with pytest.raises(ArchabError, match="cannot be written"):
        report.write([decided()], tmp_path / "absent" / "page.html")


def test_the_strip_places_interval_and_margin_to_scale():
    verdict = decided()
    shown = strip(verdict)
    assert shown is not None
    low, high = verdict.interval()
    # Three known ratios fix the scale: equal and both ends of the margin.
    middle = next(tick.at for tick in shown.ticks if tick.text == "equal")
    unit = (shown.band[1] - middle) / np.log(verdict.margin)
    assert shown.at - middle == pytest.approx(unit * verdict.theta)
    assert [shown.low - middle, shown.high - middle] == pytest.approx(unit * np.log([low, high]))
    tick = next(t for t in shown.ticks if t.text == "20%" and t.at < middle)
    assert tick.at - middle == pytest.approx(unit * np.log(0.8))


def test_a_notebook_shows_the_verdict_as_a_fragment():
    verdict = decided()
    found = page(verdict._repr_html_())
    assert "html" not in found.tags
    assert "28%" not in found.outside("style") or "28%" in verdict.paragraph()
    assert sentences.of_range(verdict) in found.within("p")
    assert found.tags.count("svg") >= 2


def test_a_fragment_is_dark_where_the_notebook_or_the_system_is():
    source = report.fragment(decided())
    assert "@media (prefers-color-scheme: dark)" in source
    assert '[data-jp-theme-light="false"] .archab' in source
    colours = re.sub(r"--[a-z]+: #[0-9a-f]{6}", "", source)
    assert not re.findall(r"#[0-9a-f]{6}\b", colours)


def test_templates_and_style_are_in_the_wheel(tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    root = Path(report.__file__).parents[3]
    [wheel] = list(WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    names = zipfile.ZipFile(wheel).namelist()
    wanted = {f"archab/review/report/{file.name}" for file in Path(report.__file__).parent.glob("*.*")}
    assert {name for name in wanted if not name.endswith(".pyc")} <= set(names)


@pytest.mark.slow
def test_a_report_over_200_runs_of_1000_rows_takes_seconds_and_little_memory(tmp_path):
    rng, each = np.random.default_rng(0), 20_000
    rows = pd.concat(
        pd.DataFrame(
            {
                "seed": np.arange(each) // 100, "member": member, "target": [f"{member}-{i}" for i in range(each)],
                "draw": np.arange(each) % 100, "side": side, "restart": 0, "measure": 100.0 * (member + 1),
                "nmse": np.exp(level + shift + rng.normal(0, 0.3, each)),
            }
        )
        for member in range(5) for level in [rng.normal(-3, 0.5, each)] for side, shift in (("a", -0.05), ("b", 0.0))
    )  # fmt: skip
    started = time.monotonic()
    verdict = judge(rows)
    tracemalloc.start()
    report.write([verdict], tmp_path / "page.html")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.monotonic() - started < 15
    assert peak < 200e6
    assert (tmp_path / "page.html").stat().st_size < 1_000_000
