"""Training curves: the median and the middle half of both sides' errors by optimiser step, a panel a member."""

import math
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import words as words
from archab.evidence.curves import latest_change
from archab.evidence.fields import Verdict
from archab.review.figures import scales
from archab.review.figures.labels import Labels, Spot
from archab.review.figures.names import fitted, letters, named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Absent, Picture
from archab.review.figures.scores import spread_out
from archab.review.figures.sheet import SMALL, WIDTH, Sheet, fitting, inches

MOST_PANELS, PER_ROW, SMALLEST = 10, 5, 5.2  # the last one in points
HEIGHT, PITCH, LEFT, GAP = 1.2, 1.54, 0.42, 0.07  # inches
TITLE = "Training curves"


def picture(verdict: Verdict, curves: pd.DataFrame | None) -> Picture | Absent:
    """Training curves from a checked table (`archab.evidence.curves.checked`); absent where there is none."""
    if curves is None or curves.empty:
        return Absent("training", TITLE, "No training curves in this table.")
    known = [m.member for m in verdict.members if m.member in set(curves["member"])]
    if not known:
        return Absent("training", TITLE, "No training curves of these members.")
    shown = spread_out(np.array(known), MOST_PANELS).tolist()
    a, b = verdict.names
    change = {side: latest_change(curves, side) for side in "ab"}
    lacking = len(verdict.members) - len(known)
    caption = (
        "Mean training error of students of a side and member since the point before, by optimiser step: median and "
        "middle half of those that were trained first in each run (of a run's first part, at most 512). A student is a "
        "restart on one target."
        + (f" {len(shown)} of {len(known):,} members are shown." if len(shown) < len(known) else "")
        + ("" if _room_for_names(verdict, len(shown)) else letters(verdict))
        + (f" Without curves: {lacking:,} members." if lacking else "")
    )
    if any(math.isfinite(r) for r in change.values()):
        said = ", ".join(f"{n} {_moved(change[s])}" for s, n in zip("ab", (a, b), strict=True))
        title = f"Training error over the last fifth of the steps: {said}"
    else:
        title = TITLE
    alt = f"{title}. Median training error at the end, {a} and {b}: " + "; ".join(
        f"{verdict.member_name(m)}: {_end(curves, m, 'a')}, {_end(curves, m, 'b')}" for m in shown
    )
    return Picture("training", title, caption, f"{alt}.", partial(_draw, named(verdict), curves, shown))


def _moved(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "not known"
    if abs(ratio - 1) < 0.005:
        return "unchanged"
    return words.signed(ratio)


def _end(curves: pd.DataFrame, member: int, side: str) -> str:
    own = curves[(curves["member"] == member) & (curves["side"] == side)]
    return f"{own['q50'].iloc[-1]:.2g}" if len(own) else "–"


def _draw(
    verdict: Verdict, curves: pd.DataFrame, shown: list[int], palette: Palette, title: str, caption: str
) -> Figure:
    columns = min(PER_ROW, len(shown))
    lines = -(-len(shown) // columns)
    sheet = Sheet(palette, 0.2 + lines * PITCH, title, caption)
    width = _panel(columns)
    drawn = curves[curves["member"].isin(shown)]
    for i, member in enumerate(shown):
        line, column = divmod(i, columns)
        place = (LEFT + column * (width + GAP), 0.36 + (lines - 1 - line) * PITCH, width, HEIGHT)
        axes = sheet.axes(*place, ("bottom", "left") if column == 0 else ("bottom",))
        own = drawn[drawn["member"] == member]
        _scales(axes, drawn, first=column == 0)
        _curves(axes, own, palette)
        name = fitted(verdict.member_name(member), width, SMALLEST)
        axes.set_title(name, size=fitting(name, width, SMALL), color=palette.ink, pad=3)
        if i == 0:
            labels = Labels(axes, right=axes.bbox.x1)
            fits = _room_for_names(verdict, len(shown))
            for side, name in zip("ab", verdict.names, strict=True):
                _name(labels, name if fits else side.upper(), own[own["side"] == side], getattr(palette, side))
    sheet.text(LEFT + (WIDTH - LEFT) / 2, 0.08, "optimiser steps", ha="center", color=palette.soft)
    middle = 0.36 + (lines * PITCH - 0.34) / 2
    sheet.text(0.07, middle, "training error (log)", ha="center", rotation=90, color=palette.soft)
    return sheet.figure


def _panel(columns: int) -> float:
    """How wide a panel is, inches."""
    return (WIDTH - LEFT - 0.06 - GAP * (columns - 1)) / columns


def _room_for_names(verdict: Verdict, shown: int) -> bool:
    room = 0.9 * _panel(min(PER_ROW, shown))
    return all(inches(name, SMALL, "bold") <= room for name in named(verdict).names)


def _curves(axes: Axes, own: pd.DataFrame, palette: Palette) -> None:
    for side in "ba":
        line, colour = own[own["side"] == side], getattr(palette, side)
        step = line["step"].to_numpy()
        axes.fill_between(step, line["q25"], line["q75"], color=colour, alpha=0.16, lw=0, label=f"{side} middle half")
        axes.plot(step, line["q50"], lw=1.4, label=f"{side} median", **palette.line_of(side))


def _scales(axes: Axes, drawn: pd.DataFrame, first: bool) -> None:
    """The same axes in every panel; numbers beside the first of a line."""
    positive = drawn.loc[drawn["q25"] > 0, "q25"]
    low = float(positive.min()) / 1.15 if len(positive) else 0.1
    high, last = max(1.15 * float(drawn["q75"].max()), 1.5 * low), float(drawn["step"].max())
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlim(0, last or 1)
    values = scales.round_numbers(low, high)
    scales.ticks(axes.yaxis, values, [scales.number(v) if first else "" for v in values])
    axes.tick_params(left=first)
    scales.ticks(axes.xaxis, [0, last], ["0", f"{last:,.0f}"])
    for tick, side in zip(axes.get_xticklabels(), _ENDS, strict=True):
        tick.set_horizontalalignment(side)


_ENDS: tuple[Literal["left", "right"], ...] = ("left", "right")


def _name(labels: Labels, name: str, own: pd.DataFrame, colour: str) -> None:
    if own.empty:
        return
    at = own.iloc[np.unique(np.linspace(0, len(own) - 1, 7).round().astype(int))][["step", "q50"]].to_numpy()
    near = [*at[3:0:-1].tolist(), *at[4:6].tolist(), at[0].tolist()]
    spots = [
        Spot(p[0], p[1], dx, dy, ha, va)
        for p in near
        for dx, dy, ha, va in ((5, 3, "left", "bottom"), (-5, -3, "right", "top"), (0, 5, "center", "bottom"),
                               (0, -5, "center", "top"))
    ]  # fmt: skip
    labels.put(name, colour, spots, SMALL)
