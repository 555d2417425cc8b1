"""What a whole run of the command line costs, in a process and a folder of its own: seconds and memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pyarrow import parquet
from torch import nn

from archab.benchmark.students import FEW, ROUTINE, Race, dense, interleaved
from archab.comparison.comparison import Comparison
from archab.errors import ArchabError
from archab.space.architectures import deep
from archab.space.space import ArchitecturalSpace

RANKS = range(1, 6)
EPOCHS = 10
SAMPLES = 160
RUN = ["+space=n_diagonal_original", f"samples={SAMPLES}", f"routine.epochs={EPOCHS}", "control=false"]
COMPILES = 600  # targets: of 100 steps, `auto` compiles from 513 students on
LEAST = 1  # target a member
TUNED = 40  # targets a member of a run that is tuned
GRID = ("tune.lr=[1e-3,2.5e-3,6.3e-3,1.6e-2,4e-2,1e-1]", "tune.targets=8", "tune.extend=0")
RATED_STEPS = 100  # steps of a student of the loop, of which its rate is taken
MAXRSS = 1024 if sys.platform == "linux" else 1  # bytes in what the system counts a process's memory in


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds from the start of its process to its end, and at its peak so many MB of memory."""

    seconds: float
    memory: float


def run(
    folder: Path,
    cache: Path,
    targets: int,
    restarts: int,
    seed: int,
    *further: str,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """One run of `n_diagonal_original`: its rows and its store stay in `folder`, what it compiles in `cache`.

    Args:
        further: overrides.
        environment: variables that its process has besides.

    Raises:
        subprocess.CalledProcessError: if it fails.
        ArchabError: if it ends without a row for every student.
    """
    command = [sys.executable, "-m", "archab", *RUN, f"targets={targets}", f"restarts={restarts}", f"seed={seed}"]
    command += further
    variables = os.environ | {"XDG_CACHE_HOME": str(cache)} | dict(environment or {})
    with (folder / "said").open("w") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, (folder / "said").read_text())
    _check_rows(folder, 2 * len(RANKS) * targets * restarts, seed)
    return Cost(seconds, usage.ru_maxrss * MAXRSS / 1e6)


def _check_rows(folder: Path, students: int, seed: int) -> None:
    rows = sum(parquet.read_metadata(file).num_rows for file in folder.glob(f".archab/*/{seed}/results.parquet"))
    if rows != students:
        raise ArchabError(f"a run of {students:,} students left {rows:,} rows; one for each is needed")


def first_and_second(targets: int, restarts: int) -> tuple[Cost, Cost]:
    """The first run on a machine, which compiles all, and one of another seed behind it."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (run(Path(folder), Path(folder, "cache"), targets, restarts, seed) for seed in (0, 1))
    return first, second


def starting(repeats: int) -> list[Cost]:
    """Runs of next to nothing, of seeds behind the first, with all compiled: what a run costs beside its students."""
    with tempfile.TemporaryDirectory() as folder:
        costs = [
            run(Path(folder), Path(folder, "cache"), LEAST, 1, seed, "engine=compiled") for seed in range(repeats + 1)
        ]
    return costs[1:]


def against_expressivity(targets: int, cache: Path) -> tuple[Cost, float]:
    """A run on one core, all compiled before, and the seconds of expressivity on one, for as many students."""
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder, _on_one_core():
        mine = run(Path(folder), cache, targets, 1, 0, "engine=compiled", environment=one)
        start = time.perf_counter()
        command = [sys.executable, "-m", "archab.benchmark.rival", str(targets)]
        subprocess.run(command, cwd=folder, env=os.environ | one, stdout=subprocess.DEVNULL, check=True)
        return mine, time.perf_counter() - start


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Where the system can keep a process on a core: MLflow's own process is then on it, too."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def plain_and_tuned() -> tuple[Cost, Cost]:
    """A run of one seed, and one that tunes both sides and the control first; all is compiled before."""
    with tempfile.TemporaryDirectory() as cache:
        _alone(cache, COMPILES)
        return _alone(cache, TUNED), _alone(cache, TUNED, *GRID)


def growing(sizes: Sequence[int], repeats: int) -> dict[int, Cost]:
    """The fastest of some runs of each number of targets, in empty folders, after one that has compiled all.

    The fastest, since another process on the machine can only slow a run down, and has doubled the seconds of some.
    """
    with tempfile.TemporaryDirectory() as cache:
        _alone(cache, COMPILES)
        rounds = [{targets: _alone(cache, targets) for targets in sizes} for _ in range(repeats)]
    return {targets: min((costs[targets] for costs in rounds), key=lambda cost: cost.seconds) for targets in sizes}


def _alone(cache: str, targets: int, *further: str) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), Path(cache), targets, 1, 0, *further)


@dataclass(frozen=True)
class LoopCost:
    """What the plain loop takes for one target of all members, a student a side.

    Attributes:
        steps: student-steps of one target.
        seconds: for them, of training alone, once for each repeat.
    """

    steps: int
    seconds: list[float]


def loop_cost(repeats: int) -> LoopCost:
    """Measure the loop on every architecture of the run."""
    sides = [_side(deep.n_diagonal), _side(deep.lora)]
    steps = _steps(*sides)
    races = {
        f"{side.name} {member}": Race(side, FEW, RATED_STEPS, member) for side in sides for member in range(len(RANKS))
    }
    found = interleaved({name: race.loop for name, race in races.items()}, repeats)
    seconds = [sum(steps / found[name][k].rate for name in races) for k in range(repeats)]
    return LoopCost(len(races) * steps, seconds)


def _side(architecture: Callable[..., nn.Module]) -> ArchitecturalSpace:
    members = [{"rank": rank} for rank in RANKS]
    routine = replace(ROUTINE, epochs=EPOCHS)
    return ArchitecturalSpace(partial(architecture, dim=5, depth=4), members, [5], routine=routine)


def _steps(a: ArchitecturalSpace, b: ArchitecturalSpace) -> int:
    """Steps of each student of the run."""
    teacher = replace(dense(), measure="parameter")
    known = Comparison(a, b, teacher, samples_per_measure=1).survey.samples
    return known[0, "reference"] // ROUTINE.minibatch * EPOCHS
