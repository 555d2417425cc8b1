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
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from archab.cli.heading import console
from archab.cli.overrides import configured
from archab.errors import ArchabError
from archab.evidence.fields import Verdict
from archab.evidence.verdict import judge
from archab.experiment.build import comparison
from archab.known.contrasts import CONTRASTS, Contrast

COLUMNS = ("contrast", "better, as known", "found", "typical errors", "sizes", "agrees", "seconds")
OUTCOMES = {"a_better": "a", "b_better": "b"}


@dataclass(frozen=True)
class Answer:
    """What came out.

    Attributes:
        contrast: which it is.
        verdict: on one seed.
        seconds: that it took, tuning and programs that had to be compiled included.
    """

    contrast: Contrast
    verdict: Verdict
    seconds: float

    @property
    def found(self) -> str:
        """`a` or `b`, the side that is better; `none` where the verdict names none."""
        return OUTCOMES.get(self.verdict.verdict, "none")

    @property
    def agrees(self) -> str:
        """Whether it is what is known: `yes`, `no` for the opposite, `open` where no side was named that should be."""
        if self.found == self.contrast.known:
            return "yes"
        return "open" if self.found == "none" else "no"

    def cells(self) -> tuple[str, ...]:
        """A row of `COLUMNS`."""
        names = {"a": self.verdict.names[0], "b": self.verdict.names[1], "none": "no difference"}
        typical = " and ".join(f"{side.typical:.2g}" for m in self.verdict.members[:1] for side in (m.a, m.b))
        sizes = " and ".join(f"{side.size:,.0f}" for m in self.verdict.members[:1] for side in (m.a, m.b))
        found = "no winner" if self.found == "none" else names[self.found]
        if self.found != "none":
            ratio = self.verdict.gmr if self.found == "a" else 1 / self.verdict.gmr
            found = f"{found}, {1 - ratio:.0%} lower"
        known = names[self.contrast.known]
        return self.contrast.claim, known, found, typical, sizes, self.agrees, f"{self.seconds:.0f}"


def ask(contrast: Contrast, further: Sequence[str] = ()) -> Answer:
    """Train and judge one of them.

    Args:
        contrast: which.
        further: overrides behind its own.

    Raises:
        ArchabError: on a mistake in these.
    """
    begun = time.monotonic()
    study = comparison(configured([*contrast.typed, *further])).ready.study()
    return Answer(contrast, judge(study), time.monotonic() - begun)


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
        answers = [_told(ask(one)) for one in asked]
    except ArchabError as error:
        print(f"archab: {error}", file=sys.stderr)
        return 2
    _printed(answers, "--markdown" in flags)
    return int(any(answer.agrees == "no" for answer in answers))


def _told(answer: Answer) -> Answer:
    print(f"{answer.contrast.name}: {answer.verdict.sentence()}", file=sys.stderr)
    return answer


def _printed(answers: Sequence[Answer], markdown: bool) -> None:
    if markdown:
        print(f"| {' | '.join(COLUMNS)} |")
        print("|---" * len(COLUMNS) + "|")
        for answer in answers:
            print(f"| {' | '.join(answer.cells())} |")
        return
    table = Table(*COLUMNS, box=None)
    for answer in answers:
        table.add_row(*map(Text, (answer.contrast.name, *answer.cells()[1:])))
    console().print(table)
    yes = sum(answer.agrees == "yes" for answer in answers)
    console().print(f"{yes} of {len(answers)} agree with what is known")


if __name__ == "__main__":
    sys.exit(main())
