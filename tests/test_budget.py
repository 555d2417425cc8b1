"""Length of training: steps or epochs, and doublings of both sides alike until they give nothing more."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import DEFAULT_STEPS, family
from logged import TWO, client, runs

from archab import Comparison
from archab.comparison.tuning import Tune
from archab.engine.plan import Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.evidence.budget import ladder, length, long_enough, notes_of, settled
from archab.evidence.tuning import text_of
from archab.evidence.verdict import judge
from archab.space import routine
from archab.space.routine import SGD, AdamW

NAMES = ("gate", "plain")


def trials_of(errors: dict[int, dict[str, list[float]]]) -> pd.DataFrame:
    """One trial a length: errors by side, an entry a target."""
    rows = [
        (side, 0, "reference", draw, f"t{draw}", text_of({}), error, "ok", times, 100 * times)
        for times, by_side in errors.items()
        for side, targets in by_side.items()
        for draw, error in enumerate(targets)
    ]
    names = ["side", "member", "source", "draw", "target", "trial", "nmse", "status", "times", "steps"]
    return pd.DataFrame(rows, columns=names)


def falling(a: list[float], b: list[float], spread: float = 0.0) -> pd.DataFrame:
    """Typical errors by length, each a doubling of the one before, and what targets differ by in logs."""
    hard = np.exp(spread * np.random.default_rng(0).normal(size=16))
    return trials_of(
        {2**i: {"a": list(x * hard), "b": list(y * hard)} for i, (x, y) in enumerate(zip(a, b, strict=True))}
    )


@pytest.mark.parametrize(
    ("a", "b", "enough", "times"),
    [
        ([0.4, 0.2, 0.195], [0.3, 0.2, 0.191], True, 2),  # 2.5 and 4.5% lower
        ([0.4, 0.2, 0.195], [0.3, 0.2, 0.18], False, 4),  # B still falls
        ([0.4, 0.5], [0.3, 0.4], True, 1),  # longer is worse for both
        ([0.4], [0.3], False, 1),
    ],
)
def test_a_length_is_enough_where_its_double_lowers_no_typical_error_by_more_than_5_percent(a, b, enough, times):
    rungs = ladder(falling(a, b, spread=0.5))
    assert [rung.times for rung in rungs] == [2**i for i in range(len(a))]
    assert [rung.typical["b"] / rung.typical["a"] for rung in rungs] == pytest.approx(np.divide(b, a))
    assert (long_enough(rungs), length(rungs)) == (enough, times)
    assert set(settled(falling(a, b))["times"]) == {times}


def test_a_note_says_at_which_length_it_holds_and_where_the_better_side_changed():
    notes = notes_of(falling([0.4, 0.2, 0.195], [0.3, 0.25, 0.245]), NAMES, 16)
    assert [note.kind for note in notes] == ["budget", "budget"]
    assert notes[0].text == (
        "Trained to the end, 200 steps: twice as many move the error by −3% (gate) and −2% (plain)."
    )
    assert notes[1].text == (
        "The better side changed with the length of training: at 100 steps plain 25% lower and at 200 steps gate "
        "20% lower."
    )
    [unfinished] = notes_of(falling([0.4, 0.2], [0.4, 0.3]), NAMES, 2)
    assert (unfinished.kind, unfinished.command) == ("still falling", "budget_limit=4")
    assert "had not ended after 200 steps, the most that budget_limit=2 allows" in unfinished.text


def test_a_better_side_that_is_not_clear_has_not_changed():
    rng = np.random.default_rng(1)
    noise = {n: {side: list(np.exp(rng.normal(-2, 1, 4))) for side in "ab"} for n in (1, 2)}
    assert not any("changed" in note.text for note in notes_of(trials_of(noise), NAMES, 16))


def of(routine, **given) -> Comparison:
    a, b = (family(name, routine=routine) for name in ("lora", "n_diagonal"))
    fixed = {"protocol": "reference", "targets": 3, "samples": 32, "heldout_samples": 32, "engine": Loop()}
    return Comparison(a, b, family("dense"), **{**fixed, **given})


def test_the_rows_are_those_of_the_length_found_set_by_hand_and_its_targets_are_others():
    comparison = of(SGD(lr=0.05, epochs=1, minibatch=8), budget="auto", budget_limit=4, tune=Tune({"lr": [0.05, 0.1]}))
    study = comparison.study()
    trials = comparison.ready.tuning
    rungs = ladder(trials)
    assert not set(trials["target"]) & set(study.rows["target"])
    assert [rung.steps for rung in rungs] == ["4", "8", "16"][: len(rungs)]
    routine = comparison.ready.a.routine
    assert routine.epochs == length(rungs) > 1
    plan = comparison.ready.plan.to_dict()  # by which units of another length are told apart
    assert plan["tuned"]["a"]["epochs"] == routine.epochs
    by_hand = {side: replace(getattr(comparison, side), routine=routine) for side in ("a", "b")}
    assert comparison.ready.b.routine == routine
    again = replace(comparison, **by_hand, tune=None, budget=None)
    pd.testing.assert_frame_equal(study.rows, again.table(), check_exact=True)
    said = [note for note in judge(study).notes if note.kind in ("budget", "still falling")]
    assert said[0].text == notes_of(trials, ("lora", "n_diagonal"), 4)[0].text
    assert [note.kind for note in said].count("still falling") == (not long_enough(rungs)), "said once, of the ladder"
    assert study.longer == ("" if long_enough(rungs) else "budget_limit=8")


def test_without_a_grid_the_routines_own_values_are_trained_longer():
    ready = of(SGD(lr=0.05, epochs=1, minibatch=8), budget="auto", budget_limit=2).ready
    assert set(ready.tuning["trial"]) == {"{}"}
    assert set(ready.tuning["side"]) == {"a", "b"}
    assert ready.a.routine.lr == 0.05
    assert "not tuned" in judge(replace(ready, targets=7).study()).caveats


def endless(network, batches, loss, lr=0.1):
    """A routine that knows no epochs."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 100}, "budget=100: auto, or null"),
        (
            {"budget": "auto", "budget_limit": 1},
            "budget_limit=1: a whole number of times as long is needed, at least 2",
        ),
        ({"budget": "auto", "protocol": "aa"}, "budget=auto: protocol=aa compares a side with itself"),
        ({"budget": "auto", "tune": Tune({"epochs": [1, 2]})}, "tune.epochs: budget=auto chooses how long"),
    ],
)
def test_a_mistake_in_the_budget_is_one_line(given, said):
    with pytest.raises(ArchabError, match=said):
        of(SGD(epochs=1), **given)


