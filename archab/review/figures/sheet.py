"""The sheet that every figure is drawn on, at its printed size: title above, caption below, axes placed in inches."""

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextToPath

from archab.review.figures.palette import Palette

WIDTH = 3.3  # inches: a column of a paper
TITLE, LABEL, TICK, SMALL, CAPTION = 7.6, 7.0, 6.5, 6.3, 5.8  # points
MOST_MARKS, RASTERISED = 400, 2000  # points of a side and member that are drawn; points from which they are an image

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": LABEL,
    "text.parse_math": False,  # a name may hold $, _ and ^
    "text.hinting": "none",  # text is then as wide on a screen as on paper
    "svg.fonttype": "none",
    "svg.hashsalt": "archab",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


class Sheet:
    """A figure, one column wide if not told otherwise; places and sizes are inches from the lower left of its body.

    Attributes:
        figure: what is drawn.
        palette: its colours.
    """

    def __init__(
        self, palette: Palette, height: float, title: str = "", caption: str = "", width: float = WIDTH
    ) -> None:
        head = balanced(title, WIDTH - 0.08, TITLE, "bold") if title else []
        foot = wrapped(caption, WIDTH - 0.08, CAPTION) if caption else []
        top = 0.135 * len(head) + 0.1 if head else 0.0
        self._bottom = 0.1 * len(foot) + 0.08 if foot else 0.0
        self._height, self._width = height + top + self._bottom, width
        self.palette = palette
        self.figure = Figure(figsize=(width, self._height), facecolor=palette.bg)
        if head:
            y = 1 - 0.04 / self._height
            style: dict[str, Any] = {"weight": "bold", "size": TITLE, "color": palette.ink, "linespacing": 1.2}
            self.figure.text(0.04 / WIDTH, y, "\n".join(head), va="top", **style)
        if foot:
            style = {"size": CAPTION, "color": palette.soft, "linespacing": 1.25}
            self.figure.text(0.04 / WIDTH, 0.05 / self._height, "\n".join(foot), va="bottom", **style)

    def axes(
        self, left: float, bottom: float, width: float, height: float, spines: Collection[str] = ("bottom",)
    ) -> Axes:
        """Axes at this place, with these spines."""
        across, up = self._width, self._height
        place = (left / across, (bottom + self._bottom) / up, width / across, height / up)
        axes = self.figure.add_axes(place, facecolor="none")
        for name, spine in axes.spines.items():
            spine.set_visible(name in spines)
            spine.set_color(self.palette.line)
            spine.set_linewidth(0.7)
        axes.tick_params(
            colors=self.palette.line, labelcolor=self.palette.soft, labelsize=TICK, length=2, width=0.6, pad=2
        )
        return axes

    def framed(self, left: float, bottom: float, width: float, height: float, colour: str = "") -> Axes:
        """Axes without ticks, in a frame of this colour if any."""
        axes = self.axes(left, bottom, width, height, ("left", "right", "top", "bottom") if colour else ())
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(colour or "none")
        return axes

    def text(self, x: float, y: float, text: str, **style: object) -> Text:
        """Text at this place."""
        given = {"size": LABEL, "color": self.palette.ink, "va": "center", **style}
        return self.figure.text(x / self._width, (y + self._bottom) / self._height, text, **given)  # type: ignore[arg-type]

    def make_room(self, axes: Axes, ticks: Iterable[str]) -> None:
        """Move the left edge of axes to where these tick labels, and a name beside them, stand inside the sheet."""
        left = max((inches(text, TICK) for text in ticks), default=0.0) + 0.23
        place = axes.get_position()
        axes.set_position((left / WIDTH, place.y0, place.x1 - left / WIDTH, place.height))

    def label(self, axes: Axes, x: str = "", y: str = "") -> None:
        """Names of the axes."""
        axes.set_xlabel(x, size=LABEL, color=self.palette.soft, labelpad=2)
        axes.set_ylabel(y, size=LABEL, color=self.palette.soft, labelpad=2)


def save(figure: Figure, file: Path, dpi: int, title: str = "") -> None:
    """Write a figure in the format of its name: .svg, .pdf or .png; the same figure gives the same bytes."""
    date = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix, {})
    with mpl.rc_context(STYLE):
        figure.savefig(file, dpi=dpi, metadata={**date, "Title": title} if title else date)


@cache
def inches(text: str, size: float, weight: str = "normal") -> float:
    """How wide a line of text is, with the room beside its letters."""
    with mpl.rc_context(STYLE):
        font = FontProperties(family="sans-serif", weight=weight, size=size)
        return float(_MEASURE.get_text_width_height_descent(text, font, False)[0]) / 72


_MEASURE = TextToPath()


def fitting(text: str, room: float, size: float, weight: str = "normal") -> float:
    """The size at which a line of text fits into so many inches, this one or smaller."""
    return size * min(1.0, room / max(inches(text, size, weight), 1e-9))


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """The lines of a text that is to fit into so many inches; a longer word is cut."""
    if inches(text, size, weight) <= width:
        return [text]
    space = inches(" ", size, weight)
    lines: list[str] = []
    used = width + 1
    for word in (piece for whole in text.split() for piece in _fitting(whole, width, size, weight)):
        wide = inches(word, size, weight)
        if used + space + wide > width:
            lines.append(word)
            used = wide
        else:
            lines[-1] += f" {word}"
            used += space + wide
    return lines


def balanced(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """The same, in as many lines of about one length."""
    lines = wrapped(text, width, size, weight)
    low, high = width / 2, width
    while len(lines) > 1 and high - low > 0.05:
        middle = (low + high) / 2
        tried = wrapped(text, middle, size, weight)
        low, high, lines = (low, middle, tried) if len(tried) <= len(lines) else (middle, high, lines)
    return lines


def _fitting(word: str, width: float, size: float, weight: str) -> list[str]:
    if inches(word, size, weight) <= width:
        return [word]
    parts, used = [""], 0.0
    for letter in word:
        wide = inches(letter, size, weight)
        if used + wide > width:
            parts, used = [*parts, ""], 0.0
        parts[-1] += letter
        used += wide
    return parts
