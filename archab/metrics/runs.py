"""Runs as they were logged: one a row, with parameters, tags and metrics, whatever kept them."""

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from archab.errors import ArchabError, first_line

Step = Literal["last", "best"] | int
PREFIXES = ("params.", "tags.", "metrics.", "config.", "summary.", "attributes.")
# How stores and exports call a run, the time of its start, its state, and a step of a metric.
_RUN = ("run_id", "run", "run_name", "name", "_name")
_START = ("start_time", "start", "created", "created_at", "createdat")
_STATE = ("status", "state")
_STEP = ("step", "_step", "trainer/global_step", "global_step", "iteration", "epoch")
_GOING = ("running", "scheduled", "pending", "queued", "preempting")
_LOST = ("failed", "crashed", "killed", "failure", "diverged", "error")


@dataclass(frozen=True, eq=False)
class Runs:
    """What a source holds.

    Attributes:
        table: a row a run, or a row a step of a run.
        source: as it was named.
        at: of a store that keeps steps apart from runs, the value of a metric (by its name) at a step in a run (by its
            identity), NaN where there is none; None where the rows hold the steps.
    """

    table: pd.DataFrame
    source: str
    at: Callable[[str, str, Step, bool], float] | None = None

    def column(self, name: str, what: str) -> str:
        """The column of this name, with or without the prefix that a store gives to its kind.

        Args:
            what: the option that asks for it, for the error.

        Raises:
            ArchabError: if there is none, with near names, or more than one.
        """
        there = [str(column) for column in self.table]
        if name in there:
            return name
        found = [f"{prefix}{name}" for prefix in PREFIXES if f"{prefix}{name}" in there]
        if len(found) == 1:
            return found[0]
        if found:
            raise ArchabError(f"--{what} {name}: which of {', '.join(found)}?")
        there = [column for column in there if not column.startswith("archab.")]  # of the command, not the user
        plain = {
            column: column.removeprefix(next((p for p in PREFIXES if column.startswith(p)), "")) for column in there
        }
        near = difflib.get_close_matches(name, [*there, *plain.values()], 3, 0.5)
        named = list(
            dict.fromkeys(next((full for full, short in plain.items() if n in (full, short)), n) for n in near)
        )
        shown = named or [column for column in there if not column.startswith(("tags.mlflow", "attributes."))][:12]
        raise ArchabError(f"--{what} {name}: no run of {self.source} has it. There are: {', '.join(shown)}")

    def standard(self, names: Sequence[str]) -> str | None:
        """The first column there is that goes by one of these names."""
        by_name = {str(column).lower().removeprefix("attributes."): str(column) for column in self.table}
        return next((by_name[name] for name in names if name in by_name), None)

    @property
    def about(self) -> set[str]:
        """The columns that tell of a run itself: its name, its start, its state, its steps."""
        return {found for names in (_RUN, _START, _STATE, _STEP) if (found := self.standard(names))}

    def where(self, conditions: Sequence[str]) -> "Runs":
        """Those runs alone that have these values, KEY=VALUE each.

        Raises:
            ArchabError: if a condition is none, or no run meets all.
        """
        table = self.table
        for condition in conditions:
            key, equals, wanted = condition.partition("=")
            if not equals:
                raise ArchabError(f"--where {condition}: KEY=VALUE is needed, such as --where params.lr=0.01")
            column = self.column(key, "where")
            kept = table[[same(value, wanted) for value in table[column]]]
            if kept.empty:
                some = ", ".join(sorted({as_text(value) for value in table[column].dropna()})[:8])
                raise ArchabError(f"--where {condition}: no run has this value. There are: {some}")
            table = kept
        return Runs(table, self.source, self.at)

    def values(self, metric: str, step: Step, lower: bool, key: Sequence[str]) -> pd.DataFrame:
        """What each run says of a metric.

        Args:
            metric: a column.
            step: the last value that was logged, the best one, or that at this step.
            lower: whether the lower value is the better one.
            key: columns that tell runs apart where none names them.

        Returns:
            A row a run, with its row's index in `table`: `value` (NaN where it has none), `said` (whether it has logged
            anything of the metric), `state` (`ended`, `lost` or `going`), `start` (NaN where not known), `run`, and
            `rows`, how many rows of the table it is.

        Raises:
            ArchabError: if a value is no number, no run has any, steps are asked for that are not there, or rows are
                neither runs nor the steps of runs that can be told apart.
        """
        table, (state, start, run) = self.table, (self.standard(names) for names in (_STATE, _START, _RUN))
        words = table[state].astype(str).str.lower() if state else pd.Series("finished", table.index)
        logged = pd.DataFrame(
            {
                "value": _numbers(table[metric]),
                "said": table[metric].notna(),
                "state": np.select([words.isin(_GOING), words.isin(_LOST)], ["going", "lost"], "ended"),
                "start": _times(table[start]) if start else np.nan,
                "run": table[run].astype(str) if run else "",
                "rows": 1,
            },
            index=table.index,
        )
        if self.at is None:
            logged = self._folded(logged, step, lower, [*([run] if run else []), *key])
        elif step != "last":
            named = metric.removeprefix("metrics.")
            logged["value"] = [self.at(identity, named, step, lower) for identity in logged["run"]]
        if logged["value"].isna().all():
            at = f" at step {step}" if isinstance(step, int) else ""
            raise ArchabError(f"--metric {metric}: no run of these has a number{at} in it")
        # Of a source that tells how runs ended, one that did so without a word of the metric is none of those that
        # measure it, such as the parent of a sweep.
        silent = ~logged["said"] & (logged["state"] == "ended") if state else pd.Series(False, logged.index)
        return logged[~silent].assign(silent=int(silent.sum()))

    def _folded(self, logged: pd.DataFrame, step: Step, lower: bool, key: Sequence[str]) -> pd.DataFrame:
        """A row a run, of a table that may hold a row a step."""
        named = self.standard(_STEP)
        steps = _numbers(self.table[named]) if named else pd.Series(0.0, self.table.index)
        if steps.nunique() < 2 and step != "last":
            raise ArchabError(f"--step {step}: {self.source} has no column of steps ({', '.join(_STEP[:2])}, epoch)")
        apart = [self.table[column].map(as_text) for column in dict.fromkeys(key) if column != named]
        many = pd.concat(apart, axis=1).duplicated(keep=False) if apart else pd.Series(True, logged.index)
        if steps.nunique() < 2 or not many.any():
            return logged.assign(value=logged["value"].where(steps == step)) if isinstance(step, int) else logged
        groups = pd.Series(logged.groupby(apart).ngroup() if apart else 0, logged.index)
        if logged["start"].groupby(groups).nunique().max() > 1:
            return logged  # each row has a start of its own: they are runs, whatever they are called
        self._refuse_no_log(groups, steps, logged["said"], str(named))
        # Loggers leave a metric empty at the steps of others: such a row says nothing of it, where another does.
        telling = logged["said"].copy()
        if isinstance(step, int):
            telling &= steps == step
        elif step == "best":
            telling &= np.isfinite(logged["value"])
            steps = -logged["value"] if lower else logged["value"]
        whole = logged.groupby(groups)
        logged = logged.assign(
            value=logged["value"].where(telling),
            start=whole["start"].transform("min"),
            said=whole["said"].transform("any"),
            rows=whole["rows"].transform("sum"),
            group=groups,
            telling=telling,
            rank=steps,
        )
        kept = logged.sort_values(["telling", "rank"], kind="stable").drop_duplicates("group", keep="last")
        return kept.sort_index().drop(columns=["group", "telling", "rank"])

    def _refuse_no_log(self, groups: pd.Series, steps: pd.Series, said: pd.Series, named: str) -> None:
        """Raise an ArchabError where rows that would be one run are no log of one: those of several runs would be lost.

        A log begins at the step at which others begin, of epochs at 0 or 1, and tells a metric once a step.
        """
        first = steps.groupby(groups).min()
        late = named.lower() == "epoch" and first.max() > 1
        twice = pd.DataFrame({"group": groups, "step": steps})[said].duplicated()
        if first.nunique() > 1 or late or twice.any():
            begins = f"{named} from {as_text(first.max())} on"
            at = f"step {as_text(steps[twice[twice].index[0]])} twice" if twice.any() else begins
            raise ArchabError(
                f"{self.source}: {len(groups)} rows for {groups.nunique()} runs, but with {at}, so that they are no "
                "logs of these: a column run that tells runs apart is needed, or --pair with another column"
            )


