"""Equivalence as an intersection-union test (Berger 1982): all members together, and each of them, within the margin.

"Equivalent" claims something of every member: its null is the union of the members' nulls, so that each must be
rejected at alpha, and no correction for their number is needed. Beside them stands the mean over the members.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from archab.evidence import statistics as st
from archab.evidence.e_process import anytime_within
from archab.evidence.statistics import Array, Estimate


@dataclass(frozen=True, slots=True)
class Within:
    """What lies within the margin: all members together, and each by itself."""

    pooled: bool
    members: tuple[bool, ...]

    @property
    def all(self) -> bool:
        """Whether everything does."""
        return self.pooled and all(self.members)


def anytime(rounds: Array, margin: float, alpha: float) -> Within:
    """By the anytime interval of the mean over members and of each member.

    Args:
        rounds: differences of log errors, shape (R, M).
        margin: ratio, above 1.
    """
    mean, *members = (anytime_within(d, margin, alpha) for d in (rounds.mean(axis=1), *rounds.T))
    return Within(mean, tuple(members))


def one_look(pooled: Estimate, members: Sequence[Estimate], margin: float, alpha: float) -> Within:
    """By two one-sided t tests each."""
    whole, *own = (st.equivalence_p(estimate, margin) <= alpha for estimate in (pooled, *members))
    return Within(whole, tuple(own))


def of_rounds(rounds: Array, margin: float, alpha: float) -> Within:
    """By two one-sided t tests on so many rounds, shape (R, M): what the hybrid rule asks at its planned end."""
    n = len(rounds)
    mean, *members = (st.paired_estimate(d / n) for d in (rounds.mean(axis=1), *rounds.T))
    return one_look(mean, members, margin, alpha)
