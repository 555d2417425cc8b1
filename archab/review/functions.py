"""Targets of a run as curves, and what a student of each side made of one of them, along a line through the inputs."""

from dataclasses import dataclass

import numpy as np

from archab.evidence.fields import Verdict
from archab.evidence.statistics import Array


@dataclass(frozen=True)
class Functions:
    """Answers along a line of inputs, one output coordinate.

    Attributes:
        x: shape (n,), the place on the line.
        targets: shape (k, n).
        chosen: which of them the students learnt.
        a, b: shape (n,), their answers.
    """

    x: Array
    targets: Array
    chosen: int
    a: Array
    b: Array


@dataclass(frozen=True)
class Typical:
    """A target on which the difference is like the rest's.

    Attributes:
        seed, member, draw: which it is.
        source: the prior that it was drawn from.
        a, b: logs of the sides' NMSE on it.
    """

    seed: int
    member: int
    draw: int
    source: str
    a: float
    b: float


def typical(verdict: Verdict, among: int) -> Typical | None:
    """Of the first targets of the first seed, the one whose difference and errors are nearest its member's means.

    The member is the one whose own mean is nearest to that of all. None where no target has both sides.
    """
    if verdict.data.is_a is not None:
        return None
    member = min(verdict.members, key=lambda m: abs(m.theta - verdict.theta))
    students = verdict.data.students
    seed = int(students["seed"].iloc[0])
    here = students[(students["seed"] == seed) & (students["member"] == member.member) & (students["draw"] < among)]
    sides = here.groupby(["draw", "source", "side"])["y"].mean().unstack()
    a, b = (sides[side].to_numpy(dtype=float) for side in ("a", "b"))
    level = np.log([member.typical_a, member.typical_b]).sum()
    # Where nothing is between the sides, so are the targets that neither learnt: errors have a say, too.
    at = int((np.abs(a - b - member.theta) + np.abs(a + b - level) / 2).argmin())
    nearest = sides.index.to_frame(index=False).iloc[at]
    return Typical(seed, member.member, int(nearest["draw"]), str(nearest["source"]), float(a[at]), float(b[at]))
