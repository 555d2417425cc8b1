"""Error against size: each target a faint point, geometric mean and interval a side, the compared sizes joined."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import words as words
from archab.evidence.fields import Member, Verdict
from archab.review.figures import scales
from archab.review.figures.labels import Labels, Spot
from archab.review.figures.names import LONGEST, named, short
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.scores import mean_and_interval, per_target, spread_out
from archab.review.figures.sheet import MOST_MARKS, RASTERISED, SMALL, TICK, WIDTH, Sheet, inches
from archab.review.finding import measured, outright, replicates

HEIGHT = 2.2  # inches
CROWDED = 12  # members from which marks are smaller
APART = 15.0  # of an axis with one member: its width over the distance of the sides


@dataclass(frozen=True)
class Across:
    """What errors are drawn against.

    Attributes:
        name: of the figure's file.
        what: it is called in the figure's description.
        label: of the axis.
        values: A's and B's of each member, all positive; empty where they are not known, and members stand in a row.
    """

    name: str
    what: str
    label: str
    values: Mapping[int, tuple[float, float]]


def picture(verdict: Verdict, unit: str = "") -> Picture:
    """Error against size.

    Args:
        verdict: with names as in a figure.
        unit: of the measure, such as "parameters"; empty where it is not known.
    """
    sizes = {m.member: (m.size_a, m.size_b) for m in verdict.members if math.isfinite(m.size_ratio)}
    if len(sizes) < len(verdict.members):
        across = Across("error_by_size", "member", "member", {})
        return errors_against(verdict, across, _title(verdict, {}), "one size", "sizes are not in the table")
    called = short(unit, LONGEST)
    across = Across("error_by_size", "size", f"size{', ' + called if called else ''} (log)", sizes)
    joined = "dotted lines join the sizes that were compared"
    joined += "; bar: the sizes of both at one error" if verdict.equal_error.larger else ""
    return errors_against(verdict, across, _title(verdict, sizes), "one size", joined)


def errors_against(verdict: Verdict, across: Across, title: str, one: str, said: str) -> Picture:
    """Errors of both sides along an axis.

    Args:
        verdict: with names as in a figure.
        across: the axis.
        title: the finding.
        one: what the targets of a mean have in common.
        said: what the caption says of the axis.
    """
    control = "; grey: a control of the targets' own family" if _controls(verdict) else ""
    scores = per_target(verdict)
    drawn = (
        "a target" if scores.groupby(["member", "side"]).size().max() <= MOST_MARKS else f"one of {MOST_MARKS} shown"
    )
    caption = (
        f"Faint: {drawn}. Solid: geometric mean of the targets of {one}, with its {words.level(verdict.alpha)} "
        f"interval; {said}{control}. n = {replicates(verdict)}; a restart is no replicate."
    )
    a, b = verdict.names
    alt = f"Held-out error of {a} and {b} against {across.what}: " + "; ".join(
        f"{verdict.member_name(m.member)}: {a} {m.typical_a:.2g}, {b} {m.typical_b:.2g}" for m in verdict.members
    )
    return Picture(across.name, title, caption, f"{alt}.", partial(_draw, named(verdict), scores, across))


def _title(verdict: Verdict, sizes: Mapping[int, tuple[float, float]]) -> str:
    how = " at a smaller size", ", at a larger size", " at equal size", " on average over the sizes"
    if found := lower_error(verdict, sizes, *how):
        return found
    if verdict.verdict == "equivalent" and sizes:
        return f"The same error, within {words.margin(verdict.margin)}, at the sizes compared"
    return _errors(verdict)


def lower_error(
    verdict: Verdict, values: Mapping[int, tuple[float, float]], less: str, more: str, equal: str, mixed: str
) -> str:
    """Who reaches a lower error, and how by 5% at least its values compare with the other's; empty where undecided."""
    found = outright(verdict)
    if found is None or not values:
        return ""
    ratios = [b / a if found.side == "b" else a / b for a, b in values.values()]
    how = equal if max(abs(ratio - 1) for ratio in ratios) <= 0.05 else mixed
    how = less if max(ratios) < 0.95 else more if min(ratios) > 1.05 else how
    return f"{found.name} reaches a lower error{how}"


