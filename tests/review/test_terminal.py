"""The verdict in a terminal: no number is cut at any width, a pipe gets plain ASCII, and the plot shows the rows."""

import io
import re

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from tables import crossed_rows, paired_rows, random_rows, unpaired_rows

from archab.evidence.fields import Verdict
from archab.evidence.verdict import judge
from archab.evidence.words import between, effect
from archab.review.glyphs import ASCII, BLOCKS
from archab.review.terminal import show
from archab.review.terminal.plot import Scale, plot, sparkline


def shown(verdict: Verdict, width: int = 80, terminal: bool = True, **given: object) -> str:
    """What a console of this width prints; a terminal unless it is a pipe."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=str(given.pop("encoding", "utf-8")))
    console = Console(file=out, width=width, force_terminal=terminal, highlight=False, **given)  # type: ignore[arg-type]
    show(console, verdict)
    out.flush()
    return out.buffer.getvalue().decode()  # type: ignore[attr-defined]


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def wide() -> Verdict:
    rows = random_rows(0, members=5, targets=60, effect=0.5)
    return judge(rows.assign(measure=rows["member"].map(lambda m: 1e6 * 2.0**m)), names=("a gate", "plain"))


@pytest.mark.parametrize("width", [60, 72, 80, 100, 140, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_line_is_wider_and_no_number_is_cut(width, terminal):
    verdict = wide()
    text = plain(shown(verdict, width, terminal))
    assert max(map(cell_len, text.splitlines())) <= width
    for member in verdict.members:
        [line] = [line for line in text.splitlines() if line.startswith(f"member {member.member} ")]
        assert effect(member.gmr) in line
        assert between(member.ci_low, member.ci_high) in line
        assert f"{member.typical_a:.2g}" in line
    said = " ".join(line.strip("│| ") for line in text.splitlines())
    assert verdict.sentence() in " ".join(said.split())


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("terminal", [True, False])
def test_names_that_are_cut_say_so_and_stay_apart(width, terminal):
    rows = random_rows(0, members=4, targets=60, effect=0.5)
    sides, members = ("split transformer " * 3, "transformer " * 4), [f"encoder_of_many_layers_{m}" for m in range(4)]
    verdict = judge(rows, names=sides, member_names=members)
    text = plain(shown(verdict, width, terminal))
    found = re.findall(r"(?m)^(?:\W )?(enc\S+)", text)
    assert len(found) == 8
    assert len(set(found[:4])) == len(set(found[4:])) == 4  # in the table, in the plot
    assert all(("…" if terminal else "...") in name for name in found[4:])
    assert all(between(m.ci_low, m.ci_high) in text for m in verdict.members)
    assert "A lower" in text
    assert "split transfor lower" not in text


def test_columns_go_the_least_needed_first():
    heads = {width: plain(shown(wide(), width)).splitlines()[1] for width in (60, 80, 120)}
    assert "size A/B" in heads[120]
    assert "A lower" in heads[120]
    assert "size A/B" not in heads[60]
    assert all("lower error" in head and head.rstrip().endswith("p") for head in heads.values())


def test_a_pipe_and_a_dumb_terminal_get_ascii_and_a_terminal_gets_blocks(monkeypatch):
    verdict = judge(random_rows(0, targets=60, effect=0.5), names=("层", "naïve"), notes=["At most 1 − ε ≤ α."])
    piped = shown(verdict, terminal=False)
    assert {c for c in piped if not c.isascii()} == {"层", "ï"}  # the user's own words
    assert shown(verdict, terminal=False, encoding="ascii").isascii()
    assert "◆" in shown(verdict)
    monkeypatch.setenv("TERM", "dumb")
    assert "◆" not in shown(verdict)
    assert ASCII.text("10⁻¹² to 10⁶×, 3×") == "10^-12 to 10^6x, 3x"


def test_no_color_is_honoured(monkeypatch):
    assert "\x1b[3" in shown(wide(), color_system="truecolor")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|38;|9[0-7])", shown(wide(), color_system="truecolor"))


def test_the_frame_closes_whatever_the_names_are():
    verdict = judge(
        random_rows(0, targets=60, effect=0.5), names=("层" * 30, "b" * 200), member_names=["层层层" * 9, "x"]
    )
    for width in (60, 100):
        lines = plain(shown(verdict, width)).splitlines()
        framed = [line for line in lines if line.startswith(("╭", "│", "╰"))]
        assert {cell_len(line) for line in framed} == {width}


def test_below_60_columns_there_is_no_plot_and_sentences_wrap():
    assert "◆" in plain(shown(wide(), 60))
    assert "◆" not in plain(shown(wide(), 59))


def test_the_scale_holds_every_difference_and_ties_in_the_middle():
    scale = Scale(half=20, reach=4.0)
    d = np.array([-9.0, -np.log(4), -1e-9, 0.0, 0.0, 1e-9, np.log(2), 9.0])
    counts = scale.counts(d)
    assert counts.sum() == len(d)
    assert counts[20] == 2
    assert [counts[0], counts[19], counts[21], counts[40]] == [2, 1, 1, 1]
    assert scale.column(np.log(2)) == 20 + 11  # half of the way to 4, counted from 1


@pytest.mark.parametrize("glyphs", [BLOCKS, ASCII], ids=["blocks", "ascii"])
def test_the_lines_of_the_plot_stand_where_ratio_and_interval_are(glyphs):
    verdict = wide()
    lines = {line.plain.split("  ")[0]: line.plain for line in plot(verdict, 76, glyphs)}
    label = len("member 0") + 2
    beside = 1 + max(len(effect(g)) for g in (verdict.gmr, *(m.gmr for m in verdict.members)))
    d = np.nanmean(verdict.data.values, axis=1)
    from archab.review.ratios import reach

    scale = Scale((76 - label - beside - 1) // 2, reach(d, 1.1))
    for m in verdict.members:
        line = lines[f"member {m.member}"]
        assert line[label + scale.column(m.theta)] == glyphs.point
        first = label + scale.column(np.log(m.ci_low))
        assert line[first] in (glyphs.left, glyphs.point)


def test_the_tallest_bar_is_full_and_none_is_lost():
    verdict = judge(paired_rows({0: [(-3.0, -2.0)] * 8 + [(-2.0, -3.0)]}))
    bars = [line.plain for line in plot(verdict, 70, BLOCKS) if set(line.plain) & set(BLOCKS.bars)]
    assert bars[0].count("█") == 1
    assert bars[1].count("█") == 1
    assert sum(c in BLOCKS.bars for c in bars[1]) == 2


def test_a_sparkline_rises_with_its_series():
    line = sparkline(np.linspace(-1, 8, 40), 1.0, 30, BLOCKS)
    assert len(line) == 30
    assert list(line) == sorted(line)
    assert set(sparkline(np.zeros(5), 3.0, 30, BLOCKS)) == {"▁"}


@pytest.mark.parametrize("case", ["one block", "all diverged", "unpaired", "crossed", "undecided"])
def test_every_kind_of_verdict_is_shown(case):
    rng = np.random.default_rng(0)
    rows = {
        "one block": paired_rows({0: [(-3.0, -2.0)]}),
        "all diverged": random_rows(0).assign(nmse=np.nan),
        "unpaired": unpaired_rows({0: (rng.normal(-3, 0.4, 30).tolist(), rng.normal(-2, 0.4, 30).tolist())}),
        "crossed": crossed_rows(rng.normal(0, 0.3, (12, 2)).tolist()),
        "undecided": random_rows(1, effect=0.02),
    }[case]
    verdict = judge(rows)
    text = " ".join(line.strip("│ ") for line in plain(shown(verdict)).splitlines())
    assert verdict.sentence() in " ".join(text.split())
    assert verdict.next_step in text
    assert "nan" not in text
