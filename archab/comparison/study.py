"""What must be known to judge a comparison that was trained: names, notes, control, curves, how to train longer."""

from collections.abc import Collection
from typing import Protocol

import pandas as pd

from archab.comparison import tuning
from archab.comparison.inspection import Survey
from archab.comparison.tuning import Tune
from archab.engine.loss import Loss, SquaredError, kind
from archab.evidence import contrast
from archab.evidence.budget import ladder, long_enough, settled
from archab.evidence.budget import notes_of as budgeted
from archab.evidence.contrast import Contrast
from archab.evidence.notes import Note
from archab.evidence.study import Study
from archab.space.routine import STEPS, Descent, Routine, settings
from archab.space.space import ArchitecturalSpace
from archab.targets.task import Task, said, told_apart


class Compared(Protocol):
    """What is asked of a comparison, see `archab.comparison.comparison.Comparison`."""

    @property
    def a(self) -> ArchitecturalSpace: ...
    @property
    def spaces(self) -> dict[str, ArchitecturalSpace]: ...
    @property
    def survey(self) -> Survey: ...
    @property
    def contrast(self) -> tuple[Contrast, ...]: ...
    @property
    def seed(self) -> int: ...
    @property
    def tune(self) -> Tune | None: ...
    @property
    def tuning(self) -> pd.DataFrame | None: ...
    @property
    def budget(self) -> str | None: ...
    @property
    def budget_limit(self) -> int: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def noise(self) -> float: ...
    @property
    def target(self) -> tuple[Task, ...]: ...
    @property
    def heldout_samples(self) -> int: ...
    @property
    def labelled(self) -> bool: ...
    @property
    def scope(self) -> str: ...
    @property
    def overlap(self) -> float: ...


_OWN_TARGETS = "Each member learns targets of its own: errors of different members are on other targets."


def notes_of(comparison: Compared) -> list[Note]:
    """What must stand with every verdict of this configuration."""
    spaces = comparison.spaces
    names = {side: space.name for side, space in spaces.items()}
    tuned = []
    if comparison.tuning is not None and comparison.budget is not None:
        tuned += budgeted(comparison.tuning, (names["a"], names["b"]), comparison.budget_limit)
    elif comparison.budget is None and any(_anneals(spaces[side]) for side in ("a", "b")):
        tuned.append(Note("budget", _NOT_TRIED))
    if comparison.tuning is not None and comparison.tune is not None:
        tuned += tuning.notes_of(comparison.tune, settled(comparison.tuning), names)
    else:
        a, b = ([settings(s.routine_of(m)).get("lr") for m in range(len(s))] for s in (spaces["a"], spaces["b"]))
        by_hand = "Shared learning rate, not tuned." if a == b else "Learning rates set by hand, not tuned."
        tuned.append(Note("not tuned", by_hand))
    loss = comparison.loss
    by = f"Trained and scored by the {loss.name}, relative to that of the best constant."
    noisy = f"Students learnt outputs with noise ({comparison.noise:g}), and are scored by those without."
    return [
        *targets_of(comparison),
        *([Note("loss", _AS_NUMBERS)] if kind(comparison.loss) == "numbers" and comparison.labelled else []),
        *([Note("targets", noisy)] if comparison.noise else []),
        *([] if isinstance(loss, SquaredError) else [Note("loss", by)]),
        *tuned,
        *([Note("own targets", _OWN_TARGETS)] if len(comparison.target or spaces.get("reference", ())) > 1 else []),
        *(Note("sizes", _sentence(note)) for note in comparison.survey.notes),
        *(Note("unequal training", _sentence(note)) for note in comparison.survey.unequal),
    ]


def targets_of(comparison: Compared) -> list[Note]:
    """What a target is, where it comes from no space."""
    samples = comparison.survey.samples
    texts = [
        said(task, samples[member, "reference"], comparison.heldout_samples)
        for member, task in enumerate(comparison.target)
    ]
    if comparison.overlap and comparison.tuning is not None:
        texts.append("Hyperparameters were chosen on other splits of the same rows, on both sides alike.")
    return [Note("targets", text) for text in dict.fromkeys(texts)]


