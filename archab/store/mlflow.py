"""MLflow: one flat run a job, in the experiment named after the space."""

import getpass
import glob
import json
import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text

from archab.errors import ArchabError
from archab.results import ROWS
from archab.runs.log import Point, Record
from archab.store import schema
from archab.store.desk import Entry
from archab.store.uri import VIEW, Address, of_database, of_file, passes, told

# How MLflow opens the runs of an experiment: the evidence first, and the columns that a reviewer wants. It keeps such a
# view as a tag of the experiment, which a link names (tried in its versions 3.10 and 3.17); where one of its own
# defaults is missing, some of its versions wait for ever.
SHOWN = {f"mlflow.sharedViewState.{VIEW}": json.dumps(json.loads((Path(__file__).parent / "view.json").read_text()))}
LONGEST_PARAMETER, LONGEST_TAG, PARAMETERS_A_REQUEST, METRICS_A_REQUEST = 6000, 8000, 100, 1000  # MLflow's limits
DESCRIPTION = "mlflow.note.content"
LONGEST_CONTACT = 60  # seconds that another process may take to make the tables of a file
FIRST_CONTACT = 20_190_817  # the key of the lock on a PostgreSQL store


@dataclass(frozen=True)
class Logged:
    """A run that the store holds; `start` in milliseconds, `artifacts` the URI of its files."""

    run_id: str
    status: str
    seed: int
    start: int
    deleted: bool
    artifacts: str
    tags: dict[str, str]
    params: dict[str, str]


