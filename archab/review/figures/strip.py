"""A verdict as a strip: a dot for each target, the ratio of errors with its interval, of all members and of each."""

import io
import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence.fields import Verdict
from archab.evidence.statistics import Array
from archab.evidence.words import effect
from archab.review import ratios
from archab.review.figures import drawing, scales
from archab.review.figures.differences import rows
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.sheet import LABEL, SMALL, STYLE, TICK, WIDTH, Sheet, fitting, inches
from archab.review.figures.slim import slim
from archab.review.finding import measured

MOST, MOST_MEMBERS = 40, 6  # dots of the top row; rows of members
DOT, PITCH, BESIDE = 0.034, 0.16, 0.74  # inches: a dot, a row, what stands to the right


def strip(verdict: Verdict, palette: Palette) -> Figure:
    """The picture, one column wide and about an inch high."""
    with mpl.rc_context(STYLE):
        return _drawn(named(verdict), palette)


def svg(verdict: Verdict, palette: Palette) -> str:
    """The same as the text of an SVG of a few kilobytes, whose title is the verdict; the same bytes each time."""
    text = io.StringIO()
    with mpl.rc_context(STYLE):
        strip(verdict, palette).savefig(text, format="svg", metadata={"Date": None, "Title": verdict.sentence()})
    return slim(text.getvalue())


def _drawn(verdict: Verdict, palette: Palette) -> Figure:
    found = rows(verdict)[: 1 + MOST_MEMBERS]
    left = min(0.09 + max(inches(row.effect.name, TICK, "bold") for row in found), 1.0)
    plot, differences = WIDTH - left - BESIDE, found[0].differences
    reach = ratios.reach(differences, verdict.margin)
    edge = 1.06 * math.log(reach)
    x, stack = drawing.stacked(differences, MOST, reach, 2 * edge / plot * DOT * 1.12)
    pile = DOT * (stack.max(initial=-1) + 1)
    height = PITCH * len(found) + pile + 0.05
    heads = (f"← {verdict.names[0]} lower", f"{verdict.names[1]} lower →")
    crowded = drawing.crowded(heads, left + plot / 2, 0.0, WIDTH, SMALL)
    sheet = Sheet(palette, height + 0.42 + 0.11 * crowded)
    axes = sheet.axes(left, 0.2, plot, height)
    axes.set_ylim(0, height)
    axes.tick_params(left=False, labelleft=False)
    drawing.ground(axes, verdict.margin, edge, palette)
    shown = measured(verdict)
    _dots(axes, x, height - 0.03 - pile + DOT * (stack + 0.5), palette, shown)
    for i, row in enumerate(found):
        y, own = height - 0.05 - pile - PITCH * (i + 0.5), row.effect
        weight = "normal" if i else "bold"
        size = fitting(own.name, left - 0.09, TICK if i else LABEL, weight)
        sheet.text(left - 0.05, 0.2 + y, own.name, ha="right", size=size, weight=weight)
        if shown and math.isfinite(own.gmr):
            drawing.ratio(axes, own, y, palette, 0.9)
            colour = getattr(palette, own.side or "ink")
            sheet.text(left + plot + 0.06, 0.2 + y, effect(own.gmr), size=SMALL, weight=weight, color=colour)
    ends = ratios.WORDS[reach]
    scales.ticks(axes.xaxis, [math.log(r) for r in ends], list(ends.values()))
    drawing.directions(sheet, heads, left + plot / 2, 0.0, WIDTH, height + 0.3, SMALL, 0.11)
    return sheet.figure


def _dots(axes: Axes, x: Array, y: Array, palette: Palette, coloured: bool) -> None:
    """Differences in the colours of their sides, ties grey: one line a colour, of points with round ends."""
    side = np.sign(x) if coloured else np.zeros(len(x))
    for sign, colour in ((-1, palette.a), (0, palette.ref), (1, palette.b)):
        here = side == sign
        if here.any():
            xs, ys = (np.stack([v[here], v[here], np.full(here.sum(), np.nan)], 1).ravel() for v in (x, y))
            axes.plot(xs, ys, color=colour, lw=72 * DOT * 0.95, solid_capstyle="round", zorder=2)
