"""The whole experiment in one wide picture: sizes, targets, two students, the differences, the verdict."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from archab.errors import ArchabError
from archab.evidence import words as words
from archab.evidence.outcome import Verdict
from archab.evidence.series import by_round
from archab.review import ratios
from archab.review.context import Context
from archab.review.figures.differences import stacked
from archab.review.figures.names import LONGEST, drawable, named, short
from archab.review.figures.palette import DARK, LIGHT, Palette
from archab.review.figures.rounds import in_family
from archab.review.figures.scales import number
from archab.review.figures.sheet import STYLE, balanced, fitting, inches, wrapped
from archab.review.finding import better, between, caveat_line, level, measured
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
            metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix)
            with mpl.rc_context(STYLE):
                figure.savefig(path, dpi=PIXELS, metadata=metadata)
    except OSError as error:
        raise ArchabError(f"{file}: cannot be written ({error.strerror or error})") from error


def hero(verdict: Verdict, context: Context, functions: Functions | None, palette: Palette) -> Figure:
    """The picture: the verdict's sentence over its parts from left to right."""
    with mpl.rc_context(STYLE):
        v, head = named(verdict), _head(named(verdict, 40), context)
        board = _Board(palette, BOTTOM + TALL + 0.32 + sum(line.pitch for line in head))
        board.head(head)
        edges = [(0.22, 1.45), (2.2, 1.45), (4.12, 1.62), (6.15, 1.9), (8.42, 1.36)]
        if functions is None:
            edges = [(0.5, 1.9), (3.6, 2.9), (7.6, 1.6)]
        after = [*(left for left, _ in edges[1:]), WIDTH]
        places = [_Place(left, width, end - left - 0.16) for (left, width), end in zip(edges, after, strict=True)]
        for place, end in zip(places[:-1], after, strict=False):
            board.arrow(place.left + place.width + 0.09, end - 0.1)
        steps = iter(enumerate(places, 1))
        _sizes(board, v, context, *next(steps))
        if functions is not None:
            _targets(board, v, context, functions, *next(steps))
            _students(board, v, functions, *next(steps))
        _differences(board, v, *next(steps))
        _verdict(board, v, *next(steps))
    return board.figure


class _Place(NamedTuple):
    """Where a part stands, in inches: its left edge, its width, and the room up to the next part."""

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


