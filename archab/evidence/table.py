"""Which tables count as rows of students: every cell is checked once, here, before any figure is computed."""

import numpy as np
import pandas as pd

from archab.errors import ArchabError
from archab.evidence.statistics import FLOOR, score

REQUIRED = ("seed", "member", "target", "side", "restart", "nmse")
_INTEGERS = ("seed", "member", "restart", "draw")
_WORDS = {"side": ("a", "b"), "source": ("a", "b", "reference"), "status": ("ok", "diverged")}
LARGEST = 2**53  # beyond, a table's numbers no longer tell two integers apart
_EMPTY = ("", "nan", "na", "none", "null")


def students(rows: pd.DataFrame, floor: float = FLOOR) -> pd.DataFrame:
    """The checked students of a table, a foreign one included, sorted by key.

    Args:
        rows: one trained student a row, in any order. Columns seed, member, target, side (in either case), restart and
            nmse are needed; draw, source, status, measure, linear, accuracy, order and fingerprint are used where they
            are there.
        floor: smaller errors count as this one.

    Returns:
        A new table of those columns, with `nmse` NaN where the student diverged and, new, `name` (the rank of the
        target's name, by which rows are grouped at less cost), `diverged`, `clipped` (scored at NMSE 1, diverged ones
        included), `floored` (below the floor) and the score `y`.

    Raises:
        ArchabError: for a missing column, an empty table, one side only, mixed fingerprints, duplicate students, a
            negative NMSE, or a cell that is not of its kind.
    """
    if missing := [name for name in REQUIRED if name not in rows]:
        there = some(list(map(str, rows)), 12)
        raise ArchabError(
            f"no column {', '.join(missing)}: a table of students needs {', '.join(REQUIRED)}; this one has {there}"
        )
    if rows.empty:
        raise ArchabError("the table is empty: at least one row per trained student is needed")
    _refuse_mixture(rows)
    table = pd.DataFrame(index=pd.RangeIndex(len(rows)))
    for name in _INTEGERS:
        if name in rows:
            table[name] = _integers(rows[name])
    for name, words in _WORDS.items():
        if name in rows:
            table[name] = _words(rows[name], words)
    table["target"], table["name"] = _names(rows["target"])
    for name in ("measure", "order", "accuracy"):
        if name in rows:
            table[name] = _numbers(rows[name])
    if "measure" in table and ((table["measure"] <= 0) | np.isinf(table["measure"])).any():
        raise ArchabError("measure: a size is a positive number, or empty where it is not known")
    if "linear" in rows:
        table["linear"] = _errors(rows["linear"])
    table["nmse"] = _errors(rows["nmse"])
    if "status" in table:
        table.loc[table["status"] == "diverged", "nmse"] = np.nan
    _refuse_one_side(table)
    _refuse_duplicates(table)
    table["diverged"] = table["nmse"].isna()
    table["clipped"] = table["diverged"] | (table["nmse"] >= 1)
    table["floored"] = table["nmse"] < floor
    table["y"] = score(table["nmse"], floor)
    key = [name for name in ("seed", "draw", "member", "source", "name", "side", "restart") if name in table]
    order = np.lexsort([table[name].cat.codes if name in _WORDS else table[name] for name in reversed(key)])
    # A column at a time: neither table is ever held whole beside the other.
    return pd.DataFrame({name: table.pop(name).array.take(order) for name in table.columns.tolist()}, copy=False)