def _errors(verdict: Verdict) -> str:
    """Both sides' errors, where there is no more to say of them."""
    sides = zip(verdict.names, ("typical_a", "typical_b"), strict=True)
    said = [(name, [getattr(m, field) for m in verdict.members]) for name, field in sides]
    own = ", each on targets of its own" if verdict.data.is_a is not None else ""
    return f"Typical error{own}: " + ", ".join(f"{name} {words.errors(values)}" for name, values in said)


def _controls(verdict: Verdict) -> list[Member]:
    return [m for m in verdict.members if math.isfinite(m.control)]


def _draw(verdict: Verdict, scores: pd.DataFrame, across: Across, palette: Palette, title: str, caption: str) -> Figure:
    sheet = Sheet(palette, HEIGHT, title, caption)
    axes = sheet.axes(0.42, 0.36, 2.8, HEIGHT - 0.42)
    places = _places(verdict, across.values)
    axes.set_yscale("log")
    for m in verdict.members:
        axes.plot(places[m.member], (m.typical_a, m.typical_b), color=palette.soft, lw=0.7, ls=":", zorder=1.5)
    for side in "ba":
        _side(axes, verdict, scores[scores["side"] == side], side, places, palette)
    low, labels_y = _y_axis(axes, scores)
    sheet.make_room(axes, labels_y)
    _x_axis(axes, verdict, across.values, places)
    if axes.get_ylim()[1] > 1:
        axes.axhline(1, color=palette.line, lw=0.7, zorder=0).set_in_layout(False)
        at = axes.get_yaxis_transform()
        axes.text(0.0, 1.06, "1: no better than a constant", size=SMALL, color=palette.soft, va="bottom", transform=at)
    if across.name == "error_by_size" and (equal := verdict.equal_error).larger:
        reached, y = np.log([equal.size_a, equal.size_b]), math.sqrt(equal.error_low * equal.error_high)
        axes.plot(reached, (y, y), "|-", color=palette.ink, lw=0.9, ms=4, label="equal error", zorder=2.8)
    labels = Labels(axes)
    for m in _controls(verdict):
        x, y = places[m.member], max(m.control, low)
        half = 0.008 * np.ptp(axes.get_xlim())
        axes.plot((min(x) - half, max(x) + half), (y, y), color=palette.ref, lw=1.0, solid_capstyle="butt", zorder=2)
    for side, name in zip("ba", reversed(verdict.names), strict=True):
        _name(labels, verdict, side, name, places, getattr(palette, side))
    if controls := _controls(verdict):
        hung = [(dy, va, ha) for dy, va in ((-4, "top"), (4, "bottom")) for ha in ("center", "right", "left")]
        ends = [(places[m.member][i], max(m.control, low)) for m in reversed(controls) for i in (1, 0)]
        spots = [Spot(x, y, 0, dy, ha, va) for x, y in ends for dy, va, ha in hung]
        labels.put("control", palette.ref, spots, SMALL, "normal")
    sheet.label(axes, across.label, "held-out error, 1 a constant (log)")
    return sheet.figure


def _places(verdict: Verdict, values: Mapping[int, tuple[float, float]]) -> dict[int, tuple[float, float]]:
    """x of both sides of each member: the log of the value, drawn apart where values are equal, else the index."""
    if not values:
        return {m.member: (i - 0.08, i + 0.08) for i, m in enumerate(verdict.members)}
    logs = {member: (math.log(a), math.log(b)) for member, (a, b) in values.items()}
    every = [x for pair in logs.values() for x in pair]
    apart = 0.014 * (max(every) - min(every) or 1.0)
    return {
        member: (a, b) if abs(b - a) > 2 * apart else ((a + b) / 2 - apart, (a + b) / 2 + apart)
        for member, (a, b) in logs.items()
    }


def _span(places: dict[int, tuple[float, float]]) -> float:
    """How far the members reach; where there is but one place, a multiple of what its sides are drawn apart."""
    every = [x for pair in places.values() for x in pair]
    alone = len({round(a + b, 9) for a, b in places.values()}) == 1
    return (max(every) - min(every)) * (APART if alone else 1.0)


