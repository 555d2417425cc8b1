"""What tests of the command line share: runs in a store, and runs that are killed."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient

HEAD = """\
# @package _global_
defaults:
  - /prior: init
  - /routine: adamw
  - /prior@space.a.prior: null
  - /prior@space.b.prior: null
  - /routine@space.a.routine: null
  - /routine@space.b.routine: null
  - _self_
"""  # of a space's file whose sides share prior and routine
AMOUNT = ("targets=2", "samples=32", "heldout_samples=32")
TWO = ("space.a.members=[{rank:1},{rank:3}]", "space.b.members=[{rank:1},{rank:3}]")
AUTO = ("+space=n_diagonal_original", *TWO, *AMOUNT, "routine.epochs=1")
QUICK = (*AUTO, "engine=loop")  # whose students are fewer than what a check of another engine trains


def runs(folder: Path, experiment: str) -> pd.DataFrame:
    """The runs of an experiment, a row each, with columns such as `status` and `tags.archab.seed`."""
    found = client(folder)
    identity = found.get_experiment_by_name(experiment).experiment_id
    return pd.DataFrame(
        {
            **vars(run.info),
            "status": run.info.status,
            "run_id": run.info.run_id,
            "experiment_id": identity,
            **{f"tags.{key}": value for key, value in run.data.tags.items()},
            **{f"metrics.{key}": value for key, value in run.data.metrics.items()},
            **{f"params.{key}": value for key, value in run.data.params.items()},
        }
        for run in found.search_runs([identity])
    )


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def artifacts(folder: Path, run_id: str) -> set[str]:
    """The names of a run's files."""
    return {item.path for item in client(folder).list_artifacts(run_id)}


SLOW = (*QUICK[:3], "targets=40", "engine=loop", "routine.epochs=10", "engine.chunk=2", "samples=320")


def started(folder: Path) -> "subprocess.Popen[str]":
    """A run that has written its first part."""
    run = subprocess.Popen(
        [sys.executable, "-m", "archab", *SLOW], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(folder.glob(".archab/*/0/parts/*.parquet")):
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return run
