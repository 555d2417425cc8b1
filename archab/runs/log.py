"""What a run logs, on local disk before any store has it: a store that goes away costs nothing."""

import json
import math
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from archab.results import COSTS, REPORT, TABLES, TUNING, whole

Point = tuple[str, float, int, int]  # name, value, time in ms, step


@dataclass
class Record:
    """The log of one run.

    Attributes:
        experiment: the MLflow experiment, and `name` of the run in it.
        parameters: the flat configuration.
        tags: its tags; `mlflow.note.content` is the description.
        engine: the name of the engine that was asked for.
        start: when it began, ms.
        first: when its seed was first started, ms, where that was before: their order is part of the evidence.
        points: its metrics.
        values: plain values to be kept as YAML or JSON artifacts, by file name.
        runs: the run in each store that knows of it, by the store's URI.
        delivered: the stores that have all of it.
    """

    experiment: str
    name: str
    parameters: dict[str, Any]
    tags: dict[str, str]
    engine: str
    start: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    first: int = 0
    points: list[Point] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    delivered: list[str] = field(default_factory=list)

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Add metrics of one step, without those that are not finite: MLflow would store other numbers."""
        self.log_series({key: [(step, value)] for key, value in metrics.items()})

    def log_series(self, series: dict[str, list[tuple[int, float]]]) -> None:
        """Add series of (step, value) by name, as `log` does."""
        now = time.time_ns() // 1_000_000
        self.points += [(k, v, now, step) for k, values in series.items() for step, v in values if math.isfinite(v)]

    def write(self, file: Path) -> None:
        """Keep it as JSON."""
        with whole(file) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=1, default=str))

    @classmethod
    def read(cls, file: Path) -> "Record | None":
        """What `write` wrote, None where there is no whole file of this kind."""
        try:
            known = {field.name for field in fields(cls)}
            kept = cls(**{name: value for name, value in json.loads(file.read_text()).items() if name in known})
            kept.points = [(str(k), float(v), int(at), int(step)) for k, v, at, step in kept.points]
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        mappings = kept.parameters, kept.tags, kept.values, kept.runs
        return kept if all(isinstance(value, dict) for value in mappings) else None


def logged(folder: Path) -> list[Path]:
    """What a finished run has beside its record: tables, and the report with its figures where there is one."""
    tables = [folder / name for name in (*TABLES, COSTS, TUNING) if (folder / name).exists()]
    return [*tables, *sorted((folder / REPORT).glob("*"))]
