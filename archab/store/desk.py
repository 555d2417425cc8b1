"""A store as a run asks it, through a process of its own: that one imports MLflow while this one imports torch.

Questions and answers are lines of JSON on the pipes between the two. The other process ends with this one, however that
ends, since its pipe is closed then; where it is gone, the next question begins another.
"""

import atexit
import itertools
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from archab.errors import ArchabError
from archab.runs.log import Point, Record
from archab.store.uri import Address, Unanswered


class Entry(NamedTuple):
    """A run that a store holds, the experiment that it is in, and how many like it had died and are ended now."""

    run_id: str
    experiment_id: str
    dead: int


class Desk(Address):
    """The questions of a run, which `archab.store.mlflow.Store` answers. Each raises what it raises there.

    What MLflow, its database or the network raise arrives as an `Unanswered`.
    """

    def contact(self) -> None:
        """Let the store be met, and made where there is none, without waiting for it."""
        with suppress(Unanswered):  # the next question is told so
            _other.ask(self, "contact", wanted=False)

    def holds(self, record: Record) -> str | None:
        """The identity of the experiment that has this run, None where the store lost the run or its rows."""
        return _other.answer(self, "holds", record)

    def enter_soon(self, record: Record, hosts: set[str]) -> None:
        """Ask what `enter` will be called with, without waiting for it."""
        _other.ask_ahead(self, "enter", record, hosts)

    def entered(self) -> bool:
        """Whether `enter` would answer at once."""
        return _other.answers(self, "enter")

    def enter(self, record: Record, hosts: set[str]) -> Entry:
        """A new run of this record with its parameters, marked as running; see `Entry`."""
        return Entry(*_other.answer(self, "enter", record, hosts))

    def points(self, entry: Entry, points: Sequence[Point]) -> None:
        """Log metrics of a run."""
        _other.answer(self, "points", entry, points)

    def end(self, entry: Entry, status: str) -> None:
        """End a run with this status."""
        _other.answer(self, "end", entry, status)

    def deliver(self, record: Record, files: Sequence[Path]) -> str:
        """Bring the whole log of a finished run into the store; the identity of its run there."""
        return _other.answer(self, "deliver", record, files)


class _Other:
    """The other process, which serves every store."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._ahead: dict[tuple[Address, str], int] = {}  # numbers of questions whose answers are wanted later

    @cached_property
    def _process(self) -> subprocess.Popen[bytes]:
        path = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]
        code = f"import gc, sys; gc.disable(); sys.path[:] = {path}; from archab.store.served import serve; serve()"
        begun = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which ends its run by the other one
        )
        atexit.register(self._leave)
        return begun

    def begin(self) -> None:
        if "_process" in vars(self) and self._process.poll() is not None:
            self._leave()
        _ = self._process

    def ask(self, store: Address, name: str, *arguments: Any, wanted: bool = True) -> int:
        """Ask; the number of the answer, 0 where none is wanted."""
        self.begin()
        number, pipe = next(self._numbers) if wanted else 0, self._process.stdin
        assert pipe is not None
        asked = json.dumps([number, store.uri, store.artifacts, name, arguments], default=_plain).encode() + b"\n"
        try:
            pipe.write(asked)
            pipe.flush()
        except BaseException as error:  # half a question would make nonsense of all that follow
            self._leave()
            if isinstance(error, OSError):
                raise _gone() from error
            raise
        return number

    def ask_ahead(self, store: Address, name: str, *arguments: Any) -> None:
        with suppress(Unanswered):  # who wants the answer is told so
            self._ahead[store, name] = self.ask(store, name, *arguments)

    def answers(self, store: Address, name: str) -> bool:
        if (store, name) not in self._ahead:
            return True
        try:
            pipe = self._process.stdout
            return pipe is None or bool(select.select([pipe], [], [], 0)[0])
        except OSError:  # where pipes cannot be looked into
            return True

    def answer(self, store: Address, name: str, *arguments: Any) -> Any:
        number = self._ahead.get((store, name)) or self.ask(store, name, *arguments)
        pipe = self._process.stdout
        assert pipe is not None
        answered = 0
        while answered != number:  # before it are those whose wait was interrupted
            if not (line := pipe.readline()).endswith(b"\n"):
                self._leave()
                raise _gone()
            answered, value, mistake, failure = json.loads(line)
        self._ahead.pop((store, name), None)  # not before: a wait that is interrupted is taken up again
        if mistake is not None:
            raise ArchabError(mistake)
        if failure is not None:
            raise Unanswered(*failure)
        return value

    def _leave(self) -> None:
        """Let it end: at once, since each question is answered before the next."""
        atexit.unregister(self._leave)
        self._ahead.clear()
        process = vars(self).pop("_process", None)
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            pipe.close()


def _plain(value: object) -> object:
    match value:
        case Record():
            return asdict(value)
        case set():
            return sorted(value)
        case _:  # a path, or what a configuration holds
            return str(value)


def _gone() -> Unanswered:
    return Unanswered("the process that speaks to MLflow was killed", passes=True)


_other = _Other()
begin = _other.begin
