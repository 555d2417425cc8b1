"""The process that speaks to MLflow for a run: what it answers, how it ends, and what a run need not import for it."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from archab.errors import ArchabError
from archab.runs.log import Record
from archab.store import desk, upload
from archab.store.desk import Desk
from archab.store.mlflow import Store
from archab.store.uri import Unanswered


def record(name: str = "seed 0") -> Record:
    tags = {"archab.kind": "run", "archab.seed": "0", "archab.fingerprint": "f", "archab.folder": "here"}
    return Record("made", name, {"targets": 8}, tags, "auto")


@pytest.fixture
def at(stored):
    return Desk.named(None, stored)


def test_a_run_goes_through_the_desk_into_the_store(at, tmp_path):
    one = record()
    entry = at.enter(one, set())
    at.points(entry, [("seconds", 1.5, 10, 0)])
    (tmp_path / "results.parquet").write_bytes(b"rows")
    one.runs[at.shown] = entry.run_id
    assert at.holds(one) is None  # it is still running
    assert at.deliver(one, [tmp_path / "results.parquet"]) == entry.run_id
    assert at.holds(one) == entry.experiment_id
    [run] = Store(at.uri, at.artifacts).runs("made")
    assert (run.run_id, run.status, run.params) == (entry.run_id, "FINISHED", {"targets": "8"})
    assert Store(at.uri, at.artifacts).client().get_run(run.run_id).data.metrics == {"seconds": 1.5}


def test_what_died_on_a_host_is_ended_by_whoever_enters_next(at):
    one = record()
    one.tags["archab.host"] = "here"
    first = at.enter(one, {"here"})
    assert first.dead == 0
    assert at.enter(one, {"elsewhere"}).dead == 0
    assert at.enter(one, {"here"}).dead == 2
    assert sorted(run.status for run in Store(at.uri, at.artifacts).runs("made")) == ["KILLED", "KILLED", "RUNNING"]


def test_a_question_asked_ahead_is_asked_once(at):
    at.contact()
    at.enter_soon(record(), set())
    while not at.entered():
        time.sleep(0.05)
    entry = at.enter(record("another name, which is not asked for"), set())
    [run] = Store(at.uri, at.artifacts).runs("made")
    assert run.run_id == entry.run_id
    assert at.entered()  # nothing is waited for


def test_a_wait_that_is_interrupted_is_taken_up_again(at):
    at.holds(record())
    os.kill(desk._other._process.pid, signal.SIGSTOP)
    at.enter_soon(record(), set())
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        at.enter(record(), set())
    os.kill(desk._other._process.pid, signal.SIGCONT)
    entry = at.enter(record(), set())
    [run] = Store(at.uri, at.artifacts).runs("made")
    assert run.run_id == entry.run_id


def test_an_answer_that_nobody_took_is_not_taken_for_the_next(at):
    at.enter(record(), set())
    desk._other.ask(at, "holds", record())  # as a wait that Ctrl-C has ended
    assert at.holds(record()) is None


def test_where_the_process_was_killed_the_next_question_begins_another(at):
    entry = at.enter(record(), set())
    before = desk._other._process.pid
    os.kill(before, signal.SIGKILL)
    desk._other._process.wait()
    at.points(entry, [("seconds", 1.5, 10, 0)])
    assert desk._other._process.pid != before


def test_a_process_that_dies_over_a_question_may_be_asked_again(at):
    at.enter(record(), set())
    os.kill(desk._other._process.pid, signal.SIGSTOP)
    desk._other.ask_ahead(at, "holds", record())
    os.kill(desk._other._process.pid, signal.SIGKILL)
    with pytest.raises(Unanswered, match="was killed") as raised:
        at.holds(record())
    assert raised.value.passes
    assert at.holds(record()) is None


def test_a_mistake_arrives_as_one_and_a_failing_store_as_what_may_pass(at, tmp_path):
    client = Store(at.uri, at.artifacts).client()
    client.delete_experiment(at.enter(record(), set()).experiment_id)
    with pytest.raises(ArchabError, match="the experiment made was deleted"):
        desk._other.answer(at, "enter", record(), set())
    nobody = Desk("http://127.0.0.1:9", tmp_path)
    entry = desk.Entry("0", "0", 0)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    desk._other._leave()  # or it would try again and again
    try:
        with pytest.raises(Unanswered) as raised:
            nobody.points(entry, [("seconds", 1.5, 10, 0)])
    finally:
        del os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
        desk._other._leave()
    assert raised.value.passes
    assert raised.value.of_store
    with pytest.raises(Unanswered, match="Traceback") as bug:
        desk._other.answer(at, "no_such_question")
    assert not bug.value.of_store


def test_a_run_that_is_interrupted_does_not_wait_for_ever_for_a_store_that_hangs(at, monkeypatch):
    monkeypatch.setattr(upload, "PATIENCE_AT_END", 0.2)
    start = time.monotonic()
    with FileLock(f"{at.file}.lock"), pytest.raises(KeyboardInterrupt), upload.tracked(at, record(), set(), print, 90):
        raise KeyboardInterrupt
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("end", "hangs"),
    [
        ("os.kill(os.getpid(), 9)", False),
        ("os.kill(os.getpid(), 9)", True),  # while its store lets it wait
        ("os._exit(0)", False),
        ("sys.exit()", False),
    ],
)
def test_the_process_ends_with_its_owner_however_that_ends(end, hangs, tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from archab.store import desk;"
        "desk.Desk.named(None, Path.cwd()).contact(); print(desk._other._process.pid, flush=True);"
        f"import time; time.sleep({4 * hangs}); {end}"
    )
    with FileLock(tmp_path / "mlflow.db.lock") if hangs else nullcontext():
        said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout
        _wait_for_the_end(said)


def _wait_for_the_end(said: str) -> None:
    there = Path(f"/proc/{int(said)}/stat")
    if not Path("/proc/self/stat").exists():
        pytest.skip("the system shows no processes")
    until = time.monotonic() + 30
    while there.exists() and there.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < until:
        time.sleep(0.1)
    assert time.monotonic() < until


def test_a_finished_run_whose_store_refuses_it_says_where_it_is_kept(at, tmp_path):
    client = Store(at.uri, at.artifacts).client()
    client.delete_experiment(at.enter(record(), set()).experiment_id)
    kept = f"was deleted in .* The run is finished and kept in {tmp_path}: archab-sync"
    with pytest.raises(ArchabError, match=kept), upload.tracked(at, record(), set(), print, 0) as live:
        live.deliver([tmp_path / "results.parquet"])


def test_what_python_finds_here_it_finds_there(at, monkeypatch):
    monkeypatch.setattr(sys, "path", [Path("/nowhere"), "", *sys.path])  # which Python passes over
    desk._other._leave()
    assert at.holds(record()) is None


def test_a_folder_that_holds_no_files_is_refused_at_once():
    if not Path("/proc/self").exists():
        pytest.skip("no folder of that kind")
    with pytest.raises(ArchabError, match=r"sqlite:////proc/x\.db: /proc/x\.db cannot be written"):
        Desk.named("sqlite:////proc/x.db", Path("/tmp")).check()


def test_a_run_imports_neither_mlflow_nor_the_tests_of_scipy_nor_torchs_compiler(tmp_path):
    code = (
        "import atexit, sys; heavy = {'mlflow', 'scipy.stats', 'matplotlib', 'torch._dynamo'};"
        "atexit.register(lambda: print('imported:', *heavy & sys.modules.keys()));"
        "from archab.__main__ import main; main()"
    )
    one = ["space.a.members=[{rank:1}]", "space.b.members=[{rank:1}]"]
    asked = ["+space=n_diagonal_original", *one, "targets=1", "samples=64", "routine.epochs=2", "engine=compiled"]
    nothing_kept = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code, *asked], cwd=tmp_path, env=nothing_kept, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "imported:"


def test_flops_of_a_small_network_are_counted_without_torchs_compiler(tmp_path):
    code = (
        "import sys; from torch import nn; from archab import ArchitecturalSpace;"
        "net = lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 2));"
        "print(ArchitecturalSpace(net, [{}], [3]).flops(0, 5), 'torch._dynamo' in sys.modules)"
    )
    said = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert said == f"{2.0 * 5 * (3 * 4 + 4 * 2)} False\n"