def some(items: list[str], most: int = 5) -> str:
    """The first few of a list, with how many were left out."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _numbers(column: pd.Series) -> pd.Series:
    """Numbers; NaN for an empty cell, and an error for any other text."""
    values = pd.to_numeric(column, errors="coerce").astype(float)
    doubtful = (values.isna() & column.notna()).to_numpy().nonzero()[0]
    wrong = ~column.iloc[doubtful].astype(str).str.strip().str.lower().isin(_EMPTY).to_numpy()
    if wrong.any():
        row = int(doubtful[wrong.argmax()])
        hint = "; the cell of a student that diverged stays empty" if column.name == "nmse" else ""
        raise ArchabError(f"{column.name}: {column.iloc[row]!r} in row {row} is no number{hint}")
    return values.reset_index(drop=True)


def _integers(column: pd.Series) -> pd.Series:
    if (
        isinstance(column.dtype, np.dtype)
        and column.dtype.kind in "iu"
        and 0 <= column.min() <= column.max() <= LARGEST
    ):
        return pd.to_numeric(column.reset_index(drop=True), downcast="integer")
    values = _numbers(column)
    if (wrong := ~np.isfinite(values) | (values != values.round()) | (values < 0) | (values > LARGEST)).any():
        raise ArchabError(
            f"{column.name}: {values[wrong].iloc[0]:g} in row {wrong.argmax()}: 0, 1, 2, … is needed, to 2^53"
        )
    # A byte or four a row, mostly.
    return pd.to_numeric(values.astype("int64"), downcast="integer")


def _words(column: pd.Series, words: tuple[str, ...]) -> pd.Series:
    codes, found = _text(column)
    found = found.str.strip().str.lower()
    if (wrong := ~found.isin(words)[codes]).any():
        given = column.iloc[wrong.argmax()]
        raise ArchabError(f"{column.name}: {given!r} in row {wrong.argmax()}: one of {', '.join(words)} is needed")
    there = [word for word in sorted(words) if word in found]
    return pd.Series(pd.Categorical.from_codes(np.searchsorted(there, found)[codes], pd.Index(there)))


def _names(column: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """The names as texts, and the rank of each among them."""
    if (wrong := column.isna().to_numpy()).any():
        raise ArchabError(f"{column.name}: empty in row {wrong.argmax()}: the identity of the drawn target is needed")
    codes, found = _text(column)
    ranks = found.argsort().argsort().astype("int32")
    return pd.Series(found.array.take(codes)), ranks[codes]


def _text(column: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """The texts in a column, each once, and which of them a row has: a million rows have few, or hold them as such."""
    if isinstance(column.dtype, pd.CategoricalDtype) and column.dtype.categories.dtype != "str":
        column = column.astype(object)
    text = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype(str)
    codes, found = pd.factorize(text, use_na_sentinel=False)
    return codes, pd.Index(found).astype("str")


def _errors(column: pd.Series) -> pd.Series:
    values = _numbers(column)
    if (wrong := values < 0).any():
        raise ArchabError(f"{column.name}: {values[wrong].iloc[0]:g} in row {wrong.argmax()}: an error is 0 or more")
    return values.where(np.isfinite(values))


def _refuse_mixture(rows: pd.DataFrame) -> None:
    prints = _text(rows["fingerprint"])[1].fillna("").unique() if "fingerprint" in rows else [""]
    if len(prints) > 1:
        shown = some([repr(name[:12]) for name in prints], 3)
        raise ArchabError(f"fingerprint: {shown} in one table: these are different experiments, judge each on its own")


def _refuse_one_side(table: pd.DataFrame) -> None:
    sides = table["side"].unique()
    if len(sides) == 1:
        other = "b" if sides[0] == "a" else "a"
        raise ArchabError(f"side: only {sides[0]} in the table: students of side {other} are needed to compare with")


def _refuse_duplicates(table: pd.DataFrame) -> None:
    key = ["seed", "member", "target", "side", "restart"]
    if not _repeats([table[name.replace("target", "name")] for name in key]):
        return
    twice = table[table.duplicated([name.replace("target", "name") for name in key])]
    first = ", ".join(f"{name}={twice.iloc[0][name]}" for name in key)
    raise ArchabError(f"{first}: this student is in the table twice ({len(twice)} such rows): no new evidence")


def _repeats(key: list[pd.Series]) -> bool:
    """Whether two rows are alike in all of these, by one number a row: a hash table takes five times the memory."""
    number, most = np.zeros(len(key[0]), np.int64), 1
    for column in key:
        codes, found = pd.factorize(column)
        if most * len(found) >= 2**63:
            number, most = pd.factorize(number)[0], len(number)
        number *= len(found)
        number += codes
        most *= len(found)
    number.sort()
    return bool((number[1:] == number[:-1]).any())
