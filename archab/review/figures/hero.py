"""The whole experiment in one wide picture: sizes, targets, two students, the differences, the verdict."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from archab.errors import ArchabError
from archab.evidence import sentences
from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.next_step import targets_a_block
from archab.evidence.sentences import better
from archab.review import ratios
from archab.review.context import Context
from archab.review.figures import drawing
from archab.review.figures.names import LONGEST, drawable, named, short
from archab.review.figures.palette import DARK, LIGHT, Palette
from archab.review.figures.scales import number
from archab.review.figures.sheet import STYLE, Sheet, balanced, fitting, save, wrapped
from archab.review.finding import caveat_line, differences, effects, measured
from archab.review.functions import Functions

WIDTH, ROOM = 10.0, 9.5  # inches, of the sheet and of a line of its head
TITLE, LEAST_TITLE, SUBTITLE, BIG, TEXT, SMALL, SMALLEST = 17.0, 13.0, 10.5, 18.0, 9.6, 8.4, 6.5  # points
BOTTOM, TALL = 0.92, 1.95  # of the panels, inches
MOST_BARS, MOST_DOTS, MOST_CURVES = 5, 100, 16
PIXELS = 180  # an inch: twice what a README shows
SUFFIXES = (".png", ".svg", ".pdf")


def write(verdict: Verdict, file: Path, context: Context | None = None, functions: Functions | None = None) -> None:
    """Write the picture to a file, and for dark paper to one beside it whose name ends in `-dark`.

    Args:
        file: its suffix is the format: .png, .svg or .pdf.
        functions: targets and students as curves; without them the picture has three parts instead of five.

    Raises:
        ArchabError: if the format is another one, or the file cannot be written.
    """
    if file.suffix not in SUFFIXES:
        raise ArchabError(f"{file}: one of {', '.join(SUFFIXES)} is needed")
    try:
        for palette, path in ((LIGHT, file), (DARK, file.with_stem(f"{file.stem}-dark"))):
            figure = hero(verdict, context or Context(), functions, palette)
            save(figure, path, PIXELS)
    except OSError as error:
        raise ArchabError(f"{file}: cannot be written ({error.strerror or error})") from error


def hero(verdict: Verdict, context: Context, functions: Functions | None, palette: Palette) -> Figure:
    """The picture: the verdict's sentence over its parts from left to right."""
    with mpl.rc_context(STYLE):
        v, head = named(verdict), _head(named(verdict, 40), context)
        height = BOTTOM + TALL + 0.32 + sum(line.pitch for line in head)
        sheet, y = Sheet(palette, height, width=WIDTH), height - 0.1
        for line in head:
            style = {"size": line.size, "weight": line.weight, "color": getattr(palette, line.colour)}
            sheet.text(0.22, y - line.pitch / 2, line.text, **style)
            y -= line.pitch
        edges = [(0.22, 1.45), (2.2, 1.45), (4.12, 1.62), (6.15, 1.9), (8.42, 1.36)]
        if functions is None:
            edges = [(0.5, 1.9), (3.6, 2.9), (7.6, 1.6)]
        after = [*(left for left, _ in edges[1:]), WIDTH]
        parts = enumerate(zip(edges, after, strict=True), 1)
        places = [_Place(step, left, width, end - left - 0.16) for step, ((left, width), end) in parts]
        for place, end in zip(places[:-1], after, strict=False):
            _arrow(sheet, (place.left + place.width + end - 0.01) / 2, height)
        first, *middle, last_but_one, last = places
        _sizes(sheet, v, context, first)
        if functions is not None:
            _targets(sheet, v, context, functions, middle[0])
            _students(sheet, v, functions, middle[1])
        _differences(sheet, v, last_but_one)
        _verdict(sheet, v, last)
    return sheet.figure


class _Place(NamedTuple):
    """Where a part stands: its number, and in inches its left edge, its width, and the room up to the next part."""

    step: int
    left: float
    width: float
    room: float


class _Line(NamedTuple):
    """A line over the parts: its text, its size in points, its colour's name and weight, and its height in inches."""

    text: str
    size: float
    colour: str
    weight: str
    pitch: float


def _arrow(sheet: Sheet, middle: float, height: float) -> None:
    ends = [((middle + side) / WIDTH, (BOTTOM + TALL / 2) / height) for side in (-0.07, 0.07)]
    style: dict[str, Any] = {"arrowstyle": "->", "mutation_scale": 9, "color": sheet.palette.soft, "lw": 1.1}
    sheet.figure.add_artist(FancyArrowPatch(*ends, **style))


def _foot(sheet: Sheet, place: _Place, head: str, text: str) -> None:
    """The number of a part, what it is called, and what is said of it."""
    left, room = place.left + 0.17, place.room - 0.17
    sheet.text(place.left, 0.5, str(place.step), size=TEXT, color=sheet.palette.ref, weight="bold")
    sheet.text(left, 0.5, head, size=TEXT, weight="bold")
    size = next((s for s in np.arange(SMALL, SMALLEST, -0.3) if len(wrapped(text, room, s)) < 3), SMALLEST)
    for i, line in enumerate(balanced(text, room, size)):
        sheet.text(left, 0.29 - 0.16 * i, line, size=size, color=sheet.palette.soft)


