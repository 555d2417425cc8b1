"""Parts trained by several processes side by side: the same rows as by one, since every part draws on its own."""

import math
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from multiprocessing.synchronize import Event
from typing import Any

import torch

from archab.comparison.comparison import Comparison
from archab.comparison.plan import Finished, Part
from archab.engine.plan import cores
from archab.errors import ArchabError, first_line

# Steps one after another that take about a minute, from which on it pays to start processes: each imports torch anew.
LONG = {"vmap": 20_000, "loop": 75_000}


def workers(comparison: Comparison, parts: int) -> int:
    """How many processes train these parts: `engine.workers`, else as many as cores where one core would be at work.

    Programs spread over threads, and so do large networks; a short run is over before another process has begun.
    """
    asked = getattr(comparison.engine, "workers", None)
    if asked is None:
        asked = cores() if any(_pays(comparison, *key) for key in comparison.candidates) else 1
    return max(1, min(asked, parts))


def _pays(comparison: Comparison, side: str, index: int) -> bool:
    candidate, method = comparison.candidates[side, index], comparison.plan.methods[side, index]
    at_once = 1 if method.engine == "loop" else method.chunk
    in_a_row = candidate.steps * -(-candidate.students // at_once)
    return side != "reference" and method.threads == 1 and in_a_row >= LONG.get(method.engine, math.inf)


def why_alone(comparison: Comparison) -> str:
    """Why this comparison cannot be sent to other processes; empty where it can."""
    try:
        ForkingPickler.dumps(comparison.by(comparison.plan.to_dict()))
    except Exception as error:  # whatever a user's object makes of it
        return first_line(error)
    return ""


def trained(
    comparison: Comparison, parts: Sequence[Part], processes: int, advance: Callable[[float], None]
) -> Generator[Finished, None, None]:
    """The rows of each part, in this order.

    Args:
        comparison: whose plan they are parts of.
        parts: some of its parts.
        processes: how many train at once; one is this process.
        advance: called with the number of students trained since the last call.

    Raises:
        ArchabError: if a process dies.
    """
    if processes == 1:
        yield from comparison.finished(parts, advance)
        return
    context = get_context("spawn")  # a fork would take over torch's threads as they are
    stop = context.Event()
    share = max(1, cores() // processes)
    given = comparison.by(comparison.plan.to_dict()), share, os.getpid(), stop
    pool = ProcessPoolExecutor(processes, context, _begin, given)
    try:
        for part, finished in zip(parts, pool.map(_run, parts), strict=True):
            advance(comparison.students_of(part))
            yield finished
    except BrokenProcessPool as error:
        raise ArchabError(
            "a worker process died (killed, or out of memory). Finished rows are kept: the same command goes on; "
            "engine.workers=1 trains in one process"
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


_here: dict[str, Any] = {}


def _begin(comparison: Comparison, share: int, parent: int, stop: Event) -> None:
    """Make this process a worker, which ends when it is told to, or with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(share)
    _here["comparison"] = comparison

    def watch() -> None:
        while not stop.wait(1.0) and os.getppid() == parent:
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(part: Part) -> Finished:
    comparison: Comparison = _here["comparison"]
    return comparison.run(part)
