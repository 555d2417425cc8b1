"""Tuning: error on tuning targets by what was tried, the choice marked, and the expected best of k values."""

import math
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import statistics as st
from archab.evidence import words as words
from archab.evidence.budget import settled
from archab.evidence.fields import Verdict
from archab.evidence.tuning import Choice, choose, in_words
from archab.review.figures import scales
from archab.review.figures.labels import Labels, Spot
from archab.review.figures.names import named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Absent, Picture
from archab.review.figures.sheet import SMALL, Sheet

HEIGHT = 1.75  # inches
TITLE = "Tuning"


def picture(verdict: Verdict, trials: pd.DataFrame) -> Picture | Absent:
    """Tuning, from trials as `archab.evidence.tuning.choose` reads them; absent where one value alone was tried."""
    found = choose(settled(trials))
    names = list(found.tried[0])
    if len(found.tried) < 2 or not {"a", "b"} <= set(found.chosen):
        return Absent("tuning", TITLE, "No values were tried on both sides.")
    at = [in_words(found.chosen[side]) for side in "ab"]
    apart = [f"{name} trains at {values}" for name, values in zip(verdict.names, at, strict=True)]
    title = f"Both sides train at {at[0]}" if at[0] == at[1] else ", ".join(apart)
    others = f", each by its best {' and '.join(names[1:])}" if len(names) > 1 else ""
    targets = len(trials.loc[trials["side"] == "a", ["member", "source", "draw"]].drop_duplicates())
    caption = (
        f"Left: geometric mean of the error on {targets} tuning targets a side, which no run scores, by {names[0]}"
        f"{others}; ringed: what was chosen. Right: expected best of k of the {len(found.tried)} that were tried."
    )
    lowest = [words.error(float(np.exp(found.means[side].min()))) for side in "ab"]
    best = ", ".join(f"{name} {error}" for name, error in zip(verdict.names, lowest, strict=True))
    alt = f"{title}. Lowest error of what was tried: {best}."
    return Picture("tuning", title, caption, alt, partial(_draw, named(verdict), found))


def _draw(verdict: Verdict, found: Choice, palette: Palette, title: str, caption: str) -> Figure:
    sheet = Sheet(palette, HEIGHT, title, caption)
    by_value, by_k = sheet.axes(0.42, 0.36, 1.72, HEIGHT - 0.42), sheet.axes(2.3, 0.36, 0.94, HEIGHT - 0.42)
    lines = {side: _best_by_value(found, side) for side in ("a", "b", "reference") if side in found.means}
    every = np.concatenate([line["error"].to_numpy() for line in lines.values()])
    low, high = float(every.min()) / 1.25, float(every.max()) * 1.25
    values = scales.round_numbers(low, high)
    for axes in (by_value, by_k):
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        scales.ticks(axes.yaxis, values, [scales.number(v) for v in values] if axes is by_value else [])
    _by_value(by_value, found, lines, palette)
    labels = Labels(by_value)
    texts = {"a": verdict.names[0], "b": verdict.names[1], "reference": "control"}
    for side, line in lines.items():
        colour = palette.ref if side == "reference" else getattr(palette, side)
        points = line[["at", "error"]].to_numpy().tolist()
        spots = [Spot(x, y, dx, dy, ha, va) for x, y in reversed(points) for dx, dy, ha, va in _AROUND]
        labels.put(texts[side], colour, spots, SMALL, "normal" if side == "reference" else "bold")
    count = len(found.tried)
    for side in "ba":
        own = np.exp(found.means[side].dropna().to_numpy(dtype=float))
        by_k.plot(np.arange(1, own.size + 1), st.expected_best(own), lw=1.3, label=side, **palette.line_of(side))
    scales.ticks(by_k.xaxis, [1, count], ["1", str(count)])
    name = next(iter(found.tried[0]))
    logged = " (log)" if _numbers(found) else ""
    sheet.label(by_value, f"{name}{logged}", "error, 1 a constant (log)")
    sheet.label(by_k, "k")
    return sheet.figure


_AROUND = [
    (dx, dy, ha, va)
    for dy, va in ((6, "bottom"), (-6, "top"))
    for dx, ha in ((0, "center"), (-4, "right"), (4, "left"))
]


def _by_value(axes: Axes, found: Choice, lines: dict[str, pd.DataFrame], palette: Palette) -> None:
    name = next(iter(found.tried[0]))
    for side, line in reversed(lines.items()):
        look: dict[str, Any] = {"color": palette.ref, "ls": "--"}
        if side != "reference":
            look = {**palette.line_of(side), **palette.mark_of(side, 0.8)}
        axes.plot(line["at"], line["error"], lw=1.2, label=side, zorder=3, **look)
        chosen = line[[value == _held(found.chosen[side].get(name)) for value in line["value"]]]
        ring: dict[str, Any] = {"mfc": "none", "mec": palette.ink, "ms": 7, "mew": 0.9, "zorder": 4}
        axes.plot(chosen["at"], chosen["error"], "o", label=f"{side} chosen", **ring)
    shown = next(iter(lines.values()))
    texts = [_text(value) for value in shown["value"]]
    ends = [0, len(texts) - 1] if len(texts) > 4 else range(len(texts))
    scales.ticks(axes.xaxis, shown["at"].tolist(), [text if i in ends else "" for i, text in enumerate(texts)])
    room = 0.12 * (np.ptp(shown["at"]) or 1.0)
    axes.set_xlim(shown["at"].min() - room, shown["at"].max() + room)


def _best_by_value(found: Choice, side: str) -> pd.DataFrame:
    """The lowest error of each value of the first hyperparameter, and where it is drawn."""
    name = next(iter(found.tried[0]))
    errors = found.means[side].to_numpy(dtype=float)
    best: dict[Any, float] = {}
    for trial, error in zip(found.tried, errors, strict=True):
        if name in trial and not math.isnan(error):
            value = _held(trial[name])
            best[value] = min(error, best.get(value, math.inf))
    values = sorted(best) if _numbers(found) else list(best)
    at = np.log(values) if _numbers(found) else np.arange(len(values), dtype=float)
    return pd.DataFrame({"value": values, "at": at, "error": np.exp([best[value] for value in values])})


def _held(value: Any) -> Any:
    """A value that can be looked up: a list, of one value a member, as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _text(value: Any) -> str:
    """A value at its tick: a number, or the first and the last of a tuple."""
    if isinstance(value, tuple) and value:
        return " … ".join(map(_text, value[:: max(len(value) - 1, 1)]))
    return scales.number(value) if type(value) in (int, float) else str(value)


def _numbers(found: Choice) -> bool:
    """Whether all values of the first hyperparameter are positive numbers, for a log axis."""
    name = next(iter(found.tried[0]))
    return all(type(trial.get(name, 1)) in (int, float) and trial.get(name, 1) > 0 for trial in found.tried)
