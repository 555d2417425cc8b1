"""Tuning: the same trials on both sides, on targets that no run scores, and one value unless a side's own is clear."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import family, in_double
from tables import RATES, trials_of

from archab import ArchitecturalSpace, Comparison
from archab.comparison.tuning import Tune
from archab.engine.plan import Compiled, Loop, Vmap
from archab.errors import ArchabError
from archab.evidence.tuning import beyond, choose, text_of
from archab.evidence.verdict import judge
from archab.space.routine import SGD, AdamW


def test_a_side_takes_its_own_value_only_where_two_standard_errors_speak_for_it():
    rng = np.random.default_rng(0)
    for _ in range(60):
        noise = rng.normal(0, 0.3, (2, 3, 16))
        drift = rng.normal(0, 0.15, (2, 3, 1))
        y = -2 + drift + noise
        table = trials_of(dict(zip("ab", np.exp(y), strict=True)), members=2)
        found = choose(table)
        means = y.reshape(2, 3, 8, 2).mean((2, 3))
        joint = int(means.mean(0).argmin())
        assert found.joint == {"lr": RATES[joint]}
        for i, side in enumerate("ab"):
            own = int(means[i].argmin())
            d = (y[i, joint] - y[i, own]).reshape(8, 2)
            clear = own != joint and d.mean() > 2 * np.sqrt((d.var(0, ddof=1) / 8).sum() / 4)
            assert found.chosen[side] == {"lr": RATES[own if clear else joint]}


def test_an_a_a_choice_is_almost_always_the_same_on_both_sides():
    rng = np.random.default_rng(1)
    apart = 0
    for _ in range(120):
        y = -2 + rng.normal(0, 0.3, (2, 3, 16))
        found = choose(trials_of(dict(zip("ab", np.exp(y), strict=True))))
        apart += found.chosen["a"] != found.chosen["b"]
    assert apart < 12


def test_a_diverged_trial_counts_as_the_constant_predictor():
    table = trials_of({"a": [[0.5] * 4, [0.9] * 4, [0.9] * 4], "b": [[0.5] * 4, [0.9] * 4, [0.9] * 4]})
    broken = (table["trial"] == text_of({"lr": 0.01})) & (table["draw"] < 3)
    table.loc[broken, ["nmse", "status"]] = np.nan, "diverged"
    assert choose(table).means["a"].iloc[0] == pytest.approx(np.log(0.5) / 4)


def test_the_reference_takes_its_own_best():
    one = [[0.1] * 4, [0.2] * 4, [0.3] * 4]
    assert choose(trials_of({"a": one, "b": one, "reference": one[::-1]})).chosen["reference"] == {"lr": 0.1}


@pytest.mark.parametrize(
    ("best", "further"),
    [(0.03, []), (0.1, [0.333]), (0.01, [0.00333])],
)
def test_a_grid_goes_on_beyond_the_edge_that_is_best(best, further):
    grid = {"lr": RATES}
    tried = [{"lr": rate} for rate in RATES]
    assert beyond(tried, [{"lr": best}], grid, 2) == [{"lr": rate} for rate in further]
    assert beyond(tried, [{"lr": best}], grid, 0) == []


def test_a_grid_goes_on_no_further_than_its_limit_and_with_all_values_of_the_others():
    grid = {"lr": RATES, "momentum": [0.0, 0.9]}
    tried = [{"lr": rate, "momentum": m} for rate in [*RATES, 0.333] for m in (0.0, 0.9)]
    assert beyond(tried, [tried[-1]], grid, 1) == []
    assert beyond(tried, [tried[-1]], grid, 2) == [{"lr": 1.11, "momentum": 0.0}, {"lr": 1.11, "momentum": 0.9}]


def of(a: ArchitecturalSpace, b: ArchitecturalSpace, **given) -> Comparison:
    asked = {"targets": 4, "samples": 48, "heldout_samples": 48, "tune": Tune({"lr": RATES}, extend=1)}
    return Comparison(a, b, **{"reference": family("dense"), **asked, **given})


@pytest.mark.parametrize("engine", [Vmap(), Compiled()], ids=lambda e: type(e).__name__)
def test_trials_together_are_trials_apart(engine):
    space = family("lora", prior=in_double, routine=AdamW(epochs=2))
    third = family("dense", prior=in_double)
    comparison = of(space, replace(space, name="again"), reference=third, engine=engine)
    values = [{"lr": rate, "weight_decay": decay, "epochs": 2} for rate, decay in ((0.01, 0.0), (0.1, 0.5))]
    values.append({"lr": 0.03, "weight_decay": 0.0, "epochs": 1})  # cannot train with the others

    def errors(trials):
        tried = comparison.attempts(trials)
        table = tried.attempted(tried.run(part) for part in tried.plan.parts)
        return table.set_index(["side", "member", "draw", "trial"])["nmse"]

    together = errors(values)
    assert len(together) == 16 * 3 * 3  # the reference, too
    for one in values:
        apart = errors([one])
        np.testing.assert_allclose(together[apart.index], apart, rtol=1e-9)


def test_a_tuned_comparison_is_that_with_the_chosen_values_set_by_hand_on_other_targets_than_the_trials():
    routine = SGD(epochs=2, minibatch=8)
    comparison = of(family("lora", routine=routine), family("n_diagonal", routine=routine), engine=Loop())
    study = comparison.study()
    trials = comparison.ready.tuning
    assert {(side, trial) for side, trial in trials[["side", "trial"]].itertuples(index=False)} == {
        (side, trial) for side in ("a", "b", "reference") for trial in trials["trial"].unique()
    }
    assert not set(trials["target"]) & set(study.rows["target"])
    chosen = choose(trials).chosen
    by_hand = {
        side: replace(getattr(comparison, side), routine=replace(routine, **chosen[side])) for side in ("a", "b")
    }
    pd.testing.assert_frame_equal(study.rows, replace(comparison, **by_hand, tune=None).study().rows)
    other = replace(comparison, seed=5)
    pd.testing.assert_frame_equal(other.ready.tuning, trials)
    verdict = judge(study)
    assert "not tuned" not in verdict.caveats
    tried = trials["trial"].nunique()
    assert any(
        note.text.startswith(f"Tuned alike: {tried} learning rates on 16 targets a side") for note in verdict.notes
    )


def test_tuning_one_side_alone_makes_a_false_winner_and_tuning_both_does_not():
    side = family("dense", routine=AdamW(lr=1e-3, epochs=6))
    other = replace(side, name="the same again")
    given = {"targets": 16, "samples": 96, "heldout_samples": 64}
    tuned = of(side, other, **given).ready
    alone = replace(tuned, b=other)
    assert judge(alone.study()).verdict == "a_better"
    assert judge(tuned.study()).verdict not in ("a_better", "b_better")


def test_values_of_a_function_are_tuned_as_its_keywords():
    seen = []

    def routine(network, batches, loss, lr=0.1, kind="plain"):
        seen.append((lr, kind))

    spaces = [family(name, routine=routine) for name in ("lora", "n_diagonal")]
    of(*spaces, tune=Tune({"lr": [0.1, 0.2], "kind": ["plain", "other"]}, extend=0), engine=Loop()).ready  # noqa: B018
    assert set(seen) >= {(0.1, "plain"), (0.2, "plain"), (0.1, "other"), (0.2, "other")}


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"lr": [0.1]}, "tune.lr=[0.1]: a list of at least two values"),
        ({"lr": 0.1}, "tune.lr=0.1: a list of at least two values"),
        ({"lr": [0.1, 0.2, 0.1]}, "tune.lr=[0.1, 0.2, 0.1]: a value stands there twice"),
        ({"minibatch": [8, 16]}, "tune.minibatch: cannot be tuned"),
        ({"rate": [0.1, 0.2]}, "tune.rate: the routine of lora has no such hyperparameter, but lr, "),
        ({"lr": [-1.0, 0.2]}, "tune.lr=-1.0: a learning rate is a finite number of at least 0"),
    ],
)
def test_a_mistake_in_a_grid_is_named(grid, said):
    with pytest.raises(ArchabError) as caught:
        of(family("lora"), family("n_diagonal"), tune=Tune(grid))
    assert str(caught.value).startswith(said)


def test_a_side_is_not_tuned_against_itself():
    with pytest.raises(ArchabError, match=r"tune\.lr: protocol=aa compares a side with itself"):
        of(family("lora"), family("n_diagonal"), protocol="aa")


@pytest.mark.parametrize(("name", "value"), [("targets", 0), ("extend", -1), ("targets", 2.5)])
def test_counts_of_tuning_are_whole(name, value):
    with pytest.raises(ArchabError, match=rf"tune\.{name}="):
        Tune({"lr": RATES}, **{name: value})


def test_in_direct_a_side_is_tuned_on_the_targets_that_it_learns_and_alike_names_are_told_apart():
    side = family("dense", routine=AdamW(epochs=1))
    comparison = of(side, side, reference=None, protocol="direct", engine=Loop(), tune=Tune({"lr": RATES}, extend=0))
    [note] = [note for note in judge(comparison.study()).notes if note.kind == "tuned" and "alike" in note.text]
    assert note.text.startswith("Tuned alike: 3 learning rates on 16 targets a side")
    own = replace(comparison, tune=Tune({"lr": RATES}, own={"b": {}}))
    verdict = judge(own.study())
    assert verdict.verdict == "undecided"
    [note] = [note for note in verdict.notes if note.kind == "tuned unequally"]
    assert note.text.startswith("Tuned unequally: 3 values for dense (A) and no values for dense (B); dense (A) trains")
