"""The strip of a verdict draws its rows, and its file is small and says what the figure says."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from archab.evidence.fields import Verdict
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.slim import slim
from archab.review.figures.strip import MOST, strip, svg
from archab.review.finding import effects


def verdict(targets: int = 12, members: int = 2) -> Verdict:
    rng = np.random.default_rng(0)
    rows = [
        (0, m, t, side, 0, 0.1 * math.exp(rng.normal(0, 0.2) - 0.4 * (side == "a")))
        for m in range(members)
        for t in range(targets)
        for side in "ab"
    ]
    table = pd.DataFrame(rows, columns=["seed", "member", "target", "side", "restart", "nmse"])
    return judge(Study(table, names=("new: 0.12345", "old"), member_names=["width 8", "width 16"][:members]))


def points(figure, colour: str) -> int:
    """Dots of a colour."""
    lines = [line for line in figure.axes[0].lines if line.get_solid_capstyle() == "round"]
    return sum(int(np.isfinite(line.get_xdata()).sum()) // 2 for line in lines if line.get_color() == colour)


def test_there_is_a_dot_for_each_target_in_the_colour_of_the_lower_side():
    found = verdict()
    figure, differences = strip(found, LIGHT), np.nanmean(found.data.values, axis=1)
    assert points(figure, LIGHT.a) == (differences < 0).sum()
    assert points(figure, LIGHT.b) == (differences > 0).sum()
    many = strip(verdict(targets=100), LIGHT)
    assert points(many, LIGHT.a) + points(many, LIGHT.b) == MOST


@pytest.mark.parametrize("members", [1, 2])
def test_each_row_has_its_ratio_where_it_is(members):
    found = verdict(members=members)
    drawn = {line.get_label(): line for line in strip(found, LIGHT).axes[0].lines}
    for effect in effects(found)[: 1 if members == 1 else None]:
        assert drawn[f"{effect.name} ratio"].get_xdata() == pytest.approx([math.log(effect.gmr)])


def test_the_file_is_small_and_keeps_every_word():
    text = svg(verdict(), DARK)
    assert text == svg(verdict(), DARK)
    assert len(text) < 7_000
    root = ElementTree.fromstring(text)
    said = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert said[0] == verdict().sentence()
    assert "← new: 0.12345 lower" in said
    assert {"all", "width 8", "width 16"} <= set(said)
    assert DARK.bg in text


def test_too_few_targets_are_drawn_without_a_ratio_and_without_colours():
    few = strip(verdict(targets=3), LIGHT)
    assert points(few, LIGHT.ref) == 3
    assert not [line for line in few.axes[0].lines if "ratio" in line.get_label()]


def test_slimming_rounds_places_and_leaves_words():
    before = (
        '<svg>\n <title>a: b; 0.12345</title>\n <g id="figure_1">\n  <g id="text_1">\n   <text style="font-size: 6px; '
        'font-family: \'X\', serif; fill: #000" x="1.23456" transform="rotate(-0 1.2 3)">p: 0.98765</text>\n  </g>\n'
        ' </g>\n <defs>\n  <style type="text/css">*{a: b}</style>\n </defs>\n</svg>\n'
    )
    after = slim(before)
    assert "<title>a: b; 0.12345</title>" in after
    assert '<text style="font-size:6px;fill:#000" x="1.23">p: 0.98765</text>' in after
    assert "text{font-family: 'X', serif}</style>" in after
    assert not re.search(r"<g|rotate|\n<", after)
