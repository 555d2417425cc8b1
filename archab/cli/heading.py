"""The first lines of a run, which wait for nothing heavy: what is asked, and with which seed."""

from rich.console import Console
from rich.text import Text

from archab import __version__
from archab.cli import signals
from archab.review.glyphs import glyphs


class Screen(Console):
    """Standard output, whose reader may leave: `archab … | head` ends as any command does there."""

    def on_broken_pipe(self) -> None:
        """Instead of rich's own exit code, which means that something failed."""
        signals.unread()


def console() -> Screen:
    """Standard output; a pipe gets 100 columns of plain text, in ASCII."""
    out = Screen(highlight=False)
    return out if out.is_terminal else Screen(highlight=False, width=max(out.width, 100))


def heading(space: str, seed: int, question: str) -> None:
    """Print them, at once, also into a pipe."""
    out = console()
    text = glyphs(out).text
    out.print(Text(text(f"archab {__version__} · {space} · seed {seed}")), style="bold")
    if question:
        out.print(Text(text(question)), style="italic")
    out.file.flush()
