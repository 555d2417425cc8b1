"""How often an error that one can live with is reached: the share of targets learnt to within ε, a side."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from archab.evidence import words as words
from archab.evidence.density import effective, half_width
from archab.evidence.fields import Verdict
from archab.evidence.statistics import FLOOR, Array, wilson
from archab.review.figures import scales
from archab.review.figures.labels import Labels, Spot
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.scores import per_target
from archab.review.figures.sheet import LABEL, SMALL, Sheet, fitting
from archab.review.finding import measured, replicates

HEIGHT, POINTS = 1.75, 240
EPSILONS = tuple(m * 10.0**e for e in range(0, -13, -1) for m in (5, 2, 1) if m * 10.0**e < 1)


@dataclass(frozen=True)
class Shares:
    """Shares of targets learnt to within errors.

    Attributes:
        errors: shape (k,), ascending.
        a, b: at each the share, its pointwise interval and the band of all: (share, low, high, lowest, highest), shape
            (5, k).
        epsilon: the error that is named.
        at: both sides' shares there.
    """

    errors: Array
    a: Array
    b: Array
    epsilon: float
    at: tuple[float, float]


def picture(verdict: Verdict) -> Picture:
    """Share of targets within ε; every member counts alike."""
    found = shares(per_target(verdict), verdict.alpha, verdict.floor)
    if verdict.settings.overlap:  # no interval of a share over splits of one data set is known
        found = replace(found, a=_alone(found.a), b=_alone(found.b))
    a, b = verdict.names
    order = [(found.at[0], a), (found.at[1], b)] if found.at[0] >= found.at[1] else [(found.at[1], b), (found.at[0], a)]
    (most, leader), (least, other) = order
    title = (
        f"{leader} learns {words.percent(most)} of targets to within {scales.number(found.epsilon)}, {other} "
        f"{words.percent(least)}"
    )
    if verdict.data.is_a is not None:
        within = f"Within {scales.number(found.epsilon)} on targets of its own"
        title = f"{within}: {leader} {words.percent(most)}, {other} {words.percent(least)}"
    if not measured(verdict):
        title = "Share of targets learnt to within each error"
    members = " (members weighted alike)" if len(verdict.members) > 1 else ""
    level = words.level(verdict.alpha)
    bands = (
        f" Shaded: {level} interval at one error (pointwise, Wilson); thin lines: {level} band at all errors at once "
        "(simultaneous, Dvoretzky-Kiefer-Wolfowitz with Massart's constant)."
    )
    bands = bands if measured(verdict) and not verdict.settings.overlap else ""
    caption = (
        f"Share of targets learnt to within each error{members}.{bands} "
        f"n = {replicates(verdict)}; a restart is no replicate. A diverged student never counts as within. The error "
        f"named is the round number at which {b} is nearest to half."
    )
    return Picture("share_within", title, caption, f"{title}.", partial(_draw, named(verdict), found))


def shares(scores: pd.DataFrame, alpha: float, floor: float = FLOOR) -> Shares:
    """Shares from a score (y = log NMSE) for each target, side and member."""
    sides = {
        side: [g.to_numpy(dtype=float) for _, g in own.groupby("member")["y"]] for side, own in scores.groupby("side")
    }
    targets = {side: _targets(own) for side, own in scores.groupby("side")}
    epsilon = min((e for e in EPSILONS), key=lambda e: abs(_share(sides["b"], math.log(e)) - 0.5))
    low = max(min(float(np.quantile(scores["y"], 0.005)), math.log(epsilon) - 1), math.log(floor))
    grid = np.linspace(low, 0, POINTS)
    a, b = (np.array([_with_intervals(sides[s], targets[s], e, alpha) for e in grid]).T for s in "ab")
    at = _share(sides["a"], math.log(epsilon)), _share(sides["b"], math.log(epsilon))
    return Shares(np.exp(grid), a, b, epsilon, at)


def _alone(values: Array) -> Array:
    """Shares without their intervals and bands."""
    return np.vstack([values[:1], np.full((4, values.shape[1]), np.nan)])


def _share(members: list[Array], log_error: float) -> float:
    # Scores are at most 0, where a diverged student stands: within 1 it is not.
    return float(np.mean([np.mean((y <= log_error) & (y < 0)) for y in members]))


def _targets(scores: pd.DataFrame) -> float:
    """How many targets of equal weight a side's are worth: members count alike; one that they share is one target."""
    weights = 1 / scores.groupby("member")["y"].transform("size")
    return effective(weights.groupby([scores["seed"], scores["target"]], observed=True).sum().to_numpy(dtype=float))


