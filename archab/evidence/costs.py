"""What a student costs, by member and side: sizes, operations, steps and seconds, of several runs as one."""

from dataclasses import dataclass, fields

import pandas as pd

from archab.errors import ArchabError

KEY = ["member", "side"]
MEASURED = ("steps", "training_flops", "seconds")  # which differ between parts and runs; all else is the networks' own


@dataclass(frozen=True, slots=True)
class Cost:
    """What a student of one member and side costs; NaN where it is not known.

    Attributes:
        information: bits of its learnable parameters.
        parameters: their number.
        flops: floating-point operations of one forward pass for one sample.
        steps: optimiser steps of its training; of a routine of the user's, calls of its loss.
        training_flops: operations of its training: 3 × steps × those of a forward pass for a mini-batch.
        seconds: wall time of its training and scoring: that of all students of its side over their number. Sides that
            train at the same time share it equally.
    """

    information: float
    parameters: float
    flops: float
    steps: float
    training_flops: float
    seconds: float


COLUMNS = (*KEY, "students", *(field.name for field in fields(Cost)))


def joined(costs: pd.DataFrame) -> pd.DataFrame:
    """One row a member and side, from a row or more of each: means over students of what was measured.

    Args:
        costs: columns member, side, students (how many were measured) and any of those of `Cost`.

    Example:
        >>> parts = pd.DataFrame({"member": 0, "side": "a", "students": [30, 10], "seconds": [1.0, 3.0]})
        >>> joined(parts)[["students", "seconds"]].values.tolist()
        [[40.0, 1.5]]
    """
    table = costs.assign(side=costs["side"].astype(str))
    groups = table.groupby(KEY)
    found = groups.first().assign(students=groups["students"].sum())
    for name in [name for name in MEASURED if name in costs]:
        known = table.dropna(subset=name)
        sums = known.assign(total=known[name] * known["students"]).groupby(KEY)[["total", "students"]].sum()
        found[name] = sums["total"] / sums["students"]
    return found.reset_index()


def checked(costs: pd.DataFrame | None) -> dict[tuple[int, str], Cost]:
    """The costs by member and side; empty where none are known.

    Raises:
        ArchabError: if a column is missing.
    """
    if costs is None or costs.empty:
        return {}
    if missing := [name for name in COLUMNS if name not in costs]:
        raise ArchabError(f"no column {', '.join(missing)} in the costs: {', '.join(COLUMNS)} are needed")
    names = [field.name for field in fields(Cost)]
    table = joined(costs).set_index(KEY)[names].astype(float)
    return {key: Cost(*row) for key, row in zip(table.index, table.itertuples(index=False), strict=True)}
