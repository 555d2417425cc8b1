"""Does archab find what is known? Contrasts whose answer the literature agrees on, each asked at its own settings.

    python -m archab.known                 # all of them, about five minutes on two cores
    python -m archab.known residual gru    # some
    python -m archab.known --markdown      # as a table of Markdown
    python -m archab.known --list          # what is known, from where, and the commands

Sizes are matched and both sides tuned alike. A contrast stays in the table whatever comes out; settings that were
changed after a first attempt are named in docs/known.md. Exits 1 where one comes out the other way round, or a control
finds a difference.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from archab.cli.heading import console
from archab.errors import ArchabError
from archab.gallery.answer import Answer, ask, together
from archab.gallery.table import markdown, printed
from archab.known.contrasts import CONTRASTS, Contrast

COLUMNS = ("contrast", "better, as known", "found", "typical errors", "sizes", "agrees", "seconds")


@dataclass(frozen=True)
class Compared:
    """What is known, and what came out."""

    contrast: Contrast
    answer: Answer

    @property
    def agrees(self) -> str:
        """Whether it is what is known: `yes`, `no` for the opposite, `open` where no side was named that should be."""
        if self.answer.found == self.contrast.known:
            return "yes"
        return "open" if self.answer.found == "none" else "no"

    def cells(self) -> tuple[str, ...]:
        """A row of `COLUMNS`."""
        found, (a, b) = self.answer, self.answer.names
        known = {"a": a, "b": b, "none": "no difference"}[self.contrast.known]
        errors, sizes = together(found.errors[0]), together(found.sizes[0], count=True)
        return self.contrast.claim, known, found.winner, errors, sizes, self.agrees, f"{found.seconds:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask what is named, or all; 0, 1 where something comes out the other way round, 2 on a mistake."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(typed):
        print(__doc__)
        return 0
    names = [argument for argument in typed if not argument.startswith("--")]
    unknown = [name for name in names if name not in {one.name for one in CONTRASTS}]
    flags = {argument for argument in typed if argument.startswith("--")}
    if unknown or flags - {"--markdown", "--list"}:
        wrong = (unknown or sorted(flags - {"--markdown", "--list"}))[0]
        print(f"archab: {wrong}: none of {', '.join(one.name for one in CONTRASTS)}", file=sys.stderr)
        return 2
    asked = [one for one in CONTRASTS if one.name in names or not names]
    if "--list" in flags:
        for one in asked:
            print(f"{one.name}: {one.claim} ({one.source})\n    python -m archab {' '.join(one.typed)}")
        return 0
    try:
        answers = [_told(Compared(one, Answer.of(*ask(one.typed)))) for one in asked]
    except ArchabError as error:
        print(f"archab: {error}", file=sys.stderr)
        return 2
    _printed(answers, "--markdown" in flags)
    return int(any(answer.agrees == "no" for answer in answers))


def _told(one: Compared) -> Compared:
    print(f"{one.contrast.name}: {one.answer.sentence}", file=sys.stderr)
    return one


def _printed(answers: Sequence[Compared], as_markdown: bool) -> None:
    if as_markdown:
        print(markdown(COLUMNS, [answer.cells() for answer in answers]), end="")
        return
    printed(COLUMNS, [(answer.contrast.name, *answer.cells()[1:]) for answer in answers])
    yes = sum(answer.agrees == "yes" for answer in answers)
    console().print(f"{yes} of {len(answers)} agree with what is known")


if __name__ == "__main__":
    sys.exit(main())
