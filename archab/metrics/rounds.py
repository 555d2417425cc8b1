"""From runs to rounds: which runs are of which side, which belong together, and in which order they count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence import words
from archab.evidence.statistics import Array
from archab.metrics.metric import Metric
from archab.metrics.runs import Runs, Step, as_text, same

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
        notes: what a reader must know of gaps and doubts; `order`: of the order, under a rule that reads one.
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
    order: str = ""
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
    as_listed: bool = False,
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
        as_listed: whether pairs come in the order of the rows, where these do not tell when they were started.

    Raises:
        ArchabError: naming the option and the value: a column or side that is not there, one side, a side with one run,
            two runs of one side with the same pair, or a value that has no place on the scale.
    """
    column, asked = _sides(runs, sides)
    key = [runs.column(name, "pair") for name in pair]
    if column in key or len(set(key)) < len(key):
        why = "that is what tells the sides apart" if column in key else "a column is named twice"
        raise ArchabError(f"--pair {' '.join(pair)}: {why}")
    found = runs.column(shown or metric.name, "metric")
    chosen = runs.table[runs.table[column].map(as_text).isin(asked)]
    logged = Runs(chosen, runs.source, runs.at).values(found, step, metric.lower, [column, *key])
    own = chosen.loc[logged.index]
    logged["side"] = pd.Categorical(own[column].map(as_text), list(asked))
    names = list(asked.values())
    logged, order, refused = _placed(logged, own, key, as_listed)
    firsts = logged.drop_duplicates("round")
    at = {label: i for i, label in enumerate(firsts["round"])}
    shape = (len(at), len(names))
    raw, scores, waiting = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, bool)
    where = logged["round"].map(at).to_numpy(dtype=int), logged["side"].cat.codes.to_numpy()
    going, ended = (logged["state"] == "going").to_numpy(), (logged["state"] == "ended").to_numpy()
    value = logged["value"].where(ended & np.isfinite(logged["value"])).to_numpy(dtype=float)
    raw[where], waiting[where] = value, going
    score = metric.scores(value)
    scores[where] = np.where(going, np.nan, np.where(np.isnan(score), np.inf, score))
    there = ~np.isnan(scores) | waiting
    for i, name in enumerate(names):
        if (count := int(there[:, i].sum())) < fewest:
            few = f"{name} has {words.counted(count, 'run')}; at least {fewest} are needed"
            raise ArchabError(f"--sides {sides}: {few}")
        if isinstance(step, int) and np.isnan(raw[:, i]).all() and ended[where[1] == i].any():
            raise ArchabError(f"--step {step}: no run of {name} has {metric.name} at this step")
    if key and fewest and not (there.sum(axis=1) > 1).any():
        labels = [", ".join(firsts["label"][there[:, i]][:MOST_SAID]) for i in range(2)]
        apart = f"{names[0]} has {labels[0]}, …, {names[1]} has {labels[1]}, …"
        raise ArchabError(f"--pair {' '.join(pair)}: no two sides share a value: {apart}")
    grouped = _grouping(key)
    return Rounds(
        metric=metric,
        names=tuple(names),
        raw=raw,
        scores=scores,
        waiting=waiting,
        paired=bool(key),
        noun="pair" if key else "run",
        pair=tuple(pair),
        labels=tuple(firsts["label"]),
        grouped=grouped,
        groups=tuple(own[grouped[0]][firsts.index].map(as_text)) if grouped else (),
        notes=(*_read(logged, names, metric, step), *_confounders(runs, own, logged["side"], {column, found, *key})),
        order=order,
        refused=refused,
    )


def _sides(runs: Runs, sides: str) -> tuple[str, dict[str, str]]:
    """The column that tells sides apart, and what its values that were asked for are called, by the value's text."""
    name, equals, listed = sides.partition("=")
    column = runs.column(name.strip(), "sides")
    there = runs.table[column].dropna().map(as_text)
    values = sorted(there.unique())
    asked = {value: value for value in values}
    if equals:
        typed = [value.strip() for value in listed.split(",")]
        asked = {value: one for one in typed for value in values if same(value, one)}
        if absent := [one for one in typed if one not in asked.values()]:
            raise ArchabError(f"--sides {sides}: no run has {column}={absent[0]}. There are: {', '.join(values[:12])}")
        if len(set(typed)) < len(typed):
            asked = {}
    if len(asked) < 2:
        raise ArchabError(f"--sides {sides}: two different values are needed. There are: {', '.join(values[:12])}")
    if not equals and len(asked) > 2 and len(asked) == len(there):
        raise ArchabError(f"--sides {sides}: every run has a value of its own in {column}; it tells no sides apart")
    return column, asked


