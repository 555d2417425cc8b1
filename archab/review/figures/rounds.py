"""The e-process by round: the line that decides, the crossing, the forecast, and what looking early would have cost."""

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from archab.evidence import words as words
from archab.evidence.e_process import EARLY
from archab.evidence.fields import Verdict
from archab.evidence.replays import LONGEST, Replays, replay
from archab.evidence.sentences import better
from archab.evidence.statistics import Array
from archab.review.figures import drawing, scales
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.sheet import SMALL, TICK, Sheet
from archab.review.finding import measured

HIGHEST, LOWEST = 8.0, -2.0  # powers of ten that are drawn
LOG_FROM = 100  # rounds from which their axis is a log one
LEFT, PLOT, TOP, LOW = 0.5, 1.9, 1.4, 0.62  # inches


def picture(verdict: Verdict) -> Picture:
    """Evidence by round; of a verdict with at least one round."""
    replays = replay(verdict.data.rounds, verdict.alpha)
    n, ahead = len(verdict.log_e), _ahead(verdict)
    first = f" (of the first {LONGEST:,} rounds)" if n > LONGEST else ""
    rounds = "round" if n == 1 else "rounds"
    caption = (
        f"A round is {_round(verdict)}; n = {n:,} {rounds}. Grey: {len(replays.paths)} of {replays.count:,} replays"
        f"{first} of these differences in which a coin decides which side is which; below, how many of them "
        f"had named a winner by then.{ahead}"
    )
    bar = 1 / verdict.alpha
    rule, test = (words.percent(share[-1]) for share in (replays.this_rule, replays.t_test))
    alt = (
        f"Evidence E over {n:,} rounds: {words.evidence(verdict.log_e[-1], bar)} at the end, "
        f"{words.evidence(max(verdict.log_e), bar)} at its highest; {_bar_words(verdict)}. {crossing(verdict)} "
        f"In replays without a difference this rule names a winner in {rule}, a t test after every round in {test}."
        f"{ahead}"
    )
    return Picture("evidence", _title(verdict), caption, alt, partial(_draw, named(verdict), replays))


def _round(verdict: Verdict) -> str:
    of = {"paired": "one target", "crossed": "one pair of targets", "unpaired": "the next target of either side"}
    return of[verdict.data.kind] + (" of every member" if len(verdict.members) > 1 else "")


def crossing(verdict: Verdict) -> str:
    """When E first reached the line, as a sentence."""
    if verdict.stop_at is None:
        return f"E has not reached {_bar(verdict)} in {len(verdict.log_e):,} rounds."
    return f"E first reached {_bar(verdict)} in round {verdict.stop_at:,} of {len(verdict.log_e):,}."


def _title(verdict: Verdict) -> str:
    if better(verdict) and verdict.rule == "anytime" and not verdict.in_family:
        then = "the evidence has faded since" if verdict.faded else "looking early was allowed"
        return f"Decided after {verdict.stop_at:,} of {len(verdict.log_e):,} rounds; {then}"
    return crossing(verdict).rstrip(".")


def _ahead(verdict: Verdict) -> str:
    if verdict.forecast is None or not measured(verdict):
        return ""
    median, most = verdict.forecast.median, verdict.forecast.point80
    if median is None:
        return " Were the future like the past, E would not reach the line within the rounds looked ahead (indicative)."
    until = f", within {most:,} in 80%" if most else ""
    half = f"in {median:,} more rounds in half of the resampled futures{until} (indicative)"
    return f" Dashed: were the future like the past, E would reach the line {half}."


def _bar(verdict: Verdict, share: float = 1.0) -> str:
    """The E that decides with this share of the error rate."""
    return scales.number(1 / (share * verdict.alpha))


def _bar_words(verdict: Verdict) -> str:
    alone = " for one configuration alone" if verdict.in_family else ""
    if verdict.rule == "anytime":
        return f"{_bar(verdict)} decides{alone}"
    if verdict.rule == "hybrid":
        return f"{_bar(verdict, EARLY)} decides early under the hybrid rule{alone}"
    return "the fixed rule does not use it"


