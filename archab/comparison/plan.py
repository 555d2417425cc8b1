"""What is decided before the first student trains: the lessons of a comparison, and the parts that they are done in."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor

from archab.engine.cohort import Cohort
from archab.engine.curve import Curve
from archab.engine.plan import Method
from archab.results import Row, Side, rows_of
from archab.targets.base import Targets, TargetSource


@dataclass(frozen=True)
class Part:
    """A chunk of work whose rows are written together: the targets first … last − 1 of one member and source."""

    member: int
    source: str
    first: int
    last: int

    @property
    def targets(self) -> int:
        """How many they are."""
        return self.last - self.first

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.member:04d}-{self.source}-{self.first:08d}"


@dataclass(frozen=True)
class Drawn:
    """A part that is ready to be trained.

    Attributes:
        part: it.
        targets: its targets.
        constant: of each the error of the best constant on its training and its held-out samples.
        cohorts: who learns them: the side, which restarts, how they train, and the students.
        curves: where the training curves of each side go.
    """

    part: Part
    targets: Targets
    constant: tuple[Tensor, Tensor]
    cohorts: list[tuple[str, list[int], Method, Cohort]]
    curves: dict[str, list[Curve]]


@dataclass(frozen=True)
class Finished:
    """What a part gave.

    Attributes:
        table: its rows in key order.
        redrawn: how many draws of its targets were refused as constant.
        curves: of the first part of a member and source, for each side: the step, and the quartiles over its students
            of the mean loss since the step before.
        spent: what training took, a row a side as `archab.results.SPENT_COLUMNS`.
    """

    table: pd.DataFrame
    redrawn: int
    curves: dict[str, list[tuple[int, float, float, float]]]
    spent: list[tuple[int, str, int, float, float]]

    @property
    def rows(self) -> list[Row]:
        """The same, a student each."""
        return list(rows_of(self.table))


@dataclass(frozen=True)
class Lesson:
    """What is fixed before training for one member and source.

    Attributes:
        source: where its targets come from.
        methods: how each side's students train, in the order of the protocol.
        parts: its chunks.
    """

    source: TargetSource
    methods: dict[Side, Method]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Plan:
    """All that is decided before the first student trains.

    Attributes:
        protocol: its name.
        sizes: the measure of every member, by side.
        memory: `engine.memory`, MiB.
        made_by: the versions and the device that rows hang on.
        methods: how the networks of each side, and of the reference, train and answer, by side and index.
        lessons: by member and source, in the order of the rows.
        tuned: the hyperparameters that were chosen, by side; None where nothing was tuned.
        notes: what a user should know: sizes that differ, routines that differ, networks that are not batched.
    """

    protocol: str
    sizes: dict[str, list[float]]
    memory: int
    made_by: dict[str, str]
    methods: dict[tuple[str, int], Method]
    lessons: dict[tuple[int, str], Lesson]
    tuned: dict[str, dict[str, Any]] | None
    notes: tuple[str, ...]

    @property
    def parts(self) -> list[Part]:
        """Every chunk, in the order of the rows."""
        return [part for lesson in self.lessons.values() for part in lesson.parts]

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain values, to be stored beside the rows."""
        lessons = [
            {
                "member": member,
                "source": source,
                "samples": lesson.source.samples,
                "tile": lesson.source.tile,
                "chunk": lesson.parts[0].last - lesson.parts[0].first,
            }
            for (member, source), lesson in self.lessons.items()
        ]
        methods = [{"side": side, "member": i, **method.to_dict()} for (side, i), method in self.methods.items()]
        return {
            "made_by": self.made_by,
            "protocol": self.protocol,
            "sizes": self.sizes,
            "memory": self.memory,
            "methods": methods,
            "lessons": lessons,
            **({} if self.tuned is None else {"tuned": self.tuned}),
        }
