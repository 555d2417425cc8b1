"""The contrast of a configuration on disk: measured once, and read by each of its seeds and shards."""

import json
from dataclasses import astuple
from pathlib import Path

from archab.comparison.comparison import Comparison
from archab.evidence.contrast import Contrast
from archab.results import whole


def remember(comparison: Comparison, folder: Path) -> None:
    """Give a comparison the contrast that is kept in the folder of its configuration, else keep the one it measures.

    Raises:
        ArchabError: if the folder cannot be written.
    """
    file = folder / "contrast.json"
    try:
        vars(comparison)["contrast"] = tuple(Contrast(*one) for one in json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):  # none is there, or a damaged one
        with whole(file) as unfinished:
            unfinished.write_text(json.dumps([astuple(one) for one in comparison.contrast]))
