"""MLflow: one flat run a job, in the experiment named after the space."""

import getpass
import logging
import math
import os
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from archab.errors import ArchabError

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = "runs?compareRunsMode=CHART&workflowType=machine_learning"
LONGEST_PARAMETER, PARAMETERS_A_REQUEST = 6000, 100  # MLflow's limits


@dataclass(frozen=True)
class Store:
    """Where runs are logged: an MLflow tracking URI, and a folder for artifacts where the store has no server."""

    uri: str
    artifacts: Path

    @classmethod
    def named(cls, uri: str | None, folder: Path) -> "Store":
        """The store of this URI, else of MLFLOW_TRACKING_URI, else `mlflow.db` in this folder; paths made absolute."""
        chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        if chosen.startswith("sqlite:///") and not chosen.startswith("sqlite:////"):
            chosen = f"sqlite:///{folder / chosen.removeprefix('sqlite:///')}"
        return cls(chosen, folder / "mlruns")

    def check(self) -> None:
        """Raise an ArchabError if the store cannot be reached or written; without importing MLflow."""
        if self.uri.startswith("sqlite:///"):
            file = Path(self.uri.removeprefix("sqlite:///"))
            if not file.parent.is_dir():
                raise ArchabError(f"tracking.uri={self.uri}: there is no folder {file.parent}")
            if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
                raise ArchabError(f"tracking.uri={self.uri}: {file} cannot be written; give another tracking.uri")
        elif self.uri.startswith(("http://", "https://")):
            try:
                urllib.request.urlopen(f"{self.uri.rstrip('/')}/health", timeout=5).close()
            except (OSError, ValueError) as error:
                raise ArchabError(f"tracking.uri={self.uri}: no MLflow server answers there ({error})") from error

    @property
    def review(self) -> str:
        """The command that opens the review, empty where a server runs already."""
        return "" if self.uri.startswith("http") else f"mlflow ui --backend-store-uri {shlex.quote(self.uri)}"

    def link(self, experiment: str) -> str:
        """The page with the runs and charts of an experiment."""
        server = self.uri.rstrip("/") if self.uri.startswith("http") else "http://127.0.0.1:5000"
        return f"{server}/#/experiments/{experiment}/{PAGE}"


@dataclass(frozen=True)
class Tracker:
    """An open MLflow run."""

    client: "MlflowClient"
    run_id: str
    experiment_id: str

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Log metrics in one request, without those that are not finite: MLflow would store other numbers."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        finite = [Metric(key, value, now, step) for key, value in metrics.items() if math.isfinite(value)]
        self.client.log_batch(self.run_id, metrics=finite)

    def keep(self, file: Path) -> None:
        """Keep a file as an artifact."""
        self.client.log_artifact(self.run_id, str(file))

    def keep_values(self, values: dict[str, Any], name: str) -> None:
        """Keep plain values as a YAML or JSON artifact of this name."""
        self.client.log_dict(self.run_id, values, name)


@contextmanager
def tracked(
    store: Store, experiment: str, run: str, parameters: dict[str, Any], tags: dict[str, str]
) -> Iterator[Tracker]:
    """An open run, ended as FINISHED, as KILLED when interrupted, else as FAILED.

    Raises:
        ArchabError: if the store refuses it.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # or MLflow calls home
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        tracker = _started(store, experiment, run, tags)
    except (MlflowException, OSError) as error:
        raise ArchabError(f"tracking.uri={store.uri}: {str(error).splitlines()[0]}") from error
    status = "FAILED"
    try:
        _log_parameters(tracker, parameters)
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        tracker.client.set_terminated(tracker.run_id, status)


def _started(store: Store, experiment: str, run: str, tags: dict[str, str]) -> Tracker:
    from mlflow import MlflowClient

    tags = {**tags, "mlflow.user": getpass.getuser(), "mlflow.source.type": "LOCAL"}
    client = MlflowClient(tracking_uri=store.uri)
    # Tables and experiments are made on first contact, which only one process survives.
    lock = FileLock(f"{store.uri.removeprefix('sqlite:///')}.lock") if store.uri.startswith("sqlite:///") else None
    with lock or nullcontext():
        found = client.get_experiment_by_name(experiment)
        location = None if store.uri.startswith("http") else store.artifacts.as_uri()
        identity = found.experiment_id if found else client.create_experiment(experiment, location)
    return Tracker(client, client.create_run(identity, tags=tags, run_name=run).info.run_id, identity)


def _log_parameters(tracker: Tracker, parameters: dict[str, Any]) -> None:
    from mlflow.entities import Param

    all_of_them = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in parameters.items()]
    for first in range(0, len(all_of_them), PARAMETERS_A_REQUEST):
        tracker.client.log_batch(tracker.run_id, params=all_of_them[first : first + PARAMETERS_A_REQUEST])


def commit() -> str:
    """The git commit of the current directory, empty outside a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
