"""Figures of a verdict, drawn at their printed size from its own numbers: differences by target, evidence by round."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import wording as words
from archab.evidence.outcome import Verdict
from archab.evidence.statistics import Array

A, B, GREY, INK, BAND = "#0f62a8", "#b94b08", "#6a727c", "#1a1e24", "#e9edf1"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#c8ced6",
    "xtick.color": "#56606b",
    "ytick.color": "#56606b",
    "axes.labelcolor": "#56606b",
    "svg.fonttype": "none",
    "svg.hashsalt": "archab",
}
WIDTH = 7.0  # inches
CLIP = 4.0  # ratios beyond 1/4 and 4 are drawn at the edge
MOST_DOTS = 60  # a row
TALLEST_E = 8.0  # powers of ten


def differences(verdict: Verdict) -> Figure:
    """A's error over B's on each target, a row a member: dots to be counted, with the geometric mean and interval.

    Paired designs only: the top row carries the rule's own interval, the others the fixed-n one of the member.
    """
    members, values = verdict.members, verdict.data.values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.9 + 0.62 * (len(members) + 1)), layout="constrained")
        axes = figure.add_subplot()
        margin = math.log(verdict.settings.margin)
        axes.axvspan(-margin, margin, color=BAND, lw=0)
        axes.axvline(0, color=INK, lw=0.6)
        _row(axes, len(members), "all", np.nanmean(values, axis=1), verdict.gmr, verdict.interval())
        names = [verdict.member_name(member.member) for member in members]
        for i, (name, member) in enumerate(zip(names, members, strict=True)):
            column = values[:, i]
            interval = (member.ci_low, member.ci_high)
            _row(axes, len(members) - 1 - i, name, column[~np.isnan(column)], member.gmr, interval)
        axes.set_yticks(range(len(members) + 1), [*reversed(names), "all"])
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        ticks = {1 / CLIP: "≤ ¼", 0.5: "half", 1: "equal", 2: "double", CLIP: "≥ 4×"}
        axes.set_xticks([math.log(t) for t in ticks], list(ticks.values()))
        axes.set_xlim(-1.06 * math.log(CLIP), 1.06 * math.log(CLIP))
        axes.set_ylim(-0.25, len(members) + 0.95)
        a, b = verdict.names
        axes.text(0.0, 1.0, f"← {a} better", color=A, weight="bold", transform=axes.transAxes, va="bottom")
        axes.text(1.0, 1.0, f"{b} better →", color=B, weight="bold", transform=axes.transAxes, va="bottom", ha="right")
        axes.set_xlabel(
            f"error of {a} over error of {b}; a dot is a target (in a row of over {MOST_DOTS}: 1/{MOST_DOTS} of them); "
            f"band: within {verdict.margin_percent}"
        )
        figure.suptitle(verdict.sentence(), x=0.01, ha="left", weight="bold", color=INK, fontsize=9)
    return figure


def evidence(verdict: Verdict) -> Figure:
    """The e-process by round, with the line at which the anytime rule decides and the round where it first did."""
    log10 = np.minimum(np.array(verdict.log_e) / math.log(10), TALLEST_E)
    bar = -math.log10(verdict.settings.alpha)
    winner = {"a_better": A, "b_better": B}.get(verdict.verdict, INK)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(range(1, len(log10) + 1), log10, color=winner, lw=1.5)
        axes.axhline(bar, color=INK, lw=0.6)
        axes.annotate("decided", (1, bar), (1, 2), textcoords="offset points", color=INK)
        if verdict.stop_at:
            axes.plot(verdict.stop_at, log10[verdict.stop_at - 1], "o", mfc="white", mec=INK, ms=5)
        axes.set_xlabel("round: one target of every member")
        axes.set_ylabel("evidence E")
        low, high = math.floor(min(0, *log10)), math.ceil(max(bar, *log10))
        axes.set_yticks(range(low, high + 1), [f"$10^{{{k}}}$" if k else "1" for k in range(low, high + 1)])
        end = f"E = {words.evidence(verdict.log_e[-1])} after {len(log10)} rounds"
        figure.suptitle(end, x=0.01, ha="left", weight="bold", color=INK, fontsize=9)
    return figure


def drawn(verdict: Verdict) -> dict[str, Callable[[Verdict], Figure]]:
    """The figures that this verdict's design has, by name."""
    paired = {"differences": differences} if verdict.design == "paired" else {}
    return {**paired, **({"evidence": evidence} if verdict.log_e else {})}


def save(verdict: Verdict, folder: Path, prefix: str = "") -> list[Path]:
    """Write every figure as SVG and PNG; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, draw in drawn(verdict).items():
        figure = draw(verdict)
        for suffix in ("svg", "png"):
            file = folder / f"{prefix}{name}.{suffix}"
            with mpl.rc_context(STYLE):
                figure.savefig(file, dpi=200, metadata={"Date": None} if suffix == "svg" else None)
            files.append(file)
    return files


def _row(axes: Axes, y: int, name: str, d: Array, gmr: float, interval: tuple[float, float]) -> None:
    """One row: stacked dots above the line y, and mean and interval on it."""
    shown = _quantiles(np.clip(d, -math.log(CLIP), math.log(CLIP)))
    columns = np.round(shown / 0.06).astype(int)
    height = np.zeros(len(shown))
    for column in np.unique(columns):
        here = columns == column
        height[here] = np.arange(here.sum())
    pitch = min(0.085, 0.62 / (height.max() + 1))
    colours = [A if value < 0 else B if value > 0 else GREY for value in shown]
    marks = axes.scatter(columns * 0.06, y + 0.14 + height * pitch, s=9, c=colours, lw=0)
    marks.set_label(name)
    low, high = (math.log(x) if math.isfinite(x) else math.nan for x in interval)
    axes.plot([low, high], [y, y], color=INK, lw=1.2, solid_capstyle="butt")
    axes.plot(math.log(gmr), y, "D", color=INK, ms=3.5)


def _quantiles(d: Array) -> Array:
    """The differences, or where there are many as many quantiles as there are dots."""
    if len(d) <= MOST_DOTS:
        return np.sort(d)
    return np.asarray(np.quantile(d, (np.arange(MOST_DOTS) + 0.5) / MOST_DOTS))
