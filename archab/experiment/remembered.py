"""What a configuration's networks tell before training, on disk: found once, read by each of its seeds and shards."""

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from archab.comparison.comparison import Comparison
from archab.evidence.contrast import Contrast
from archab.results import whole


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
