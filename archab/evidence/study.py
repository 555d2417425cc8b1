"""A study: rows with all that must be known to judge them, whether they have just been made or a store kept them."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import pandas as pd

from archab.evidence.contrast import Contrast
from archab.evidence.costs import COLUMNS as COSTS
from archab.evidence.costs import joined as joined_costs
from archab.evidence.curves import COLUMNS as CURVES
from archab.evidence.notes import Note, noted
from archab.results import CONTROL_COLUMNS

KEPT = "archab"  # the name among a table's attrs
_BARE = (
    "These rows came alone: what the sides are called, how they were trained and what a control reached is not known. "
    "Comparison.study() and Comparison.table() hold it."
)


@dataclass(frozen=True, eq=False)
class Study:
    """What is judged as one configuration.

    Attributes:
        rows: one trained student a row; see `archab.evidence.table.students` for the columns.
        names: what the sides are called in the text.
        member_names: what the members are called, by index.
        order: the seeds in the order in which they were first started; None where that is not known.
        holes: seeds that were started and have not finished.
        control: students of the reference's own family on the same targets: columns seed, member, target and nmse.
        control_name: what that family is called in the text.
        curves: training curves, see `archab.evidence.curves.checked`.
        longer: the overrides that double the sides' epochs, such as `routine.epochs=20`; empty where none would.
        notes: what else must stand with the verdict, such as "shared learning rate, not tuned".
        contrast: what the networks of each member told before training; empty where that is not known.
        command: what the further seeds are appended to in the next command; empty where there is none.
        label: what tells it from others that are judged with it.
        scope: where a verdict holds that holds for no distribution of functions, such as "this one function, ripple".
        overlap: held-out over training rows of targets that are splits of one data set; 0 where they are independent.
        costs: what a student costs, a row a member and side, see `archab.evidence.costs.Cost`; None where not known.

    Example:
        >>> from archab.evidence.verdict import judge
        >>> errors = {"a": (0.30, 0.25, 0.28, 0.31), "b": (0.21, 0.19, 0.22, 0.20)}
        >>> rows = pd.DataFrame(
        ...     [(0, 0, t, side, 0, errors[side][t]) for t in range(4) for side in "ab"],
        ...     columns=["seed", "member", "target", "side", "restart", "nmse"],
        ... )
        >>> judge(Study(rows, names=("gate", "plain"))).sentence()
        'Too few targets for any verdict: 4 of at least 7.'
    """

    rows: pd.DataFrame
    names: tuple[str, str] = ("A", "B")
    member_names: Sequence[str] = ()
    order: Sequence[int] | None = None
    holes: Sequence[int] = ()
    control: pd.DataFrame | None = None
    control_name: str = "the reference's own family"
    curves: pd.DataFrame | None = None
    longer: str = ""
    notes: Sequence[Note | str] = ()
    contrast: Sequence[Contrast] = ()
    command: str = ""
    label: str = ""
    scope: str = ""
    overlap: float = 0.0
    costs: pd.DataFrame | None = None

    def table(self) -> pd.DataFrame:
        """The rows, with the rest as text among their `attrs`, which pandas keeps through selections and in Parquet."""
        rest = {name: getattr(self, name) for name in ("names", "member_names", "order", "holes", "overlap", *_TEXTS)}
        rest = {name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
                for name, value in rest.items()}  # fmt: skip
        notes = [[note.kind, note.text, note.command] for note in noted(self.notes)]
        known = (("control", CONTROL_COLUMNS), ("curves", ("seed", *CURVES)), ("costs", COSTS))
        tables = {name: _plain(getattr(self, name), columns) for name, columns in known}
        contrast = [astuple(one) for one in self.contrast]
        table = self.rows.copy()
        table.attrs[KEPT] = json.dumps({**rest, **tables, "notes": notes, "contrast": contrast})
        return table

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Study":
        """What `table` gave, or any rows; a note says so where rows of a comparison have lost the rest."""
        if KEPT not in table.attrs:
            notes = (Note("design", _BARE),) if "train_nmse" in table else _doubts(table)
            return cls(table, notes=notes, overlap=_overlap(table))
        kept: dict[str, Any] = json.loads(table.attrs[KEPT])
        notes = tuple(Note(*note) for note in kept.pop("notes"))
        kept["contrast"] = [Contrast(*one) for one in kept.get("contrast", ())]
        for name in ("control", "curves", "costs"):
            kept[name] = None if kept.get(name) is None else pd.DataFrame(kept[name])
        return cls(table, notes=notes, **{**kept, "names": tuple(kept["names"])})

    def with_(self, notes: Sequence[Note | str] = (), **given: Any) -> "Study":
        """The same with what is given that is not None, and further notes."""
        known = {name: value for name, value in given.items() if value is not None}
        return replace(self, notes=(*self.notes, *notes), **known)


def joined(studies: Sequence[Study]) -> Study:
    """One study of several that differ in their seeds alone, in this order."""

    def together(name: str) -> pd.DataFrame | None:
        tables = [table for study in studies if (table := getattr(study, name)) is not None]
        return pd.concat(tables, ignore_index=True) if tables else None

    rows, control, curves, costs = map(together, ("rows", "control", "curves", "costs"))
    assert rows is not None
    order = [seed for study in studies for seed in study.order or ()]
    costs = None if costs is None else joined_costs(costs)
    return replace(studies[0], rows=rows, order=order, control=control, curves=curves, costs=costs)


def _overlap(table: pd.DataFrame) -> float:
    """What rows that have lost the rest say themselves."""
    return float(table["overlap"].fillna(0).max()) if "overlap" in table and len(table) else 0.0


def _doubts(table: pd.DataFrame) -> tuple[Note, ...]:
    """What makes one doubt that a table of somebody's own holds errors relative to a constant's."""
    if "nmse" not in table:
        return ()
    values = pd.to_numeric(table["nmse"], errors="coerce").dropna()
    above = float((values > 1).mean()) if len(values) else 0.0
    if above > ABOVE:
        return (Note("foreign", f"{above:.0%} of the column nmse are above 1, where a constant is, {_AS_LOSSES}"),)
    likely = float(values.between(LIKELY, 1).mean()) if len(values) else 0.0
    if likely >= MOST and values.nunique() > 1:
        return (Note("foreign", f"{likely:.0%} of the column nmse lie between {LIKELY:g} and 1, {_AS_ACCURACIES}"),)
    return ()


ABOVE, LIKELY, MOST = 0.2, 0.5, 0.9
_AS_LOSSES = (
    "and count as 1 each. If these are losses on a scale of their own, divide each by that of the best constant "
    "predictor first; of accuracies in per cent the larger is the better, of errors the smaller. archab-compare --runs "
    "judges any metric in its own unit and direction."
)
_AS_ACCURACIES = (
    "as accuracies often do, of which the larger is the better: of errors it is the smaller. If they are accuracies, "
    "archab-compare --runs judges them: --metric nmse --higher-is-better."
)
_TEXTS = ("control_name", "longer", "command", "label", "scope")


def _plain(table: pd.DataFrame | None, columns: Sequence[str]) -> dict[str, list[Any]] | None:
    return None if table is None else {name: table[name].tolist() for name in columns if name in table}
