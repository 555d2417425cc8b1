"""Differences as a text plot: a histogram of the blocks, and a line a member with its ratio and interval."""

import math
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from archab.evidence import words as words
from archab.evidence.fields import Verdict
from archab.evidence.statistics import Array
from archab.evidence.words import effect
from archab.review import ratios
from archab.review.finding import Effect, differences, effects, measured
from archab.review.glyphs import BLUE, COLOURS, ORANGE, Glyphs

MOST_MEMBERS = 12
NAMES = (6, 14)  # fewest and most cells of a member's name


@dataclass(frozen=True)
class Scale:
    """A symmetric log scale over an odd number of columns: the one in the middle holds ties alone.

    Attributes:
        half: columns on either side of the middle.
        reach: the ratio at the edge.
    """

    half: int
    reach: float

    @property
    def columns(self) -> int:
        """All of them."""
        return 2 * self.half + 1

    def column(self, log_ratio: float) -> int:
        """The column of a difference, those beyond the edge in the last one."""
        steps = min(self.half, 1 + math.floor(abs(log_ratio) / math.log(self.reach) * self.half))
        return self.half + (0 if log_ratio == 0 else steps if log_ratio > 0 else -steps)

    def counts(self, differences: Array) -> np.ndarray:
        """How many differences each column holds."""
        return np.bincount([self.column(d) for d in differences], minlength=self.columns)


def plot(verdict: Verdict, width: int, glyphs: Glyphs) -> list[Text]:
    """The lines of the plot, each at most `width` cells wide."""
    d = differences(verdict)
    top, *members = effects(verdict)
    shown = [top, *(members[:MOST_MEMBERS] if len(members) > 1 else ())]
    widest = max(NAMES[0], 7, *(Text(glyphs.text(e.name)).cell_len for e in shown[1:]))
    label = 2 + min(widest, NAMES[1])
    beside = 1 + max(len(effect(e.gmr)) for e in shown)
    scale = Scale((width - label - beside - 1) // 2, ratios.reach(d, verdict.margin))
    heading = _heading(verdict, scale, label, width, glyphs)
    explained = not measured(verdict) or _with_band(heading, verdict, width, glyphs)
    lines = [heading, *_histogram(scale.counts(d), _UNITS[verdict.data.kind], scale, label, glyphs)]
    if measured(verdict):
        lines += [_interval(e, scale, verdict.margin, label, glyphs) for e in shown]
        if len(members) > MOST_MEMBERS:
            lines.append(Text(f"and {len(members) - MOST_MEMBERS} members more", style="dim"))
    axis = _axis(scale, label, width, glyphs)
    if not (explained or _with_band(axis, verdict, width, glyphs)):
        lines.append(Text(f"{glyphs.band} within {words.margin(verdict.margin)}".rjust(width), style="dim"))
    return [*lines, axis]


_UNITS = {"paired": "targets", "crossed": "pairs", "unpaired": "rounds"}


def sparkline(values: Array, least: float, width: int, glyphs: Glyphs) -> str:
    """A series as one line, from 0 (and below) to its highest value, or to `least` where it stays below."""
    at = np.unique(np.linspace(0, len(values) - 1, min(width, len(values))).round().astype(int))
    levels = "_.-=+*#" if glyphs.plain else glyphs.bars
    high = max(float(values.max()), least)
    steps = np.clip(np.ceil(np.clip(values[at], 0, None) / high * len(levels)) - 1, 0, len(levels) - 1).astype(int)
    return "".join(levels[step] for step in steps)


def _heading(verdict: Verdict, scale: Scale, label: int, width: int, glyphs: Glyphs) -> Text:
    """Which side is which, on either side of the middle."""
    middle = label + scale.half
    rooms = (middle - 12, width - middle - 12)
    a, b = (glyphs.text(name) for name in verdict.names)
    if any(Text(name).cell_len > room for name, room in zip((a, b), rooms, strict=True)):
        a, b = "A", "B"
    left = f"{glyphs.to_a} {a} lower"
    line = Text(" " * max(0, middle - 1 - Text(left).cell_len))
    line.append(left, style=BLUE)
    line.append("   ")
    line.append(f"{b} lower {glyphs.to_b}", style=ORANGE)
    return line


def _with_band(line: Text, verdict: Verdict, width: int, glyphs: Glyphs) -> bool:
    """Say at the end of a line what the band is, if there is room."""
    band = f"{glyphs.band} within {words.margin(verdict.margin)}"
    if fits := line.cell_len + len(band) + 3 <= width:
        line.append(f"{'':<{width - line.cell_len - len(band)}}{band}", style="dim")
    return fits


def _histogram(counts: np.ndarray, name: str, scale: Scale, label: int, glyphs: Glyphs) -> list[Text]:
    levels = len(glyphs.bars) * glyphs.rows
    high = np.ceil(counts / max(1, counts.max()) * levels).astype(int)
    lines = []
    for row in reversed(range(glyphs.rows)):
        line = Text(f"{name if row == 0 else '':<{label}}")
        for column, level in enumerate(high):
            cell = int(np.clip(level - row * len(glyphs.bars), 0, len(glyphs.bars)))
            side = BLUE if column < scale.half else ORANGE if column > scale.half else "dim"
            line.append(glyphs.bars[cell - 1] if cell else " ", style=side)
        lines.append(line)
    return lines


def _interval(found: Effect, scale: Scale, margin: float, label: int, glyphs: Glyphs) -> Text:
    cells = [" "] * scale.columns
    band = scale.column(math.log(margin)) - scale.half
    for column in range(scale.half - band, scale.half + band + 1):
        cells[column] = glyphs.band
    cells[scale.half] = glyphs.middle
    if math.isfinite(found.low) and math.isfinite(found.high):
        first, last = scale.column(math.log(found.low)), scale.column(math.log(found.high))
        cells[first : last + 1] = [glyphs.line] * (last - first + 1)
        cells[first], cells[last] = glyphs.left, glyphs.right
    cells[scale.column(math.log(found.gmr))] = glyphs.point
    colour = COLOURS[found.side]
    line = Text(_padded(glyphs.fitting(glyphs.text(found.name), label - 2), label))
    for cell in cells:
        line.append(cell, style="dim" if cell in (glyphs.band, glyphs.middle) else colour)
    line.append(f" {effect(found.gmr)}", style=f"bold {colour}")
    return line


def _axis(scale: Scale, label: int, width: int, glyphs: Glyphs) -> Text:
    cells = [" "] * (width - label)
    words = {ratio: glyphs.text(word) for ratio, word in ratios.WORDS[scale.reach].items()}
    for ratio in sorted(words, key=lambda r: (r not in (1.0, *_ends(words)), r)):
        word = words[ratio]
        start = scale.column(math.log(ratio)) - len(word) // 2
        start = max(0, min(start, scale.columns - len(word) + 2))
        around = cells[max(0, start - 1) : start + len(word) + 1]
        if all(cell == " " for cell in around) and start + len(word) <= len(cells):
            cells[start : start + len(word)] = word
    line = Text(" " * label + "".join(cells).rstrip(), style="dim")
    return line


def _ends(words: dict[float, str]) -> tuple[float, float]:
    return min(words), max(words)


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - Text(text).cell_len)