def _placed(logged: pd.DataFrame, own: pd.DataFrame, key: list[str], as_listed: bool) -> tuple[pd.DataFrame, str, str]:
    """Runs with `round` and `label`, in the order of rounds; what is to be said of that; why it bears no looks."""
    known = bool(logged["start"].notna().all())
    if key:
        return *_in_pairs(logged, own, key, as_listed, known), ""
    order, refused = "", ""
    if known:
        logged = logged.sort_values("start", kind="stable")
    else:
        order = _AS_LISTED
        for side, runs in logged.groupby("side", observed=True)["value"]:
            rising = runs.dropna()
            if len(rising) > 5 and (rising.is_monotonic_increasing or rising.is_monotonic_decreasing):
                refused = f"the runs of {side} are sorted by the metric itself, so that this is no order of start"
    place = logged.groupby("side", observed=True).cumcount()
    logged = logged.assign(round=place, label=place.astype(str))
    return logged.sort_values(["round", "side"], kind="stable"), order, refused


def _in_pairs(
    logged: pd.DataFrame, own: pd.DataFrame, key: list[str], as_listed: bool, known: bool
) -> tuple[pd.DataFrame, str]:
    if (lacking := own[key].isna().any(axis=1)).any():
        name, count = next(column for column in key if own[column].isna().any()), int(lacking.sum())
        have = "1 run has" if count == 1 else f"{count:,} runs have"
        raise ArchabError(f"--pair {name}: {have} no value in it, of the sides that are compared")
    texts = own[key].map(as_text)
    label = texts.agg(", ".join, axis=1) if len(key) > 1 else texts[key[0]]
    logged = logged.assign(round=label, label=label)
    if (twice := logged.duplicated(["round", "side"], keep=False)).any():
        one = logged[twice].iloc[0]
        alike = logged[(logged["round"] == one["round"]) & (logged["side"] == one["side"])]
        told = ", ".join(f"{run[:12]} {state}".strip() for run, state in zip(alike["run"], alike["state"], strict=True))
        raise ArchabError(
            f"--pair {' '.join(key)}: {one['side']} has {len(alike)} runs of {one['round']} ({told}); name what else "
            "tells them apart (--pair may have several columns), or leave one out by --where"
        )
    if known:
        first = logged.groupby("round")["start"].transform("min")
        return logged.assign(first=first).sort_values(["first", "round", "side"], kind="stable"), ""
    if as_listed:
        place = pd.Series(pd.factorize(logged["round"])[0], logged.index)
        return logged.assign(place=place).sort_values(["place", "side"], kind="stable"), ""
    ranks = [pd.to_numeric(own[column], errors="coerce") for column in key]
    plain = [rank if rank.notna().all() else texts[column] for rank, column in zip(ranks, key, strict=True)]
    named = {f"rank{i}": values for i, values in enumerate(plain)}
    return logged.assign(**named).sort_values([*named, "side"], kind="stable"), _ASCENDING


_ASCENDING = (
    "Pairs in ascending order, since the source does not tell when runs were started: the anytime rule is valid as "
    "long as none was put in front after looking."
)
_AS_LISTED = (
    "Runs in the order of the file, since it does not tell when they were started: the anytime rule is valid as long "
    "as that is the order in which they were."
)


def _grouping(key: list[str]) -> tuple[str, ...]:
    """The first column that is no seed, and the last other one; empty where there are not two."""
    if len(key) < 2:
        return ()
    group = next((column for column in key if "seed" not in column.lower()), key[0])
    return group, [column for column in key if column != group][-1]


def _read(logged: pd.DataFrame, names: list[str], metric: Metric, step: Step) -> list[str]:
    """What must be said of how rows became runs."""
    notes = []
    if (rows := int(logged["rows"].sum())) > len(logged):
        notes.append(f"{rows:,} rows are the steps of {len(logged):,} runs.")
    if silent := int(logged["silent"].max()):
        notes.append(f"Runs that ended without a word of {metric.name}: {silent:,}; they are left out.")
    if isinstance(step, int):
        short = logged[(logged["state"] == "ended") & logged["value"].isna()].groupby("side", observed=False).size()
        told = [f"{short[name]:,} of {shown}" for name, shown in zip(short.index, names, strict=True) if short[name]]
        if told:
            notes.append(
                f"Runs that ended without {metric.name} at step {step}: {' and '.join(told)}; they count as failed."
            )
    return notes


def _confounders(runs: Runs, own: pd.DataFrame, side: pd.Series, known: set[str]) -> list[str]:
    """What else differs between the sides: of a store its parameters, of a table whatever has one value on either."""
    apart = []
    for column in own:
        if str(column) in known or str(column) in runs.about:
            continue
        if runs.at is not None and not str(column).startswith("params."):
            continue
        values = own[column].map(as_text).groupby(side, observed=True)
        if (values.nunique() == 1).all() and values.size().min() > 1 and values.first().nunique() > 1:
            apart.append(f"{column} ({' and '.join(values.first().iloc[:MOST_SAID])})")
    if not apart:
        return []
    more = f" and {len(apart) - MOST_SAID} more" if len(apart) > MOST_SAID else ""
    return [f"The sides differ in {words.listed(apart[:MOST_SAID])}{more}, too: the verdict is on all of it together."]
