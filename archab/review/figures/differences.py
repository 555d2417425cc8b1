"""Paired differences: a dot for each target at A's error over B's, with the ratio and interval beside every row."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence.outcome import Verdict
from archab.evidence.statistics import Array
from archab.review import ratios
from archab.review.figures import scales
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.scores import spread_out
from archab.review.figures.sheet import LABEL, SMALL, TICK, WIDTH, Sheet, fitting, inches
from archab.review.finding import better, between, decided, effect, finding, level, measured, replicate, replicates

MOST_ALL, MOST_MEMBER, MOST_ROWS = 100, 60, 12
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
    found, short = rows(verdict), named(verdict)
    top = found[0]
    dots = _dots_are(verdict, found)
    ties = int(np.count_nonzero(top.differences == 0))
    valid = verdict.validity.strip(", ")
    interval = f"its {level(verdict)} interval (all: {valid}; members: of a single look)"
    shown = f"Diamond: geometric-mean ratio, line: {interval}. " if measured(verdict) else ""
    tied = f" Grey: {ties:,} ties." if ties else ""
    of = len(verdict.members)
    left_out = f" {len(found) - 1} of {of:,} members are shown, evenly spread." if 0 < len(found) - 1 < of else ""
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
    return Picture("differences", finding(verdict), caption, f"{alt}.", partial(_draw, short, rows(short)))


def _dots_are(verdict: Verdict, found: list[Row]) -> str:
    if len(found) > 1 and not found[1].most:
        return f"In the top row {_one(verdict, found)}; members' rows have no dots"
    return f"A{_one(verdict, found)[1:]}"


def _one(verdict: Verdict, found: list[Row]) -> str:
    one = replicate(verdict)
    if verdict.data.is_a is not None:
        return "a dot is a round: the next target of either side"
    top = one if len(found[0].differences) <= MOST_ALL else f"1/{MOST_ALL} of the {replicates(verdict)}"
    members = [len(row.differences) for row in found[1:] if row.most]
    rest = one if max(members, default=0) <= MOST_MEMBER else f"1/{MOST_MEMBER} of a member's"
    return f"a dot is {top}" + (f", below {rest}" if members and rest != top else "")


def rows(verdict: Verdict) -> list[Row]:
    """The row of all members, and one a member (without dots where they are many, or targets have one side).

    Of very many members some are shown, and none where their rows would be empty.
    """
    design = verdict.data
    paired = design.is_a is None
    whole = np.nanmean(design.values, axis=1) if paired else design.rounds
    low, high = verdict.interval()
    found = [Row("all", whole, MOST_ALL, verdict.gmr, low, high, better(verdict) is not None)]
    dots = MOST_MEMBER if paired and len(verdict.members) <= CROWDED else 0
    if len(verdict.members) == 1 or not (dots or measured(verdict)):
        return found
    for i in spread_out(np.arange(len(verdict.members)), MOST_ROWS):
        m, column = verdict.members[i], design.values[:, i]
        here = column[~np.isnan(column)] if dots else np.empty(0)
        name, passed = verdict.member_name(m.member), decided(verdict, m.p_holm)
        found.append(Row(name, here, dots, m.gmr, m.ci_low, m.ci_high, passed))
    return found


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

    @property
    def middle(self) -> float:
        """Where the sides are equal, inches."""
        return self.left + self.plot / 2


def _draw(verdict: Verdict, found: list[Row], palette: Palette, title: str, caption: str) -> Figure:
    names = [inches(row.name, TICK) if i else inches(row.name, LABEL, "bold") for i, row in enumerate(found)]
    left = min(max(names) + 0.09, 1.0)
    reach = ratios.reach(np.concatenate([row.differences for row in found]), verdict.settings.margin)
    frame = _Frame(left, WIDTH - left - BESIDE, reach)
    bin_width = 2 * frame.edge / frame.plot * DOT * 1.12
    dots = [stacked(row.differences, row.most, reach, bin_width) for row in found]
    heights = [_height(row, stack) for row, (_, stack) in zip(found, dots, strict=True)]
    body = sum(heights)
    heads = _heads(verdict, found[0])
    a_side, b_side = (inches(head, SMALL, "bold") + 0.1 for head in heads)
    two_lines = a_side > frame.middle or b_side > WIDTH - frame.middle
    sheet = Sheet(palette, body + 0.62 + 0.11 * two_lines, title, caption)
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
    style: dict[str, Any] = {"size": SMALL, "weight": "bold"}
    ends, starts = max(frame.middle - 0.06, a_side - 0.06), min(frame.middle + 0.06, WIDTH - b_side + 0.06)
    sheet.text(ends, body + 0.53 + 0.11 * two_lines, heads[0], ha="right", color=palette.a, **style)
    sheet.text(starts, body + 0.53, heads[1], ha="left", color=palette.b, **style)
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
    at, style = math.log(row.gmr), {"color": palette.ink, "mew": 0, "zorder": 4, "clip_on": False}
    if abs(at) <= frame.edge:
        axes.plot(at, y, "D", ms=3.3, label=f"{row.name} ratio", **style)
    for sign, mark, beyond in ((-1, "<", row.low), (1, ">", row.high)):
        # An arrow where the ratio or its interval goes on beyond the axis.
        if sign * at > frame.edge or (beyond > 0 and sign * math.log(beyond) > frame.edge):
            axes.plot(sign * frame.edge, y, mark, ms=4, label=f"{row.name} beyond", **style)


def _beside(sheet: Sheet, row: Row, y: float, frame: _Frame, palette: Palette, shown: bool) -> None:
    bold = row.name == "all"
    up = 0.07 if row.most else 0.0
    weight = "bold" if bold else "normal"
    size = fitting(row.name, frame.left - 0.09, LABEL if bold else TICK, weight)
    sheet.text(frame.left - 0.05, y + up, row.name, ha="right", size=size, weight=weight)
    if not shown:
        return
    colour = (palette.a if row.gmr < 1 else palette.b) if row.decided else palette.ink
    x = frame.left + frame.plot + 0.06
    sheet.text(x, y + 0.055 + up / 2, effect(row.gmr), size=SMALL, weight="bold", color=colour)
    sheet.text(x, y - 0.045 + up / 2, between(row.low, row.high), size=SMALL - 0.5, color=palette.soft)


def _heads(verdict: Verdict, row: Row) -> tuple[str, str]:
    """Which side is which, with the targets on which it is lower; for either side of the middle."""
    a, b = (name if name == letter else f"{letter} {name}" for letter, name in zip("AB", verdict.names, strict=True))
    if verdict.data.is_a is not None:
        return f"← {a} lower", f"{b} lower →"
    return f"← {a} lower: {(row.differences < 0).sum():,}", f"{b} lower: {(row.differences > 0).sum():,} →"
