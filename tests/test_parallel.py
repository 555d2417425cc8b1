"""Several processes train one run: the same rows, an end with their parent, and a clear word when one dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import family
from logged import TWO, runs

from archab import Comparison
from archab.comparison import parallel
from archab.engine.plan import Loop, Vmap
from archab.space.routine import AdamW

SMALL = (
    "+space=n_diagonal_original",
    *TWO,
    "targets=6",
    "samples=32",
    "heldout_samples=32",
    "engine=vmap",
    "engine.chunk=2",
)


def test_rows_do_not_hang_on_the_number_of_processes(command, tmp_path):
    def rows() -> pd.DataFrame:
        [file] = tmp_path.glob(".archab/*/0/results.parquet")
        return pd.read_parquet(file)

    one = command(*SMALL, "engine.workers=1")
    alone = rows()
    two = command(*SMALL, "engine.workers=2", "rerun=true")
    assert (one.code, two.code, two.err) == (0, 0, "")
    assert "2 processes" in two.out
    assert "processes" not in one.out
    pd.testing.assert_frame_equal(rows(), alone, check_exact=True)
    [costs] = tmp_path.glob(".archab/*/0/costs.parquet")
    assert list(pd.read_parquet(costs)["students"]) == [6] * 4


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads processes from /proc")
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("killed", ["a worker", pytest.param("the parent", marks=pytest.mark.slow)])
def test_a_process_that_is_killed_ends_the_run_and_leaves_nothing_behind(tmp_path, killed):
    slow = (*SMALL[:-2], "engine=loop", "engine.chunk=1", "engine.workers=2", "routine.epochs=2000")
    command = [sys.executable, "-m", "archab", *slow]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(workers := {c for c in children(run.pid) if b"spawn_main" in cmdline(c)}) < 2:
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    os.kill(min(workers) if killed == "a worker" else run.pid, signal.SIGKILL)
    _, err = run.communicate(timeout=120)
    if killed == "a worker":
        assert run.returncode == 2
        assert "a worker process died" in err
        assert list(runs(tmp_path, "n_diagonal_original")["status"]) == ["FAILED"]
    while any(Path(f"/proc/{worker}").exists() and cmdline(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_processes_are_started_where_a_long_run_would_use_one_core(monkeypatch):
    def comparison(engine: object, targets: int, epochs: int) -> Comparison:
        a, b = (family("n_diagonal", routine=AdamW(epochs=epochs)) for _ in range(2))
        return Comparison(a, b, targets=targets, engine=engine)

    monkeypatch.setattr(parallel, "cores", lambda: 8)
    assert parallel.workers(comparison(Loop(), 400, 20), 25) == 8
    assert parallel.workers(comparison(Loop(), 400, 20), 3) == 3
    assert parallel.workers(comparison(Loop(), 4, 1), 25) == 1
    assert parallel.workers(comparison(Loop(workers=2), 4, 1), 25) == 2
    assert parallel.workers(comparison(Loop(workers=2), 4, 1), 0) == 1  # all parts are there already
    assert parallel.workers(comparison(Vmap(), 400, 2000), 25) == 8


def test_what_cannot_be_sent_to_other_processes_is_trained_by_one(command, tmp_path, monkeypatch):
    (tmp_path / "local.py").write_text(
        "import torch\n\ndef made():\n    class Net(torch.nn.Linear):\n        def __init__(self, width, **given):\n"
        "            super().__init__(5, 5)\n    return Net\n\nNet = made()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sides = [f"space.{side}.architecture={{_target_:local.Net}}" for side in "ab"]
    members = [f"space.{side}.members=[{{width:1}}]" for side in "ab"]
    ended = command(*SMALL, "engine.workers=2", *sides, *members)
    assert (ended.code, ended.err) == (0, "")
    assert "one process trains" in ended.out