class Store(Address):
    """A store that runs are logged to and read from."""

    def runs(self, experiment: str) -> list[Logged]:
        """Every run of an experiment that trained students, deleted ones too, in the order of their start.

        Raises:
            ArchabError: if there is no such experiment in the store.
        """
        client = self.client()
        identity = self.identity(experiment)
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

    def others(self, experiment: str) -> str:
        """How many runs of an experiment did not train students for archab, empty where there are none."""
        found = self.client().search_runs([self.identity(experiment)], "", max_results=1000)
        count = sum("archab.kind" not in run.data.tags for run in found)
        return f"{count:,}{' or more' if found.token else ''}" if count else ""

    def holds(self, record: Record) -> str | None:
        """The identity of the experiment that has this run, None where the store lost the run or its rows."""
        run_id = record.runs.get(self.shown, "")
        info = self._run(run_id) if run_id else None
        if info is None or info.status != "FINISHED":
            return None
        there = {item.path for item in self.client().list_artifacts(run_id)}
        return str(info.experiment_id) if ROWS in there else None

    def _run(self, run_id: str) -> Any:
        try:
            info = self.client().get_run(run_id).info
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return info if info.lifecycle_stage == "active" else None

    def _end_dead(self, record: Record, hosts: set[str]) -> int:
        client = self.client()
        found = self._experiment(record.experiment)
        if found is None:
            return 0
        mine = {key: record.tags[key] for key in ("archab.fingerprint", "archab.seed", "archab.folder")}
        asked = " and ".join(f"tags.`{key}` = '{value}'" for key, value in mine.items())
        running = client.search_runs([found.experiment_id], f"{asked} and attributes.status = 'RUNNING'")
        dead = [run for run in running if run.data.tags.get("archab.host") in hosts]
        for run in dead:
            client.set_terminated(run.info.run_id, "KILLED")
        return len(dead)

    def deliver(self, record: Record, files: Sequence[Path]) -> str:
        """Bring the whole log of a finished run into the store; the identity of its run there.

        It goes into the run that it was begun as, where that is still there. What the store has already is not doubled.
        """
        known = record.runs.get(self.shown)
        run = self._run(known) if known else None
        if run:
            tracker = Tracker(self.client(), run.run_id, run.experiment_id)
        else:  # a store that lost it: when its seed was first started is part of the evidence
            tracker = self.begin(replace(record, start=record.first or record.start))
        tracker.parameters(record.parameters)
        tracker.points(record.points)
        tracker.tag(record.tags)
        for file in files:
            tracker.keep(file, files[0].parent)
        for name, values in record.values.items():
            tracker.client.log_dict(tracker.run_id, values, name)
        tracker.end()
        return tracker.run_id

    def begin(self, record: Record) -> "Tracker":
        """A new run of this record, without its metrics, marked as running."""
        kind = {"mlflow.user": getpass.getuser(), "mlflow.source.type": "LOCAL", "mlflow.source.name": "archab"}
        identity = self.made(record.experiment)
        run = self.client().create_run(identity, record.start, _in_parts(record.tags | kind), record.name)
        return Tracker(self.client(), run.info.run_id, identity)

    def enter(self, record: Record, hosts: set[str]) -> Entry:
        """A new run of this record with its parameters, marked as running.

        Those like it that died without a word on these hosts are ended as KILLED. Only for whoever holds the folder: a
        run that is marked as running there cannot be alive.
        """
        dead = self._end_dead(record, hosts) if hosts else 0
        tracker = self.begin(record)
        with suppress(Exception):  # `deliver` brings them again
            tracker.parameters(record.parameters)
        return Entry(tracker.run_id, tracker.experiment_id, dead)

    def points(self, entry: Entry, points: Sequence[Point]) -> None:
        """Log metrics of a run."""
        Tracker(self.client(), entry.run_id, entry.experiment_id).points(points)

    def end(self, entry: Entry, status: str) -> None:
        """End a run with this status."""
        self.client().set_terminated(entry.run_id, status)

    def made(self, experiment: str) -> str:
        """The identity of an experiment, which is made if need be, and opens in archab's view."""
        client = self.client()
        location = None if self.uri.startswith("http") else self.artifacts.as_uri()
        found = self._experiment(experiment)
        if found is None:
            try:
                return str(client.create_experiment(experiment, location, SHOWN))
            except MlflowException:
                if (found := self._experiment(experiment)) is None:
                    raise  # else another process was faster
        for key, value in SHOWN.items():
            if found.tags.get(key) != value:
                client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def fetch(self, run: Logged, name: str, folder: Path) -> Path | None:
        """An artifact of a run as a file, in this folder where the store is remote; None where it is gone.

        What MLflow or the network raises where the store does not answer.
        """
        self.client()
        where = f"{run.artifacts}/{name}"
        local = where.startswith(("file:", "/"))  # such files are read where they are
        try:
            return Path(download_artifacts(where, dst_path=None if local else str(folder), tracking_uri=self.uri))
        except (MlflowException, OSError):
            if name in [item.path for item in self.client().list_artifacts(run.run_id)]:
                raise
            return None

    def summaries(self, experiment: str, asked: str) -> "list[Tracker]":
        """The summary runs of an experiment that answer what was asked, of which there should be one.

        Raises:
            ArchabError: if there is no such experiment.
        """
        client, identity = self.client(), self.identity(experiment)
        found = client.search_runs([identity], "tags.`archab.kind` = 'verdict'")
        same = [run for run in found if run.data.tags.get("archab.asked", "") == asked]
        return [Tracker(client, run.info.run_id, identity) for run in same]

    def identity(self, experiment: str) -> str:
        """The identity of an experiment that is there.

        Raises:
            ArchabError: if it is not, with the names of those that are.
        """
        found = self._experiment(experiment)
        if found is None:
            there = ", ".join(e.name for e in self.client().search_experiments() if e.name != "Default")
            raise ArchabError(f"--space {experiment}: no such experiment in {self.shown}. There are: {there or 'none'}")
        return str(found.experiment_id)

    def _experiment(self, name: str) -> Any:
        """An experiment, None where there is none of this name.

        Raises:
            ArchabError: if it was deleted, which keeps its name from others.
        """
        found = self.client().get_experiment_by_name(name)
        if found is None or found.lifecycle_stage == "active":
            return found
        restore = f"MLFLOW_TRACKING_URI={shlex.quote(self.shown)} mlflow experiments restore -x {found.experiment_id}"
        raise ArchabError(
            f"the experiment {name} was deleted in {self.shown}. Restore it: {restore}; or log to another one: "
            "tracking.experiment=NAME"
        )

    def client(self) -> MlflowClient:
        """MLflow's own client of this store.

        Raises:
            ArchabError: if it can be no store; what may work later raises as MLflow does.
        """
        try:
            return _client(self)
        except ArchabError:
            raise
        except Exception as error:  # of MLflow or SQLAlchemy
            if passes(error):
                raise
            raise ArchabError(f"tracking.uri={self.shown}: cannot be used as a store ({told(error)})") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from the store's first contact, which makes its tables and which only one survives."""
        if self.file and os.access(self.file.parent, os.W_OK):
            with FileLock(f"{self.file}.lock", timeout=LONGEST_CONTACT):
                yield
        elif self.uri.startswith("postgresql"):
            engine = create_engine(self.uri)
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": FIRST_CONTACT})
                yield
            engine.dispose()
        else:
            yield


