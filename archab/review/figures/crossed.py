"""The crossed design: both sides on targets of either prior, the student effect and the home advantage."""

import math
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.fields import Ratio, Verdict
from archab.evidence.words import effect
from archab.review.figures import drawing, scales
from archab.review.figures.names import letters, named
from archab.review.figures.palette import Palette
from archab.review.figures.picture import Picture
from archab.review.figures.scores import per_target
from archab.review.figures.sheet import SMALL, WIDTH, Sheet, inches
from archab.review.finding import Effect, measured, outright, replicates

HEIGHT, RIGHT = 1.72, 1.95  # inches


def picture(verdict: Verdict, home: Ratio) -> Picture:
    """Student effect and home advantage; of a crossed verdict."""
    cells = typical(verdict)
    a, b = verdict.names
    caption = (
        f"Left: typical error (geometric mean) of both sides on targets of either prior. Right: "
        f"{_intervals(verdict, home)}. Shaded: within {words.margin(verdict.margin)}. n = {replicates(verdict)}, one "
        f"from either prior; a restart is no replicate.{'' if _room_for_names(verdict) else letters(verdict)}"
    )
    alt = (
        f"On targets of {a}: {a} {cells['a', 'a']:.2g}, {b} {cells['b', 'a']:.2g}; on targets of {b}: "
        f"{a} {cells['a', 'b']:.2g}, {b} {cells['b', 'b']:.2g}. Student effect: {effect(verdict.gmr)}. "
        f"{home_words(home)}."
    )
    return Picture("crossed", _title(verdict, home), caption, alt, partial(_draw, named(verdict), home, cells))


def _title(verdict: Verdict, home: Ratio) -> str:
    if not measured(verdict):
        return "Too few pairs of targets to tell a side's skill from its home advantage"
    said, found = home_words(home), outright(verdict)
    return f"{found.name} learns better; {said[0].lower()}{said[1:]}" if found else said


def _ratios(verdict: Verdict, home: Ratio) -> list[Effect]:
    """The student effect and the home advantage, with the intervals that are drawn."""
    at_home = (home.ci_low, home.ci_high)
    ends = (verdict.interval(), at_home) if measured(verdict) else ((math.nan, math.nan),) * 2
    return [Effect("student", verdict.gmr, *ends[0], ""), Effect("home", home.gmr, *ends[1], "")]


def _intervals(verdict: Verdict, home: Ratio) -> str:
    """What stands for the ratios: with the intervals that are drawn."""
    valid = sentences.validity(verdict)
    drawn = [math.isfinite(found.low) for found in _ratios(verdict, home)]
    if all(drawn):
        return f"ratios with their {words.level(verdict.alpha)} intervals ({valid}; home: of a single look)"
    if not any(drawn):
        return "ratios; there is too little data for an interval"
    which, of = ("upper", valid) if drawn[0] else ("lower", "of a single look")
    return f"ratios, the {which} one with its {words.level(verdict.alpha)} interval ({of})"


def _room_for_names(verdict: Verdict) -> bool:
    names = named(verdict).names
    return max(map(len, names)) <= 11 and inches(_head(names), SMALL) <= WIDTH - RIGHT


def _head(names: tuple[str, str]) -> str:
    return f"{names[0]}'s error over {names[1]}'s"


def typical(verdict: Verdict) -> dict[tuple[str, str], float]:
    """Geometric-mean error by (side, source), every member with equal weight."""
    means = per_target(verdict).groupby(["side", "source", "member"])["y"].mean().unstack("member").mean(axis=1)
    return {(side, source): math.exp(float(means[side, source])) for side in "ab" for source in "ab"}


def home_words(home: Ratio) -> str:
    """Whether a side is better on targets of its own prior, in words."""
    if not (math.isfinite(home.ci_low) and math.isfinite(home.ci_high)):
        return "The home advantage is not known"
    if home.ci_low > 1:
        return f"At home the error is {words.percent(1 - 1 / home.gmr)} lower"
    if home.ci_high < 1:
        return f"Away from home the error is {words.percent(1 - home.gmr)} lower"
    return "No home advantage is established"


