"""Hyperparameters from trials: one value for both sides, or a side's own where it is clearly better for that side.

Trials are rows of students (`archab.results`) of targets that no verdict is on, with a column `trial`: the values that
they trained by, as a JSON object.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from archab.evidence.statistics import FLOOR

TRIAL_COLUMNS = ("side", "member", "source", "draw", "target", "trial", "nmse", "status")
CLEARLY = 2.0  # standard errors by which a side's own value must beat the joint one: keeps an A/A test at its level
Trial = Mapping[str, Any]


def text_of(trial: Trial) -> str:
    """A trial as the column `trial` holds it."""
    return json.dumps(dict(trial), sort_keys=True)


@dataclass(frozen=True)
class Choice:
    """What trials tell.

    Attributes:
        chosen: the values by side.
        joint: the values with the lowest mean over both sides; None where the sides' trials differ.
        means: mean log error of every trial, a row a trial in their order, a column a side.
    """

    chosen: dict[str, dict[str, Any]]
    joint: dict[str, Any] | None
    means: pd.DataFrame

    @property
    def tried(self) -> list[dict[str, Any]]:
        """All trials, in their order."""
        return [json.loads(str(trial)) for trial in self.means.index]

    def best(self, side: str) -> dict[str, Any]:
        """What was best for one side, whatever was chosen."""
        found: dict[str, Any] = json.loads(str(self.means[side].idxmin()))
        return found


def choose(trials: pd.DataFrame) -> Choice:
    """The values for each side: lowest mean log error over all targets, members alike.

    A diverged student counts as an error of 1, as the constant predictor. A side's own best takes the place of the
    joint one where it is better by 2 standard errors on the same targets; the reference, which is compared with nobody,
    takes its own.

    Args:
        trials: columns side, member, source, draw, trial, nmse and status.

    Example:
        >>> rows = [(side, 0, "reference", t, text_of({"lr": lr}), abs(lr - 0.1) + 0.01 * t + 0.01, "ok")
        ...         for side in "ab" for t in range(3) for lr in (0.01, 0.1)]
        >>> names = ["side", "member", "source", "draw", "trial", "nmse", "status"]
        >>> choose(pd.DataFrame(rows, columns=names)).chosen
        {'a': {'lr': 0.1}, 'b': {'lr': 0.1}}
    """
    scores = scores_of(trials)
    means = pd.DataFrame({side: table.groupby("member").mean().mean() for side, table in scores.items()})
    means = means.reindex(list(dict.fromkeys(trials["trial"])))
    compared = [side for side in ("a", "b") if side in means]
    alike = means[compared].notna().all(axis=None)
    joint = str(means[compared].mean(axis=1).idxmin()) if alike else None
    chosen = {side: _own(own, means[side], joint if side in compared else None) for side, own in scores.items()}
    found = {side: json.loads(trial) for side, trial in chosen.items()}
    return Choice(found, None if joint is None else json.loads(joint), means)


def scores_of(trials: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Log errors of trials by side: a row a target, a column a trial."""
    errors = trials["nmse"].where(trials["status"] == "ok", 1.0).clip(FLOOR, 1.0)
    table = trials.assign(y=np.log(errors), side=trials["side"].astype(str), source=trials["source"].astype(str))
    return {
        str(side): own.pivot_table(index=["member", "source", "draw"], columns="trial", values="y", sort=False)
        for side, own in table.groupby("side", sort=True)
    }


def _own(scores: pd.DataFrame, means: pd.Series, joint: str | None) -> str:
    best = str(means.idxmin())
    if joint is None or best == joint:
        return best
    members = (scores[joint] - scores[best]).groupby("member").agg(["mean", "var", "size"])
    gain = members["mean"].mean()
    squared = float((members["var"] / members["size"]).sum()) / len(members) ** 2
    return best if gain > CLEARLY * np.sqrt(squared) else joint  # of one target a member nothing is clear: NaN


def beyond(tried: Sequence[Trial], best: Sequence[Trial], grid: Mapping[str, Sequence[Any]], limit: int) -> list[Trial]:
    """Further trials next to those best ones that lie at an edge of what was tried; none where none does.

    An edge is the smallest or largest value of a hyperparameter whose values are positive numbers. The further value is
    as far from it as it is from its neighbour, as a ratio, and is tried with all values of the others.

    Args:
        tried: all trials so far.
        best: what was best for a side, or for both together.
        grid: the values that were asked for.
        limit: how many values may lie beyond either edge of the grid.

    Example:
        >>> beyond([{"lr": 0.01}, {"lr": 0.03}], [{"lr": 0.03}], {"lr": [0.01, 0.03]}, limit=2)
        [{'lr': 0.09}]
    """
    new: list[Trial] = []
    for name, asked in grid.items():
        values = sorted({trial[name] for trial in tried}) if all(map(_positive, asked)) else []
        if len(values) < 2:
            continue
        ends = ((values[0], values[1], min(asked) / values[0]), (values[-1], values[-2], values[-1] / max(asked)))
        for edge, neighbour, passed in ends:
            ratio = edge / neighbour
            steps = 0 if passed == 1 else round(math.log(passed) / abs(math.log(ratio)))
            if steps < limit and any(trial[name] == edge for trial in best):
                further = float(f"{edge * ratio:.3g}")
                new += [{**trial, name: further} for trial in tried if trial[name] == edge]
    return new


def _positive(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and value > 0


def in_words(values: Mapping[str, Any]) -> str:
    """Hyperparameters such as "lr 0.01, momentum 0.9"."""
    return ", ".join(f"{name} {v:g}" if isinstance(v, float) else f"{name} {v}" for name, v in values.items())
