"""What a whole run of the command line costs, in a process and a folder of its own: seconds and memory."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from archab.comparison import Comparison
from archab.rivals import FEW, ROUTINE, Race, dense, interleaved
from archab.space.architectures import deep
from archab.space.space import ArchitecturalSpace

RANKS = range(1, 6)
EPOCHS = 10
RUN = ["+space=n_diagonal", "samples_per_measure=1", f"routine.epochs={EPOCHS}", "control=false"]
RATED_STEPS = 100  # steps of a student of the loop, of which its rate is taken
KIBIBYTES = 1 if sys.platform == "linux" else 1024  # of what the system counts memory in, a KiB


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds from the start of its process to its end, and at its peak so many MB of memory."""

    seconds: float
    memory: float


def run(folder: Path, targets: int, restarts: int, seed: int) -> Cost:
    """One run of `n_diagonal`; its rows, its MLflow store and what it compiles stay in the folder.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    command = [sys.executable, "-m", "archab", *RUN, f"targets={targets}", f"restarts={restarts}", f"seed={seed}"]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    with (folder / "said").open("w") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, (folder / "said").read_text())
    return Cost(seconds, _megabytes(usage))


def first_and_second(targets: int, restarts: int) -> tuple[Cost, Cost]:
    """The first run on a machine, which compiles all, and one of another seed behind it."""
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), targets, restarts, 0), run(Path(folder), targets, restarts, 1)


def growing(targets: int) -> Cost:
    """A run of so many targets, behind a tiny one that has compiled all: no run before it left rows."""
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), 200, 1, 1)
        return run(Path(folder), targets, 1, 0)


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


def _side(architecture: object) -> ArchitecturalSpace:
    routine = replace(ROUTINE, epochs=EPOCHS)
    members = [{"rank": rank} for rank in RANKS]
    return ArchitecturalSpace(partial(architecture, dim=5, depth=4), members, [5], routine=routine)  # type: ignore


def _steps(a: ArchitecturalSpace, b: ArchitecturalSpace) -> int:
    """Steps of each student of the run."""
    teacher = replace(dense(), measure="parameter")
    known = Comparison(a, b, teacher, samples_per_measure=1).survey.samples
    return known[0, "reference"] // ROUTINE.minibatch * EPOCHS


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / KIBIBYTES * 1024 / 1e6
