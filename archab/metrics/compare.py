"""From a source of runs to verdicts on a metric of theirs: what archab-compare --runs does, for Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from archab.errors import ArchabError
from archab.evidence.rule import Rule
from archab.metrics.metric import Metric, Scale, directed
from archab.metrics.rounds import Rounds, arrange
from archab.metrics.runs import Runs, Step, read
from archab.metrics.verdict import MetricVerdict, judge


@dataclass(frozen=True)
class Compared:
    """Runs side by side, and a verdict on each pair of sides that was asked for."""

    rounds: Rounds
    verdicts: list[MetricVerdict]
    baseline: str


def compare_runs(
    runs: Runs | pd.DataFrame | Path | str,
    *,
    sides: str,
    metric: str,
    pair: str | Sequence[str] = (),
    lower_is_better: bool | None = None,
    scale: Scale = "difference",
    margin: float | None = None,
    step: Step = "last",
    where: Sequence[str] = (),
    baseline: str | None = None,
    rule: Rule | None = None,
) -> Compared:
    """Compare sides of any runs by a metric that they have logged.

    Args:
        runs: a table with a row a run (or a row a step), or a file of one.
        sides: `COLUMN=A,B`, a column, parameter or tag with the values that are the sides, two or more; or `COLUMN`.
        metric: a column, or the name of a metric of a store.
        pair: columns whose values runs of one pair share, such as the seed; without any, runs are not paired.
        lower_is_better: known from names such as val_loss and test_acc, else needed.
        scale: `difference`, `log` or `logit`, see `Metric`.
        margin: the smallest difference that matters; without one nothing is called equivalent.
        step: `last`, `best`, or a number.
        where: KEY=VALUE, runs with these values alone.
        baseline: the side that every other is compared with; of more than two sides without one, all pairs are.
        rule: when a verdict is given; by default after any number of looks, at .05.

    Returns:
        A verdict a pair of sides, in which A is the side that is named first, and the baseline B.

    Raises:
        ArchabError: naming the option and the value that makes no sense.

    Example:
        >>> table = pd.DataFrame(
        ...     [(m, s, 0.5 + 0.01 * s - (m == "new") * (0.02 + 0.001 * s)) for s in range(8) for m in ("new", "old")],
        ...     columns=["model", "seed", "val_loss"],
        ... )
        >>> compare_runs(table, sides="model=new,old", pair="seed", metric="val_loss").verdicts[0].sentence()
        'new beats old: its val_loss is 0.0235 lower.'
    """
    if isinstance(runs, Path | str):
        runs = read(Path(runs))
    elif isinstance(runs, pd.DataFrame):
        runs = Runs(runs.reset_index(drop=True).rename(columns=str), "the table")
    shown = runs.column(metric, "metric")
    asked = Metric(metric, directed(metric, lower_is_better), scale, margin)
    key = [pair] if isinstance(pair, str) else list(pair)
    return judged(arrange(runs.where(where), asked, sides, key, step, shown), rule or Rule(), baseline)


def judged(rounds: Rounds, rule: Rule, baseline: str | None = None) -> Compared:
    """A verdict on every two sides, or on each against the baseline.

    Raises:
        ArchabError: if there is no such baseline, or the rule takes an order that the rounds do not have.
    """
    pairs = list(combinations(range(len(rounds.names)), 2))
    if baseline is not None:
        if baseline not in rounds.names:
            raise ArchabError(f"--baseline {baseline}: no such side. There are: {', '.join(rounds.names)}")
        base = rounds.names.index(baseline)
        pairs = [(i, base) for i in range(len(rounds.names)) if i != base]
    return Compared(rounds, judge(rounds, rule, pairs), baseline or "")
