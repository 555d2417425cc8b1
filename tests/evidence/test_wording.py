import math

import numpy as np
import pytest

from archab.evidence import words as words


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.79, "21% lower"),
        (0.38, "62% lower (2.6 times)"),
        (0.5, "50% lower (2 times)"),
        (0.996, "0.4% lower"),
        (0.001, "99.9% lower (1,000 times)"),
        (0.99999, "less than 0.1% lower"),
    ],
)
def test_a_ratio_is_said_as_how_much_lower(ratio, said):
    assert words.lower(ratio) == said


def test_a_range_is_said_from_the_better_sides_view():
    names = ("P", "Q")
    assert words.span(0.72, 0.88, names) == "12% to 28% lower"
    assert words.span(1 / 0.88, 1 / 0.72, names) == "12% to 28% lower"
    assert words.span(0.9, 1.25, names) == "from P 10% lower to Q 20% lower"


@pytest.mark.parametrize(
    ("e", "said"), [(1, "1"), (7.94, "7.9"), (123.4, "123"), (12345, "12,345"), (7.9e6, "7.9 million"), (3e15, "10^15")]
)
def test_evidence_is_a_number_and_not_odds(e, said):
    assert words.evidence(math.log(e)) == said


def test_signs_are_real_and_a_missing_number_is_a_dash():
    assert [words.signed(r) for r in (0.79, 1.26, 1.001, math.nan)] == ["−21%", "+26%", "0%", "–"]
    assert [words.probability(p) for p in (0.0001, 0.0123, 0.87, math.nan)] == ["<.001", "0.012", "0.87", "–"]


def test_lists_and_factors():
    assert [words.listed(x) for x in (["1"], ["1", "4"], ["1", "4", "5"])] == ["1", "1 and 4", "1, 4 and 5"]
    assert words.listed(["width 4, depth 2", "width 8, depth 2"]) == "width 4, depth 2; width 8, depth 2"
    assert words.factors([1.25, 1.63]) == "1.25 to 1.63"
    assert words.factors([1.2, 1.2]) == "1.2"


def test_a_rounded_figure_never_contradicts_the_decision():
    assert words.evidence(math.log(19.854), 20) == "19.9"
    assert words.evidence(math.log(19.9996), 20) == "19.9996"
    assert words.evidence(math.log(20), 20) == "20"
    assert words.evidence(math.log(20.3), 20) == "20.3"
    assert words.evidence(math.log(999.7), 1000) == "999.7"
    assert (words.p_is(0.0502, 0.05), words.probability(0.0497, 0.05)) == ("p = 0.0502", "0.0497")
    assert words.probability(0.0007, 0.0005) == "0.0007"
    assert words.lower(0.9088, "lower", 1 - 1 / 1.1) == "9.1% lower"
    for value in np.random.default_rng(0).lognormal(3, 0.5, 500):
        shown = float(words.evidence(math.log(value), 20).replace(",", ""))
        assert (shown < 20) == (value < 20)