def test_a_routine_without_epochs_has_no_budget():
    with pytest.raises(ArchabError, match="budget=auto: the routine of lora has no epochs that could be doubled"):
        of(endless, budget="auto")


def test_steps_take_no_place_that_an_argument_had():
    routine = AdamW(1e-2, 4, 8)
    assert (routine.lr, routine.epochs, routine.minibatch, routine.steps) == (1e-2, 4, 8, None)


def test_a_student_takes_a_thousand_steps_by_default_and_one_epoch_where_that_is_longer(monkeypatch):
    monkeypatch.setattr(routine, "STEPS", DEFAULT_STEPS)
    assert AdamW().passes(16) * 16 == 1008
    assert AdamW().passes(5000) == 1
    assert AdamW(steps=33).passes(16) == 3
    rates = AdamW(lr=1.0).rates(1008)
    assert rates[0] == 1.0
    assert rates[504] == pytest.approx(0.5)
    assert rates[-1] < 1e-5


@pytest.mark.parametrize("engine", [Loop(), Vmap(), Compiled()], ids=lambda e: type(e).__name__)
def test_steps_are_whole_epochs(engine):
    by_steps, by_epochs = (of(r, engine=engine).table() for r in (AdamW(steps=3), AdamW(epochs=2)))
    pd.testing.assert_frame_equal(by_steps, by_epochs, check_exact=True)


def test_less_than_an_epoch_and_two_lengths_at_once_are_refused():
    with pytest.raises(ArchabError, match=r"routine.steps=1: an epoch of lora, member 0, has 2 steps; at least one"):
        of(AdamW(steps=1)).plan  # noqa: B018
    with pytest.raises(ArchabError, match=r"routine.steps=4: routine.epochs=2 says how long, too"):
        of(AdamW(steps=4, epochs=2)).plan  # noqa: B018


def test_a_run_prints_the_ladder_keeps_the_length_and_finds_it_again(command, tmp_path):
    given = (
        "+space=n_diagonal_original", *TWO, "targets=7", "samples=32", "heldout_samples=32", "routine.epochs=1",
        "engine=loop", "control=false", "budget=auto", "budget_limit=2",
    )  # fmt: skip
    first = command(*given)
    assert first.code == 0, first.err
    assert "  budget      2 steps: n-diagonal " in first.out
    assert "  budget      4 steps: n-diagonal " in first.out
    assert "after 4 steps, the most that budget_limit=2 allows" in " ".join(first.out.split())
    [run] = runs(tmp_path, "n_diagonal_original")["run_id"]
    params = client(tmp_path).get_run(run).data.params
    assert (params["space.a.routine.epochs"], params["space.b.routine.epochs"]) == ("2", "2")
    second = command(*given, "seed=1")
    assert "  budget      2 steps" not in second.out
    assert "after 4 steps" in " ".join(second.out.split())
