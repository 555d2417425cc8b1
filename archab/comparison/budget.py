"""How long students train: `budget=auto` doubles the epochs of all sides alike until that gives nothing more."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from archab.errors import ArchabError
from archab.evidence.budget import Rung, ladder, long_enough
from archab.space.routine import Descent, epochs_of, given
from archab.space.space import ArchitecturalSpace

AUTO = "auto"


def check(budget: object, limit: object, spaces: dict[str, ArchitecturalSpace]) -> None:
    """Raise an ArchabError where the budget is none, or there are no epochs to double."""
    if budget is None:
        return
    if budget != AUTO:
        raise ArchabError(f"budget={budget}: auto, or null for as long as the routine says (routine.steps)")
    if type(limit) is not int or limit < 2:
        raise ArchabError(f"budget_limit={limit!r}: a whole number of times as long is needed, at least 2")
    for space in spaces.values():
        if any(epochs_of(space.routine_of(member), 1) is None for member in range(len(space))):
            raise ArchabError(f"budget=auto: the routine of {space.name} has no epochs that could be doubled")


def lasting(space: ArchitecturalSpace, batches: list[int], times: int) -> Any:
    """The routine of a space that trains so many times as long; `batches` are those of an epoch, by member."""
    epochs = [times * (epochs_of(space.routine_of(m), n) or 1) for m, n in enumerate(batches)]
    length: dict[str, Any] = {"epochs": epochs[0] if len(set(epochs)) == 1 else epochs}
    return given(space.routine, length | ({"steps": None} if isinstance(space.routine, Descent) else {}))


def climb(limit: int, trials: Callable[[int], pd.DataFrame], said: Callable[[Rung], None]) -> pd.DataFrame:
    """The trials of one length after another, each twice the one before, until that gives nothing or is not allowed.

    Args:
        limit: the most times as long as the routine says.
        trials: all trials at so many times as long, with `steps`, as `archab.evidence.budget.ladder` reads them.
        said: hears of every length.
    """
    times, tables = 1, [trials(1).assign(times=1)]
    while True:
        rungs = ladder(pd.concat(tables, ignore_index=True))
        said(rungs[-1])
        if long_enough(rungs) or 2 * times > limit:
            return pd.concat(tables, ignore_index=True)
        times *= 2
        tables.append(trials(times).assign(times=times))
