"""The command of known answers: what it lists, asks, prints and how it exits; the answers are run by hand."""

import warnings

import pytest

from archab.cli.overrides import configured
from archab.experiment import build
from archab.gallery.answer import Answer, ask
from archab.known import __main__ as known
from archab.known.contrasts import CONTRASTS, Contrast

SHORT = ("targets=8", "samples=128", "tune.lr=null", "routine.lr=0.01", "routine.steps=400")


@pytest.mark.parametrize("contrast", CONTRASTS, ids=lambda one: one.name)
def test_sizes_are_matched_and_both_sides_tuned_alike(contrast):
    made = build.comparison(configured(contrast.typed))
    for a, b in zip(made.survey.sizes["a"], made.survey.sizes["b"], strict=True):
        assert abs(b / a - 1) <= 0.05
    tuned = contrast.known != "none"
    assert (made.tune is not None) == tuned
    assert not tuned or made.tune.of("a") == made.tune.of("b")
    assert contrast.source


def test_a_contrast_is_asked_and_told(monkeypatch, capsys):
    [linear] = [one for one in CONTRASTS if one.name == "linear"]
    verdict, seconds = ask([*linear.typed, *SHORT])
    compared = known.Compared(linear, Answer.of(verdict, seconds))
    assert (compared.answer.found, compared.agrees) == ("a", "yes")
    assert compared.cells()[1:3] == ("ReLU", f"ReLU, {1 - verdict.gmr:.0%} lower")
    monkeypatch.setattr(known, "ask", lambda typed: (verdict, 1.0))
    assert known.main(["linear"]) == 0
    assert "1 of 1 agree" in capsys.readouterr().out
    assert known.main(["linear", "--markdown"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "|---" * 7 + "|"
    assert known.main(["flat"]) == 1  # whose other side should have won
    capsys.readouterr()
    assert known.main(["SwiGLU again"]) == 1  # a control that finds a difference


def test_what_is_known_is_listed_with_its_source_and_command(capsys):
    assert known.main(["--list"]) == 0
    out = capsys.readouterr().out
    for one in CONTRASTS:
        assert f"{one.name}: {one.claim} ({one.source})" in out
        assert f"python -m archab {' '.join(one.typed)}" in out
    assert known.main(["resdual"]) == 2
    assert "resdual: none of residual" in capsys.readouterr().err


def test_where_no_side_is_named_the_answer_is_open():
    linear = Contrast("linear", "b", "", "", ("+space=linear",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = ("targets=2", "samples=64", "tune.lr=null", "routine.steps=8", "heldout_samples=32")
        answer = Answer.of(*ask([*linear.typed, *short]))
    assert (answer.found, known.Compared(linear, answer).agrees) == ("none", "open")
