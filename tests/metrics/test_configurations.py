"""Every two sides of a space's configurations: held against the verdicts on each, and refused where targets differ."""

import json

import numpy as np
import pandas as pd
import pytest

from archab.cli.compare import main
from archab.errors import ArchabError
from archab.evidence.rule import Rule
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.metrics.compare import judged
from archab.metrics.configurations import side_by_side


def study(label: str, effect: float, seeds: int = 3, key: int = 0, names=("new", "old"), shift: int = 0) -> Study:
    """Two members; side B is the same in every configuration, A lies `effect` away from it."""
    level, own = np.random.default_rng(0), np.random.default_rng(key + 1)
    rows = []
    for seed in range(seeds):
        for draw in range(6):
            for member in range(2):
                b = level.normal(-3, 1)
                a = b + effect + own.normal(0, 0.2)
                rows += [
                    (seed, member, f"{seed + shift}-{draw}-{member}", draw, "reference", side, 0, np.exp(y))
                    for side, y in (("a", a), ("b", b))
                ]
    columns = ["seed", "member", "target", "draw", "source", "side", "restart", "nmse"]
    return Study(pd.DataFrame(rows, columns=columns), names=names, label=label)


STARTED = {0: 1.0, 1: 2.0, 2: 3.0}


def test_a_pair_of_sides_of_one_configuration_has_its_own_verdict():
    one, two = study("x", -0.5), study("y", 0.1, key=1)
    [verdict] = judged(side_by_side([one], 1e-12, 1.1, STARTED, {}), Rule()).verdicts
    wanted = judge(one)
    assert verdict.winner == "new"
    assert verdict.found.log_e.tolist() == pytest.approx(list(wanted.log_e))
    assert verdict.found.theta == pytest.approx(wanted.theta)
    assert np.exp(verdict.interval) == pytest.approx([wanted.interval_low, wanted.interval_high])
    several = judged(side_by_side([one, two], 1e-12, 1.1, STARTED, {}), Rule(), "old")
    assert several.rounds.names == ("new (x)", "old", "new (y)")  # B is one side
    assert [v.names for v in several.verdicts] == [("new (x)", "old"), ("new (y)", "old")]
    assert several.verdicts[0].found.log_e.tolist() == pytest.approx(list(wanted.log_e))


def test_rounds_come_in_the_order_in_which_seeds_were_first_started_and_wait_for_holes():
    found = side_by_side([study("x", -0.5)], 1e-12, 1.1, {0: 3.0, 1: 1.0, 2: 2.0}, {})
    assert [label.split(",")[0] for label in found.labels[::6]] == ["seed 1", "seed 2", "seed 0"]
    short = study("y", -0.1, seeds=2, key=1)
    held = side_by_side([study("x", -0.5), short], 1e-12, 1.1, STARTED, {"y": [2]})
    at = held.names.index("new (y)")
    assert held.waiting[-6:, at].all()
    assert not held.waiting[:, held.names.index("old")].any()


def test_configurations_that_learnt_other_targets_are_refused():
    with pytest.raises(ArchabError, match="y and x learnt different targets"):
        side_by_side([study("x", 0.0), study("y", 0.0, shift=1)], 1e-12, 1.1, STARTED, {})


def test_a_sweep_over_a_side_is_compared_whole(command, tmp_path, capfd, monkeypatch):
    ended = command("-m", "+space=n_diagonal_original", "seed=0,1", "targets=4", "samples=32", "control=false",
                    "routine.epochs=1", "space.a.members=[{rank:1}]", "space.b.members=[{rank:1}]",
                    "routine@space.a.routine=adamw", "space.a.routine.lr=0.003,0.03")  # fmt: skip
    assert ended.code == 0, ended.err
    capfd.readouterr()
    assert main(["--space", "n_diagonal_original", "--all-sides", "--json", "--report", "all.html"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["order"] is not None
    assert sorted(found["verdicts"][0]["names"]) is not None
    assert len({name for v in found["verdicts"] for name in v["names"]}) == 3
    assert all(v["blocks"] == 8 for v in found["verdicts"])
    assert (tmp_path / "all.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--table", "x.csv", "--all-sides"), "--all-sides goes with --space"),
        (("--runs", "x.csv", "--all-sides"), "--all-sides goes with --space"),
        (("--space", "x", "--all-sides", "--metric", "loss"), "--metric goes with --runs"),
        (("--space", "x", "--all-sides", "--watch"), "without --watch"),
    ],
)
def test_options_that_do_not_go_together_are_said(capsys, arguments, said):
    assert main(list(arguments)) == 2
    assert said in capsys.readouterr().err
