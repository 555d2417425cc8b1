"""A table of verdicts, for a terminal or as Markdown."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from archab.cli.heading import console


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as Markdown, with a line's end behind each row."""
    bar = "\\|"
    lines = [f"| {' | '.join(cell.replace('|', bar) for cell in row)} |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]]) + "\n"


def printed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The table on standard output."""
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)