def read(file: Path) -> Runs:
    """The runs of a CSV, Parquet, JSON or JSON Lines file; objects within objects become columns with dots.

    Raises:
        ArchabError: if it cannot be read, or holds no row.
    """
    kind = file.suffix.lower()
    if not file.is_file():
        raise ArchabError(f"{file}: no such file")
    try:
        if kind in (".parquet", ".pq"):
            table = pd.read_parquet(file)
        elif kind in (".jsonl", ".ndjson"):
            table = pd.json_normalize(list(_objects(file)))
        elif kind == ".json":
            held = json.loads(file.read_text(encoding="utf-8"), parse_constant=str)
            table = pd.json_normalize(held if isinstance(held, list) else [held])
        elif kind in (".csv", ".tsv", ".txt"):
            # A cell that says NaN is a value that was lost, an empty one says nothing.
            table = pd.read_csv(file, sep="\t" if kind == ".tsv" else ",", keep_default_na=False, na_values=[""])
        else:
            raise ArchabError(f"{file}: a .csv, .tsv, .parquet, .json or .jsonl file, or an MLflow store, is needed")
    except ArchabError:
        raise
    except Exception as error:  # pandas, pyarrow and json raise many kinds
        raise ArchabError(f"{file}: cannot be read ({first_line(error)})") from error
    if table.empty:
        raise ArchabError(f"{file}: no run in it; a row a run is needed")
    if table.columns.duplicated().any():
        raise ArchabError(f"{file}: the column {table.columns[table.columns.duplicated()][0]} is there twice")
    return Runs(table.rename(columns=str), str(file))


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    """What the lines of a file hold."""
    for i, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            if line.strip():
                yield json.loads(line, parse_constant=str)
        except ValueError as error:
            raise ArchabError(f"{file}: line {i} is no JSON ({first_line(error)})") from error


def as_text(value: object) -> str:
    """A cell as it is typed on a command line: a whole number without its point, truth values in small letters."""
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def same(value: object, wanted: str) -> bool:
    """Whether a cell is what was typed: numbers by their value, truth values in either case."""
    text = as_text(value)
    try:
        return float(text) == float(wanted)
    except ValueError:
        return text == wanted or (text in ("true", "false") and wanted.lower() == text)


def _numbers(column: pd.Series) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    words = column.astype(str).str.strip().str.lower()
    doubtful = values.isna() & column.notna() & ~words.isin(["", "nan", "na", "n/a", "none", "null"])
    if doubtful.any():
        raise ArchabError(f"{column.name}: {column[doubtful].iloc[0]!r} is no number")
    return values


def _times(column: pd.Series) -> pd.Series:
    """Moments as numbers that grow; NaN where a cell holds none."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    moments = pd.to_datetime(column, errors="coerce", utc=True, format="mixed")
    return moments.astype("int64").astype(float).where(moments.notna())