@dataclass(frozen=True)
class Tracker:
    """An open MLflow run."""

    client: MlflowClient
    run_id: str
    experiment_id: str

    def points(self, points: Sequence[Point]) -> None:
        """Log metrics, in as few requests as may be."""
        for first in range(0, len(points), METRICS_A_REQUEST):
            some = [Metric(*point) for point in points[first : first + METRICS_A_REQUEST]]
            self.client.log_batch(self.run_id, metrics=some)

    def parameters(self, parameters: dict[str, Any]) -> None:
        """Log parameters, each cut to MLflow's limit."""
        all_of_them = [Param(key, str(value)[:LONGEST_PARAMETER]) for key, value in parameters.items()]
        for first in range(0, len(all_of_them), PARAMETERS_A_REQUEST):
            self.client.log_batch(self.run_id, params=all_of_them[first : first + PARAMETERS_A_REQUEST])

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags; `mlflow.note.content` is the description."""
        self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in _in_parts(tags).items()])

    def history(self, name: str) -> dict[int, float]:
        """What a metric was at each step."""
        return {point.step: point.value for point in self.client.get_metric_history(self.run_id, name)}

    def end(self) -> None:
        """End it as FINISHED."""
        self.client.set_terminated(self.run_id, "FINISHED")

    def delete(self) -> None:
        """Delete it, as MLflow does: to be restored."""
        self.client.delete_run(self.run_id)

    def keep(self, file: Path, folder: Path) -> None:
        """Keep a file as an artifact, at the place that it has in this folder."""
        inside = str(file.parent.relative_to(folder))
        self.client.log_artifact(self.run_id, str(file), None if inside == "." else inside)


@cache
def _client(store: Store) -> MlflowClient:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # what they would log is said by `Live`
    with store._alone():
        if (file := store.file) and not file.exists():
            # Under another name first: a process that is killed while tables are made would leave half a database.
            for left in file.parent.glob(f".{glob.escape(file.name)}.*"):
                left.unlink()
            unfinished = file.with_name(f".{file.name}.{os.getpid()}")
            MlflowClient(tracking_uri=of_file(unfinished)).search_experiments(max_results=1)
            unfinished.replace(file)
        if of_database(store.uri):
            schema.check(store.uri)
        client = MlflowClient(tracking_uri=store.uri)
        client.search_experiments(max_results=1)
    return client


def _in_parts(tags: dict[str, str]) -> dict[str, str]:
    """Tags within MLflow's limit: a description is cut, another one goes on in `NAME.1`, `NAME.2`, …"""
    made: dict[str, str] = {}
    for key, value in tags.items():
        first, *more = [value[i : i + LONGEST_TAG] for i in range(0, max(1, len(value)), LONGEST_TAG)]
        if key == DESCRIPTION and more:
            first, more = f"{first[:-3]}\n\n…", []
        made |= {key: first} | {f"{key}.{i}": part for i, part in enumerate(more, 1)}
    return made


def _whole(tags: dict[str, str]) -> dict[str, str]:
    """Tags as they were before `_in_parts`."""
    made = {key: value for key, value in tags.items() if not key.rpartition(".")[2].isdecimal()}
    for key in made:
        made[key] += "".join(tags[f"{key}.{i}"] for i in range(1, len(tags)) if f"{key}.{i}" in tags)
    return made


def _logged(run: Any) -> Logged:
    return Logged(
        run_id=run.info.run_id,
        status=run.info.status,
        seed=int(run.data.tags["archab.seed"]),
        start=run.info.start_time,
        deleted=run.info.lifecycle_stage == "deleted",
        artifacts=run.info.artifact_uri,
        tags=_whole(run.data.tags),
        params=dict(run.data.params),
    )
