"""From runs to rounds: which runs are of which side, which belong together, and in which order they count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence import words
from archab.evidence.statistics import Array
from archab.metrics.metric import Metric
from archab.metrics.runs import Runs, Step, as_text

FEWEST = 2
MOST_SAID = 3


@dataclass(frozen=True, eq=False)
class Rounds:
    """Runs side by side.

    Attributes:
        metric: what is compared.
        names: the sides, length k.
        raw: shape (R, k): the metric in round r on side s; NaN where there is no run, or one that failed.
        scores: the same on the metric's scale, lower is better; infinite where the run failed, NaN where there is none.
        waiting: shape (R, k): whether a run of it has not ended.
        paired: whether the runs of a round belong together; else they are the r-th of each side.
        pair: the columns whose values they share.
        labels: of rounds, length R: the values of these columns.
        grouped: of pairs by two columns or more, the one whose values are groups of pairs, such as the data set, and
            what tells pairs of a group apart; else empty.
        groups: of rounds, their values of the first.
        notes: what a reader must know of order, gaps and doubts.
        noun: what a round is: a pair, a run of either side, or a target.
        refused: why looking again and again is not valid; empty where it is.
    """

    metric: Metric
    names: tuple[str, ...]
    raw: Array
    scores: Array
    waiting: np.ndarray
    paired: bool
    pair: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    grouped: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    noun: str = "pair"
    refused: str = ""

    def unit(self, rounds: int) -> str:
        """So many rounds in words: "20 pairs of runs (by seed)", "20 runs a side, not paired", "20 targets"."""
        by = {"run": " a side, not paired", "pair": f" of runs (by {words.listed(self.pair or ('',))})"}
        return f"{words.counted(rounds, self.noun)}{by.get(self.noun, '')}"


def arrange(
    runs: Runs,
    metric: Metric,
    sides: str,
    pair: Sequence[str] = (),
    step: Step = "last",
    shown: str = "",
    fewest: int = FEWEST,
) -> Rounds:
    """Put runs side by side.

    Args:
        runs: what a source holds.
        metric: what is compared.
        sides: `COLUMN=A,B` or more values, in this order; `COLUMN` alone takes every value there is.
        pair: columns whose values tell which runs belong together, such as the seed and the data set; runs are not
            paired where there are none.
        step: which value of a run counts.
        shown: what the metric's column is called, where that is not its name.
        fewest: runs that each side needs.

    Raises:
        ArchabError: naming the option and the value: a column or side that is not there, one side, a side with one run,
            two runs of one side with the same pair, or a value that has no place on the scale.
    """
    column, asked = _sides(runs, sides)
    key = [runs.column(name, "pair") for name in pair]
    if column in key:
        raise ArchabError(f"--pair {column}: that is what tells the sides apart")
    found = runs.column(shown or metric.name, "metric")
    told = runs.table[column].map(as_text)
    table = Runs(runs.table[told.isin(asked)], runs.source, runs.at).values(found, step, metric.lower, [column, *key])
    table["side"] = pd.Categorical(table[column].map(as_text), asked)
    table = _placed(table, key, asked)
    ordered, notes, refused = _ordered(table, key)
    firsts = ordered.drop_duplicates("round")
    ids, grouped = firsts["round"].tolist(), _grouping(key)
    at = {name: i for i, name in enumerate(ids)}
    shape = (len(ids), len(asked))
    raw, scores, waiting = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool)
    where = ordered["round"].map(at).to_numpy(), ordered["side"].cat.codes.to_numpy()
    going, ended = (ordered["state"] == "going").to_numpy(), (ordered["state"] != "lost").to_numpy()
    value = ordered["value"].where(ended & ~going & np.isfinite(ordered["value"])).to_numpy(dtype=float)
    raw[where], waiting[where] = value, going
    score = metric.scores(value)
    scores[where] = np.where(going, np.nan, np.where(np.isnan(score), np.inf, score))
    for i, name in enumerate(asked):
        if (count := int((~np.isnan(scores[:, i]) | waiting[:, i]).sum())) < fewest:
            raise ArchabError(
                f"--sides {sides}: {name} has {words.counted(count, 'run')}; at least {fewest} are needed"
            )
    return Rounds(
        metric=metric,
        names=tuple(asked),
        raw=raw,
        scores=scores,
        waiting=waiting,
        paired=bool(key),
        noun="pair" if key else "run",
        pair=tuple(pair),
        labels=tuple(firsts["label"]),
        grouped=grouped,
        groups=tuple(firsts[grouped[0]].map(as_text)) if grouped else (),
        notes=(*notes, *_confounders(table, column, key, runs.at is not None)),
        refused=refused,
    )


def _sides(runs: Runs, sides: str) -> tuple[str, list[str]]:
    name, equals, listed = sides.partition("=")
    column = runs.column(name.strip(), "sides")
    there = runs.table[column].dropna().map(as_text)
    values = sorted(there.unique())
    asked = [value.strip() for value in listed.split(",")] if equals else values
    if absent := [value for value in asked if value not in values]:
        raise ArchabError(f"--sides {sides}: no run has {column}={absent[0]}. There are: {', '.join(values[:12])}")
    if len(set(asked)) < max(2, len(asked)):
        raise ArchabError(f"--sides {sides}: two different values are needed. There are: {', '.join(values[:12])}")
    if not equals and len(asked) > 2 and len(asked) == len(there):
        raise ArchabError(f"--sides {sides}: every run has a value of its own in {column}; it tells no sides apart")
    return column, asked


def _placed(table: pd.DataFrame, key: list[str], asked: list[str]) -> pd.DataFrame:
    """With a column `round` and its `label`."""
    if not key:
        return table
    if (lacking := table[key].isna().any(axis=1)).any():
        name = next(column for column in key if table[column].isna().any())
        raise ArchabError(f"--pair {name}: {words.counted(int(lacking.sum()), 'run')} of the sides have no value in it")
    texts = table[key].map(as_text)
    label = texts.agg(", ".join, axis=1) if len(key) > 1 else texts[key[0]]
    table = table.assign(round=label, label=label)
    if (twice := table.duplicated(["round", "side"], keep=False)).any():
        one = table[twice].iloc[0]
        same = table[(table["round"] == one["round"]) & (table["side"] == one["side"])]
        told = ", ".join(f"{run[:12]} {state}".strip() for run, state in zip(same["run"], same["state"], strict=True))
        more = "name what else tells them apart (--pair may have several columns), or leave one out by --where"
        raise ArchabError(
            f"--pair {' '.join(key)}: {one['side']} has {len(same)} runs of {one['round']} ({told}); {more}"
        )
    return table


def _grouping(key: list[str]) -> tuple[str, ...]:
    """The first column that is no seed, and the last other one; empty where there are not two."""
    if len(key) < 2:
        return ()
    group = next((column for column in key if "seed" not in column.lower()), key[0])
    return group, [column for column in key if column != group][-1]


def _ordered(table: pd.DataFrame, key: list[str]) -> tuple[pd.DataFrame, list[str], str]:
    """Rows in the order of their rounds, what is to be said of it, and why it bears no looking again and again."""
    known = bool(table["start"].notna().all())
    notes: list[str] = []
    refused = ""
    if key:
        if known:
            first = table.groupby("round")["start"].transform("min")
            return table.assign(first_=first).sort_values(["first_", "round", "side"], kind="stable"), notes, refused
        ranks = [pd.to_numeric(table[column], errors="coerce") for column in key]
        plain = [
            rank if rank.notna().all() else table[column].map(as_text) for rank, column in zip(ranks, key, strict=True)
        ]
        named = {f"rank{i}_": values for i, values in enumerate(plain)}
        notes.append(
            "Pairs in ascending order, since the source does not tell when runs were started: the anytime rule is "
            "valid as long as none was put in front after looking."
        )
        return table.assign(**named).sort_values([*named, "side"], kind="stable"), notes, refused
    if known:
        table = table.sort_values("start", kind="stable")
    else:
        notes.append(
            "Runs in the order of the file, since it does not tell when they were started: the anytime rule is valid "
            "as long as that is the order in which they were."
        )
        for side, own in table.groupby("side", observed=True)["value"]:
            rising = own.dropna()
            if len(rising) > 5 and (rising.is_monotonic_increasing or rising.is_monotonic_decreasing):
                refused = (
                    f"the runs of {side} are sorted by the metric itself, so that their order is no order of start"
                )
    place = table.groupby("side", observed=True).cumcount()
    return (
        table.assign(round=place, label=place.astype(str)).sort_values(["round", "side"], kind="stable"),
        notes,
        refused,
    )


def _confounders(table: pd.DataFrame, column: str, key: list[str], parted: bool) -> list[str]:
    """What else differs between the sides: parameters of a store; of a table, whatever is neither number nor time."""
    notes, apart = [], []
    for other in table:
        if other in (column, *key, "value", "state", "start", "run", "side", "round", "label"):
            continue
        if not (str(other).startswith(("params.", "config.")) if parted else table[other].dtype.kind not in "fM"):
            continue
        told = table[other].map(as_text).groupby(table["side"], observed=True).agg(lambda s: "|".join(sorted(set(s))))
        one_each = table[other].groupby(table["side"], observed=True).nunique(dropna=False) == 1
        if one_each.all() and told.nunique() > 1:
            apart.append(f"{other} ({' and '.join(told.iloc[:MOST_SAID])})")
    if apart:
        more = f" and {len(apart) - MOST_SAID} more" if len(apart) > MOST_SAID else ""
        notes.append(
            f"The sides differ in {words.listed(apart[:MOST_SAID])}{more}, too: the verdict is on all of it together."
        )
    return notes
