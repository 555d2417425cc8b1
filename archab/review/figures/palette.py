"""The colours of every figure, page and panel: each has one meaning, in light and in dark."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they say.

    Attributes:
        a, b: a side and nothing else.
        ref: the reference, replays, ties.
        ink: intervals and thresholds.
        soft: axes and captions.
        line, band: decoration.
        bg: the paper; `panel`: a box on it.
    """

    a: str
    b: str
    ref: str
    ink: str
    soft: str
    line: str
    band: str
    bg: str
    panel: str

    def line_of(self, side: str) -> dict[str, Any]:
        """How a side's line is drawn: A's whole, B's dashed."""
        return {"color": getattr(self, side), "ls": "-" if side == "a" else (0, (4, 1.6))}

    def mark_of(self, side: str, size: float = 1.0) -> dict[str, Any]:
        """How a side's mark is drawn: A's a disc, B's an open square."""
        colour = getattr(self, side)
        marker, points, fill = ("o", 4.4, colour) if side == "a" else ("s", 4.1, self.bg)
        return {"marker": marker, "ms": points * size, "mfc": fill, "mec": colour, "mew": 1.2 * size}

    def items(self) -> list[tuple[str, str]]:
        """Names and colours, for a style sheet."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


LIGHT = Palette(
    a="#0f62a8",
    b="#b94b08",
    ref="#6a727c",
    ink="#1a1e24",
    soft="#56606b",
    line="#c8ced6",
    band="#e9edf1",
    bg="#ffffff",
    panel="#f6f7f9",
)
DARK = Palette(
    a="#62b0f0",
    b="#ff9d57",
    ref="#98a2ae",
    ink="#e8ecf1",
    soft="#a7b0bb",
    line="#3b434d",
    band="#232a32",
    bg="#13171c",
    panel="#1b2027",
)
