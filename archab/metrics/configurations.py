"""Sides of several configurations that learnt the same targets, side by side: more than two in archab's own runs."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence.statistics import Array
from archab.evidence.study import Study
from archab.evidence.table import students
from archab.metrics.metric import Metric
from archab.metrics.rounds import Rounds

_TARGET = ["seed", "draw", "member", "source"]


def side_by_side(
    studies: Sequence[Study],
    floor: float,
    margin: float,
    started: Mapping[int, float],
    holes: Mapping[str, Sequence[int]],
) -> Rounds:
    """Every side of these configurations, once where several have the same students; a round is a target.

    Args:
        studies: one a configuration, whose label tells it apart.
        floor: smaller errors count as this one.
        margin: ratio of errors that matters.
        started: when each seed was first started in any of them.
        holes: by label, the seeds that were started and have not finished.

    Raises:
        ArchabError: if configurations learnt different targets, or splits of a data set.
    """
    known: dict[Hashable, tuple[str, str]] = {}
    found: list[_Side] = []
    for study in studies:
        if study.overlap:
            raise ArchabError(
                f"{study.label}: targets are splits of one data set, whose sides are judged two at a time"
            )
        table, open_ = students(study.rows, floor), set(holes.get(study.label, ()))
        _refuse_other_targets(table, study.label, known)
        for side, name in zip("ab", study.names, strict=True):
            one = _Side(name, study.label, _scores(table[table["side"] == side]), open_)
            same = next((i for i, other in enumerate(found) if one.same(other)), None)
            if same is None:
                found.append(one)
            else:
                found[same] = found[same].joined(one)
    often = [one.name for one in found]
    names = [one.name if often.count(one.name) == 1 else f"{one.name} ({one.label})" for one in found]
    wide = pd.concat([one.errors.rename(name) for name, one in zip(names, found, strict=True)], axis=1)
    order = sorted(wide.index, key=lambda key: (started.get(key[0], np.inf), *key))
    scores: Array = wide.loc[order].to_numpy(dtype=float)
    going = np.array([[seed in one.holes for one in found] for seed, _ in order])
    return Rounds(
        metric=Metric("error", True, "log", margin),
        names=tuple(names),
        raw=np.exp(scores),
        scores=scores,
        waiting=going & np.isnan(scores),
        paired=True,
        pair=("target",),
        labels=tuple(f"seed {seed}, target {draw}" for seed, draw in order),
        notes=(_SCORED,),
        noun="target",
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """A side of a configuration: its name, the configuration's label, its log errors, its unfinished seeds."""

    name: str
    label: str
    errors: pd.Series
    holes: set[int]

    def same(self, other: "_Side") -> bool:
        """Whether the students of both are the same, as far as both have learnt the same targets."""
        shared = self.errors.index.intersection(other.errors.index)
        return len(shared) > 0 and bool((self.errors[shared] == other.errors[shared]).all())

    def joined(self, other: "_Side") -> "_Side":
        """One side of both."""
        return _Side(self.name, self.label, self.errors.combine_first(other.errors), self.holes | other.holes)


_SCORED = (
    "Errors are held out, relative to the best constant, at most 1, and compared in logs; members count equally, "
    "restarts are averaged."
)


def _scores(own: pd.DataFrame) -> pd.Series:
    """Log errors of the targets that every member has, by seed and draw."""
    each = own.groupby(_TARGET, observed=True)["y"].mean()
    wide = each.unstack(["member", "source"]).dropna()
    return wide.mean(axis=1)


def _refuse_other_targets(table: pd.DataFrame, label: str, known: dict[Hashable, tuple[str, str]]) -> None:
    if not {"draw", "source"} <= set(table):
        raise ArchabError(f"{label}: rows without draws tell no targets that configurations share")
    for key, names in table.groupby(_TARGET, observed=True)["target"]:
        name, of = known.setdefault(key, (str(names.iloc[0]), label))
        if (names != name).any():
            seed, draw, member, _ = key
            raise ArchabError(
                f"{label} and {of} learnt different targets (seed {seed}, draw {draw}, member {member}): sides can be "
                "compared across configurations that differ in a side alone, and whose targets no side draws; --where "
                "narrows them"
            )