def _draw(verdict: Verdict, replays: Replays, palette: Palette, title: str, caption: str) -> Figure:
    sheet = Sheet(palette, TOP + LOW + 0.92, title, caption)
    above = sheet.axes(LEFT, LOW + 0.7, PLOT, TOP, spines=())
    below = sheet.axes(LEFT, 0.36, PLOT, LOW)
    last = (_reached(verdict) or [len(verdict.log_e)])[-1]
    for axes in (above, below):
        if last > LOG_FROM:
            axes.set_xscale("log")
        axes.set_xlim(1, max(last, 2))
    heading = {"size": SMALL, "weight": "bold", "color": palette.ink}
    sheet.text(LEFT, LOW + 0.7 + TOP + 0.1, "Evidence E against “no difference” (log)", **heading)
    sheet.text(LEFT, LOW + 0.46, "Chance of a false winner so far", **heading)
    _evidence(above, verdict, replays, palette)
    _false_winners(below, verdict, replays, palette)
    _round_axis(above, below, last)
    sheet.label(below, f"rounds{' (log)' if last > LOG_FROM else ''}")
    return sheet.figure


def _evidence(axes: Axes, verdict: Verdict, replays: Replays, palette: Palette) -> None:
    points = drawing.curve(verdict)
    x, y = points.T
    cloud = np.clip(replays.paths / math.log(10), LOWEST, HIGHEST)
    lines = [np.column_stack([replays.rounds, path]) for path in cloud]
    axes.add_collection(LineCollection(lines, colors=palette.ref, linewidths=0.4, alpha=0.35, label="replays"))
    bar, colour = drawing.evidence(axes, verdict, points, HIGHEST, palette), drawing.colour(verdict, palette)
    low = max(LOWEST, min(0.0, float(y.min()), float(cloud.min(initial=0.0))))
    high = min(max(bar + 0.5, float(y.max())), HIGHEST)
    axes.set_ylim(low - 0.15, high * 1.06 + 0.1)
    _forecast(axes, verdict, bar, palette)
    every = max(1, math.ceil((high - low) / 5))
    powers = [p for p in range(math.floor(low), math.ceil(high) + 1) if p % every == 0 and low - 0.2 <= p <= high + 0.2]
    scales.ticks(axes.yaxis, powers, [_power(p) for p in powers])
    log10 = bar + math.log10(1 / EARLY) if verdict.rule == "hybrid" else bar
    if verdict.rule == "hybrid":
        axes.axhline(log10, color=palette.ink, lw=0.8, ls=(0, (4, 2)), zorder=2)
    end = f"E = {_raised(words.evidence(verdict.log_e[-1], 1 / verdict.alpha))}"
    decided = "decides for\none configuration\nalone" if verdict.in_family else "decided"
    line = f"{_bar(verdict)}: {decided}" if verdict.rule == "anytime" else _bar(verdict)
    names = [(bar, line, palette.ink, "normal")]
    if not _leaving(axes, x, y, end, colour):
        names.append((float(np.clip(y[-1], low, high)), end, colour, "bold"))
    if verdict.rule == "hybrid":
        names.append((log10, f"{_bar(verdict, EARLY)}: early", palette.ink, "normal"))
    names.append((float(np.median(cloud[:, -1])), "same data,\nsides by coin", palette.ref, "normal"))
    _names(axes, names, TOP)


def _leaving(axes: Axes, x: Array, y: Array, end: str, colour: str) -> bool:
    """Arrows where the curve leaves the axes at the top, the last one with its end; whether it ends out there."""
    top = axes.get_ylim()[1]
    to_paper, from_paper = (np.log, np.exp) if axes.get_xscale() == "log" else (np.asarray, np.asarray)
    places = to_paper(x)
    leaves = [
        float(from_paper(places[i] + (top - y[i]) / (y[i + 1] - y[i]) * (places[i + 1] - places[i])))
        for i in np.flatnonzero((y[:-1] <= top) & (y[1:] > top))
    ]
    if leaves:
        style: dict[str, Any] = {"color": colour, "ms": 5, "mew": 0, "clip_on": False, "zorder": 5}
        axes.plot(leaves, [top] * len(leaves), "^", label="beyond", **style)
    if y[-1] <= top:
        return False
    at: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    axes.annotate(f"to {end}", (leaves[-1], top), (5, -3), va="center", color=colour, size=SMALL, weight="bold", **at)
    return True


