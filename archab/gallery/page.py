"""The page of the gallery: each answer kept with its picture as soon as it is there, and one file of all."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archab.cli.overrides import configured
from archab.errors import ArchabError
from archab.evidence.fields import Verdict
from archab.gallery.answer import Answer, together
from archab.gallery.entries import Entry
from archab.gallery.table import markdown
from archab.review.figures.palette import DARK, LIGHT
from archab.review.figures.strip import svg
from archab.runs.identity import fingerprint

BEGIN = "<!-- python -m archab.gallery --page writes from here … -->"
END = "<!-- … to here -->"
TITLE = "# Gallery\n"
SHADES = ((LIGHT, ""), (DARK, "-dark"))
COLUMNS = ("question", "better", "errors", "sizes", "on", "seconds")


@dataclass(frozen=True)
class Page:
    """`gallery.md` in a folder, and beside it `gallery/` with a JSON object and two pictures a verdict.

    Each file is whole or not there, and an answer's own comes last: what a kill leaves is asked again, or goes on.
    """

    folder: Path

    def begin(self) -> None:
        """Make the folders.

        Raises:
            ArchabError: if they cannot be made or written to.
        """
        try:
            self._beside.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchabError(f"--page {self.folder}: cannot be written ({error.strerror})") from error
        if not os.access(self._beside, os.W_OK):
            raise ArchabError(f"--page {self.folder}: cannot be written")

    def kept(self, entry: Entry) -> Answer | None:
        """The answer that is kept of a question as it is asked now; None where there is none, or a damaged one."""
        try:
            held = json.loads(self._file(entry, ".json").read_text())
            answer = Answer.read(held["answer"]) if held["identity"] == identity(entry) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return answer if all(self._file(entry, f"{shade}.svg").exists() for _, shade in SHADES) else None

    def keep(self, entry: Entry, answer: Answer, verdict: Verdict) -> None:
        """Write the pictures of a verdict, then the answer."""
        for palette, shade in SHADES:
            _write(self._file(entry, f"{shade}.svg"), svg(verdict, palette))
        held = {"identity": identity(entry), "question": entry.question, "answer": answer.plain()}
        _write(self._file(entry, ".json"), json.dumps(held, indent=1, ensure_ascii=False) + "\n")

    def write(self, answers: Sequence[tuple[Entry, Answer]]) -> None:
        """Write the file; what stands before and behind the marked part of one that is there stays."""
        file = self.folder / "gallery.md"
        text = file.read_text() if file.exists() else f"{TITLE}\n{BEGIN}\n{END}\n"
        before, begun, rest = text.partition(BEGIN)
        _, ended, after = rest.partition(END)
        if not (begun and ended):
            raise ArchabError(
                f"{file}: the lines {BEGIN} and {END} are missing, between which the verdicts are written"
            )
        parts = [markdown(COLUMNS, [row(*one) for one in answers]), *(section(*one) for one in answers)]
        _write(file, f"{before}{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}{after}")

    @property
    def _beside(self) -> Path:
        return self.folder / "gallery"

    def _file(self, entry: Entry, ending: str) -> Path:
        return self._beside / f"{entry.name}{ending}"


def identity(entry: Entry) -> str:
    """What makes two answers the same: the configuration and the seed."""
    config = configured(entry.typed)
    return f"{fingerprint(config)}-{config['seed']}"


def row(entry: Entry, answer: Answer) -> tuple[str, ...]:
    """A row of `COLUMNS`; errors and sizes of several members are those of the first and the last."""
    ends = (0, -1)[: len(answer.sizes)]
    errors, sizes = (
        "; ".join(together(pairs[i], count) for i in ends)
        for pairs, count in ((answer.errors, False), (answer.sizes, True))
    )
    asked = f"[{entry.question}](#{entry.name})"
    return asked, answer.winner, errors, sizes, answer.counted, f"{answer.seconds:.0f}"


def section(entry: Entry, answer: Answer) -> str:
    """The question, its command, the picture, and the verdict in words."""
    mind = f" Mind: {'; '.join(answer.caveats)}." if answer.caveats else ""
    a, b = answer.names
    sizes = "; ".join(together(pair, count=True) for pair in answer.sizes)
    errors = "; ".join(together(pair) for pair in answer.errors)
    alt = f"{a} against {b}: {answer.winner}".replace('"', "'")
    picture = (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="gallery/{entry.name}-dark.svg">\n'
        f'  <img src="gallery/{entry.name}.svg" alt="{alt}">\n</picture>'
    )
    spent = f"{answer.counted}, {answer.seconds:.0f} seconds"
    facts = f"A is {a}, B is {b}. Typical errors: {errors}. Sizes: {sizes}. On {spent}."
    said = f"**{answer.sentence}**{mind}"
    command = f"```bash\n{entry.command}\n```"
    return "\n\n".join((f"## {entry.name}", entry.question, command, picture, said, f"{facts}\n"))


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(f".{os.getpid()}-{file.name}")
    unfinished.write_text(text)
    unfinished.replace(file)
