"""The characters that a terminal can show: block elements where it has them, else ASCII alone."""

import os
import re
from dataclasses import dataclass, replace

from rich import box
from rich.box import Box
from rich.cells import cell_len, set_cell_size
from rich.console import Console

BLUE, ORANGE = "#3f8fd2", "#d9752b"  # seen on black and on white
COLOURS = {"a": BLUE, "b": ORANGE, "": ""}


@dataclass(frozen=True)
class Glyphs:
    """What bars, intervals and frames are made of.

    Attributes:
        bars: from the lowest to a full cell.
        rows: cells that a bar is high.
        left, line, right, point: of an interval.
        band: within the margin.
        middle: where both sides are equal.
        to_a, to_b: arrows.
        frame, rule: of the panel and of the table.
        plain: whether all but the user's own words is to be ASCII.
        encoding: of the console.
    """

    bars: str
    rows: int
    left: str
    line: str
    right: str
    point: str
    band: str
    middle: str
    to_a: str
    to_b: str
    frame: Box
    rule: Box
    plain: bool
    encoding: str = "utf-8"

    def fitting(self, text: str, width: int) -> str:
        """A text in at most so many cells, whatever the width of its characters; a longer one is cut in its middle."""
        mark = self.text("…")
        tail = (width - len(mark)) // 3
        if cell_len(text) <= width or tail < 1:
            return set_cell_size(text, min(cell_len(text), max(1, width))).rstrip()
        end = next(text[i:] for i in range(len(text) + 1) if cell_len(text[i:]) <= tail)
        return f"{set_cell_size(text, width - len(mark) - tail)}{mark}{end}"

    def text(self, text: str) -> str:
        """A text in these characters; of a user's own, those that the encoding lacks become question marks."""
        if not self.plain:
            return text
        text = re.sub(f"[{_RAISED}]+", lambda found: f"^{found[0].translate(_RAISED_PLAIN)}", text)
        return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)


_RULE = Box(box.SIMPLE_HEAD.__str__().replace("─", "-"), ascii=True)
BLOCKS = Glyphs("▁▂▃▄▅▆▇█", 2, "┣", "━", "┫", "◆", "░", "│", "◀", "▶", box.ROUNDED, box.SIMPLE_HEAD, False)
ASCII = Glyphs("#", 4, "[", "-", "]", "O", ":", "|", "<-", "->", box.ASCII, _RULE, True)

_PLAIN = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "…": "...", "×": "x", "·": "-", "≤": "<=", "≥": ">=", "½": "1/2", "¼": "1/4"}
    | {"⅓": "1/3", "⅒": "1/10", "α": "alpha", "ε": "eps", "“": '"', "”": '"', "’": "'"}
)
_RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_RAISED_PLAIN = str.maketrans(_RAISED, "-0123456789")


def glyphs(console: Console) -> Glyphs:
    """Those of a console: ASCII in a pipe, on a dumb terminal, and where the encoding is not UTF-8."""
    utf = console.encoding.lower().replace("-", "").startswith("utf")
    blocks = console.is_terminal and utf and os.environ.get("TERM") not in ("dumb", "unknown")
    return BLOCKS if blocks else replace(ASCII, encoding=console.encoding)
