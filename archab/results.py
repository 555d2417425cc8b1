"""One row per trained student: the schema that the experiment writes and the evidence reads."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import starmap
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from archab.errors import ArchabError, first_line

Side = Literal["a", "b"]  # a row of the control, which is kept apart, has the side `reference`
Source = Literal["a", "b", "reference"]
Status = Literal["ok", "diverged"]

RESULT_VERSION = 3  # goes up whenever the same configuration would give other rows


@dataclass(frozen=True, slots=True)
class Row:
    """One trained student.

    Attributes:
        fingerprint: what makes two runs the same experiment; empty where no configuration file was involved.
        seed: the run's seed.
        member: index in the spaces' lists of members.
        target: identity of the drawn target function, a hash of its weights and inputs.
        draw: index of the target among the draws of its member and source.
        source: the space that the target was drawn from.
        side: the student's space.
        restart: index of the student's independent initialisation.
        nmse: held-out mean squared error over the mean variance of the target's held-out outputs
            (1 = the constant predictor); NaN where the student diverged.
        train_nmse: the same on the training inputs.
        measure: the student's size.
        status: `diverged` where the loss or a parameter became NaN or infinite.
        overlap: held-out over training rows where targets are splits of one data set, so no independent data; else 0.
        accuracy: share of the held-out outputs that are right; NaN where the loss is of no classes.
        linear: held-out NMSE on the target of the least-squares affine map of the inputs; NaN where it is not known.
    """

    fingerprint: str
    seed: int
    member: int
    target: str
    draw: int
    source: Source
    side: Side
    restart: int
    nmse: float
    train_nmse: float
    measure: float
    status: Status
    linear: float
    accuracy: float = float("nan")
    overlap: float = 0.0


COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Row))
CONTROL_COLUMNS = ("seed", "member", "target", "nmse")
CURVE_COLUMNS = ("seed", "member", "source", "side", "step", "q25", "q50", "q75")
ROWS, CONTROL, CURVES = TABLES = ("results.parquet", "control.parquet", "curves.parquet")  # the files of a run
COSTS = "costs.parquet"  # what a student costs, a row a member and side: see `archab.evidence.costs`
SPENT_COLUMNS = ("member", "side", "students", "steps", "seconds")  # of a part: steps are a student's, seconds too
TUNING = "tuning.parquet"  # the trials by which the routines were chosen, where they were
REPORT = "report"  # and the folder of its figures
JUDGED = tuple(name for name in COLUMNS if name not in ("train_nmse", "overlap"))  # what a verdict is made of
KEY = ["seed", "member", "source", "draw", "side", "restart"]
_TYPES: dict[Any, str] = {int: "int64", float: "float64"}
_DTYPES = {field.name: _TYPES.get(field.type, "str") for field in fields(Row)}
_FEW = {"source": get_args(Source), "side": get_args(Source), "status": get_args(Status)}
CONTROLS = 32  # students of the control, of all members together, below which it tells nothing of what limits the sides
JOINED_ROWS = 100_000  # that `join` has in memory


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows as a table in key order, with the schema's columns and types."""
    table = pd.DataFrame.from_records(map(attrgetter(*COLUMNS), rows), columns=list(COLUMNS)).astype(_DTYPES)
    return together([table])


def columns(**given: Any) -> pd.DataFrame:
    """The same of columns by name, of which a scalar is that of all rows; in the order that they have."""
    numbers = {name: np.asarray(given[name], dtype) for name, dtype in _DTYPES.items() if dtype != "str"}
    return pd.DataFrame({name: numbers[name][()] if name in numbers else given[name] for name in COLUMNS})


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Several tables of rows as one in key order."""
    return pd.concat(tables, ignore_index=True).sort_values(KEY, ignore_index=True)


def rows_of(table: pd.DataFrame) -> Iterator[Row]:
    """What `frame` was given."""
    return starmap(Row, zip(*(table[name].tolist() for name in COLUMNS), strict=True))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as Parquet; a file with this name is always whole.

    Raises:
        ArchabError: if it cannot be written.
    """
    with whole(path) as unfinished:
        table.to_parquet(unfinished, index=False)