class _Board:
    """The wide sheet; places and sizes are inches from its lower left corner."""

    def __init__(self, palette: Palette, height: float) -> None:
        self.palette, self.height = palette, height
        self.figure = Figure(figsize=(WIDTH, height), facecolor=palette.bg)

    def head(self, lines: list[_Line]) -> None:
        """Lines from the top on."""
        y = self.height - 0.1
        for line in lines:
            colour = getattr(self.palette, line.colour)
            self.text(0.22, y - line.pitch / 2, line.text, line.size, weight=line.weight, color=colour)
            y -= line.pitch

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        place = (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(place, facecolor="none")
        axes.set_axis_off()
        return axes

    def text(self, x: float, y: float, text: str, size: float = TEXT, **style: Any) -> None:
        given = {"color": self.palette.ink, "va": "center", **style}
        self.figure.text(x / WIDTH, y / self.height, text, size=size, **given)

    def arrow(self, start: float, end: float) -> None:
        middle, y = (start + end) / 2, (BOTTOM + TALL / 2) / self.height
        ends = [((middle + side) / WIDTH, y) for side in (-0.07, 0.07)]
        patch = FancyArrowPatch(*ends, arrowstyle="->", mutation_scale=9, color=self.palette.soft, lw=1.1)
        self.figure.add_artist(patch)

    def foot(self, step: int, left: float, head: str, text: str, room: float) -> None:
        """The number of a part, what it is called, and what is said of it in so many inches from its left edge."""
        self.text(left, 0.5, str(step), color=self.palette.ref, weight="bold")
        self.text(left + 0.17, 0.5, head, weight="bold")
        size = next((s for s in np.arange(SMALL, SMALLEST, -0.3) if len(wrapped(text, room - 0.17, s)) < 3), SMALLEST)
        for i, line in enumerate(balanced(text, room - 0.17, size)):
            self.text(left + 0.17, 0.29 - 0.16 * i, line, size, color=self.palette.soft)


def _head(verdict: Verdict, context: Context) -> list[_Line]:
    """The sentence, in as large letters as one line allows, the question, and what limits the sentence."""
    title = drawable(verdict.sentence().rstrip("."))
    size = max(LEAST_TITLE, fitting(title, ROOM, TITLE, "bold"))
    lines = [_Line(line, size, "ink", "bold", 0.023 * size) for line in balanced(title, ROOM, size, "bold")]
    limits = " ".join(text for text in (verdict.size_sentence(), caveat_line(verdict)) if text)
    for text, colour in ((context.question, "soft"), (limits, "ink")):
        wide = balanced(drawable(text), ROOM, SUBTITLE) if text else []
        lines += [_Line(line, SUBTITLE, colour, "normal", 0.24) for line in wide]
    return lines


def _sizes(board: _Board, verdict: Verdict, context: Context, step: int, place: _Place) -> None:
    """A bar for the size of every member, a side; names alone where sizes are not known."""
    left, width, room = place
    every = verdict.members
    shown = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, MOST_BARS).round().astype(int))]
    known = all(math.isfinite(m.size_ratio) for m in shown)
    largest = max(max(m.size_a, m.size_b) for m in shown) if known else 1.0
    for i, (side, name) in enumerate(zip("ab", verdict.names, strict=True)):
        colour, top = getattr(board.palette, side), BOTTOM + TALL - 0.05 - i * 1.02
        board.text(left, top, name, fitting(name, room, TEXT, "bold"), weight="bold", color=colour)
        if not known:
            continue
        axes = board.axes(left, top - 0.8, width, 0.66)
        sizes = [m.size_a if side == "a" else m.size_b for m in shown]
        bars = axes.barh(range(len(sizes)), [s / largest for s in sizes], height=0.62, color=colour, lw=0)
        for bar, size in zip(bars, sizes, strict=True):
            bar.set_label(f"{side} {size:g}")
        axes.set_xlim(0, 1.34)
        axes.set_ylim(len(sizes) - 0.4, -0.6)
        for y in {0, len(sizes) - 1}:
            axes.text(sizes[y] / largest + 0.03, y, number(sizes[y]), size=7, color=board.palette.soft, va="center")
    smallest = min(min(m.size_a, m.size_b) for m in every)
    ends = " to ".join(dict.fromkeys((number(smallest), number(largest))))
    said = f"{ends} {short(context.unit, LONGEST)}".strip() if known else "sizes not in the table"
    board.foot(step, left, "two architectures", said, room)


def _targets(board: _Board, verdict: Verdict, context: Context, functions: Functions, step: int, place: _Place) -> None:
    left, width, room = place
    count = min(MOST_CURVES, len(functions.targets))
    first = max(0, min(functions.chosen - count + 1, len(functions.targets) - count))
    pitch, high = width / 4, TALL / 4
    for i in range(count):
        row, column = divmod(i, 4)
        bottom = BOTTOM + TALL - (row + 1) * high
        axes = board.axes(left + column * pitch + 0.03, bottom + 0.05, pitch - 0.08, high - 0.12)
        y, chosen = functions.targets[first + i], first + i == functions.chosen
        axes.plot(functions.x, y, color=board.palette.ink if chosen else board.palette.ref, lw=1.5 if chosen else 1.1)
        axes.margins(0.06, 0.12)
        if chosen:
            axes.set_axis_on()
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_color(board.palette.ink)
    crossed = "half from either prior" if verdict.data.kind == "crossed" else "networks never trained"
    source = f"drawn from {context.reference}" if context.reference else crossed
    board.foot(step, left, f"{_counted(verdict)} targets", source, room)


def _counted(verdict: Verdict) -> str:
    return f"{verdict.blocks * (2 if verdict.data.kind == 'crossed' else 1):,}"


