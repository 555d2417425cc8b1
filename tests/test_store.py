"""The store: four processes at once on a fresh one, and one that goes away: nothing that was computed is lost."""

import getpass
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from logged import QUICK, TWO, runs
from mlflow.exceptions import MlflowException

from archab.cli import compare, sync
from archab.experiment import run as running
from archab.results import ROWS
from archab.runs.log import Record
from archab.store.mlflow import Store

CONTACT = """
import sys
from pathlib import Path
from archab.results import ROWS
from archab.runs.log import Record
from archab.store.mlflow import Store
run = Store(sys.argv[1], Path(sys.argv[2])).begin(Record("first", "contact", {}, {}, "auto"))
run.client.set_terminated(run.run_id, "FINISHED")
"""


def contacted(uri: str, folder: Path) -> list[str]:
    """What four processes say on their first contact with a fresh store, all at once."""
    command = [sys.executable, "-c", CONTACT, uri, str(folder)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[1] for process in processes]
    return [text for text, process in zip(said, processes, strict=True) if process.returncode]


@pytest.mark.slow
def test_four_processes_at_once_make_a_fresh_sqlite_store_though_an_address_would_read_its_path_otherwise(tmp_path):
    folder = tmp_path / "a%62?b"
    folder.mkdir()
    store = Store.named(None, folder)
    assert contacted(store.uri, folder) == []
    found = store.client().search_runs([store.identity("first")])
    assert [run.info.status for run in found] == ["FINISHED"] * 4
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


