"""Signals: what ends a command ends its runs orderly, in its own process and in the workers of a launcher."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import NoReturn

from archab.cli.sweep import PATIENCE

INTERRUPTED, UNREAD, TERMINATED = 130, 141, 143

# SLURM and submitit warn by one of the last two that a job's time is up.
_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)]


class Told(SystemExit):
    """A job was told to end."""


def handle(stop: Callable[[], None]) -> None:
    """In the command's own process: the workers are stopped by `stop`, then this process ends as an exception."""

    def end(number: int, stack: FrameType | None) -> NoReturn:
        for each in _ENDING:
            signal.signal(each, _at_once)
        stop()
        _at_once(number, stack)

    sys.unraisablehook = _again
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


def unread() -> NoReturn:
    """End where whoever read what is printed has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(UNREAD)


@contextmanager
def handled() -> Iterator[None]:
    """Within, being terminated is an exception, so that whatever is temporary goes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, stack: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def handle_in_worker() -> None:
    """In a worker: end this job, and it alone, at each signal that the launcher does not answer itself.

    Submitit's answer to SIGUSR2, to requeue the job, is also the answer to SIGUSR1: clusters use either.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    sys.unraisablehook = _again
    requeue = signal.getsignal(signal.SIGUSR2) if hasattr(signal, "SIGUSR2") else None
    for number in _ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _ignored):
            theirs = number == getattr(signal, "SIGUSR1", None) and callable(requeue) and requeue is not _ignored
            signal.signal(number, requeue if theirs else _told)
    _end_with_parent()


@cache
def _end_with_parent() -> None:
    """End this process, orderly at first, once the one that started it as a worker is gone."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid != os.getppid():
        return

    def watch() -> None:
        while os.getppid() == parent.pid:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _at_once(number: int, stack: FrameType | None) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    print("archab: terminated; finished rows are kept", file=sys.stderr)
    sys.exit(TERMINATED)


def _again(lost: "sys.UnraisableHookArgs") -> None:
    """Raise once more what a signal raised where Python can only print it, as in a weak reference's callback."""
    if not isinstance(lost.exc_value, SystemExit | KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    raised = lost.exc_value

    def end(number: int, stack: FrameType | None) -> NoReturn:
        raise raised

    signal.signal(signal.SIGTERM, end)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()


def _told(number: int, stack: FrameType | None) -> NoReturn:
    for each in _ENDING:
        if signal.getsignal(each) is _told:
            signal.signal(each, _ignored)  # a second signal must not cut short what the first one has begun to tidy up
    raise Told(128 + number)


def _ignored(number: int, stack: FrameType | None) -> None:
    """Answer to a signal that comes again while the first one is being answered: nothing."""
