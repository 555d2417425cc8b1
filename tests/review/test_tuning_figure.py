"""The figure of tuning: errors of what was tried, what was chosen, and what the best of k values is expected to be."""

import itertools

import numpy as np
import pytest
from tables import random_rows, trials_of

from archab.evidence.verdict import judge
from archab.review import figures
from archab.review.figures.palette import DARK
from archab.review.figures.picture import Absent

RATES = [0.001, 0.01, 0.1]


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    errors = {side: np.exp(rng.normal(-2, 0.5, (3, 8))) for side in ("a", "b", "reference")}
    verdict = judge(random_rows(0), names=("gate", "plain"))
    [picture] = [p for p in figures.pictures(verdict, trials=trials_of(errors, RATES)) if p.name == "tuning"]
    left, right = picture.figure(DARK).axes
    return errors, picture, {line.get_label(): line for line in left.lines}, {x.get_label(): x for x in right.lines}


def test_each_line_is_the_geometric_mean_over_targets(drawn):
    errors, _, lines, _ = drawn
    for side, own in errors.items():
        np.testing.assert_allclose(np.exp(lines[side].get_xdata()), RATES)
        np.testing.assert_allclose(lines[side].get_ydata(), np.exp(np.log(own).mean(1)))


def test_what_was_chosen_is_ringed_and_said(drawn):
    errors, picture, lines, _ = drawn
    means = {side: np.log(own).mean(1) for side, own in errors.items()}
    joint = int((means["a"] + means["b"]).argmin())
    for side in "ab":
        [x] = lines[f"{side} chosen"].get_xdata()
        assert np.exp(x) == pytest.approx(RATES[joint])
    assert picture.title == f"Both sides train at lr {RATES[joint]:g}"


def test_the_best_of_k_is_the_mean_over_all_subsets(drawn):
    errors, _, _, lines = drawn
    for side in "ab":
        typical = np.exp(np.log(errors[side]).mean(1))
        by_hand = [np.mean([min(s) for s in itertools.combinations(typical, k)]) for k in (1, 2, 3)]
        np.testing.assert_allclose(lines[side].get_ydata(), by_hand)


def test_one_value_is_no_figure():
    verdict = judge(random_rows(0))
    alone = trials_of({side: [[0.1, 0.2]] for side in "ab"}, [0.1])
    [picture] = [p for p in figures.pictures(verdict, trials=alone) if p.name == "tuning"]
    assert isinstance(picture, Absent)
    assert all(p.name != "tuning" for p in figures.pictures(verdict))


def test_a_list_of_one_value_a_member_is_drawn_as_one_that_was_tried():
    errors = {side: [[0.3] * 8, [0.1] * 8] for side in "ab"}
    trials = trials_of(errors, [[0.001, 0.002, 0.003], [0.01, 0.02, 0.03]], members=3)
    [picture] = [p for p in figures.pictures(judge(random_rows(0)), trials=trials) if p.name == "tuning"]
    left = picture.figure(DARK).axes[0]
    [chosen] = [line for line in left.lines if line.get_label() == "a chosen"]
    assert (list(chosen.get_xdata()), list(chosen.get_ydata())) == ([1], pytest.approx([0.1]))
    assert [text.get_text() for text in left.get_xticklabels()] == ["0.001 … 0.003", "0.01 … 0.03"]
