"""The verdict on real networks: no difference where there is none, and the better side where one is broken."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import family
from logged import TWO
from scipy import stats
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.calibration.__main__ import main
from archab.calibration.networks import calibrate
from archab.cli import config
from archab.errors import ArchabError
from archab.evidence.verdict import judge
from archab.experiment import build
from archab.space.architectures import deep
from archab.space.routine import AdamW

SMALL = ("samples=32", "heldout_samples=64", "engine.chunk=512")


def side(**given: object) -> ArchitecturalSpace:
    return ArchitecturalSpace(
        **{
            "architecture": partial(deep.dense, dim=3, depth=1),
            "members": {},
            "input_shape": [3],
            "name": "one",
            **given,
        }
    )


def test_against_itself_side_a_is_rarely_found_to_differ():
    found = calibrate(["+space=n_diagonal_original", *SMALL, *TWO, "targets=2", "routine.epochs=2"], 40)
    assert len(found.p_values) == 40
    assert (found.p_values > 0).all()
    assert found.rejections <= 7  # of 40 at .05: more in less than .2% of such tests
    assert stats.kstest(found.p_values, "uniform").pvalue == pytest.approx(found.uniform)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["n_diagonal_original", "split_transformer_original"])
def test_600_experiments_without_a_difference_reject_as_often_as_promised(space):
    found = calibrate([f"+space={space}", "samples_per_measure=0.02", "heldout_samples=128", "routine.epochs=2"], 600)
    assert found.holds, str(found)
    assert found.uniform > 0.01


TUNED = ("tune.lr=[0.005,0.02,0.08]", "tune.targets=4", "tune.extend=0")


def test_a_tuned_experiment_is_the_comparison_that_tunes_itself():
    typed = ["+space=n_diagonal_original", *SMALL, *TWO, *TUNED, "targets=3", "engine=vmap"]
    found = calibrate(typed, 1)
    asked = build.comparison(config.resolved(config.composed(typed)))
    assert asked.tune is not None
    again = replace(asked, b=replace(asked.a, name="again"))
    assert found.p_values.tolist() == [judge(again.table(), rule="fixed").p_value]


@pytest.mark.slow
def test_1000_tuned_experiments_without_a_difference_reject_as_often_as_promised():
    short = ("samples_per_measure=0.02", "heldout_samples=128", "routine.epochs=2")
    found = calibrate(["+space=n_diagonal_original", *short, *TUNED], 1000)
    assert abs(found.rejections / 1000 - 0.05) <= 3 * (0.05 * 0.95 / 1000) ** 0.5, str(found)


def test_the_command_prints_the_rate_and_refuses_what_it_does_not_know(capsys):
    assert main(["+space=n_diagonal_original", *SMALL, *TWO, "targets=2", "routine.epochs=1", "experiments=10"]) == 0
    assert "of 10 experiments without a difference rejected at 0.05" in capsys.readouterr().out
    with pytest.raises(ArchabError, match="experiments=none"):
        main(["experiments=none"])
    with pytest.raises(ArchabError, match="rule=fixed"):
        main(["rule=fixed"])


def breaks_sometimes(network: nn.Module) -> None:
    """A prior under which a fifth of the students overflow in their first step."""
    if torch.rand(()) < 0.2:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1e30)


def test_with_a_fifth_of_as_students_diverging_b_is_better_and_no_row_is_dropped():
    trained = AdamW(lr=2e-2, epochs=6)
    broken, whole = side(prior=breaks_sometimes, routine=trained), side(routine=trained)
    rows = Comparison(broken, whole, side(), targets=80, samples=128).table()
    verdict = judge(rows, order=[0])
    assert 6 <= verdict.diverged.a <= 30
    assert verdict.diverged.b == 0
    assert verdict.blocks == 80
    assert verdict.verdict == "b_better"


def test_two_untrained_sides_are_not_called_equivalent():
    linear = {"architecture": nn.Linear, "members": {"in_features": 3, "out_features": 3}}
    idle = side(**linear, routine=AdamW(lr=0.0))
    verdict = judge(Comparison(idle, idle, side(**linear), targets=60, samples=32).table(), order=[0], margin=3.0)
    assert verdict.verdict == "undecided"
    assert "two untrained sides are not equal" in verdict.sentence()


@pytest.mark.slow
def test_restarts_pooled_as_independent_find_differences_that_our_unit_does_not():
    experiments, targets, restarts = 60, 4, 5
    one = side(routine=AdamW(lr=2e-2, epochs=4))
    comparison = Comparison(one, one, protocol="direct", targets=targets * experiments, restarts=restarts, samples=64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "no C.. compiler")
        rows = replace(comparison).table()
    pooled, ours = [], []
    for _, own in rows.groupby(rows["draw"] // targets):
        y = np.log(own["nmse"].clip(1e-12, 1))
        pooled.append(stats.ttest_ind(y[own["side"] == "a"], y[own["side"] == "b"], equal_var=False).pvalue)
        ours.append(judge(own, rule="fixed", order=[0]).p_value)
    assert np.mean(np.array(pooled) <= 0.05) > 0.15
    assert np.mean(np.array(ours) <= 0.05) < 0.14


def test_the_crossed_design_reports_the_student_effect_and_the_home_advantage_apart():
    rows = Comparison(family("dense"), family("dense"), protocol="crossed", targets=16, samples=64).table()
    verdict = judge(rows, order=[0])
    assert verdict.design == "paired"
    assert verdict.blocks == 8
    home = verdict.to_dict()["home_advantage"]
    wide = np.log(rows.pivot(index=["draw", "source"], columns="side", values="nmse").clip(1e-12, 1))
    d = (wide["a"] - wide["b"]).unstack("source")
    assert home["gmr"] == pytest.approx(np.exp(((d["b"] - d["a"]) / 2).mean()))
    assert verdict.theta == pytest.approx(((d["a"] + d["b"]) / 2).mean())
