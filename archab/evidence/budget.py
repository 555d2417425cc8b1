"""How long students must train: what each doubling of the steps gave on tuning targets, and whether a winner changed.

Trials are those of `archab.evidence.tuning`, with columns `times`, how many times as long as the routine says, and
`steps` of a student.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from archab.evidence.notes import Note
from archab.evidence.tuning import choose, scores_of, text_of
from archab.evidence.words import effect, error, listed, signed

ENOUGH = 0.05  # a doubling that lowers a side's typical error by no more was not needed
CLEAR = 2.0  # standard errors from which a side is said to have been better


@dataclass(frozen=True)
class Rung:
    """What one length of training gave, each side by the hyperparameters that were chosen at it.

    Attributes:
        times: how many times as long as the routine says.
        steps: of a student, in words.
        typical: geometric mean error by side, members alike.
        log_ratio: mean log error of A less that of B.
        standard_error: its standard error over targets; NaN where a member has one.
    """

    times: int
    steps: str
    typical: dict[str, float]
    log_ratio: float
    standard_error: float

    @property
    def better(self) -> str:
        """The side that was clearly better; empty where none was."""
        if not abs(self.log_ratio) > CLEAR * self.standard_error:
            return ""
        return "a" if self.log_ratio < 0 else "b"


def ladder(trials: pd.DataFrame) -> list[Rung]:
    """The rungs in the order of their length.

    Args:
        trials: as `archab.evidence.tuning.choose` reads them, with `times` and `steps`.

    Example:
        >>> rows = [(side, 0, "reference", t, text_of({}), error * (1 + t), "ok", times, 100 * times)
        ...         for times, error in ((1, 0.1), (2, 0.05)) for side in "ab" for t in range(2)]
        >>> names = ["side", "member", "source", "draw", "trial", "nmse", "status", "times", "steps"]
        >>> [(rung.steps, round(rung.typical["a"], 3)) for rung in ladder(pd.DataFrame(rows, columns=names))]
        [('100', 0.141), ('200', 0.071)]
    """
    return [_rung(int(str(times)), own) for times, own in trials.groupby("times", sort=True)]


def long_enough(rungs: Sequence[Rung]) -> bool:
    """Whether the last doubling lowered neither side's typical error by more than 5%."""
    return len(rungs) > 1 and all(_fell(rungs, side) <= ENOUGH for side in ("a", "b"))


def length(rungs: Sequence[Rung]) -> int:
    """How many times as long as the routine says is enough: the last rung, or that before it where it gave nothing."""
    return rungs[-2 if long_enough(rungs) else -1].times


def settled(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of the length that is trained."""
    return trials[trials["times"] == length(ladder(trials))] if "times" in trials else trials


def notes_of(trials: pd.DataFrame, names: tuple[str, str], limit: int) -> list[Note]:
    """What a verdict says of its length of training.

    Args:
        trials: with `times` and `steps`.
        names: what the sides are called.
        limit: the most times as long as the routine says that were allowed.
    """
    rungs = ladder(trials)
    trained = next(rung for rung in rungs if rung.times == length(rungs))
    if long_enough(rungs):
        text = f"Trained to the end, {trained.steps} steps: twice as many move the error by {_moved(rungs, names)}."
        notes = [Note("budget", text)]
    else:
        moved = f": the last doubling moved the error by {_moved(rungs, names)}" if len(rungs) > 1 else ""
        text = f"Training had not ended after {trained.steps} steps, the most that budget_limit={limit} allows{moved}."
        notes = [Note("still falling", text, f"budget_limit={2 * limit}")]
    first = rungs[0]
    if first.better and trained.better and first.better != trained.better:
        won = [f"at {rung.steps} steps {effect(math.exp(rung.log_ratio), names)}" for rung in (first, trained)]
        notes.append(Note("budget", f"The better side changed with the length of training: {listed(won)}."))
    return notes


def in_words(rung: Rung, names: tuple[str, str]) -> str:
    """A rung such as "1,200 steps: gate 0.031, plain 0.024; B 23% lower"."""
    typical = ", ".join(f"{name} {error(rung.typical[side])}" for side, name in zip("ab", names, strict=True))
    return f"{rung.steps} steps: {typical}; {effect(math.exp(rung.log_ratio))}"


def _rung(times: int, trials: pd.DataFrame) -> Rung:
    chosen, scores = choose(trials).chosen, scores_of(trials)
    a, b = (scores[side][text_of(chosen[side])] for side in ("a", "b"))
    typical = {side: math.exp(own.groupby("member").mean().mean()) for side, own in (("a", a), ("b", b))}
    parts = [a - b] if a.index.equals(b.index) else [a, b]  # unpaired where each side learns targets of its own
    variance = 0.0
    for part in parts:
        members = part.groupby("member").agg(["var", "size"])
        variance += float((members["var"] / members["size"]).sum(skipna=False)) / len(members) ** 2
    steps = trials.loc[trials["side"] != "reference", "steps"]
    said = " to ".join(f"{n:,}" for n in sorted({steps.min(), steps.max()}))
    return Rung(times, said, typical, math.log(typical["a"] / typical["b"]), math.sqrt(variance))


def _fell(rungs: Sequence[Rung], side: str) -> float:
    return 1 - rungs[-1].typical[side] / rungs[-2].typical[side]


def _moved(rungs: Sequence[Rung], names: tuple[str, str]) -> str:
    return listed([f"{signed(1 - _fell(rungs, side))} ({name})" for side, name in zip("ab", names, strict=True)])
