"""The jobs of a sweep, whatever launches them: each says in a file how it ended, and the sweep tells it at its end."""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

AT_WORK, FINISHED, BEFORE, FAILED, INTERRUPTED = "at work", "finished", "finished before", "failed", "interrupted"
LISTED = 40  # jobs up to which all are listed, else those that did not finish
PATIENCE = 20.0  # seconds in which a job that is told to end, or loses its parent, must have ended its run in the store

_FOLDER = "ARCHAB_SWEEP"  # the folder in which the jobs say how they ended
_ENDING = "ending"  # a file there once no further job is to begin


@dataclass(frozen=True)
class Outcome:
    """How a job stands.

    Attributes:
        number: the launcher's count of it.
        overrides: what it differs by, and what it shares with the others.
        state: one of the above.
        reason: why it failed.
        compare: the command for the verdict over all seeds.
        process: the one that it ran in.
    """

    number: int
    overrides: Sequence[str]
    state: str = AT_WORK
    reason: str = ""
    compare: str = ""
    process: int = field(default_factory=os.getpid)


def begin(number: int, overrides: Sequence[str]) -> Outcome | None:
    """Say that a job has begun, None where the sweep is ending."""
    if _FOLDER in os.environ and (Path(os.environ[_FOLDER]) / _ENDING).exists():
        return None
    outcome = Outcome(number, overrides)
    _say(outcome)
    return outcome


def end(outcome: Outcome, state: str, reason: str = "", compare: str = "") -> None:
    """Say how a job ended."""
    _say(replace(outcome, state=state, reason=reason, compare=compare))


def _say(outcome: Outcome) -> None:
    if _FOLDER not in os.environ:  # a worker that another machine started
        return
    file = Path(os.environ[_FOLDER]) / f"{outcome.number:06d}.json"
    with suppress(OSError):  # a worker that does not see the folder, or outlives the sweep
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(asdict(outcome)))
        unfinished.replace(file)


@dataclass(frozen=True)
class Sweep:
    """A sweep as seen by the process that started it."""

    folder: Path

    def outcomes(self) -> list[Outcome]:
        """What its jobs have said, in their order."""
        return [Outcome(**json.loads(file.read_text())) for file in sorted(self.folder.glob("*.json"))]

    def stop(self) -> None:
        """End the jobs in worker processes of this one, and wait until they have ended their runs in the store."""
        with suppress(OSError):  # the sweep has ended already
            (self.folder / _ENDING).touch()
        deadline = time.monotonic() + PATIENCE
        for process in self._at_work():
            process.terminate()
        while self._at_work() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _at_work(self) -> list[BaseProcess]:
        jobs = {outcome.process for outcome in self.outcomes() if outcome.state == AT_WORK}
        return [process for process in multiprocessing.active_children() if process.pid in jobs]

    def told(self) -> bool:
        """Print how the jobs ended; whether all of them are finished."""
        outcomes = self.outcomes()
        if not outcomes:
            return True
        finished = all(outcome.state in (FINISHED, BEFORE) for outcome in outcomes)
        print(f"\n{table(outcomes)}", file=sys.stdout if finished else sys.stderr, flush=True)
        for compare in sorted({outcome.compare for outcome in outcomes} - {""}):
            print(f"\n{compare}", flush=True)
        return finished


@contextmanager
def noted(folder: Path | None) -> Iterator[Sweep]:
    """A sweep whose jobs say how they end in a new folder within this one, which they must all see."""
    with tempfile.TemporaryDirectory(prefix=".archab-sweep-", dir=folder, ignore_cleanup_errors=True) as place:
        os.environ[_FOLDER] = place
        yield Sweep(Path(place))


def table(outcomes: Sequence[Outcome]) -> str:
    """How many jobs ended how, and a line a job: what it differs by from the others, and how it ended."""
    count = Counter(_ended(outcome) for outcome in outcomes)
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes)) if len(outcomes) > 1 else set()
    fine = len(outcomes) <= LISTED
    lines = [f"archab: {_of_jobs(count, len(outcomes))}"]
    for outcome in outcomes:
        if fine or outcome.state not in (FINISHED, BEFORE):
            own = " ".join(override for override in outcome.overrides if override not in shared)
            reason = f": {outcome.reason}" if outcome.reason else ""
            lines.append(f"  {outcome.number:>4}  {own}  {_ended(outcome)}{reason}")
    return "\n".join(lines)


def _of_jobs(count: "Counter[str]", jobs: int) -> str:
    if failed := count.pop(FAILED, 0):
        others = ", ".join(f"{number} {state}" for state, number in count.items())
        return f"{failed} of {jobs} jobs failed" + (f", {others}" if others else "")
    return f"{jobs} jobs: " + ", ".join(f"{number} {state}" for state, number in count.items())


def _ended(outcome: Outcome) -> str:
    return "killed, or still at work" if outcome.state == AT_WORK else outcome.state
