"""A run and its store, which may go away: metrics are sent as they come, and all of it is brought there at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

from archab.errors import ArchabError
from archab.runs.log import Record
from archab.store.desk import Desk, Entry
from archab.store.uri import Address, of_store, passes, told

PATIENCE_AT_END = 5.0  # seconds that a run which is interrupted waits for a store that has not answered yet

Made = TypeVar("Made")


class Answers(Protocol):
    """A store, here or in another process."""

    @property
    def shown(self) -> str:
        """Its address, without a password."""

    def deliver(self, record: Record, files: Sequence[Path]) -> str:
        """Bring the whole log of a finished run into the store; the identity of its run there."""


@dataclass
class Live:
    """The run of a record in a store, while it goes on.

    Attributes:
        store: where it is logged.
        record: what it logs.
        hosts: where the run's folder is held, see `Store.enter`.
        say: called with a line on a store that does not answer.
        patience: seconds that such a store is waited for at the end.
        broken: whether it did not answer the last time.
    """

    store: Desk
    record: Record
    hosts: set[str]
    say: Callable[[str], None]
    patience: float
    _sent: int = 0
    broken: bool = False

    @cached_property
    def entry(self) -> Entry:
        """Its run there, which is waited for here.

        Raises:
            ArchabError: if the store refuses it, or does not answer.
        """
        try:
            entry = asked(self.store, lambda: self.store.enter(self.record, self.hosts), self.say, self.patience)
        except Exception:
            self.broken = True
            raise
        self.record.runs[self.store.shown] = entry.run_id
        if entry.dead:
            self.say(f"{entry.dead} earlier run of this seed had died: ended as KILLED")
        return entry

    def entered(self, patience: float = 0.0) -> bool:
        """Whether its run is there, or would be known at once, within so many seconds."""
        end = time.monotonic() + patience
        while "entry" not in vars(self) and not self.store.entered():
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True

    def send(self) -> None:
        """Bring what was logged since into the store; where it does not answer, or not yet, that waits."""
        if self.broken or not self.entered():
            return
        entry = self.entry
        try:
            self.store.points(entry, self.record.points[self._sent :])
            self._sent = len(self.record.points)
        except Exception as error:  # of MLflow, SQLAlchemy or the network
            self.broken = True
            self.say(f"{self.store.shown} does not answer ({told(error)}); what is to be logged there waits")

    def deliver(self, files: Sequence[Path]) -> None:
        """Bring all of it there, and end the run as FINISHED.

        Raises:
            ArchabError: if the store does not answer.
        """
        try:
            _ = self.entry
        except ArchabError as error:
            raise ArchabError(f"{error}. {_kept(files)}") from error
        self.broken = True
        delivered(self.store, self.record, files, self.say, self.patience)
        self.broken = False


def delivered(
    store: Answers, record: Record, files: Sequence[Path], say: Callable[[str], None], patience: float
) -> None:
    """Bring a finished run into a store that may have to be waited for, and note it in the record.

    Raises:
        ArchabError: if the store does not answer for that long.
    """
    try:
        record.runs[store.shown] = patiently(lambda: store.deliver(record, files), say, patience)
    except ArchabError:
        raise
    except Exception as error:  # of MLflow, SQLAlchemy or the network
        raise ArchabError(f"tracking.uri={store.shown}: does not answer ({told(error)}). {_kept(files)}") from error
    record.delivered = [*dict.fromkeys([*record.delivered, store.shown])]


def _kept(files: Sequence[Path]) -> str:
    return f"The run is finished and kept in {files[0].parent}: archab-sync, or the same command, brings it there"


@contextmanager
def tracked(
    store: Desk, record: Record, hosts: set[str], say: Callable[[str], None], patience: float
) -> Iterator[Live]:
    """A run that is opened meanwhile, ended as KILLED when interrupted, as FAILED on an error.

    `Live.deliver` ends it as FINISHED.
    """
    store.enter_soon(record, hosts)
    live, status = Live(store, record, hosts, say, patience), "FAILED"
    try:
        yield live
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        if status != "FINISHED" and not live.broken and live.entered(PATIENCE_AT_END):
            with suppress(Exception):  # a store that is gone is no reason to hide why the run ended
                store.end(live.entry, status)


def asked(store: Address, act: Callable[[], Made], say: Callable[[str], None], patience: float) -> Made:
    """What a store answers, which may have to be waited for.

    Raises:
        ArchabError: if it does not answer for that long, or refuses.
    """
    try:
        return patiently(act, say, patience)
    except Exception as error:
        if not of_store(error):
            raise
        raise ArchabError(f"tracking.uri={store.shown}: cannot be used as a store ({told(error)})") from error


def patiently(act: Callable[[], Made], say: Callable[[str], None], patience: float) -> Made:
    """Try it again until it works or so many seconds are over; the last error is raised."""
    end, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            return act()
        except Exception as error:  # of MLflow, SQLAlchemy or the network
            left = end - time.monotonic()
            if left <= 0 or not passes(error):
                raise
            if pause == 0.5:
                say(f"the store does not answer ({told(error)}); trying again for {left:.0f} s")
            time.sleep(min(pause, left))
            pause = min(2 * pause, 10.0)
