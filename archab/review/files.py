"""What a verdict is written to besides the terminal: the page, the figures alone, the picture of it all."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from archab.errors import ArchabError
from archab.evidence.fields import Verdict
from archab.review import paper
from archab.review import report as page
from archab.review.context import Context
from archab.review.figures import hero as picture
from archab.review.figures import save
from archab.review.functions import Functions


def drawn(verdicts: list[Verdict], contexts: list[Context], folder: Path) -> list[Path]:
    """The page and, of one verdict, its figures as pictures to be looked at in a browser; the files.

    Raises:
        ArchabError: if a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page.write(verdicts, folder / "report.html", contexts)
    if len(verdicts) > 1:
        return [folder / "report.html"]
    [verdict], [context] = verdicts, contexts
    drawn = save(verdict, folder, "", context.unit, context.curves, context.tuning, ("png",), dark=False)
    return [folder / "report.html", *drawn]


def write(
    verdicts: list[Verdict],
    contexts: list[Context],
    functions: Callable[[Verdict], Functions | None],
    *,
    report: str | None,
    figures: str | None,
    hero: str | None,
    latex: str | None,
    bare: bool,
) -> Iterator[str]:
    """Write what has a name, and say each when it is there.

    Args:
        functions: draws targets and students of a verdict, where that can be; for the hero.
        report: an HTML file.
        figures: a folder.
        hero: a picture's file.
        latex: a file of LaTeX: a table and a paragraph of methods a verdict, with references.
        bare: whether figures have neither title nor caption.

    Raises:
        ArchabError: if a file cannot be written.
    """
    if hero:
        [verdict], [context] = verdicts, contexts
        picture.write(verdict, Path(hero), context, functions(verdict))
        yield f"hero: {hero}"
    if report:
        page.write(verdicts, Path(report), contexts)
        yield f"report: {report}"
    if latex:
        paper.write(verdicts, contexts, Path(latex))
        yield f"latex: {latex}"
    if figures:
        for verdict, context in zip(verdicts, contexts, strict=True):
            prefix = f"{re.sub(r'[^A-Za-z0-9.=-]+', '_', verdict.label)}-" if len(verdicts) > 1 else ""
            try:
                save(verdict, Path(figures), prefix, context.unit, context.curves, context.tuning, bare=bare)
            except OSError as error:
                raise ArchabError(f"--figures {figures}: cannot be written ({error.strerror})") from error
        yield f"figures: {figures}"
