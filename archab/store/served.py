"""The process behind `archab.store.desk`: it answers what is asked of stores, one question after another."""

import gc
import os
import pickle
import sys
import traceback
from contextlib import suppress
from typing import Any

from mlflow.store.tracking import sqlalchemy_store  # noqa: F401  (which the first question would wait for)

from archab.errors import ArchabError
from archab.store.mlflow import Store
from archab.store.uri import Unanswered, of_store, passes, told


def serve() -> None:
    """Answer until nobody asks any more. Garbage is looked for from now on, but not in what was imported."""
    gc.freeze()
    gc.enable()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    while True:
        try:
            number, uri, artifacts, name, arguments = pickle.load(sys.stdin.buffer)
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)
        answer = (number, *_answer(Store(uri, artifacts), name, arguments))
        if not number:
            continue  # nobody waits
        with suppress(OSError):  # of a reader that has gone
            out.write(pickle.dumps(answer))
            out.flush()


def _answer(store: Store, name: str, arguments: tuple[Any, ...]) -> tuple[Exception | None, Any]:
    """What was raised, and what was returned."""
    try:
        returned = getattr(store, name)(*arguments)
    except ArchabError as error:
        return ArchabError(str(error)), None
    except Exception as error:
        known = of_store(error)
        return Unanswered(told(error) if known else traceback.format_exc(), passes(error), known), None
    return None, returned