_AS_NUMBERS = (
    "Classes are learnt as the numbers 0 and 1, one for each, by an error of numbers; loss=cross_entropy learns them "
    "as shares."
)
_NOT_TRIED = (
    "Longer training was not tried, and no curve tells what it would give, since the learning rate falls to the end; "
    "budget=auto tries it."
)


def _anneals(space: ArchitecturalSpace) -> bool:
    return any(settings(space.routine_of(m)).get("schedule") in ("linear", "cosine") for m in range(len(space)))


def _sentence(note: str) -> str:
    name = "." in note.split()[0]  # which stays as it is written
    return f"{note if name else note[0].upper() + note[1:]}."


def member_names(comparison: Compared) -> list[str]:
    """What a member is called: side A's own arguments, such as "rank 2"."""
    if len(comparison.target) > 1:
        return told_apart(comparison.target)
    plain = [
        ", ".join(f"{key} {value}" for key, value in member.items() if isinstance(value, int | float | str))
        for member in comparison.a.arguments
    ]
    if plain == [""] and comparison.target:
        return [comparison.target[0].name]
    return [name or f"member {i}" for i, name in enumerate(plain)]


def unlike(comparison: Compared) -> list[str]:
    """A warning where the outputs of both sides begin at another scale."""
    return contrast.unlike(comparison.contrast, names_of(comparison), member_names(comparison))


def names_of(comparison: Compared) -> tuple[str, str]:
    """What the sides are called."""
    return comparison.spaces["a"].name, comparison.spaces["b"].name


def longer(comparison: Compared, own: Collection[str] = ()) -> str:
    """The overrides by which both sides train twice as long, such as `routine.epochs=20`; empty where none would.

    Where `budget=auto` chose the length, its limit is raised, unless longer training was seen to give nothing.

    Args:
        comparison: whose routines they are.
        own: the sides that have a routine of their own, where that is known.
    """
    if comparison.budget is not None:
        ended = comparison.tuning is not None and long_enough(ladder(comparison.tuning))
        return "" if ended else f"budget_limit={2 * comparison.budget_limit}"
    known: dict[str, tuple[str, list[int]]] = {}
    for side in ("a", "b"):
        lengths = [_length(comparison.spaces[side].routine_of(m)) for m in range(len(comparison.a))]
        if len({name for name, _ in lengths}) == 1 and lengths[0][0]:
            known[side] = lengths[0][0], [2 * length for _, length in lengths]
    apart = len({(name, *values) for name, values in known.values()}) > 1 and not own
    said = []
    for side, (name, values) in known.items():
        key = f"space.{side}.routine.{name}" if apart or side in own else f"routine.{name}"
        said.append(f"{key}={values[0] if len(set(values)) == 1 else str(values).replace(' ', '')}")
    return " ".join(dict.fromkeys(said))


def _length(routine: Routine) -> tuple[str, int]:
    """By which hyperparameter a routine says how long it trains, and its value; empty and 0 where by none."""
    epochs = settings(routine).get("epochs")
    if type(epochs) is int:
        return "epochs", epochs
    return ("steps", routine.steps or STEPS) if isinstance(routine, Descent) else ("", 0)


def study_of(
    comparison: Compared,
    rows: pd.DataFrame,
    control: pd.DataFrame | None,
    curves: pd.DataFrame | None,
    costs: pd.DataFrame | None,
    own: Collection[str] = (),
    command: str = "",
) -> Study:
    """The study of a comparison that has been trained; for `own` see `longer`."""
    spaces = comparison.spaces
    return Study(
        rows,
        names=names_of(comparison),
        member_names=member_names(comparison),
        order=[comparison.seed],
        control=control,
        control_name=spaces["reference"].name if "reference" in spaces else "",
        curves=curves,
        costs=costs,
        longer=longer(comparison, own),
        notes=notes_of(comparison),
        contrast=comparison.contrast,
        command=command,
        scope=comparison.scope,
        overlap=comparison.overlap,
    )
