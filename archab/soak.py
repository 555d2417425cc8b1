"""A kill test of sweeps: python -m archab.soak

One is killed with -9 at random moments and started again, over and over.
At the end its rows must be those of a sweep that nobody disturbed, each once, and no run may be left as running.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from archab.results import KEY
from archab.store.mlflow import Store

SWEEP = ("+space=n_diagonal_original", "targets=8", "samples=64", "control=false", "engine=loop", "engine.chunk=4")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 where all is as undisturbed, else 1."""
    parser = argparse.ArgumentParser(prog="python -m archab.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=30, help="how often the sweep is killed (default 30)")
    parser.add_argument("--seeds", type=int, default=12, help="seeds of the sweep (default 12)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args(arguments)
    command = [sys.executable, "-m", "archab", "-m", *SWEEP, f"seed=range(0,{given.seeds})"]
    with tempfile.TemporaryDirectory(prefix="archab-soak-") as folder:
        calm, rough = Path(folder, "calm"), Path(folder, "rough")
        calm.mkdir()
        rough.mkdir()
        start = time.monotonic()
        subprocess.run(command, cwd=calm, check=True, capture_output=True)
        undisturbed = time.monotonic() - start
        moments = random.Random(given.seed)
        early = sum(
            _killed(command, rough, moments.uniform(0, 4 * undisturbed / given.seeds)) for _ in range(given.kills)
        )
        start = time.monotonic()
        subprocess.run(command, cwd=rough, check=True, capture_output=True)
        last = time.monotonic() - start
        statuses = Counter(run.status for run in Store.named(None, rough).runs("n_diagonal_original"))
        wrong = _wrong(_rows(calm), _rows(rough), statuses, given.seeds)
    print(f"undisturbed: {given.seeds} seeds in {undisturbed:.1f} s")
    print(f"killed {early} of {given.kills} times before it was done; the last start took {last:.1f} s")
    print("runs: " + ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())))
    print(wrong or "rows: the same to the bit, each once; no run is left as running")
    return 1 if wrong else 0


def _killed(command: Sequence[str], folder: Path, after: float) -> bool:
    """Start it and kill it, and all that it started, after so many seconds; whether it was still at work then."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    at_work = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return at_work


def _rows(folder: Path) -> pd.DataFrame:
    tables = [pd.read_parquet(file) for file in folder.glob(".archab/*/*/results.parquet")]
    return pd.concat(tables).sort_values(KEY, ignore_index=True)


def _wrong(calm: pd.DataFrame, rough: pd.DataFrame, statuses: Counter[str], seeds: int) -> str:
    if statuses["RUNNING"] or statuses["FINISHED"] != seeds:
        return f"wrong: {seeds} finished runs are needed, and none that is running"
    if rough.duplicated(KEY).any():
        return "wrong: some rows are there twice"
    return "" if rough.equals(calm) else "wrong: the rows differ from those of the undisturbed sweep"


if __name__ == "__main__":
    sys.exit(main())
