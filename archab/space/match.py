"""Sizes made equal: a hyperparameter solved so that each member's measure comes nearest to a given size."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from archab.errors import ArchabError, first_line
from archab.space.measure import UNITS
from archab.space.routine import AdamW
from archab.space.space import ArchitecturalSpace

LARGEST = 2**20  # value that is tried
GAP = 64  # values in a row that need not build, such as widths that heads do not divide


@dataclass(frozen=True)
class Solved:
    """One member of a matched space.

    Attributes:
        arguments: what was solved for, by name.
        size: its measure.
        wanted: the size that it was to have.
        near: the two nearest values of the last hyperparameter with their sizes, the smaller first; one at an end.
    """

    arguments: Mapping[str, int]
    size: float
    wanted: float
    near: tuple[tuple[int, float], ...]

    @property
    def off(self) -> float:
        """By which share of the wanted size it misses it; positive where it is larger."""
        return self.size / self.wanted - 1


def matched(
    space: ArchitecturalSpace, sizes: Sequence[float], by: str | Sequence[str]
) -> tuple[ArchitecturalSpace, list[Solved]]:
    """The space with a member for each of these sizes, and how near each comes.

    Sizes are counted on skeletons without memory. Of several names the first is solved with the others as they are,
    from below, and each further one for what is left.

    Args:
        space: whose only member, or each of whose members, holds the other arguments.
        sizes: the measures to be reached, in the unit of the space's own measure.
        by: the name of an integer argument with which the size grows, or several.

    Raises:
        ArchabError: if the measure is numbers that were given; such an argument is no integer, does not change the size
            or does not let it grow; or a size lies outside of what can be built.

    Example:
        >>> from functools import partial
        >>> from archab.space.architectures import deep
        >>> thin = ArchitecturalSpace(partial(deep.lora, dim=8, depth=1), {}, [8], measure="parameter")
        >>> found, solved = matched(thin, [50, 70], by="rank")
        >>> [dict(member) for member in found.members], [one.size for one in solved]
        ([{'rank': 2}, {'rank': 3}], [56.0, 72.0])
    """
    names = [by] if isinstance(by, str) else list(by)
    if not names:
        raise ArchabError(f"{space.name}: members.by={by}: the name of an argument is needed, such as rank")
    if len(set(names)) < len(names):
        raise ArchabError(f"{space.name}: members.by={names}: an argument stands there twice")
    if not isinstance(space.measure, str):
        raise ArchabError(
            f"{space.name}: members.by={by}: measure={list(space.measure)} gives the sizes, so that none is left to be "
            f"solved; one of {', '.join(UNITS)} is needed, or members that are written out"
        )
    others = space.arguments if len(space) == len(sizes) else space.arguments * len(sizes)
    if len(others) != len(sizes):
        raise ArchabError(f"{space.name}: {len(space)} members are to be matched to {len(sizes)} sizes")
    counted = _Counted(space)
    solved = [_solved(counted, dict(own), names, size) for own, size in zip(others, sizes, strict=True)]
    members = [{**own, **one.arguments} for own, one in zip(others, solved, strict=True)]
    return replace(space, members=members), solved


def _solved(counted: "_Counted", own: dict[str, Any], names: Sequence[str], wanted: float) -> Solved:
    best: Solved | None = None
    below: dict[str, int] = {}
    for name in names:
        counted.check(name, own)
        try:
            near = _nearest(partial(counted, own | below, name), wanted, counted)
        except _OutOfReach:
            if best is None:
                raise
            continue  # what is left is less than one step of it
        value, size = min(near, key=lambda found: abs(found[1] - wanted))
        if best is None or abs(size - wanted) < abs(best.size - wanted):
            best = Solved({**below, name: value}, size, wanted, near)
        below[name] = near[0][0]
    assert best is not None
    return best


class _Counted:
    """The measure of a space's network with these arguments; None where it cannot be built."""

    def __init__(self, space: ArchitecturalSpace) -> None:
        # One network is counted at a time, which a list of the routine's, one value a member, would refuse.
        self.space, self.why, self.named = replace(space, routine=AdamW()), "", ""
        self._known: dict[str, float | None] = {}

    def __call__(self, own: Mapping[str, Any], name: str, value: int) -> float | None:
        key = repr((sorted(own.items()), name, value))
        if key not in self._known:
            try:
                self._known[key] = replace(self.space, members={**own, name: value}).size(0)
            except ArchabError as error:
                self.why = first_line(error)
                self._known[key] = None
        return self._known[key]

    def check(self, name: str, own: Mapping[str, Any]) -> None:
        """Raise an ArchabError where the architecture has no such argument, or one of another kind."""
        self.named = f"{self.space.name}: members.by={name}"
        try:
            parameters = inspect.signature(self.space.architecture).parameters
        except (TypeError, ValueError):
            return
        kinds = {p.kind for p in parameters.values()}
        if name not in parameters:
            if inspect.Parameter.VAR_KEYWORD in kinds:
                return
            raise ArchabError(f"{self.named}: no such argument, but {', '.join(parameters)}")
        value = own.get(name, parameters[name].default)
        if value is not inspect.Parameter.empty and value is not None and type(value) is not int:
            raise ArchabError(f"{self.named}: {value!r} is no integer; the size is matched by a whole number")


class _OutOfReach(ArchabError):
    """A size that no value gives."""


def _nearest(size_of: Callable[[int], float | None], wanted: float, counted: _Counted) -> tuple[tuple[int, float], ...]:
    """The largest value whose size is at most what is wanted, and the next that builds, with their sizes."""
    named = counted.named
    first = _next(size_of, 1, GAP)
    if first is None:
        raise ArchabError(f"{named}: no value from 1 to {GAP} gives a network ({counted.why})")
    second = _next(size_of, first[0] + 1, first[0] + GAP)
    if second is not None and second[1] == first[1]:
        raise ArchabError(f"{named}: does not change the size, {first[1]:g} at {first[0]} and at {second[0]}")
    low, high = first, second
    while high is not None and high[1] <= wanted and high[0] < LARGEST:
        _growing(low, high, named)
        low, high = high, _next(size_of, 2 * high[0], 2 * high[0] + GAP) or _next(size_of, high[0] + 1, 2 * high[0])
    if wanted < low[1] or high is None or high[1] <= wanted:
        ends = [end for end in ((low, high) if wanted < low[1] else (low,)) if end is not None]
        if len(ends) == 1 and ends[0][1] == wanted:
            return (ends[0],)
        nearest = " and ".join(f"{size:,g} at {value}" for value, size in ends)
        raise _OutOfReach(f"{named}: a size of {wanted:,g} cannot be reached; the nearest are {nearest}")
    while high[0] - low[0] > 1:
        middle = _next(size_of, (low[0] + high[0]) // 2, high[0] - 1) or _next(size_of, low[0] + 1, high[0] - 1)
        if middle is None:
            break
        _growing(low, middle, named)
        _growing(middle, high, named)
        low, high = (middle, high) if middle[1] <= wanted else (low, middle)
    return low, high


def _next(size_of: Callable[[int], float | None], first: int, last: int) -> tuple[int, float] | None:
    """The first value from `first` to `last` that builds, with its size."""
    for value in range(first, min(last, first + GAP) + 1):
        if (size := size_of(value)) is not None:
            return value, size
    return None


def _growing(low: tuple[int, float], high: tuple[int, float], named: str) -> None:
    if high[1] < low[1]:
        raise ArchabError(
            f"{named}: the size does not grow with it, {low[1]:g} at {low[0]} and {high[1]:g} at {high[0]}"
        )
