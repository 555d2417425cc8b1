"""The sweeper until_decided: it stops when the rule decides, and refuses to sweep anything else."""

import pytest
from logged import TWO


def test_a_sweep_ends_when_the_anytime_rule_has_decided(command, tmp_path):
    ended = command(
        "-m", "hydra/sweeper=until_decided", "hydra.sweeper.max_seeds=4", "hydra.sweeper.batch=1",
        "+space=n_diagonal_original", *TWO, "targets=16", "samples=64",
        "space.b.routine.lr=0", "routine@space.b.routine=adamw", "control=false",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "archab: after 1 of 4 seeds of this sweep: n-diagonal learns better than LoRA" in ended.out
    assert "3 seeds saved against the fixed plan of 4" in ended.out
    assert "after 2 of 4" not in ended.out


def test_it_goes_on_to_the_last_seed_while_undecided(command):
    ended = command(
        "-m", "hydra/sweeper=until_decided", "hydra.sweeper.max_seeds=3", "hydra.sweeper.batch=2",
        "+space=n_diagonal_original", *TWO, "targets=1", "samples=32", "control=false",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "after 2 of 3 seeds of this sweep: Too few targets" in ended.out
    assert "after 3 of 3 seeds of this sweep: Too few targets" in ended.out


@pytest.mark.parametrize("swept", ["seed=1,2", "seed=3", "targets=1,2"])
def test_a_second_swept_key_is_refused(command, swept):
    ended = command("-m", "hydra/sweeper=until_decided", "+space=n_diagonal_original", swept)
    assert ended.code == 2
    assert f"{swept}: hydra/sweeper=until_decided chooses the seeds itself" in ended.err
    assert "Traceback" not in ended.err


def test_a_sweep_whose_every_job_fails_ends(command):
    ended = command(
        "-m", "hydra/sweeper=until_decided", "+space=n_diagonal_original", "protocol=direct", "hydra.sweeper.batch=2"
    )
    assert ended.code != 0
    assert "sizes must be equal" in ended.err
