"""Paired differences: a dot for each target at A's error over B's, with the ratio and interval beside every row."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import ratios
from archab.evidence.figures import scales
from archab.evidence.figures.names import named
from archab.evidence.figures.palette import Palette
from archab.evidence.figures.picture import Picture
from archab.evidence.figures.sheet import LABEL, SMALL, TICK, WIDTH, Sheet, inches
from archab.evidence.finding import better, between, decided, effect, finding, level, measured, replicate, replicates
from archab.evidence.outcome import Verdict
from archab.evidence.statistics import Array

MOST_ALL, MOST_MEMBER, MOST_ROWS = 100, 60, 40
CROWDED = 8  # members from which the rows of members have no dots
BESIDE, DOT = 0.94, 0.036  # inches


@dataclass(frozen=True)
class Row:
    """One row: the differences (of logs; ties are 0), what stands beside it, and whether it is decided."""

    name: str
    differences: Array
    most: int
    gmr: float
    low: float
    high: float
    decided: bool


def picture(verdict: Verdict) -> Picture:
    """Differences by target; in an unpaired design by round, since no target has both sides."""
    found, top = rows(verdict), rows(verdict)[0]
    dots = _dots_are(verdict, found)
    ties = int(np.count_nonzero(top.differences == 0))
    valid = "valid however often one looked" if verdict.rule == "anytime" else "of a single look"
    interval = f"its {level(verdict)} interval (all: {valid}; members: of a single look)"
    shown = f"Diamond: geometric-mean ratio, line: {interval}. " if measured(verdict) else ""
    tied = f" Grey: {ties} ties." if ties else ""
    rest = len(verdict.members) - MOST_ROWS
    left_out = f" {rest} members are left out." if rest > 0 else ""
    caption = (
        f"{dots}. {shown}Shaded: within {verdict.margin_percent}. n = {replicates(verdict)}; a restart is no "
        f"replicate.{tied}{left_out}"
    )
    a, b = verdict.names
    counts = [int((top.differences < 0).sum()), int((top.differences > 0).sum())]
    lower = f"{a} is lower on {counts[0]:,}, {b} on {counts[1]:,} of {replicates(verdict)}. "
    if verdict.data.is_a is not None:
        lower = ""
    alt = lower + "; ".join(f"{row.name}: {effect(row.gmr)} ({between(row.low, row.high)})" for row in found)
    return Picture("differences", finding(verdict), caption, f"{alt}.", partial(_draw, named(verdict), found))


def _dots_are(verdict: Verdict, found: list[Row]) -> str:
    if verdict.data.is_a is not None:
        return "A dot is a round: the next target of either side"
    one = replicate(verdict)
    top = one if len(found[0].differences) <= MOST_ALL else f"1/{MOST_ALL} of the {replicates(verdict)}"
    members = [len(row.differences) for row in found[1:] if row.most]
    rest = one if max(members, default=0) <= MOST_MEMBER else f"1/{MOST_MEMBER} of a member's"
    return f"A dot is {top}" + (f", below {rest}" if members and rest != top else "")


def rows(verdict: Verdict) -> list[Row]:
    """The row of all members, and one a member (without dots where they are many, or targets have one side)."""
    design = verdict.data
    paired = design.is_a is None
    whole = np.nanmean(design.values, axis=1) if paired else design.rounds
    low, high = verdict.interval()
    found = [Row("all", whole, MOST_ALL, verdict.gmr, low, high, better(verdict) is not None)]
    for i, m in enumerate(verdict.members[:MOST_ROWS]):
        column = design.values[:, i]
        dots = MOST_MEMBER if paired and len(verdict.members) <= CROWDED else 0
        here = column[~np.isnan(column)] if dots else np.empty(0)
        name, passed = verdict.member_name(m.member), decided(verdict, m.p_holm)
        found.append(Row(name, here, dots, m.gmr, m.ci_low, m.ci_high, passed))
    return found if len(verdict.members) > 1 else found[:1]


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


@dataclass(frozen=True)
class _Frame:
    """The room that the rows share: inches left of the plot and of the plot itself, and the largest ratio in it."""

    left: float
    plot: float
    reach: float

    @property
    def edge(self) -> float:
        """Where the axis ends, a log ratio."""
        return 1.06 * math.log(self.reach)


def _draw(verdict: Verdict, found: list[Row], palette: Palette, title: str, caption: str) -> Figure:
    names = [inches(row.name, LABEL, "bold" if i == 0 else "normal") for i, row in enumerate(found)]
    left = min(max(names) + 0.09, 1.0)
    reach = ratios.reach(np.concatenate([row.differences for row in found]), verdict.settings.margin)
    frame = _Frame(left, WIDTH - left - BESIDE, reach)
    bin_width = 2 * frame.edge / frame.plot * DOT * 1.12
    dots = [stacked(row.differences, row.most, reach, bin_width) for row in found]
    heights = [_height(row, stack) for row, (_, stack) in zip(found, dots, strict=True)]
    body = sum(heights)
    sheet = Sheet(palette, body + 0.62, title, caption)
    axes = sheet.axes(frame.left, 0.36, frame.plot, body)
    axes.set_ylim(0, body)
    axes.set_xlim(-frame.edge, frame.edge)
    axes.tick_params(left=False, labelleft=False)
    margin = math.log(verdict.settings.margin)
    axes.axvspan(-margin, margin, color=palette.band, lw=0, zorder=0)
    axes.axvline(0, color=palette.ink, lw=0.6, zorder=1)
    top, shown = body, measured(verdict)
    for row, (x, stack), height in zip(found, dots, heights, strict=True):
        top -= height
        y = top + 0.13
        _dots(axes, row, x, stack, y, height, palette, shown)
        if shown and math.isfinite(row.gmr):
            _interval(axes, row, y, frame, palette)
        _beside(sheet, row, y + 0.36, frame, palette, shown)
    words = ratios.WORDS[reach]
    scales.ticks(axes.xaxis, [math.log(r) for r in words], list(words.values()))
    a, b = verdict.names if max(map(len, verdict.names)) <= 11 else ("A", "B")
    sheet.label(axes, f"{a}'s error relative to {b}'s")
    _heads(sheet, verdict, found[0], body + 0.53, frame, palette)
    return sheet.figure


def _height(row: Row, stack: np.ndarray) -> float:
    """Inches of a row: room for its tallest stack, within reason."""
    if not row.most:
        return 0.24
    return 0.3 + min(0.62 if row.name == "all" else 0.42, DOT * (stack.max(initial=0) + 1))


def _dots(
    axes: Axes, row: Row, x: Array, stack: np.ndarray, y: float, height: float, palette: Palette, coloured: bool
) -> None:
    if not x.size:
        return
    pitch = min(DOT, (height - 0.28) / (stack.max() + 1))
    colours = [palette.ref if value == 0 or not coloured else palette.a if value < 0 else palette.b for value in x]
    marks = axes.scatter(x, y + 0.085 + pitch * stack, s=(72 * DOT) ** 2 * 0.95, c=colours, lw=0, zorder=2)
    marks.set_label(row.name)


def _interval(axes: Axes, row: Row, y: float, frame: _Frame, palette: Palette) -> None:
    if math.isfinite(row.low) and math.isfinite(row.high):
        ends = np.clip([math.log(row.low), math.log(row.high)], -frame.edge, frame.edge)
        style: dict[str, Any] = {"lw": 1.3, "solid_capstyle": "butt", "zorder": 3}
        axes.plot(ends, (y, y), color=palette.ink, label=f"{row.name} interval", **style)
    at = float(np.clip(math.log(row.gmr), -frame.edge, frame.edge))
    axes.plot(at, y, "D", color=palette.ink, ms=3.3, mew=0, zorder=4, label=f"{row.name} ratio")


def _beside(sheet: Sheet, row: Row, y: float, frame: _Frame, palette: Palette, shown: bool) -> None:
    bold = row.name == "all"
    up = 0.07 if row.most else 0.0
    weight = "bold" if bold else "normal"
    sheet.text(frame.left - 0.05, y + up, row.name, ha="right", size=LABEL if bold else TICK, weight=weight)
    if not shown:
        return
    colour = (palette.a if row.gmr < 1 else palette.b) if row.decided else palette.ink
    x = frame.left + frame.plot + 0.06
    sheet.text(x, y + 0.055 + up / 2, effect(row.gmr), size=SMALL, weight="bold", color=colour)
    sheet.text(x, y - 0.045 + up / 2, between(row.low, row.high), size=SMALL - 0.5, color=palette.soft)


def _heads(sheet: Sheet, verdict: Verdict, row: Row, y: float, frame: _Frame, palette: Palette) -> None:
    """Which side is which, on either side of the middle, with the targets on which it is lower."""
    counts = ["", ""]
    if verdict.data.is_a is None:
        counts = [f": {(row.differences < 0).sum():,}", f": {(row.differences > 0).sum():,}"]
    middle = frame.left + frame.plot / 2
    for i, (letter, name, room) in enumerate(zip("AB", verdict.names, (middle, WIDTH - middle), strict=True)):
        called = name if name == letter else f"{letter} {name}"
        if inches(f"← {called} lower{counts[i]}", SMALL, "bold") > room - 0.08:
            called = letter
        said = f"{called} lower{counts[i]}"
        colour = palette.b if i else palette.a
        style: dict[str, Any] = {"size": SMALL, "weight": "bold", "color": colour, "ha": "left" if i else "right"}
        sheet.text(middle + (0.06 if i else -0.06), y, f"{said} →" if i else f"← {said}", **style)
