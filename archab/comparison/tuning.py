"""Equal tuning: the same values of the routine's hyperparameters tried on both sides, on targets that no run scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pandas as pd

from archab.errors import ArchabError
from archab.evidence.notes import Note
from archab.evidence.tuning import Choice, Trial, beyond, choose, in_words
from archab.evidence.words import listed
from archab.space.routine import given, settings
from archab.space.space import ArchitecturalSpace

SEED = 2**62  # of the stream of tuning targets, which no run's seed reaches
FEWEST = 16  # tuning targets in all


@dataclass(frozen=True)
class Tune:
    """What is tried on both sides before they are compared.

    Attributes:
        grid: values to try, by hyperparameter of the routine; all combinations of several.
        targets: tuning targets a member; more where there would be fewer than 16 in all.
        extend: how many values may be added beyond either edge of the grid, while the best one lies there.
        unequal: whether a winner may be named although the sides' grids differ.
        own: the grid of a side that is tuned otherwise, or not at all where that is empty.

    Raises:
        ArchabError: if a grid has fewer than two values, or one twice.

    Example:
        >>> list(Tune({"lr": [0.01, 0.03]}).trials("a"))
        [{'lr': 0.01}, {'lr': 0.03}]
    """

    grid: Mapping[str, Sequence[Any]]
    targets: int = 8
    extend: int = 3
    unequal: bool = False
    own: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for side, grid in {"": self.grid, **self.own}.items():
            where = f"space.{side}.tune" if side else "tune"
            for name, values in grid.items():
                _check_values(f"{where}.{name}", values)
        for name, least in (("targets", 1), ("extend", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ArchabError(f"tune.{name}={value!r}: a whole number of at least {least} is needed")

    @property
    def alike(self) -> bool:
        """Whether both sides are tuned by the same grid."""
        return self.of("a") == self.of("b")

    @property
    def names(self) -> set[str]:
        """Every hyperparameter that is tried on any side."""
        return {name for grid in (self.grid, *self.own.values()) for name in grid}

    def of(self, side: str) -> Mapping[str, Sequence[Any]]:
        """The grid of a side."""
        return self.own.get(side, self.grid)

    def trials(self, side: str) -> Iterator[dict[str, Any]]:
        """What is tried on a side: every combination; its routine's own values where it is not tuned."""
        grid = self.of(side)
        return (dict(zip(grid, each, strict=True)) for each in product(*grid.values()))


def _check_values(key: str, values: object) -> None:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) < 2:
        raise ArchabError(f"{key}={values!r}: a list of at least two values to try is needed, such as [0.003, 0.01]")
    if key.endswith("tune.lr") and any(value == 0 for value in values):
        raise ArchabError(f"{key}={list(values)}: a learning rate of 0 learns nothing; values above 0 are needed")
    if len({repr(value) for value in values}) < len(values):
        raise ArchabError(f"{key}={list(values)}: a value stands there twice; each is tried once")


def by(space: ArchitecturalSpace, trial: Trial) -> ArchitecturalSpace:
    """The space whose routine has these hyperparameters, the same for all members.

    Raises:
        ArchabError: if the routine does not take one of them.
    """
    return replace(space, routine=given(space.routine, trial))


def tunable(tune: Tune, spaces: Mapping[str, ArchitecturalSpace]) -> list[str]:
    """Both sides, and the reference where its routine has what is tuned."""
    return [side for side, s in spaces.items() if side != "reference" or set(tune.grid) <= settings(s.routine).keys()]


def check(tune: Tune, spaces: Mapping[str, ArchitecturalSpace]) -> None:
    """Raise an ArchabError where a routine lacks what is to be tuned, or refuses a value of the grid."""
    for side in tunable(tune, spaces):
        space = spaces[side]
        known = settings(space.routine)
        if "minibatch" in tune.of(side):
            raise ArchabError("tune.minibatch: cannot be tuned, since the samples of a target are whole mini-batches")
        for name in tune.of(side):
            if name not in known:
                raise ArchabError(
                    f"tune.{name}: the routine of {space.name} has no such hyperparameter, but {', '.join(known)}"
                )
        for trial in tune.trials(side):
            try:
                by(space, trial)
            except ArchabError as error:
                raise ArchabError(str(error).replace("routine.", "tune.", 1)) from error


def search(tune: Tune, run: Callable[[Sequence[Trial]], pd.DataFrame], valid: Callable[[Trial], bool]) -> pd.DataFrame:
    """All trials of all sides: the grid, and what lies beyond an edge of it while that is best.

    Args:
        tune: the grid.
        run: trains students by each of these trials, and gives the table that `archab.evidence.tuning.choose` reads.
        valid: whether every routine takes a further trial.
    """
    tried: list[Trial] = []
    new: list[Trial] = [trial for side in ("a", "b") for trial in tune.trials(side)]
    tables = []
    while new := [trial for i, trial in enumerate(new) if trial not in [*tried, *new[:i]] and valid(trial)]:
        tables.append(run(new))
        tried += new
        found = choose(pd.concat(tables, ignore_index=True))
        new = beyond(tried, _best(found), tune.grid, tune.extend) if tune.alike else []
    return pd.concat(tables, ignore_index=True)


def _best(found: Choice) -> list[Trial]:
    """What was best for both sides together, and for each."""
    return [*([found.joint] if found.joint else []), *(found.best(side) for side in ("a", "b") if side in found.means)]


def notes_of(tune: Tune, trials: pd.DataFrame, names: Mapping[str, str]) -> list[Note]:
    """What a verdict says of how its sides, of these names, were tuned."""
    found = choose(trials)
    apart = names["a"] != names["b"]
    sides = {side: names[side] if apart else f"{names[side]} ({side.upper()})" for side in ("a", "b")}
    at = {side: in_words(found.chosen[side]) for side in sides if side in found.chosen}
    said = [f"{sides[side]} trains at {values}" for side, values in at.items()]
    if len(at) == 2 and at["a"] == at["b"]:
        said = [f"both train at {at['a']}"]
    if not tune.alike:
        counts = {side: len(list(tune.trials(side))) if tune.of(side) else 0 for side in sides}
        tried = listed([f"{counts[side] or 'no'} values for {name}" for side, name in sides.items()])
        command = "" if tune.unequal else "tune.unequal=true"
        return [Note("tuned unequally", f"Tuned unequally: {tried}; {listed(said)}.", command)]
    what = "learning rates" if list(tune.grid) == ["lr"] else f"values of {listed(list(tune.grid))}"
    targets = len(trials.loc[trials["side"] == "a", ["member", "source", "draw"]].drop_duplicates())
    notes = [Note("tuned", f"Tuned alike: {len(found.tried)} {what} on {targets} targets a side; {listed(said)}.")]
    for side, name in sides.items():
        best = found.best(side)
        if beyond(found.tried, [best], tune.grid, limit=1_000):
            notes.append(Note("tuned", f"The best of {name} lies at the edge of what was tried: {in_words(best)}."))
    return notes