def _reached(verdict: Verdict) -> tuple[int, int] | None:
    """The rounds at which half and 80% of the resampled futures have crossed; None where there is no forecast."""
    ahead, n = verdict.forecast, len(verdict.log_e)
    if ahead is None or ahead.median is None or not measured(verdict):
        return None
    return n + ahead.median, n + (ahead.point80 or ahead.median)


def _forecast(axes: Axes, verdict: Verdict, bar: float, palette: Palette) -> None:
    if (reached := _reached(verdict)) is None:
        return
    now = float(np.clip(verdict.log_e[-1] / math.log(10), LOWEST, HIGHEST))
    thin: dict[str, Any] = {"lw": 0.9, "ls": (0, (3, 2)), "label": "forecast", "zorder": 2}
    thick: dict[str, Any] = {"lw": 2.6, "solid_capstyle": "butt", "label": "forecast to 80%", "zorder": 3}
    axes.plot((len(verdict.log_e), reached[0]), (now, bar), color=palette.ink, **thin)
    axes.plot(reached, (bar, bar), color=palette.ink, **thick)
    axes.plot(reached[0], bar, "D", color=palette.ink, ms=3.6, mew=0, zorder=4)


def _false_winners(axes: Axes, verdict: Verdict, replays: Replays, palette: Palette) -> None:
    alpha = verdict.alpha
    axes.plot(replays.rounds, 100 * replays.t_test, color=palette.ref, lw=1.2, ls=(0, (4, 1.6)), label="t test")
    axes.plot(replays.rounds, 100 * replays.this_rule, color=palette.ink, lw=1.6, label="this rule")
    axes.axhline(100 * alpha, color=palette.ink, lw=0.5)
    high = max(2.2 * 100 * alpha, 100 * float(replays.t_test.max()))
    axes.set_ylim(0, 1.08 * high)
    step = next((s for s in (1, 2, 5, 10, 20, 25, 50) if high / s <= 3.5), 50)
    values = np.arange(0, high + 1e-9, step)
    scales.ticks(axes.yaxis, list(values), [f"{v:g}%" for v in values])
    naive, rule = replays.t_test[-1], replays.this_rule[-1]
    names = [
        (100 * naive, f"t test after\nevery round: {words.percent(naive)}", palette.ref, "normal"),
        (100 * alpha, f"{100 * alpha:g}% allowed", palette.soft, "normal"),
        (
            100 * rule,
            f"{'this rule' if verdict.rule == 'anytime' else 'by E'}: {words.percent(rule)}",
            palette.ink,
            "bold",
        ),
    ]
    _names(axes, names, LOW)


def _names(axes: Axes, names: list[tuple[float, str, str, str]], height: float) -> None:
    """Names beside the right end, in the order of their heights, apart enough to be read."""
    low, high = axes.get_ylim()
    unit = (high - low) / height
    ordered = sorted(names)
    at: list[float] = []
    for (y, text, *_), below in zip(ordered, [None, *ordered[:-1]], strict=True):
        lines = (text.count("\n") + 1 + (below[1].count("\n") + 1 if below else 0)) / 2
        least = at[-1] + 0.102 * unit * lines if below else low + 0.05 * unit * text.count("\n")
        at.append(max(y, least))
    over = max(0.0, at[-1] - high - 0.02 * unit)
    for y, (_, text, colour, weight) in zip(at, ordered, strict=True):
        axes.annotate(text, (1, y - over), (4, 0), ("axes fraction", "data"), "offset points", color=colour,
                      size=SMALL, weight=weight, va="center", linespacing=1.05, annotation_clip=False)  # fmt: skip


def _round_axis(above: Axes, below: Axes, last: int) -> None:
    if last > LOG_FROM:
        values = [v for v in scales.round_numbers(1, last) if v >= 1]
    else:
        step = next(s for s in (1, 2, 5, 10, 20, 25) if last / s <= 5.5)
        values = [1, *(v for v in range(step, last + 1, step) if v > 1 and v >= step)]
    scales.ticks(above.xaxis, values, [""] * len(values))
    scales.ticks(below.xaxis, values, [scales.number(v) for v in values])
    above.tick_params(bottom=False, labelsize=TICK)


def _power(p: int) -> str:
    return "≤ 0.01" if p == LOWEST else scales.number(10.0**p)


def _raised(text: str) -> str:
    """10^22 as 10²²."""
    base, hat, power = text.partition("^")
    return f"{base}{power.translate(scales.RAISED)}" if hat else text