def _students(board: _Board, verdict: Verdict, functions: Functions, step: int, place: _Place) -> None:
    left, width, room = place
    palette = board.palette
    axes = board.axes(left, BOTTOM, width, TALL)
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(palette.ink)
        spine.set_linewidth(1.0)
    target = functions.targets[functions.chosen]
    axes.plot(functions.x, target, color=palette.ref, lw=5.0, alpha=0.45, solid_capstyle="round", label="target")
    axes.plot(functions.x, functions.b, color=palette.b, lw=1.6, ls=(0, (4, 1.4)), label="b")
    axes.plot(functions.x, functions.a, color=palette.a, lw=1.6, label="a")
    every = np.concatenate([target, functions.a, functions.b])
    low, high = float(every.min()), float(every.max())
    reach = (high - low) or 1.0
    axes.set_ylim(low - 0.08 * reach, high + 0.56 * reach)
    axes.set_xlim(float(functions.x[0]) - 0.03, float(functions.x[-1]) + 0.03)
    names = ((verdict.names[0], palette.a), (verdict.names[1], palette.b), ("target", palette.ref))
    for i, (name, colour) in enumerate(names):
        size = fitting(name, width - 0.2, SMALL + 0.4, "bold")
        board.text(left + 0.1, BOTTOM + TALL - 0.14 - 0.2 * i, name, size, weight="bold", color=colour)
    board.foot(step, left, "both learn each one", "a typical one, along a line", room)


def _differences(board: _Board, verdict: Verdict, step: int, place: _Place) -> None:
    left, width, room = place
    palette = board.palette
    paired = verdict.data.is_a is None
    d = np.nanmean(verdict.data.values, axis=1) if paired else verdict.data.rounds
    axes = board.axes(left, BOTTOM, width, TALL)
    reach = ratios.reach(d, verdict.settings.margin)
    edge, dot = 1.06 * math.log(reach), 0.066
    x, stack = stacked(d, MOST_DOTS, reach, 2 * edge / width * dot * 1.08)
    pitch = min(dot, (TALL - 0.75) / (stack.max(initial=0) + 1))
    margin = math.log(verdict.settings.margin)
    axes.axvspan(-margin, margin, 0.19, 0.86, color=palette.band, lw=0)
    axes.axvline(0, 0.19, 0.86, color=palette.ink, lw=0.8)
    colours = [palette.ref if v == 0 or not measured(verdict) else palette.a if v < 0 else palette.b for v in x]
    axes.scatter(x, 0.54 + pitch * stack, s=(72 * dot * 0.92) ** 2, c=colours, lw=0, label="differences")
    axes.set_xlim(-edge, edge)
    axes.set_ylim(0, TALL)
    low, high = verdict.interval()
    if measured(verdict) and math.isfinite(low):
        axes.plot(np.log([low, high]), (0.41, 0.41), color=palette.ink, lw=1.8, solid_capstyle="butt", label="interval")
        axes.plot(verdict.theta, 0.41, "D", color=palette.ink, ms=5, mew=0, label="ratio")
    for ratio, word in ratios.WORDS[reach].items():
        if reach < 4 and ratio not in (1 / reach, 1, reach):
            continue  # no room for words of that length
        axes.text(math.log(ratio), 0.2, word, size=SMALL, color=palette.soft, ha="center", va="center")
    for sign, mark, beyond in ((-1, "<", low), (1, ">", high)):
        if measured(verdict) and beyond > 0 and sign * math.log(beyond) > edge:
            axes.plot(sign * edge, 0.41, mark, color=palette.ink, ms=5, mew=0, clip_on=False, label="beyond")
    _directions(board, verdict, place)
    per = {"paired": "per target", "crossed": "per pair", "unpaired": "per round"}[verdict.data.kind]
    board.foot(step, left, f"difference {per}", _lower(verdict, d), room)