def join(files: Sequence[Path], path: Path) -> None:
    """Write the rows of several such files as one, in the order of the files, without holding them all.

    Raises:
        ArchabError: if one of them cannot be read, or the whole cannot be written.
    """
    schema = pa.unify_schemas([parquet.read_schema(file) for file in files])  # of parts that two versions made
    with whole(path) as unfinished, parquet.ParquetWriter(unfinished, schema) as writer:
        waiting: list[pa.Table] = []
        for file in files:
            waiting.append(parquet.read_table(file))
            if sum(map(len, waiting)) >= JOINED_ROWS or file == files[-1]:
                together = pa.concat_tables([schema.empty_table(), *waiting], promote_options="default")
                writer.write_table(together.select(schema.names).cast(schema))
                waiting = []


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name to write under, which becomes the file's own once all is written: what it holds is always whole.

    Raises:
        ArchabError: if it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ArchabError(
            f"{path}: cannot be written ({error.strerror or error}); what was finished is kept"
        ) from error


def read(path: Path) -> pd.DataFrame:
    """Read a table that `write` wrote.

    Raises:
        ArchabError: if the file is no Parquet table or lacks a column of the schema.
    """
    try:
        table = pd.read_parquet(path, read_dictionary=["fingerprint", *_FEW])
    except Exception as error:  # pyarrow raises many kinds
        raise ArchabError(f"{path}: not a readable table of rows ({first_line(error)})") from error
    for name, nothing in (("linear", float("nan")), ("accuracy", float("nan")), ("overlap", 0.0)):
        if name not in table:  # of versions that did not know it
            table[name] = nothing
    if missing := [name for name in COLUMNS if name not in table]:
        raise ArchabError(f"{path}: columns {', '.join(missing)} are missing from the table of rows")
    # As categories of which each row has a byte: a million rows are held in 80 MB.
    return table.astype({name: pd.CategoricalDtype(list(words)) for name, words in _FEW.items()})


def read_judged(path: Path) -> pd.DataFrame:
    """What a verdict is made of in a table that `write` or `join` wrote, in the fewest bytes; a column at a time.

    Raises:
        ArchabError: as `read` does.
    """
    try:
        with parquet.ParquetFile(path, read_dictionary=["fingerprint", *_FEW]) as file:
            there = [name for name in JUDGED if name in file.schema_arrow.names]
            return pd.DataFrame({name: _small(file.read([name]).column(0).to_pandas()) for name in there}, copy=False)
    except Exception as error:  # pyarrow raises many kinds
        raise ArchabError(f"{path}: not a readable table of rows ({first_line(error)})") from error


def _small(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, downcast="integer") if column.dtype == "int64" else column


def read_curves(path: Path) -> pd.DataFrame:
    """A table of training curves, CSV or Parquet.

    Raises:
        ArchabError: if it cannot be read.
    """
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except Exception as error:  # pandas and pyarrow raise many kinds
        raise ArchabError(f"{path}: no readable table of training curves ({first_line(error)})") from error


def trials(path: Path) -> pd.DataFrame | None:
    """The trials of tuning; None where there are none, or the file is damaged."""
    try:
        return pd.read_parquet(path)
    except Exception:  # pyarrow raises many kinds
        return None


def spent_frame(spent: Iterable[tuple[int, str, int, float, float]]) -> pd.DataFrame:
    """What training took, a row a part, member and side."""
    table = pd.DataFrame(list(spent), columns=list(SPENT_COLUMNS))
    return table.astype({"member": "int64", "side": "str", "students": "int64", "steps": float, "seconds": float})


def curve_frame(
    seed: int, member: int, source: str, curves: Mapping[str, Sequence[tuple[int, float, float, float]]]
) -> pd.DataFrame:
    """The training curves of a work unit, by side: the step and the quartiles."""
    points = [(seed, member, source, side, *point) for side, own in curves.items() for point in own]
    return pd.DataFrame(points, columns=list(CURVE_COLUMNS))