def _side(
    axes: Axes,
    verdict: Verdict,
    scores: pd.DataFrame,
    side: str,
    places: dict[int, tuple[float, float]],
    palette: Palette,
) -> None:
    colour = getattr(palette, side)
    rng = np.random.default_rng(0)
    span = _span(places)
    mark = 1.0 if len(places) <= CROWDED else 0.6
    means, xs = [], []
    image = 2 * min(len(scores), MOST_MARKS * len(places)) > RASTERISED
    for member, (a, b) in places.items():
        y = scores.loc[scores["member"] == member, "y"].to_numpy(dtype=float)
        x = a if side == "a" else b
        shown = spread_out(y, MOST_MARKS)
        faint: dict[str, Any] = {"ms": 2.6, "mew": 0, "alpha": max(0.12, min(0.4, 20 / shown.size)), "zorder": 1}
        at = x + 0.011 * span * rng.uniform(-1, 1, shown.size)
        [dots] = axes.plot(at, np.exp(shown), ".", color=colour, rasterized=image, label=f"{side}{member}", **faint)
        dots.set_in_layout(False)
        mean, low, high = mean_and_interval(y, verdict.alpha, verdict.settings.overlap)
        if measured(verdict) and math.isfinite(low):
            axes.plot((x, x), (low, high), color=colour, lw=1.6 * mark, solid_capstyle="butt", zorder=2.5)
        xs.append(x)
        means.append(mean)
    look = {**palette.line_of(side), **palette.mark_of(side, mark)}
    axes.plot(xs, means, lw=1.3 * mark, label=side, zorder=3, **look)


def _name(
    labels: Labels, verdict: Verdict, side: str, name: str, places: dict[int, tuple[float, float]], colour: str
) -> None:
    at = [
        (places[m.member]["ab".index(side)], m.typical_a if side == "a" else m.typical_b)
        for m in reversed(verdict.members)
    ]
    spots = [Spot(*at[0], 5, 0)]
    for x, y in at:
        spots += [Spot(x, y, dx, dy, ha, va) for dy, va in ((7, "bottom"), (-7, "top"))
                  for dx, ha in ((0, "center"), (-4, "right"), (4, "left"))]  # fmt: skip
    labels.put(name, colour, spots)


def _x_axis(
    axes: Axes, verdict: Verdict, known: Mapping[int, tuple[float, float]], places: dict[int, tuple[float, float]]
) -> None:
    every, span = [x for pair in places.values() for x in pair], _span(places)
    axes.set_xlim(min(every) - 0.08 * span, max(every) + (0.26 if len(places) > 1 else 1.0) * span)
    if known:
        values: Sequence[float] = scales.sizes([value for pair in known.values() for value in pair])
        at, names = [math.log(v) for v in values], [scales.number(v) for v in values]
    else:
        at = [sum(places[m.member]) / 2 for m in verdict.members]
        names = [verdict.member_name(m.member) for m in verdict.members]
    unit = WIDTH * axes.get_position().width / np.ptp(axes.get_xlim())
    kept = scales.legible([unit * x for x in at], [inches(name, TICK) + 0.06 for name in names])
    if not known:
        kept = list(range(0, len(at), max(np.diff(kept), default=1)))
    scales.ticks(axes.xaxis, [at[i] for i in kept], [names[i] for i in kept])


def _y_axis(axes: Axes, scores: pd.DataFrame) -> tuple[float, list[str]]:
    """The lower limit and the labels: the axis holds 99% of the targets, and 1 where that is near."""
    low, high = (float(np.exp(np.quantile(scores["y"], q))) for q in (0.005, 0.995))
    low, high = low / 1.3, 1.6 if high > 0.3 else max(high * 1.6, low * 4)
    axes.set_ylim(low, high)
    values = scales.round_numbers(low, min(high, 1))
    labels = [scales.number(v) for v in values]
    scales.ticks(axes.yaxis, values, labels)
    return low, labels
