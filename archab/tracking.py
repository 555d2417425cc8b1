"""MLflow: one flat run a job, in the experiment named after the space."""

import logging
import os
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archab.errors import ArchabError

PAGE = "runs?compareRunsMode=CHART&workflowType=machine_learning"
LONGEST_PARAMETER = 6000


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

    run_id: str
    experiment_id: str

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Log finite metrics in one request; MLflow would store infinities as other numbers."""
        import math

        import mlflow

        finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
        mlflow.log_metrics(finite, step=step, run_id=self.run_id)

    def keep(self, file: Path) -> None:
        """Keep a file as an artifact."""
        import mlflow

        mlflow.log_artifact(str(file), run_id=self.run_id)

    def keep_values(self, values: dict[str, Any], name: str) -> None:
        """Keep plain values as a YAML or JSON artifact of this name."""
        import mlflow

        mlflow.log_dict(values, name, run_id=self.run_id)


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
    import mlflow
    from filelock import FileLock
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cut = {key: str(value)[:LONGEST_PARAMETER] for key, value in parameters.items()}
    try:
        mlflow.set_tracking_uri(store.uri)
        lock = Path(store.uri.removeprefix("sqlite:///") + ".lock") if store.uri.startswith("sqlite:///") else None
        with FileLock(lock) if lock else _nothing():  # tables are made on first contact, by one process
            found = mlflow.get_experiment_by_name(experiment)
            location = None if store.uri.startswith("http") else store.artifacts.as_uri()
            identity = found.experiment_id if found else mlflow.create_experiment(experiment, location)
        started = mlflow.start_run(experiment_id=identity, run_name=run, tags=tags)
    except (MlflowException, OSError) as error:
        raise ArchabError(f"tracking.uri={store.uri}: {str(error).splitlines()[0]}") from error
    status = "FAILED"
    try:
        mlflow.log_params(cut)
        yield Tracker(started.info.run_id, identity)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def commit() -> str:
    """The git commit of the current directory, empty outside a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


@contextmanager
def _nothing() -> Iterator[None]:
    yield