def _directions(board: _Board, verdict: Verdict, place: _Place) -> None:
    """On which side of the middle who is lower; above one another where the names have no room beside."""
    heads, middle = (f"← {verdict.names[0]}", f"{verdict.names[1]} →"), place.left + place.width / 2
    wide = [inches(head, SMALL, "bold") + 0.05 for head in heads]
    beside = max(wide) <= place.width / 2 + 0.05
    ends = max(middle - 0.05, place.left + wide[0]), min(middle + 0.05, place.left + place.width - wide[1])
    for i, (head, colour) in enumerate(zip(heads, (board.palette.a, board.palette.b), strict=True)):
        y = BOTTOM + TALL - 0.12 + (0 if beside or i else 0.17)
        board.text(ends[i], y, head, SMALL, weight="bold", color=colour, ha="left" if i else "right")


def _lower(verdict: Verdict, d: np.ndarray) -> str:
    a, b = int((d < 0).sum()), int((d > 0).sum())
    name, most = (verdict.names[0], a) if a >= b else (verdict.names[1], b)
    return f"{name} lower on {most:,} of {len(d):,}"


def _verdict(board: _Board, verdict: Verdict, step: int, place: _Place) -> None:
    left, width, room = place
    palette, found = board.palette, better(verdict)
    colour = getattr(palette, found.side) if found else palette.ink
    if found:
        big = f"{words.percent(1 - found.ratio, verdict.margin_share)} lower"
    else:
        big = f"within {verdict.margin_percent}" if verdict.verdict == "equivalent" else "no winner yet"
    size = fitting(big, width + 0.05, BIG, "bold")
    board.text(left, BOTTOM + TALL - 0.2, big, size, weight="bold", color=colour)
    if measured(verdict) and math.isfinite(verdict.interval()[0]):
        board.text(left, BOTTOM + TALL - 0.5, f"{level(verdict)}: {between(*verdict.interval())}", TEXT)
        looked = {"anytime": "whenever you look", "fixed": "at one look", "hybrid": "in two planned looks"}
        board.text(left, BOTTOM + TALL - 0.72, looked[verdict.rule], SMALL, color=palette.soft)
    if verdict.log_e:
        _evidence(board, verdict, left, colour)
    n = len(verdict.log_e)
    crossed = verdict.decided_at is not None and not in_family(verdict)
    faded = ", faded since" if verdict.faded else ""
    after = f"after round {verdict.decided_at:,} of {n:,}{faded}" if crossed else f"after {n:,} rounds"
    board.foot(step, left, "verdict", after, room)


def _evidence(board: _Board, verdict: Verdict, left: float, colour: str) -> None:
    palette = board.palette
    axes = board.axes(left, BOTTOM, 0.82, 1.05)
    series = np.array(by_round(verdict)["log_e"])
    bar = -math.log(verdict.settings.alpha)
    top = max(float(series[:, 1].max()), 1.3 * bar)
    shown = series[: int(np.argmax(series[:, 1] >= min(top, 6 * bar))) + 1] if top > 6 * bar else series
    axes.plot(shown[:, 0], shown[:, 1], color=colour, lw=1.8, label="E", solid_joinstyle="round")
    axes.axhline(bar, color=palette.ink, lw=0.9)
    low = min(0.0, float(shown[:, 1].min()))
    axes.set_ylim(low - 0.05 * (top - low), min(top, 6.3 * bar) * 1.06)
    axes.set_xlim(0.5, float(shown[-1, 0]) + 0.5)
    if verdict.stop_at is not None and verdict.stop_at <= shown[-1, 0]:
        at = verdict.log_e[verdict.stop_at - 1]
        axes.plot(verdict.stop_at, at, "o", mfc=palette.bg, mec=palette.ink, mew=1.3, ms=6, label="crossing")
    beyond: dict[str, Any] = {"size": SMALL - 0.6, "va": "center", "annotation_clip": False}
    decided = "decided" if not in_family(verdict) else f"E = {1 / verdict.settings.alpha:,.6g}"
    axes.annotate(decided, (1, bar), (4, 0), ("axes fraction", "data"), "offset points", color=palette.ink, **beyond)
    end = min(float(shown[-1, 1]), 6.2 * bar)
    end = end if abs(end - bar) > 0.15 * min(top, 6 * bar) else bar - 0.2 * min(top, 6 * bar)
    axes.annotate("evidence", (1, end), (4, 0), ("axes fraction", "data"), "offset points", color=colour, **beyond)
