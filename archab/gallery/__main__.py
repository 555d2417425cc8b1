"""All comparisons that come with archab, asked at their own settings, and one table of their verdicts.

    python -m archab.gallery                   # all of them, on one seed each
    python -m archab.gallery gelu rope         # some
    python -m archab.gallery --list            # their questions and commands
    python -m archab.gallery --markdown        # as a table of Markdown
    python -m archab.gallery --page FOLDER     # as a page with a picture each: gallery.md and gallery/ in the folder

Sizes are within 5% and both sides are tuned alike. --page keeps each verdict as it comes and asks none again whose
configuration is still the same: after an interruption the same command goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from archab.cli import signals
from archab.errors import ArchabError
from archab.gallery.answer import Answer, ask, together
from archab.gallery.entries import Entry, chosen
from archab.gallery.page import Page
from archab.gallery.table import markdown, printed

COLUMNS = ("comparison", "better", "typical errors", "sizes", "on", "seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask what is named, or all; 0, 2 on a mistake, 130 where interrupted."""
    given = _parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    try:
        asked = chosen(given.names)
        if given.list:
            for entry in asked:
                print(f"{entry.name}: {entry.question}\n    {entry.command}")
            return 0
        with signals.handled():
            answers = _on_page(asked, Page(given.page)) if given.page else [(one, _asked(one)) for one in asked]
    except ArchabError as error:
        print(f"archab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return signals.INTERRUPTED
    rows = [_row(*one) for one in answers]
    if given.markdown:
        print(markdown(COLUMNS, rows), end="")
    else:
        printed(COLUMNS, rows)
    return 0


def _asked(entry: Entry) -> Answer:
    return _told(entry, Answer.of(*ask(entry.typed)))


def _on_page(asked: Sequence[Entry], page: Page) -> list[tuple[Entry, Answer]]:
    """The answers, asked where none is kept; the page has all of the gallery that are kept."""
    page.begin()
    for entry in asked:
        if page.kept(entry) is None:
            verdict, seconds = ask(entry.typed)
            page.keep(entry, _told(entry, Answer.of(verdict, seconds)), verdict)
    kept = [(entry, answer) for entry in chosen([]) if (answer := page.kept(entry)) is not None]
    page.write(kept)
    return [(entry, answer) for entry, answer in kept if entry in asked]


def _told(entry: Entry, answer: Answer) -> Answer:
    print(f"{entry.name}: {answer.sentence}", file=sys.stderr, flush=True)
    return answer


def _row(entry: Entry, answer: Answer) -> tuple[str, ...]:
    errors, sizes = together(answer.errors[0]), together(answer.sizes[0], count=True)
    return entry.name, answer.winner, errors, sizes, answer.counted, f"{answer.seconds:.0f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m archab.gallery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a space; all where none is named")
    parser.add_argument("--list", action="store_true", help="questions and commands")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="write gallery.md and gallery/ there, or go on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
