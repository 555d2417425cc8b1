"""MLflow: one flat run a job, in the experiment named after the space."""

import getpass
import hashlib
import logging
import math
import os
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from archab.errors import ArchabError

if TYPE_CHECKING:
    from mlflow import MlflowClient

PAGE = "runs?compareRunsMode=CHART&workflowType=machine_learning"
LONGEST_PARAMETER, PARAMETERS_A_REQUEST, METRICS_A_REQUEST = 6000, 100, 1000  # MLflow's limits


@dataclass(frozen=True)
class Logged:
    """A run that the store holds; `start` in milliseconds."""

    run_id: str
    status: str
    seed: int
    start: int
    deleted: bool
    tags: dict[str, str]
    params: dict[str, str]


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
        place = Path(chosen.removeprefix("sqlite:///")).parent if chosen.startswith("sqlite:///") else folder
        return cls(chosen, place / "mlruns")

    def check(self) -> None:
        """Raise an ArchabError if the store cannot be reached or written; without importing MLflow."""
        if self.uri == "sqlite://" or ":memory:" in self.uri:
            raise ArchabError(f"tracking.uri={self.uri}: a store in memory is gone at the end; give a file")
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

    def runs(self, experiment: str) -> list[Logged]:
        """Every run of an experiment that trained students, deleted ones too, in the order of their start.

        Raises:
            ArchabError: if there is no such experiment in the store.
        """
        from mlflow.entities import ViewType

        client = self.client()
        identity = _experiment(client, experiment, self)
        runs: list[Logged] = []
        page = None
        while page is None or page.token:
            page = client.search_runs(
                [identity],
                "tags.`archab.kind` = 'run'",
                ViewType.ALL,
                order_by=["attributes.start_time ASC"],
                page_token=page.token if page else None,
            )
            runs += [_logged(run) for run in page]
        return runs

    def holds(self, run_id: str) -> bool:
        """Whether a finished run is still there."""
        from mlflow.exceptions import MlflowException

        try:
            info = self.client().get_run(run_id).info
        except MlflowException:
            return False
        return info.status == "FINISHED" and info.lifecycle_stage == "active"

    def end_dead(self, experiment: str, fingerprint: str, seed: int, folder: Path) -> int:
        """End as KILLED the runs of one seed that died without a word; how many there were.

        Only for whoever holds the lock of their folder: a run that is marked as running there cannot be alive.
        """
        client = self.client()
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return 0
        mine = {"archab.fingerprint": fingerprint, "archab.seed": str(seed), **here(folder)}
        asked = " and ".join(f"tags.`{key}` = '{value}'" for key, value in mine.items())
        dead = client.search_runs([found.experiment_id], f"{asked} and attributes.status = 'RUNNING'")
        for run in dead:
            client.set_terminated(run.info.run_id, "KILLED")
        return len(dead)

    def fetch(self, run: Logged, name: str, folder: Path) -> Path | None:
        """An artifact of a run as a file, in this folder where the store is remote; None where it is gone."""
        from mlflow.exceptions import MlflowException

        client = self.client()
        try:
            if name not in [item.path for item in client.list_artifacts(run.run_id)]:
                return None
            return Path(client.download_artifacts(run.run_id, name, str(folder)))
        except (MlflowException, OSError):
            return None

    def summarise(self, experiment: str, text: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Write the experiment's one summary run, whose description is this text."""
        client = self.client()
        identity = _experiment(client, experiment, self)
        found = client.search_runs([identity], "tags.`archab.kind` = 'verdict'", max_results=1)
        kind = {"archab.kind": "verdict"}
        run = found[0].info.run_id if found else client.create_run(identity, tags=kind, run_name="verdict").info.run_id
        tracker = Tracker(client, run, identity)
        tracker.tag({**tags, "mlflow.note.content": text})
        tracker.log(metrics, step=0)
        client.set_terminated(run, "FINISHED")

    def client(self) -> "MlflowClient":
        """MLflow's own client of this store."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # or MLflow calls home
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            with self.alone():
                return MlflowClient(tracking_uri=self.uri)
        except Exception as error:  # of MLflow or SQLAlchemy
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise ArchabError(f"tracking.uri={self.uri}: cannot be used as a store ({said})") from error

    def alone(self) -> AbstractContextManager[Any]:
        """Tables and experiments are made on first contact, which only one process at a time survives."""
        file = Path(self.uri.removeprefix("sqlite:///"))
        ours = self.uri.startswith("sqlite:///") and os.access(file.parent, os.W_OK)
        return FileLock(f"{file}.lock") if ours else nullcontext()

    def check_there(self) -> None:
        """Raise an ArchabError if there is no store yet: to read from, it is not made."""
        self.check()
        file = Path(self.uri.removeprefix("sqlite:///"))
        if self.uri.startswith("sqlite:///") and not file.exists():
            raise ArchabError(f"tracking.uri={self.uri}: there is no store; it is made by the first run")

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
        self.log_series({key: [(step, value)] for key, value in metrics.items()})

    def log_series(self, series: dict[str, list[tuple[int, float]]]) -> None:
        """Log series of (step, value) by name, as `log` does."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [Metric(k, v, now, step) for k, values in series.items() for step, v in values if math.isfinite(v)]
        for first in range(0, len(points), METRICS_A_REQUEST):
            self.client.log_batch(self.run_id, metrics=points[first : first + METRICS_A_REQUEST])

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags; `mlflow.note.content` is the description."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

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
    try:
        tracker = _started(store, experiment, run, tags)
    except ArchabError:
        raise
    except Exception as error:  # of MLflow, SQLAlchemy or the file system
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ArchabError(f"tracking.uri={store.uri}: cannot be used as a store ({said})") from error
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
    tags = {**tags, "mlflow.user": getpass.getuser(), "mlflow.source.type": "LOCAL"}
    client = store.client()
    with store.alone():
        found = client.get_experiment_by_name(experiment)
        location = None if store.uri.startswith("http") else store.artifacts.as_uri()
        identity = found.experiment_id if found else client.create_experiment(experiment, location)
    return Tracker(client, client.create_run(identity, tags=tags, run_name=run).info.run_id, identity)


def _experiment(client: "MlflowClient", name: str, store: Store) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        there = ", ".join(e.name for e in client.search_experiments() if e.name != "Default")
        raise ArchabError(f"--space {name}: no such experiment in {store.uri}. There are: {there or 'none'}")
    return found.experiment_id


def _logged(run: Any) -> Logged:
    return Logged(
        run_id=run.info.run_id,
        status=run.info.status,
        seed=int(run.data.tags["archab.seed"]),
        start=run.info.start_time,
        deleted=run.info.lifecycle_stage == "deleted",
        tags=dict(run.data.tags),
        params=dict(run.data.params),
    )


def _log_parameters(tracker: Tracker, parameters: dict[str, Any]) -> None:
    from mlflow.entities import Param

    all_of_them = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in parameters.items()]
    for first in range(0, len(all_of_them), PARAMETERS_A_REQUEST):
        tracker.client.log_batch(tracker.run_id, params=all_of_them[first : first + PARAMETERS_A_REQUEST])


def here(folder: Path) -> dict[str, str]:
    """Tags that say where a run is at work: only one process can be, in one folder of one machine."""
    return {"archab.host": socket.gethostname(), "archab.folder": hashlib.sha256(bytes(folder)).hexdigest()[:16]}


def commit() -> str:
    """The git commit of the current directory, empty outside a repository."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