def _with_intervals(members: list[Array], n: float, log_error: float, alpha: float) -> tuple[float, ...]:
    """The share, Wilson's 1927 interval for so many targets, and the band that holds at all errors."""
    p, band = _share(members, log_error), half_width(n, alpha)
    low, high = wilson(p, n, alpha)
    return p, float(low), float(high), *np.clip([p - band, p + band], 0, 1).tolist()


def _draw(verdict: Verdict, found: Shares, palette: Palette, title: str, caption: str) -> Figure:
    sheet = Sheet(palette, HEIGHT + 0.56, title, caption)
    axes = sheet.axes(0.42, 0.5, 2.8, HEIGHT)
    axes.set_xscale("log")
    axes.set_xlim(found.errors[0], 1)
    axes.set_ylim(0, 1.14)  # a name has room above a curve at 100%
    axes.axvline(found.epsilon, color=palette.line, lw=0.8, zorder=0).set_in_layout(False)
    for side, values, share in (("b", found.b, found.at[1]), ("a", found.a, found.at[0])):
        if measured(verdict):
            colour = getattr(palette, side)
            axes.fill_between(found.errors, values[1], values[2], color=colour, alpha=0.16, lw=0)
            edges: dict[str, Any] = {
                "label": [f"{side} lowest", f"{side} highest"],
                "lw": 0.5,
                "alpha": 0.7,
                "zorder": 1,
            }
            for line in axes.plot(found.errors, values[3:].T, color=colour, **edges):
                line.set_in_layout(False)
        axes.plot(found.errors, values[0], lw=1.5, label=side, zorder=2, **palette.line_of(side))
        axes.plot(found.epsilon, share, zorder=3, label=f"{side} at epsilon", **palette.mark_of(side))
    labels = Labels(axes)
    ordered = sorted(zip("ab", verdict.names, found.at, strict=True), key=lambda side: -side[2])
    for i, (side, name, share) in enumerate(ordered):
        # The upper name first up and to the left of its curve, the lower one down and to the right.
        ways = [("right", "bottom"), ("left", "top"), ("left", "bottom"), ("right", "top")]
        spots = [
            Spot(found.epsilon, share, dx if ha == "left" else -dx, dy if va == "bottom" else -dy, ha, va)
            for ha, va in (ways if i == 0 else [ways[1], ways[3], ways[0], ways[2]])
            for dy in (4, 10, 18)
            for dx in (6, 14, 24)
        ]
        text = f"{name} {words.percent(share)}"
        labels.put(text, getattr(palette, side), spots, fitting(text, 1.3, LABEL, "bold"), below=i == 1)
    errors = scales.round_numbers(float(found.errors[0]), 1.0)
    scales.ticks(axes.xaxis, errors, [scales.number(v) for v in errors])
    scales.ticks(axes.yaxis, [0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    sheet.label(axes, "error ε, 1 a constant (log)")
    if measured(verdict):
        _legend(axes, words.level(verdict.alpha), palette)
    return sheet.figure


def _legend(axes: Axes, level: str, palette: Palette) -> None:
    """What the shade and the thin lines are, under the axis."""
    shown = {
        f"{level} pointwise (Wilson)": Patch(fc=palette.ref, alpha=0.3),
        f"{level} simultaneous (DKW)": Line2D([], [], color=palette.ref, lw=0.6),
    }
    style: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncol": 2, "frameon": False}
    axes.legend(shown.values(), shown.keys(), fontsize=SMALL, labelcolor=palette.soft, handlelength=1.4, **style)
