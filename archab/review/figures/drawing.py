"""Effect and evidence as every figure draws them: dots about the middle, a ratio with its interval, E with its line."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from archab.evidence.fields import Verdict
from archab.evidence.sentences import better
from archab.evidence.series import by_round
from archab.evidence.statistics import Array
from archab.review.figures.palette import Palette
from archab.review.figures.sheet import Sheet, inches
from archab.review.finding import Effect


def stacked(differences: Array, most: int, reach: float, bin_width: float) -> tuple[Array, np.ndarray]:
    """Dots of one row: x, shape (k,), in whole bins, and how many lie below each. At most `most` dots: quantiles."""
    d = np.sort(differences)
    if d.size > most:
        d = np.quantile(d, (np.arange(most) + 0.5) / most, method="closest_observation")
    # Ties of clipped errors are exact zeros, and must not fall to a side: a bin ends at 0.
    clipped = np.clip(d, -math.log(reach), math.log(reach))
    columns = np.where(clipped == 0, 0.0, np.sign(clipped) * (np.floor(np.abs(clipped) / bin_width) + 0.5))
    height = np.zeros(d.size, dtype=int)
    for column in np.unique(columns):
        here = columns == column
        height[here] = np.arange(here.sum())
    return columns * bin_width, height


def dots(axes: Axes, x: Array, y: Array, size: float, palette: Palette, coloured: bool, label: str) -> None:
    """Differences, shape (k,), at these heights: dots so many inches wide in the colours of their sides, ties grey."""
    colours = [palette.ref if value == 0 or not coloured else palette.a if value < 0 else palette.b for value in x]
    axes.scatter(x, y, s=(72 * size) ** 2 * 0.9, c=colours, lw=0, zorder=2, label=label)


def ground(axes: Axes, margin: float, edge: float, palette: Palette, low: float = 0, high: float = 1) -> None:
    """An axis of log ratios to ± edge: shaded within the margin, a line where the sides are equal; shares of height."""
    axes.set_xlim(-edge, edge)
    axes.axvspan(-math.log(margin), math.log(margin), low, high, color=palette.band, lw=0, zorder=0)
    axes.axvline(0, low, high, color=palette.ink, lw=0.7, zorder=1)


def ratio(axes: Axes, found: Effect, y: float, palette: Palette, size: float = 1.0) -> None:
    """A ratio and its interval at this height, NaN where there is none; arrows where they go on beyond the axis."""
    interval, edge, at = (found.low, found.high), axes.get_xlim()[1], math.log(found.gmr)
    bounded = bool(np.isfinite(interval).all())
    style: dict[str, Any] = {"color": palette.ink, "mew": 0, "zorder": 4, "clip_on": False}
    ends = np.log(interval) if bounded else np.array([at, at])
    if bounded:
        line: dict[str, Any] = {"lw": 1.3 * size, "solid_capstyle": "butt", "zorder": 3}
        axes.plot(np.clip(ends, -edge, edge), (y, y), color=palette.ink, label=f"{found.name} interval", **line)
    if abs(at) <= edge:
        axes.plot(at, y, "D", ms=3.3 * size, label=f"{found.name} ratio", **style)
    for sign, mark, end in ((-1, "<", ends[0]), (1, ">", ends[1])):
        if max(sign * at, sign * end) > edge:
            axes.plot(sign * edge, y, mark, ms=4 * size, label=f"{found.name} beyond", **style)


def crowded(heads: tuple[str, str], middle: float, left: float, right: float, size: float) -> bool:
    """Whether the two do not fit beside each other on either side of the middle; places are inches."""
    a, b = (inches(head, size, "bold") for head in heads)
    return a > middle - 0.1 - left or b > right - 0.1 - middle


def directions(
    sheet: Sheet, heads: tuple[str, str], middle: float, left: float, right: float, y: float, size: float, up: float
) -> None:
    """Which side is lower on which side of the middle, the first one so much higher where the two are crowded."""
    a, b = (inches(head, size, "bold") + 0.04 for head in heads)
    up = up if crowded(heads, middle, left, right, size) else 0.0
    style: dict[str, Any] = {"size": size, "weight": "bold"}
    sheet.text(max(middle - 0.06, left + a), y + up, heads[0], ha="right", color=sheet.palette.a, **style)
    sheet.text(min(middle + 0.06, right - b), y, heads[1], ha="left", color=sheet.palette.b, **style)


def colour(verdict: Verdict, palette: Palette) -> str:
    """That of the side that the verdict names, ink where it names none."""
    found = better(verdict)
    return getattr(palette, found.side) if found else palette.ink


def curve(verdict: Verdict) -> Array:
    """E by round, shape (k, 2): rounds and log10 of E."""
    return np.array(by_round(verdict)["log_e"]) / (1, math.log(10))


def evidence(axes: Axes, verdict: Verdict, points: Array, highest: float, palette: Palette, size: float = 1.0) -> float:
    """Draw this part of the `curve`, the line that decides, and where E first crosses it, at `highest` or below.

    Returns:
        log10 of the E that decides.
    """
    bar = -math.log10(verdict.alpha)
    line: dict[str, Any] = {"lw": 1.6 * size, "zorder": 3, "solid_joinstyle": "round", "label": "E"}
    axes.plot(points[:, 0], points[:, 1], color=colour(verdict, palette), **line)
    axes.axhline(bar, color=palette.ink, lw=0.8, zorder=2)
    if verdict.stop_at is not None and verdict.stop_at <= points[-1, 0]:
        at = min(verdict.log_e[verdict.stop_at - 1] / math.log(10), highest)
        mark: dict[str, Any] = {"mfc": palette.bg, "mec": palette.ink, "ms": 5 * size, "zorder": 4}
        axes.plot(verdict.stop_at, at, "o", label="crossing", **mark)
    return bar
