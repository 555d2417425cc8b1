"""What a verdict is written to besides the terminal: the page, the figures alone, the picture of it all."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archab.errors import ArchabError

if TYPE_CHECKING:
    from archab.compare import Judged
    from archab.evidence.context import Context
    from archab.evidence.outcome import Verdict


def drawn(verdicts: "list[Verdict]", contexts: "list[Context]", folder: Path) -> list[Path]:
    """The page and, of one verdict, its figures as pictures to be looked at in a browser; the files.

    Raises:
        ArchabError: if a file cannot be written.
    """
    from archab.evidence import report as page
    from archab.evidence.figures import save

    folder.mkdir(parents=True, exist_ok=True)
    page.write(verdicts, folder / "report.html", contexts)
    if len(verdicts) > 1:
        return [folder / "report.html"]
    [verdict], [context] = verdicts, contexts
    return [folder / "report.html", *save(verdict, folder, "", context.unit, context.curves, ("png",), dark=False)]


def write(found: "Judged", report: str | None, figures: str | None, hero: str | None, bare: bool) -> None:
    """Write what has a name.

    Args:
        report: an HTML file.
        figures: a folder.
        bare: whether those have neither title nor caption.
        hero: a picture's file.

    Raises:
        ArchabError: if a file cannot be written.
    """
    contexts = found.contexts()
    if hero:
        from archab.evidence.figures import hero as picture

        [verdict], [context] = found.verdicts, contexts
        picture.write(verdict, Path(hero), context, found.functions(verdict))
        print(f"hero: {hero}", file=sys.stderr)
    if report:
        from archab.evidence import report as page

        page.write(found.verdicts, Path(report), contexts)
        print(f"report: {report}", file=sys.stderr)
    if figures:
        from archab.evidence.figures import save

        for verdict, context in zip(found.verdicts, contexts, strict=True):
            prefix = f"{re.sub(r'[^A-Za-z0-9.=-]+', '_', verdict.label)}-" if len(found.verdicts) > 1 else ""
            try:
                save(verdict, Path(figures), prefix, context.unit, context.curves, bare=bare)
            except OSError as error:
                raise ArchabError(f"--figures {figures}: cannot be written ({error.strerror})") from error
        print(f"figures: {figures}", file=sys.stderr)
