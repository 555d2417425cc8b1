"""The process behind `archab.store.desk`: it answers what is asked of stores, one question after another."""

import gc
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.store.tracking import sqlalchemy_store  # noqa: F401  (which the first question would wait for)

from archab.errors import ArchabError
from archab.runs.log import Record
from archab.store.desk import Entry
from archab.store.mlflow import Store
from archab.store.uri import of_store, passes, told


def serve() -> None:
    """Answer until nobody asks any more. Garbage is looked for from now on, but not in what was imported."""
    gc.freeze()
    gc.enable()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin.buffer:
        number, uri, artifacts, name, arguments = json.loads(line)
        answer = _answer(Store(uri, Path(artifacts)), name, arguments)
        if number:  # else nobody waits
            with suppress(OSError):  # of a reader that has gone
                out.write(json.dumps([number, *answer]).encode() + b"\n")
                out.flush()
    os._exit(0)


def _end_with(owner: int) -> None:
    """End once whoever asks is gone, also while a store lets one wait."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(0)


def _answer(store: Store, name: str, arguments: list[Any]) -> tuple[Any, str | None, tuple[str, bool, bool] | None]:
    """What was returned, else what the user did wrong, else what failed: see `archab.store.uri.Unanswered`."""
    try:
        asked, *takes = _QUESTIONS[name]
        return asked(store, *(take(given) for take, given in zip(takes, arguments, strict=True))), None, None
    except ArchabError as error:
        return None, str(error), None
    except Exception as error:
        known = of_store(error)
        return None, None, (told(error) if known else traceback.format_exc(), passes(error), known)


def _contact(store: Store) -> None:
    store.client()


def _record(given: dict[str, Any]) -> Record:
    return Record(**given)


def _entry(given: list[Any]) -> Entry:
    return Entry(*given)


def _paths(given: list[str]) -> list[Path]:
    return [Path(file) for file in given]


_QUESTIONS: dict[str, tuple[Callable[..., Any], ...]] = {  # how each is answered, and what its arguments are
    "contact": (_contact,),
    "enter": (Store.enter, _record, set),
    "points": (Store.points, _entry, list),
    "end": (Store.end, _entry, str),
    "deliver": (Store.deliver, _record, _paths),
    "holds": (Store.holds, _record),
}
