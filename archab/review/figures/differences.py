"""Paired differences: a dot for each target at A's error over B's, with the ratio and interval beside every row."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.sentences import title
from archab.evidence.statistics import Array
from archab.evidence.words import between, effect
from archab.review import ratios
from archab.review.figures import drawing, scales
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.scores import spread_out
from archab.review.figures.sheet import LABEL, SMALL, TICK, WIDTH, Sheet, fitting, inches
from archab.review.finding import Effect, counts, differences, effects, measured, replicate, replicates

MOST_ALL, MOST_MEMBER, MOST_ROWS = 100, 60, 12
CROWDED = 8  # members from which the rows of members have no dots
BESIDE, DOT = 0.94, 0.036  # inches


@dataclass(frozen=True)
class Row:
    """One row: what it shows, its differences (of logs; ties are 0), and at most how many dots."""

    effect: Effect
    differences: Array
    most: int


def picture(verdict: Verdict) -> Picture:
    """Differences by target; in an unpaired design by round, since no target has both sides."""
    found, short = rows(verdict), named(verdict)
    dots = _dots_are(verdict, found)
    lower = counts(verdict)
    valid = sentences.validity(verdict)
    interval = f"its {words.level(verdict.alpha)} interval (all: {valid}; members: of a single look)"
    shown = f"Diamond: geometric-mean ratio, line: {interval}. " if measured(verdict) else ""
    tied = f" Grey: {lower[2]:,} ties." if lower and lower[2] else ""
    of = len(verdict.members)
    left_out = f" {len(found) - 1} of {of:,} members are shown, evenly spread." if 0 < len(found) - 1 < of else ""
    caption = (
        f"{dots}. {shown}Shaded: within {words.margin(verdict.margin)}. n = {replicates(verdict)}; a restart is no "
        f"replicate.{tied}{left_out}"
    )
    a, b = verdict.names
    alt = f"{a} is lower on {lower[0]:,}, {b} on {lower[1]:,} of {replicates(verdict)}. " if lower else ""
    alt += "; ".join(f"{e.name}: {effect(e.gmr)} ({between(e.low, e.high)})" for e in (row.effect for row in found))
    return Picture("differences", title(verdict), caption, f"{alt}.", partial(_draw, short, rows(short)))


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
    values, (top, *members) = verdict.data.values, effects(verdict)
    found = [Row(top, differences(verdict), MOST_ALL)]
    dots = MOST_MEMBER if verdict.data.is_a is None and len(members) <= CROWDED else 0
    if len(members) == 1 or not (dots or measured(verdict)):
        return found
    for i in spread_out(np.arange(len(members)), MOST_ROWS):
        column = values[:, i]
        found.append(Row(members[i], column[~np.isnan(column)] if dots else np.empty(0), dots))
    return found


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
    called = [row.effect.name for row in found]
    names = [inches(called[0], LABEL, "bold"), *(inches(name, TICK) for name in called[1:])]
    left = min(max(names) + 0.09, 1.0)
    reach = ratios.reach(np.concatenate([row.differences for row in found]), verdict.margin)
    frame = _Frame(left, WIDTH - left - BESIDE, reach)
    bin_width = 2 * frame.edge / frame.plot * DOT * 1.12
    dots = [drawing.stacked(row.differences, row.most, reach, bin_width) for row in found]
    heights = [_height(row, stack) for row, (_, stack) in zip(found, dots, strict=True)]
    body = sum(heights)
    heads = _heads(verdict)
    two_lines = drawing.crowded(heads, frame.middle, 0.0, WIDTH, SMALL)
    sheet = Sheet(palette, body + 0.62 + 0.11 * two_lines, title, caption)
    axes = sheet.axes(frame.left, 0.36, frame.plot, body)
    axes.set_ylim(0, body)
    axes.tick_params(left=False, labelleft=False)
    drawing.ground(axes, verdict.margin, frame.edge, palette)
    top, shown = body, measured(verdict)
    for row, (x, stack), height in zip(found, dots, heights, strict=True):
        top -= height
        y = top + 0.13
        if x.size:
            pitch = min(DOT, (height - 0.28) / (stack.max() + 1))
            drawing.dots(axes, x, y + 0.085 + pitch * stack, DOT, palette, shown, row.effect.name)
        if shown and math.isfinite(row.effect.gmr):
            drawing.ratio(axes, row.effect, y, palette)
        _beside(sheet, row, y + 0.36, frame, palette, shown)
    ends = ratios.WORDS[reach]
    scales.ticks(axes.xaxis, [math.log(r) for r in ends], list(ends.values()))
    a, b = verdict.names if max(map(len, verdict.names)) <= 11 else ("A", "B")
    sheet.label(axes, f"{a}'s error relative to {b}'s")
    drawing.directions(sheet, heads, frame.middle, 0.0, WIDTH, body + 0.53, SMALL, 0.11)
    return sheet.figure


def _height(row: Row, stack: np.ndarray) -> float:
    """Inches of a row: room for its tallest stack, within reason."""
    if not row.most:
        return 0.24
    return 0.3 + min(0.62 if row.effect.name == "all" else 0.42, DOT * (stack.max(initial=0) + 1))


def _beside(sheet: Sheet, row: Row, y: float, frame: _Frame, palette: Palette, shown: bool) -> None:
    found, up = row.effect, 0.07 if row.most else 0.0
    weight, size = ("bold", LABEL) if found.name == "all" else ("normal", TICK)
    size = fitting(found.name, frame.left - 0.09, size, weight)
    sheet.text(frame.left - 0.05, y + up, found.name, ha="right", size=size, weight=weight)
    if not shown:
        return
    x, colour = frame.left + frame.plot + 0.06, getattr(palette, found.side or "ink")
    sheet.text(x, y + 0.055 + up / 2, effect(found.gmr), size=SMALL, weight="bold", color=colour)
    sheet.text(x, y - 0.045 + up / 2, between(found.low, found.high), size=SMALL - 0.5, color=palette.soft)


def _heads(verdict: Verdict) -> tuple[str, str]:
    """Which side is which, with the targets on which it is lower; for either side of the middle."""
    a, b = (name if name == letter else f"{letter} {name}" for letter, name in zip("AB", verdict.names, strict=True))
    if (lower := counts(verdict)) is None:
        return f"← {a} lower", f"{b} lower →"
    return f"← {a} lower: {lower[0]:,}", f"{b} lower: {lower[1]:,} →"
