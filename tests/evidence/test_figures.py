"""What a figure draws is what the rows hold."""

import numpy as np
import pandas as pd
import pytest

from archab.evidence import figures
from archab.evidence.verdict import judge


def rows(n: int, effect: float = -0.5):
    rng = np.random.default_rng(3)
    made = [
        {"seed": 0, "member": m, "target": f"{m}-{t}", "side": side, "restart": 0, "nmse": np.exp(-3 + shift + noise)}
        for m in range(2)
        for t in range(n)
        for side, shift, noise in (("a", effect, rng.normal(0, 0.4)), ("b", 0.0, rng.normal(0, 0.4)))
    ]
    return pd.DataFrame(made)


@pytest.mark.parametrize("n", [3, 20, 500])
def test_a_row_of_dots_is_the_differences_of_a_member_and_its_interval(n):
    verdict = judge(rows(n), names=("new $x_1$", "old"))
    axes = figures.differences(verdict).axes[0]
    *_, last = axes.collections
    d = verdict.data.values[:, 1]
    shown = np.sort(np.asarray(last.get_offsets())[:, 0])
    assert len(shown) == min(n, figures.MOST_DOTS)
    within = np.clip(d[~np.isnan(d)], -np.log(4), np.log(4))
    assert np.median(shown) == pytest.approx(np.median(within), abs=0.06)
    intervals = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    member = verdict.members[1]
    assert np.allclose(intervals[-1], np.log([member.ci_low, member.ci_high]))


def test_the_evidence_is_drawn_round_by_round_with_its_crossing():
    verdict = judge(rows(30))
    axes = figures.evidence(verdict).axes[0]
    path = axes.lines[0]
    assert len(path.get_xdata()) == len(verdict.log_e) == 30
    assert path.get_ydata()[4] == pytest.approx(verdict.log_e[4] / np.log(10))
    crossing = axes.lines[-1]
    assert list(crossing.get_xdata()) == [verdict.stop_at]


def test_figures_are_written_as_svg_and_png_and_stay_small(tmp_path):
    files = figures.save(judge(rows(2000)), tmp_path)
    assert {f.name for f in files} == {"differences.svg", "differences.png", "evidence.svg", "evidence.png"}
    assert all(f.stat().st_size < 300_000 for f in files)


def test_one_block_is_drawn_without_an_interval(tmp_path):
    verdict = judge(rows(1))
    figures.save(verdict, tmp_path)
    lines = figures.differences(verdict).axes[0].lines
    assert any(np.isnan(np.asarray(line.get_xdata(), dtype=float)).all() for line in lines)