def _draw(
    verdict: Verdict, home: Ratio, cells: dict[tuple[str, str], float], palette: Palette, title: str, caption: str
) -> Figure:
    sheet = Sheet(palette, HEIGHT + 0.5, title, caption)
    _lines(sheet, verdict, cells, palette)
    names = verdict.names if _room_for_names(verdict) else ("A", "B")
    at_home = f"{words.percent(1 - min(home.gmr, 1 / home.gmr))} lower {'at home' if home.gmr >= 1 else 'away'}"
    student, own = _ratios(verdict, home)
    ends = [r for found in (student, own) for r in (found.gmr, found.low, found.high) if math.isfinite(r)]
    reach = max(1.1 * verdict.margin, *(1.04 * max(r, 1 / r) for r in ends))
    _strip(sheet, 1.16, _head(names), effect(verdict.gmr, names), student, verdict.margin, reach)
    axes = _strip(sheet, 0.42, "error away over at home", at_home, own, verdict.margin, reach)
    axes.spines["bottom"].set_visible(True)
    far = [v for v in scales.round_numbers(1 / reach, reach) if abs(math.log(v)) > 0.25 * math.log(reach)]
    shown = sorted({1.0, *far})
    scales.ticks(axes.xaxis, [math.log(v) for v in shown], [f"{v:.3g}" for v in shown])
    below = f"ratio (shaded: within {words.margin(verdict.margin)})"
    sheet.text(RIGHT + 0.625, 0.13, below, ha="center", color=palette.soft, size=SMALL)
    return sheet.figure


def _strip(sheet: Sheet, bottom: float, head: str, said: str, found: Effect, margin: float, reach: float) -> Axes:
    """A ratio and its interval on a strip, over what is said of it."""
    axes = sheet.axes(RIGHT, bottom, 1.25, 0.24, ())
    axes.set_ylim(-1, 1)
    drawing.ground(axes, margin, math.log(reach), sheet.palette)
    drawing.ratio(axes, found, 0, sheet.palette, 1.1)
    scales.ticks(axes.xaxis, [], [])
    axes.tick_params(left=False, labelleft=False)
    sheet.text(RIGHT, bottom + 0.46, head, size=SMALL, color=sheet.palette.soft)
    sheet.text(RIGHT, bottom + 0.34, said, size=SMALL, weight="bold")
    return axes


def _lines(sheet: Sheet, verdict: Verdict, cells: dict[tuple[str, str], float], palette: Palette) -> None:
    axes = sheet.axes(0.46, 0.36, 1.2, HEIGHT - 0.1)
    axes.set_yscale("log")
    for side in "ba":
        look = {**palette.line_of(side), **palette.mark_of(side)}
        axes.plot((0, 1), (cells[side, "a"], cells[side, "b"]), lw=1.4, label=side, **look)
    low, high = min(cells.values()), max(cells.values())
    room = max(high / low, 1.06) ** 0.2
    axes.set_ylim(low / room, high * room)
    axes.set_xlim(-0.22, 1.22)
    values = scales.round_numbers(low / room, high * room)
    scales.ticks(axes.yaxis, values, [scales.number(v) for v in values])
    a, b = verdict.names
    of = (a, b) if _room_for_names(verdict) else ("A", "B")
    scales.ticks(axes.xaxis, [0, 1], [f"targets\nof {of[0]}", f"targets\nof {of[1]}"])
    sheet.text(0.04, HEIGHT + 0.4, "error, 1 a constant (log)", size=SMALL, color=palette.soft)
    ends = sorted((cells[side, "b"], name, side) for side, name in zip("ab", of, strict=True))
    for (y, name, side), va in zip(ends, ("top", "bottom"), strict=True):
        axes.annotate(name, (1, y), (0, -5 if va == "top" else 5), textcoords="offset points", ha="center", va=va,
                      color=getattr(palette, side), weight="bold", size=SMALL, annotation_clip=False)  # fmt: skip
