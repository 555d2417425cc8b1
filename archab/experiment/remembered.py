"""What a configuration's networks tell before training: found once, on disk for each of its seeds and shards.

Seeds that run one behind the other in one process share more: how networks are drawn, and the programs that train them.
"""

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from archab.comparison.comparison import Comparison
from archab.evidence.contrast import Contrast
from archab.experiment.build import comparison as built
from archab.experiment.job import Job
from archab.results import whole

PLACE = ("seed", "shard", "rerun")  # what two runs of a process may differ in and share what is known


@dataclass
class Known:
    """The last configuration that ran in this process: as it was described, and as it was tuned."""

    key: str
    described: Comparison
    tuned: Comparison | None = None


_known: list[Known] = []  # at most one


def described(job: Job) -> Comparison:
    """The comparison that a job describes, with what an earlier seed of it has found in this process.

    Raises:
        ArchabError: as `archab.experiment.build.comparison` does.
    """
    rest = {name: value for name, value in job.config.items() if name not in PLACE}
    key = json.dumps([job.fingerprint, rest], sort_keys=True, default=str)
    if _known and _known[0].key == key:
        return _known[0].described.reseeded(job.config["seed"])
    found = built(job.config)
    _known[:] = [Known(key, found)]
    return found


def after_trials(comparison: Comparison, trials: pd.DataFrame) -> Comparison:
    """The comparison that trials have settled, with what an earlier seed of it has found."""
    for known in _known:
        if known.tuned is None or known.tuned.tuning is None or not trials.equals(known.tuned.tuning):
            known.tuned = comparison.tuned(trials)
        return known.tuned.reseeded(comparison.seed)
    return comparison.tuned(trials)


def remember(comparison: Comparison, folder: Path) -> None:
    """Give a comparison the contrast and the costs that are kept in the folder of its configuration, else keep its own.

    Raises:
        ArchabError: if the folder cannot be written.
    """
    known = vars(comparison)
    known["contrast"] = _kept(
        folder / "contrast.json",
        lambda rows: tuple(Contrast(*one) for one in rows),
        lambda: [astuple(one) for one in comparison.contrast],
    )
    known["counted"] = _kept(
        folder / "counted.json",
        lambda rows: tuple((int(member), str(side), *map(float, counts)) for member, side, *counts in rows),
        lambda: comparison.counted,
    )


def _kept(file: Path, read: Callable[[Any], Any], found: Callable[[], Any]) -> Any:
    """What a file holds; where it holds nothing, or is damaged, what is found is written first."""
    try:
        return read(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        values = found()
        with whole(file) as unfinished:
            unfinished.write_text(json.dumps(values))
        return read(values)