FOLDERS = ("a%62 ?x", "#é=',+:;&@\" [br]*", "pct%")
ADDRESSES = {
    "the default": (None, "mlflow.db"),
    "options": ("sqlite:///in/mlflow.db?timeout=60", "in/mlflow.db"),
    "a driver": ("sqlite+pysqlite:///in/mlflow.db", "in/mlflow.db"),
    "an escape": ("sqlite:///in/a%20b%3F.db", "in/a b?.db"),
    "a URI of SQLite": ("sqlite:///file:in/a%2520b.db?uri=true&timeout=60&cache=private", "in/a b.db"),
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_any_path_and_any_address_of_sqlite_is_the_file_that_it_says_and_none_is_made_elsewhere(
    address, empty_store, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri, file = ADDRESSES[address]
    for name in FOLDERS if uri is None else FOLDERS[:1]:
        folder = tmp_path / name
        (folder / file).parent.mkdir(parents=True)
        shutil.copy(empty_store, folder / file)
        (folder / ROWS).write_text("rows")
        store = Store.named(uri, folder)
        store.check()
        assert (store.file, Store.named(store.uri, Path("/")).uri) == (folder / file, store.uri)
        record = Record("made", "one", {}, {"archab.kind": "run", "archab.seed": "0"}, "auto")
        record.runs[store.shown] = store.deliver(record, [folder / ROWS])
        [run] = store.runs("made")
        assert store.fetch(run, ROWS, folder).read_text() == "rows"
        assert store.fetch(run, ROWS, folder).is_relative_to((folder / file).parent / "mlruns")
        with closing(sqlite3.connect(folder / file)) as database:
            assert database.execute("select name from runs").fetchall() == [("one",)]
    named = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert named <= set(FOLDERS)
    assert {path.name for path in tmp_path.rglob("*.db")} == {Path(file).name}


FOREIGN = {
    "an older version": ("update alembic_version set version_num='bd07f7e963c5'", "mlflow db upgrade sqlite:///"),
    "a newer version": ("update alembic_version set version_num='ffffffffffff'", "newer version of MLflow than"),
    "another application": ("drop table runs; drop table alembic_version", "another application (its tables: "),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_database_of_another_version_or_application_is_refused_in_one_line_and_left_as_it_is(
    case, command, tmp_path, capfd
):
    sql, said = FOREIGN[case]
    (tmp_path / "rows").mkdir()
    Record("made", "one", {}, {}, "auto", runs={f"sqlite:///{tmp_path}/mlflow.db": "1"}).write(
        tmp_path / "rows" / "finished.json"
    )
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("pragma foreign_keys = off")
        database.executescript(sql)
    before = (tmp_path / "mlflow.db").read_bytes()
    ended = command(*QUICK)
    assert compare.main(["--space", "n_diagonal_original"]) == 2
    compared = capfd.readouterr().err
    assert sync.main(["rows"]) == 1
    for err in (ended.err, compared, capfd.readouterr().err):
        assert said in err
        assert len(err.splitlines()) == 1
    assert ended.code == 2
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_database_that_only_seems_to_be_a_store_is_one_line_too(command, tmp_path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.executescript("pragma foreign_keys = off; drop table experiments; create table experiments (x)")
    ended = command(*QUICK)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1), ended.err
    assert "cannot be used as a store" in ended.err


def test_an_experiment_that_was_deleted_is_named_with_its_remedy(command, tmp_path, capfd):
    store = Store.named(None, tmp_path)
    record = Record("n_diagonal_original", "one", {}, {"archab.kind": "run"}, "auto")
    store.begin(record)
    store.client().delete_experiment(store.identity("n_diagonal_original"))
    remedy = f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/mlflow.db mlflow experiments restore -x 1"
    ended = command(*QUICK)
    assert compare.main(["--space", "n_diagonal_original"]) == 2
    for err in (ended.err, capfd.readouterr().err):
        assert "the experiment n_diagonal_original was deleted" in err
        assert remedy in err
    assert ended.code == 2
    assert command(*QUICK, "tracking.experiment=another").code == 0


@pytest.fixture
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own, as a tracking URI."""
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if not found[-1].is_file():
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    tools, as_its_user = found[-1].parent, []
    with tempfile.TemporaryDirectory() as folder:
        if getpass.getuser() == "root":  # which the server refuses to be run by
            as_its_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        run = partial(subprocess.run, check=True, capture_output=True, cwd=folder)
        run([*as_its_user, tools / "initdb", "-D", "data", "-A", "trust", "-U", "archab"])
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run([*as_its_user, tools / "pg_ctl", "-D", "data", "-w", "-o", options, "-l", "log", "start"])
        try:
            yield f"postgresql+psycopg://archab@/postgres?host={folder}"
        finally:
            run([*as_its_user, tools / "pg_ctl", "-D", "data", "-m", "immediate", "stop"])


def test_four_processes_at_once_make_a_fresh_postgresql_store_and_a_run_is_logged_there(postgres, tmp_path, command):
    assert contacted(postgres, tmp_path) == []
    ended = command(*QUICK, f'tracking.uri="{postgres}"')
    assert (ended.code, ended.err) == (0, "")
    assert f"archab-compare --space n_diagonal_original --tracking-uri '{postgres}'" in ended.out
    assert "finished before" in command(*QUICK, f'tracking.uri="{postgres}"').out


LONG = (
    "+space=n_diagonal_original",
    *TWO,
    "targets=4",
    "samples=64",
    "engine=loop",
    "engine.chunk=1",
    "tracking.patience=1",
)


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """By another process, as it were: MLflow waits for it 20 seconds each time."""
    with closing(sqlite3.connect(store, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def gone(store: Path) -> Iterator[None]:
    """Not to be used: SQLite cannot have its journal."""
    journal = store.with_name(f"{store.name}-journal")
    while True:
        with suppress(FileExistsError):  # it is at work
            journal.mkdir()
            break
    yield
    journal.rmdir()


def away_while(folder: Path, how: Callable[[Path], Any], until: threading.Event) -> threading.Thread:
    """Keeps a folder's store from being used from the first rows of a run on until the event."""

    def keep() -> None:
        deadline = time.monotonic() + 60
        while not list(folder.glob(".archab/*/0/parts/*.parquet")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with how(folder / "mlflow.db"):
            until.wait(120)

    thread = threading.Thread(target=keep)
    thread.start()
    return thread


def test_a_store_that_goes_away_during_a_run_costs_nothing_and_the_same_command_or_sync_brings_it_there(
    command, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(running, "SHORT", -1.0)  # it waits for the store before it trains
    back = threading.Event()
    thread = away_while(tmp_path, gone, back)
    ended = command(*LONG)
    back.set()
    thread.join()
    assert ended.code == 2
    assert "Traceback" not in ended.err
    [message] = ended.err.strip().splitlines()
    [folder] = tmp_path.glob(".archab/*/0")
    assert "does not answer" in message
    assert str(folder) in message
    assert "archab-sync" in message
    assert "verdict" in ended.out
    assert (folder / "results.parquet").exists()
    if len(list(tmp_path.glob(".archab/*/*/finished.json"))) == 1:
        assert sync.main([str(tmp_path / ".archab")]) == 0
    assert "1 runs were brought" in capfd.readouterr().out
    [run] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    assert run["status"] == "FINISHED"
    assert run["metrics.gmr"] > 0
    assert sync.main([str(tmp_path / ".archab")]) == 0
    assert "0 runs were brought" in capfd.readouterr().out
    assert len(runs(tmp_path, "n_diagonal_original")) == 1


@pytest.mark.slow
def test_a_store_that_is_locked_for_a_moment_is_waited_for(command, tmp_path):
    unlocked = threading.Event()
    thread = away_while(tmp_path, locked, unlocked)
    threading.Timer(8, unlocked.set).start()
    ended = command(*LONG[:-1], "tracking.patience=60")
    thread.join()
    assert (ended.code, ended.err) == (0, "")
    assert list(runs(tmp_path, "n_diagonal_original")["status"]) == ["FINISHED"]


def test_sync_brings_runs_to_another_store_with_the_time_of_their_first_start(command, tmp_path, capfd):
    assert command(*QUICK).code == 0
    [first] = runs(tmp_path, "n_diagonal_original").to_dict("records")
    other = tmp_path / "other"
    other.mkdir()
    assert sync.main([".archab", "--tracking-uri", f"sqlite:///{other / 'mlflow.db'}"]) == 0
    [second] = runs(other, "n_diagonal_original").to_dict("records")
    for same in ("_start_time", "status", "tags.archab.fingerprint", "metrics.gmr", "tags.mlflow.note.content"):
        assert first[same] == second[same], same
    assert sync.main(["nowhere"]) == 2
    assert "no such folder" in capfd.readouterr().err


def test_a_server_that_is_not_there_is_an_error_before_training(command):
    for uri in ("http://127.0.0.1:9", "postgresql://127.0.0.1:9/archab"):
        start = time.monotonic()
        ended = command(*QUICK, f"tracking.uri={uri}")
        assert ended.code == 2
        assert uri in ended.err
        assert "training" not in ended.out
        assert time.monotonic() - start < 20


def test_a_store_that_does_not_answer_is_not_taken_for_one_that_lost_the_run(tmp_path, monkeypatch):
    store = Store.named(None, tmp_path)
    record = Record("made", "one", {}, {}, "auto")
    record.runs[store.shown] = store.begin(record).run_id

    def silent(run_id: str) -> None:
        raise MlflowException("the connection is gone")

    with monkeypatch.context() as broken:
        broken.setattr(store.client(), "get_run", silent)
        with pytest.raises(MlflowException):
            store.deliver(record, [])
    assert len(runs(tmp_path, "made")) == 1
    assert store.deliver(record, []) == record.runs[store.shown]
    assert list(runs(tmp_path, "made")["status"]) == ["FINISHED"]