def _head(verdict: Verdict, context: Context) -> list[_Line]:
    """The sentence, in as large letters as one line allows, the question, and what limits the sentence."""
    title = drawable(verdict.sentence().rstrip("."))
    size = max(LEAST_TITLE, fitting(title, ROOM, TITLE, "bold"))
    lines = [_Line(line, size, "ink", "bold", 0.023 * size) for line in balanced(title, ROOM, size, "bold")]
    limits = " ".join(text for text in (sentences.of_size(verdict), caveat_line(verdict)) if text)
    for text, colour in ((context.question, "soft"), (limits, "ink")):
        wide = balanced(drawable(text), ROOM, SUBTITLE) if text else []
        lines += [_Line(line, SUBTITLE, colour, "normal", 0.24) for line in wide]
    return lines


def _sizes(sheet: Sheet, verdict: Verdict, context: Context, place: _Place) -> None:
    """A bar for the size of every member, a side; names alone where sizes are not known."""
    every = verdict.members
    shown = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, MOST_BARS).round().astype(int))]
    known = all(math.isfinite(m.size_ratio) for m in shown)
    largest = max(max(m.a.size, m.b.size) for m in shown) if known else 1.0
    for i, (side, name) in enumerate(zip("ab", verdict.names, strict=True)):
        colour, top = getattr(sheet.palette, side), BOTTOM + TALL - 0.05 - i * 1.02
        sheet.text(place.left, top, name, size=fitting(name, place.room, TEXT, "bold"), weight="bold", color=colour)
        if not known:
            continue
        axes = sheet.framed(place.left, top - 0.8, place.width, 0.66)
        sizes = [getattr(m, side).size for m in shown]
        bars = axes.barh(range(len(sizes)), np.array(sizes) / largest, 0.62, color=colour)
        for bar, size in zip(bars, sizes, strict=True):
            bar.set_label(f"{side} {size:g}")
        axes.set_xlim(0, 1.34)
        axes.set_ylim(len(sizes) - 0.4, -0.6)
        for y in {0, len(sizes) - 1}:
            axes.text(sizes[y] / largest + 0.03, y, number(sizes[y]), size=7, color=sheet.palette.soft, va="center")
    sizes = [side.size for m in every for side in (m.a, m.b)]
    ends = " to ".join(dict.fromkeys((number(min(sizes)), number(largest)))) if known else ""
    said = f"{ends} {short(context.unit, LONGEST)}".strip() if known else "sizes not in the table"
    _foot(sheet, place, "two architectures", said)


def _targets(sheet: Sheet, verdict: Verdict, context: Context, functions: Functions, place: _Place) -> None:
    count, palette = min(MOST_CURVES, len(functions.targets)), sheet.palette
    first = max(0, min(functions.chosen - count + 1, len(functions.targets) - count))
    pitch, high = place.width / 4, TALL / 4
    for i in range(count):
        row, column = divmod(i, 4)
        chosen, bottom = first + i == functions.chosen, BOTTOM + TALL - (row + 1) * high + 0.05
        frame = palette.ink if chosen else ""
        axes = sheet.framed(place.left + column * pitch + 0.03, bottom, pitch - 0.08, high - 0.12, frame)
        y, colour = functions.targets[first + i], palette.ink if chosen else palette.ref
        axes.plot(functions.x, y, color=colour, lw=1.5 if chosen else 1.1)
        axes.margins(0.06, 0.12)
    source = "half from either prior" if verdict.data.kind == "crossed" else "networks never trained"
    source = f"drawn from {context.reference}" if context.reference else source
    _foot(sheet, place, f"{verdict.blocks * targets_a_block(verdict.data):,} targets", source)


def _students(sheet: Sheet, verdict: Verdict, functions: Functions, place: _Place) -> None:
    palette, target = sheet.palette, functions.targets[functions.chosen]
    axes = sheet.framed(place.left, BOTTOM, place.width, TALL, palette.ink)
    axes.plot(functions.x, target, color=palette.ref, lw=5.0, alpha=0.45, solid_capstyle="round", label="target")
    for side in "ba":
        axes.plot(functions.x, getattr(functions, side), lw=1.6, label=side, **palette.line_of(side))
    every = np.concatenate([target, functions.a, functions.b])
    low, high = float(every.min()), float(every.max())
    reach = (high - low) or 1.0
    axes.set_ylim(low - 0.08 * reach, high + 0.56 * reach)
    axes.set_xlim(float(functions.x[0]) - 0.03, float(functions.x[-1]) + 0.03)
    named_ = (*verdict.names, "target"), (palette.a, palette.b, palette.ref)
    for i, (name, colour) in enumerate(zip(*named_, strict=True)):
        size, y = fitting(name, place.width - 0.2, SMALL + 0.4, "bold"), BOTTOM + TALL - 0.14 - 0.2 * i
        sheet.text(place.left + 0.1, y, name, size=size, weight="bold", color=colour)
    _foot(sheet, place, "both learn each one", "a typical one, along a line")


