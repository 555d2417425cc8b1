"""The figures of a verdict, in one style: which ones it has, and how they are written to files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from archab.evidence import curves as training_curves
from archab.evidence import sentences
from archab.evidence.fields import Verdict
from archab.review.figures import cost, crossed, differences, rounds, share, size, training, tuning
from archab.review.figures.names import IN_TITLES, named
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.picture import Absent, Picture
from archab.review.figures.sheet import save as write

PIXELS = 300  # an inch, of PNG and of what is an image within SVG and PDF


def pictures(
    verdict: Verdict, unit: str = "", curves: pd.DataFrame | None = None, trials: pd.DataFrame | None = None
) -> list[Picture | Absent]:
    """The figures in the order in which they are read; error against size leads where sizes are unequal.

    Args:
        unit: of the measure, such as "parameters"; empty where it is not known.
        curves: training curves, see `archab.evidence.curves.checked`.
        trials: of tuning, see `archab.evidence.tuning.choose`.

    Raises:
        ArchabError: if the table of curves is refused.
    """
    by_size, by_target = size.picture(verdict, unit), differences.picture(verdict)
    by_cost = cost.picture(verdict)
    first = [by_size, by_cost, by_target] if sentences.of_size(verdict) else [by_target, by_size, by_cost]
    evidence = (
        rounds.picture(verdict) if verdict.log_e else Absent("evidence", "Evidence by round", _no_rounds(verdict))
    )
    own = [crossed.picture(verdict, verdict.home_advantage)] if verdict.home_advantage is not None else []
    trained = training.picture(verdict, training_curves.checked(curves))
    tuned = [] if trials is None else [tuning.picture(verdict, trials)]
    return [*own, *first, evidence, trained, *tuned, share.picture(verdict)]


def save(
    verdict: Verdict,
    folder: Path,
    prefix: str = "",
    unit: str = "",
    curves: pd.DataFrame | None = None,
    trials: pd.DataFrame | None = None,
    suffixes: Sequence[str] = ("svg", "pdf", "png"),
    dark: bool = True,
    bare: bool = False,
) -> list[Path]:
    """Write every figure in these formats, for light paper and, where asked, for dark; the files.

    Args:
        bare: without title and caption, for a paper that sets its own.

    Raises:
        ArchabError: if the table of curves is refused.
        OSError: if a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for picture in pictures(named(verdict, IN_TITLES), unit, curves, trials):
        if isinstance(picture, Absent):
            continue
        for palette, shade in ((LIGHT, ""), (DARK, "-dark"))[: 1 + dark]:
            figure = picture.figure(palette, bare)
            for suffix in suffixes:
                file = folder / f"{prefix}{picture.name}{shade}.{suffix}"
                write(figure, file, PIXELS, picture.title)
                files.append(file)
    return files


def _no_rounds(verdict: Verdict) -> str:
    return "Splits of one data set overlap: no rounds." if verdict.settings.overlap else "No round is whole."
