"""One forest plot of all pairs of sides: a row each, with its rounds as dots, mean difference and interval."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import words
from archab.evidence.rule import FEWEST_BLOCKS
from archab.metrics.verdict import MetricVerdict
from archab.review.figures.names import LONGEST, drawable, short
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.sheet import SMALL, TICK, WIDTH, Sheet, inches

ROW, MOST_DOTS, MOST_ROWS = 0.36, 200, 30


def picture(verdicts: Sequence[MetricVerdict]) -> Picture:
    """The forest plot; of very many pairs of sides the first ones."""
    first = verdicts[0]
    shown = list(verdicts[:MOST_ROWS])
    what = {"difference": "A's less B's", "log": "A's over B's", "logit": "odds of A's over B's"}[first.metric.scale]
    rows = {"pair": "pair of runs", "run": "round, the k-th runs of either side"}.get(first.noun, first.noun)
    caption = (
        f"{first.metric.name}, {what}; {first.metric.better} is better. Diamond: mean, line: "
        f"{words.level(first.rule.alpha)} interval, {first.validity}; a dot is a {rows}. Coloured where one side is "
        f"better, in its colour (A blue, B orange){'; shaded: within the margin' if first.metric.margin else ''}. n = "
        f"{words.factors([v.found.blocks for v in shown])}."
    )
    if len(verdicts) > len(shown):
        caption += f" {len(shown)} of {len(verdicts)} pairs are shown."
    alt = " ".join(v.sentence() for v in shown)
    title = (
        first.sentence().rstrip(".") if len(verdicts) == 1 else f"{first.metric.name} of {len(verdicts)} pairs of sides"
    )
    return Picture("forest", title, caption, alt, partial(_draw, shown))


def _draw(verdicts: list[MetricVerdict], palette: Palette, title: str, caption: str) -> Figure:
    metric = verdicts[0].metric
    sign = 1.0 if metric.lower else -1.0
    names = [
        "\n".join(f"{of}: {short(name, LONGEST) or of}" for of, name in zip("AB", v.names, strict=True))
        for v in verdicts
    ]
    left = max(inches(line, TICK) for name in names for line in name.split("\n")) + 0.1
    height = ROW * len(verdicts) + 0.42
    sheet = Sheet(palette, height, title, caption)
    axes = sheet.axes(left, 0.34, WIDTH - left - 0.1, height - 0.4)
    axes.set_ylim(len(verdicts) - 0.5, -0.5)
    axes.set_yticks(range(len(verdicts)), names)
    axes.tick_params(axis="y", length=0)
    ends = [x for v in verdicts for x in (*v.interval, v.found.theta) if math.isfinite(x)]
    dots = np.concatenate([v.found.differences[np.isfinite(v.found.differences)] for v in verdicts])
    reach = 1.05 * max([1e-300, *map(abs, ends), *(np.quantile(np.abs(dots), [0.95]) if dots.size else [])])
    axes.set_xlim(-1.03 * reach, 1.03 * reach)
    if metric.margin is not None:
        axes.axvspan(-min(metric.edge, reach), min(metric.edge, reach), color=palette.band, lw=0, zorder=0)
    axes.axvline(0, color=palette.ink, lw=0.7, zorder=1)
    for y, v in enumerate(verdicts):
        _row(axes, v, y, sign, reach, palette)
    ticks = axes.get_xticks()
    ticks = ticks[np.abs(ticks) <= reach]
    step = max(1, len(ticks) // 5 + 1) if len(ticks) > 5 else 1
    middle = int(np.argmin(np.abs(ticks))) % step
    kept = ticks[middle::step]
    shown = [f"{x:g}" if metric.scale == "difference" else f"{math.exp(min(x, 700)):.3g}" for x in kept]
    axes.set_xticks(kept, shown)
    sheet.label(axes, x=drawable(f"{metric.name}: A {'less' if metric.scale == 'difference' else 'over'} B"))
    return sheet.figure


def _row(axes: Axes, v: MetricVerdict, y: int, sign: float, reach: float, palette: Palette) -> None:
    colour = {"a_better": palette.a, "b_better": palette.b}.get(v.verdict, palette.ink)
    d = sign * v.found.differences[np.isfinite(v.found.differences)][:MOST_DOTS]
    if d.size:
        jitter = 0.3 + 0.12 * np.sin(2.4 * np.arange(d.size))  # no random numbers: the same figure, the same bytes
        axes.scatter(np.clip(d, -reach, reach), y + jitter, s=3, c=palette.ref, lw=0, alpha=0.6, zorder=2)
    if not math.isfinite(v.found.theta):
        axes.text(0, y, "all failed", size=SMALL, color=palette.soft, ha="center", va="center")
        return
    low, high = sorted(sign * x for x in v.interval)
    if v.found.blocks >= FEWEST_BLOCKS and not math.isnan(low):
        axes.plot(np.clip((low, high), -reach, reach), (y, y), color=colour, lw=1.4, solid_capstyle="butt", zorder=3)
    axes.plot([sign * v.found.theta], [y], marker="D", ms=3.6, color=colour, mew=0, zorder=4, clip_on=False)
