"""What must be known to judge a comparison that was trained: names, notes, control, curves, how to train longer."""

from collections.abc import Collection
from typing import Any, Protocol

import pandas as pd

from archab.comparison import tuning
from archab.comparison.inspection import Survey
from archab.comparison.tuning import Tune
from archab.evidence.notes import Note
from archab.evidence.study import Study
from archab.space.routine import settings
from archab.space.space import ArchitecturalSpace


class Compared(Protocol):
    """What is asked of a comparison, see `archab.comparison.comparison.Comparison`."""

    @property
    def a(self) -> ArchitecturalSpace: ...
    @property
    def spaces(self) -> dict[str, ArchitecturalSpace]: ...
    @property
    def survey(self) -> Survey: ...
    @property
    def seed(self) -> int: ...
    @property
    def tune(self) -> Tune | None: ...
    @property
    def tuning(self) -> pd.DataFrame | None: ...


_OWN_TARGETS = "Each member learns targets of a network of its own: errors of different sizes are on other targets."


def notes_of(comparison: Compared) -> list[Note]:
    """What must stand with every verdict of this configuration."""
    spaces = comparison.spaces
    if comparison.tune is not None and comparison.tuning is not None:
        names = {side: space.name for side, space in spaces.items()}
        tuned = tuning.notes_of(comparison.tune, comparison.tuning, names)
    else:
        a, b = ([settings(s.routine_of(m)).get("lr") for m in range(len(s))] for s in (spaces["a"], spaces["b"]))
        by_hand = "Shared learning rate, not tuned." if a == b else "Learning rates set by hand, not tuned."
        tuned = [Note("not tuned", by_hand)]
    return [
        *tuned,
        *([Note("own targets", _OWN_TARGETS)] if len(spaces.get("reference", ())) > 1 else []),
        *(Note("sizes", _sentence(note)) for note in comparison.survey.notes),
        *(Note("unequal training", _sentence(note)) for note in comparison.survey.unequal),
    ]


def _sentence(note: str) -> str:
    name = "." in note.split()[0]  # which stays as it is written
    return f"{note if name else note[0].upper() + note[1:]}."


def member_names(comparison: Compared) -> list[str]:
    """What a member is called: side A's own arguments, such as "rank 2"."""
    plain = [
        ", ".join(f"{key} {value}" for key, value in member.items() if isinstance(value, int | float | str))
        for member in comparison.a.arguments
    ]
    return [name or f"member {i}" for i, name in enumerate(plain)]


def longer(comparison: Compared, own: Collection[str] = ()) -> str:
    """The overrides that double the epochs of both sides, such as `routine.epochs=20`; empty where they have none.

    Args:
        comparison: whose routines they are.
        own: the sides that have a routine of their own, where that is known.
    """
    epochs: dict[str, list[Any]] = {
        side: [settings(comparison.spaces[side].routine_of(m)).get("epochs") for m in range(len(comparison.a))]
        for side in ("a", "b")
    }
    known = {side: [2 * n for n in values] for side, values in epochs.items() if all(type(n) is int for n in values)}
    apart = len({tuple(values) for values in known.values()}) > 1 and not own
    keys = {side: f"space.{side}.routine.epochs" if apart or side in own else "routine.epochs" for side in known}
    shown = {side: str(v[0]) if len(set(v)) == 1 else str(v).replace(" ", "") for side, v in known.items()}
    return " ".join(dict.fromkeys(f"{keys[side]}={shown[side]}" for side in known))


def study_of(
    comparison: Compared,
    rows: pd.DataFrame,
    control: pd.DataFrame | None,
    curves: pd.DataFrame | None,
    own: Collection[str] = (),
    command: str = "",
) -> Study:
    """The study of a comparison that has been trained; for `own` see `longer`."""
    spaces = comparison.spaces
    return Study(
        rows,
        names=(spaces["a"].name, spaces["b"].name),
        member_names=member_names(comparison),
        order=[comparison.seed],
        control=control,
        control_name=spaces["reference"].name if "reference" in spaces else "",
        curves=curves,
        longer=longer(comparison, own),
        notes=notes_of(comparison),
        command=command,
    )
