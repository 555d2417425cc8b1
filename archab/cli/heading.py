"""The first lines of a run, which wait for nothing heavy: what is asked, and with which seed."""

from rich.console import Console
from rich.text import Text

from archab import __version__
from archab.review.glyphs import glyphs


def console() -> Console:
    """Standard output; a pipe gets 100 columns of plain text, in ASCII."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=max(out.width, 100))


def heading(space: str, seed: int, question: str) -> None:
    """Print them, at once, also into a pipe."""
    out = console()
    text = glyphs(out).text
    out.print(Text(text(f"archab {__version__} · {space} · seed {seed}")), style="bold")
    if question:
        out.print(Text(text(question)), style="italic")
    out.file.flush()