def _differences(sheet: Sheet, verdict: Verdict, place: _Place) -> None:
    palette, shown, d = sheet.palette, measured(verdict), differences(verdict)
    axes = sheet.framed(place.left, BOTTOM, place.width, TALL)
    axes.set_ylim(0, TALL)
    reach = ratios.reach(d, verdict.margin)
    edge, dot = 1.06 * math.log(reach), 0.066
    drawing.ground(axes, verdict.margin, edge, palette, 0.19, 0.86)
    x, stack = drawing.stacked(d, MOST_DOTS, reach, 2 * edge / place.width * dot * 1.08)
    pitch = min(dot, (TALL - 0.75) / (stack.max(initial=0) + 1))
    drawing.dots(axes, x, 0.54 + pitch * stack, dot, palette, shown, "differences")
    if shown and math.isfinite(verdict.interval_low):
        drawing.ratio(axes, effects(verdict)[0], 0.41, palette, size=1.4)
    for ratio, word in ratios.WORDS[reach].items():
        if reach < 4 and ratio not in (1 / reach, 1, reach):
            continue  # no room for words of that length
        axes.text(math.log(ratio), 0.2, word, size=SMALL, color=palette.soft, ha="center", va="center")
    heads, right = (f"← {verdict.names[0]}", f"{verdict.names[1]} →"), place.left + place.width
    middle, top = place.left + place.width / 2, BOTTOM + TALL - 0.12
    drawing.directions(sheet, heads, middle, place.left, right, top, SMALL, 0.17)
    per = {"paired": "per target", "crossed": "per pair", "unpaired": "per round"}[verdict.data.kind]
    a, b = int((d < 0).sum()), int((d > 0).sum())
    name, most = (verdict.names[0], a) if a >= b else (verdict.names[1], b)
    _foot(sheet, place, f"difference {per}", f"{name} lower on {most:,} of {len(d):,}")


def _verdict(sheet: Sheet, verdict: Verdict, place: _Place) -> None:
    palette, found, left, top = sheet.palette, better(verdict), place.left, BOTTOM + TALL
    if found:
        big = f"{words.percent(1 - found.ratio, words.margin_share(verdict.margin))} lower"
    else:
        big = f"within {words.margin(verdict.margin)}" if verdict.verdict == "equivalent" else "no winner yet"
    style = {"size": fitting(big, place.width + 0.05, BIG, "bold"), "color": drawing.colour(verdict, palette)}
    sheet.text(left, top - 0.2, big, weight="bold", **style)
    if measured(verdict) and math.isfinite(verdict.interval_low):
        interval = f"{words.level(verdict.alpha)}: {words.between(*verdict.interval())}"
        looked = {"anytime": "whenever you look", "fixed": "at one look", "hybrid": "in two planned looks"}
        sheet.text(left, top - 0.5, interval, size=TEXT)
        sheet.text(left, top - 0.72, looked[verdict.rule], size=SMALL, color=palette.soft)
    if verdict.log_e:
        _evidence(sheet, verdict, left)
    after, n = f"after {len(verdict.log_e):,} rounds", len(verdict.log_e)
    if verdict.decided_at is not None and not verdict.in_family:
        after = f"after round {verdict.decided_at:,} of {n:,}{', faded since' if verdict.faded else ''}"
    _foot(sheet, place, "verdict", "corrected for overlap" if verdict.settings.overlap else after)


def _evidence(sheet: Sheet, verdict: Verdict, left: float) -> None:
    """E by round as far as it is of use: to six times the power of ten that decides."""
    palette, points, bar = sheet.palette, drawing.curve(verdict), -math.log10(verdict.alpha)
    axes = sheet.framed(left, BOTTOM, 0.82, 1.05)
    top = min(max(float(points[:, 1].max()), 1.3 * bar), 6 * bar)
    beyond = points[:, 1] > 6 * bar
    points = points[: int(beyond.argmax()) + 1] if beyond.any() else points
    drawing.evidence(axes, verdict, points, math.inf, palette, 1.15)
    low, last = min(0.0, float(points[:, 1].min())), float(points[-1, 1])
    axes.set_ylim(low - 0.05 * (top - low), 1.06 * top)
    axes.set_xlim(0.5, float(points[-1, 0]) + 0.5)
    end = min(last, 1.03 * top)
    end = end if abs(end - bar) > 0.15 * top else bar - 0.2 * top
    decided = "decided" if not verdict.in_family else f"E = {1 / verdict.alpha:,.6g}"
    style: dict[str, Any] = {"size": SMALL - 0.6, "va": "center", "annotation_clip": False}
    for y, text, colour in ((bar, decided, palette.ink), (end, "evidence", drawing.colour(verdict, palette))):
        axes.annotate(text, (1, y), (4, 0), ("axes fraction", "data"), "offset points", color=colour, **style)
