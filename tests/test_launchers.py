"""Sweeps under other launchers: threads, failures, kills and signals, as seen from the command line."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from archab.cli.config import composed, cores
from archab.cli.sweep import LISTED, Outcome, table

ONE = ("space.a.members=[{rank:1}]", "space.b.members=[{rank:1}]")
QUICK = (*ONE, "targets=1", "samples=16", "heldout_samples=16", "control=false", "engine=loop")
SLOW = (*QUICK, "targets=12", "engine.chunk=1", "routine.epochs=6", "routine.minibatch=1")
RECIPES = ("joblib", "ray", "submitit_local", "submitit_slurm")
pytestmark = pytest.mark.usefixtures("stored")


def needs(launch: str) -> str:
    """The name of a recipe; the test is skipped where its extra is not installed."""
    extra = launch.split("_")[0]
    if importlib.util.find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        pytest.skip(f"pip install 'archab[{extra}]'")
    return launch


def sweep(folder: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "archab", "-m", "+space=n_diagonal_original", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code and all that was said."""
    out, err = run.communicate(timeout=120)
    assert "Traceback" not in err, err
    return run.returncode, out + err


def statuses(folder: Path) -> list[tuple[str, str]]:
    """Seed and status of every run."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("n_diagonal_original")
    return sorted((r.data.tags["archab.seed"], r.info.status) for r in client.search_runs([experiment.experiment_id]))


def rows(folder: Path, seed: int) -> pd.DataFrame:
    [file] = folder.glob(f".archab/*/{seed}/results.parquet")
    return pd.read_parquet(file)


def working(run: "subprocess.Popen[str]", folder: Path) -> dict[int, int]:
    """Processes of the jobs at work by seed, once one of them has a finished part."""
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
        parts = {int(part.parts[-3]) for part in folder.glob(".archab/*/*/parts/*.parquet")}
        jobs = [json.loads(file.read_text()) for file in folder.glob(".archab-sweep-*/*.json")]
        seeds = {seed(job["overrides"]): job["process"] for job in jobs if job["state"] == "at work"}
        if begun := {seed: seeds[seed] for seed in parts & seeds.keys()}:
            return begun


def seed(overrides: Sequence[str]) -> int:
    return next(int(override.removeprefix("seed=")) for override in overrides if override.startswith("seed="))


@pytest.mark.parametrize("launch", RECIPES)
def test_a_recipe_without_its_extra_says_which_to_install(launch, command, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "_launcher" in name else find(name))
    ended = command("-m", f"+launch={launch}", "+space=n_diagonal_original", "seed=0,1")
    assert ended.code == 2
    extra = launch.split("_")[0]
    assert ended.err == f"archab: +launch={launch}: its launcher is not installed; pip install 'archab[{extra}]'\n"


@pytest.mark.parametrize("launch", RECIPES)
def test_a_recipe_composes_and_shares_out_the_cores(launch):
    file = Path(__file__).parents[1] / "conf" / "launch" / f"{launch}.yaml"
    assert f"+launch={launch} " in file.read_text()
    needs(launch)
    for sweeper in ("basic", "until_decided"):
        assert "launch" not in composed(["+space=n_diagonal_original", f"+launch={launch}", f"hydra/sweeper={sweeper}"])


def test_the_cores_are_shared_out():
    assert cores(-1) == cores(10**6) == 1
    assert cores() == cores(1) >= 2 * cores(2) - 1


THREADS = {
    "joblib": (("+launch=joblib", "hydra.launcher.n_jobs=2"), cores(2)),
    "submitit": (("+launch=submitit_local", "hydra.launcher.cpus_per_task=1"), 1),
    "ray": (("+launch=ray", "hydra.launcher.ray.remote.num_cpus=1"), 1),
}


@pytest.mark.parametrize(
    "case", ["joblib", *(pytest.param(name, marks=pytest.mark.slow) for name in ("submitit", "ray"))]
)
def test_a_job_has_its_share_of_the_cores_before_torch_is_imported_and_modules_where_the_sweep_was_started(
    case, tmp_path
):
    arguments, threads = THREADS[case]
    needs(arguments[0].removeprefix("+launch="))
    (tmp_path / "counted.py").write_text(
        textwrap.dedent("""
            import os, pathlib, torch
            from archab.engine.plan import cores
            from archab.space.prior import Init

            pathlib.Path(f"{os.getpid()}.threads").write_text(f"{torch.get_num_threads()} {cores()}")
        """)
    )
    run = sweep(
        tmp_path,
        *arguments,
        *QUICK,
        "seed=0,1",
        "prior._target_=counted.Init",
        "hydra.job.chdir=true",
        OMP_NUM_THREADS="64",
    )
    assert ended(run)[0] == 0
    said = {file.read_text() for file in tmp_path.glob("multirun/*/*/?/*.threads")}
    assert statuses(tmp_path) == [("0", "FINISHED"), ("1", "FINISHED")]
    assert said == {f"{threads} {threads}"}


@pytest.mark.parametrize(
    "launch", ["submitit_local", *(pytest.param(name, marks=pytest.mark.slow) for name in ("joblib", "ray"))]
)
def test_a_failing_job_neither_stops_nor_hides_the_others_and_a_second_sweep_trains_what_is_missing(launch, tmp_path):
    needs(launch)
    code, said = ended(sweep(tmp_path, f"+launch={launch}", *QUICK, "protocol=direct,reference"))
    assert code == 1
    assert "1 of 2 jobs failed, 1 finished\n     0  protocol=direct  failed: " in said
    assert "sizes must be equal" in said
    assert "     1  protocol=reference  finished\n" in said
    assert "archab-compare --space n_diagonal_original" in said
    assert statuses(tmp_path) == [("0", "FINISHED")]
    code, said = ended(sweep(tmp_path, f"+launch={launch}", *QUICK, "protocol=reference", "seed=0,1"))
    assert code == 0
    assert "2 jobs: 1 finished before, 1 finished" in said
    assert not list(tmp_path.glob(".archab-sweep-*"))


def test_a_plain_sweep_tells_of_its_jobs(command):
    arguments = ("-m", "+space=n_diagonal_original", *QUICK)
    assert (
        "2 jobs: 2 finished\n     0  seed=0  finished\n     1  seed=1  finished" in command(*arguments, "seed=0,1").out
    )
    ended = command(*arguments, "seed=1,2")
    assert "2 jobs: 1 finished before, 1 finished\n     0  seed=1  finished before\n" in ended.out
    assert ended.out.endswith("archab-compare --space n_diagonal_original\n")


@pytest.mark.slow
def test_a_killed_worker_ends_a_sweep_under_joblib_in_one_message_and_the_same_command_goes_on(tmp_path):
    needs("joblib")
    arguments = ("+launch=joblib", "hydra.launcher.n_jobs=2", *SLOW, "seed=0,1")
    run = sweep(tmp_path, *arguments)
    os.kill(next(iter(working(run, tmp_path).values())), signal.SIGKILL)
    code, said = ended(run)
    assert code == 1
    assert "archab: a worker was killed (out of memory?), and joblib gave up all 2 jobs; the same command" in said
    assert "killed, or still at work" in said
    code, said = ended(sweep(tmp_path, *arguments))
    assert code == 0
    assert "2 jobs: 2 finished" in said
    assert "finished parts" in said  # going on from …
    assert sorted(set(statuses(tmp_path)) - {("0", "KILLED"), ("1", "KILLED")}) == [
        ("0", "FINISHED"),
        ("1", "FINISHED"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_under_joblib_that_is_told_to_end_ends_its_runs_as_killed(number, code, tmp_path):
    needs("joblib")
    run = sweep(tmp_path, "+launch=joblib", "hydra.launcher.n_jobs=2", *SLOW, "seed=0,1,2")
    workers = working(run, tmp_path)
    run.send_signal(number)
    ended_with, said = ended(run)
    assert ended_with == code
    assert "finished rows are kept" in said
    assert " interrupted" in said
    assert {status for _, status in statuses(tmp_path)} == {"KILLED"}
    for process in workers.values():
        assert not alive(process)


def alive(process: int) -> bool:
    """Whether a process is there, after a moment in which it may end."""
    for _ in range(40):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.slow  # submitit waits 15 s before it requeues
def test_a_killed_job_is_the_only_one_lost_under_submitit_and_one_that_is_warned_is_requeued(tmp_path, command):
    needs("submitit_local")
    arguments = ("+launch=submitit_local", "hydra.sweeper.max_batch_size=2", *SLOW, "seed=0,1")
    run = sweep(tmp_path, *arguments)
    killed, process = next(iter(working(run, tmp_path).items()))
    os.kill(process, signal.SIGUSR1)
    while working(run, tmp_path).get(killed, process) == process:
        pass
    assert (str(killed), "KILLED") in statuses(tmp_path)
    os.kill(working(run, tmp_path)[killed], signal.SIGKILL)
    code, said = ended(run)
    assert code == 1
    assert f"seed={killed}  killed, or still at work" in said
    assert f"seed={1 - killed}  finished" in said
    code, said = ended(sweep(tmp_path, *arguments))
    assert code == 0
    assert f"seed={killed}  finished\n" in said
    assert f"seed={1 - killed}  finished before\n" in said
    assert (
        command("+space=n_diagonal_original", *SLOW, f"seed={killed}", "spool=whole", "tracking.experiment=whole").code
        == 0
    )
    [whole] = tmp_path.glob(f"whole/*/{killed}/results.parquet")
    pd.testing.assert_frame_equal(rows(tmp_path, killed), pd.read_parquet(whole), check_exact=True)


@pytest.mark.slow
def test_a_signal_that_warns_of_the_end_of_time_ends_a_run_outside_of_submitit_too(tmp_path):
    run = sweep(tmp_path, *SLOW, "seed=0,1")
    working(run, tmp_path)
    run.send_signal(signal.SIGUSR1)
    code, said = ended(run)
    assert code == 143
    assert "archab: terminated; finished rows are kept" in said
    assert statuses(tmp_path) == [("0", "KILLED")]


def test_of_many_jobs_only_those_are_listed_that_did_not_finish():
    jobs = [Outcome(number, ["+space=x", f"seed={number}"], "finished") for number in range(LISTED + 1)]
    assert table(jobs) == f"archab: {LISTED + 1} jobs: {LISTED + 1} finished"
    jobs[3] = Outcome(3, ["+space=x", "seed=3"])
    assert table(jobs).splitlines()[1:] == ["     3  seed=3  killed, or still at work"]
