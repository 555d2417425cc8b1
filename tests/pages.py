"""The pages of the documentation as blocks of code, each a file, a program or a line to type.

A block whose first line is a comment with a file's name (`# gates.py`, `# configs/prior/mine.yaml`) is that file, in
the folder of the page; `# gates.py: added` goes to its end, `# configs/space/gates.yaml: changed` is laid over it, key
by key. Any other block of Python is a program of its own. A block of bash holds a command a line; one of text is what
the commands before it print.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if not any(part.startswith("_") for part in page.parts)]
PAGES.append(DOCS.parent / "README.md")
MADE = [page for page in PAGES if page.parent.name == "how_to" or page.stem == "tutorial"]  # pages that make a project
LANGUAGES = {"python", "yaml", "bash", "text", "bibtex", "latex", "mermaid"}
_FENCED = re.compile(r"^```([^`\n]*)\n(.*?)^```", re.S | re.M)
_NAMED = re.compile(r"# ([\w/]+\.(?:py|yaml))(?:: (added|changed))?\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, and its text."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(DOCS.parent).with_suffix('')} {self.number}"

    @property
    def file(self) -> str:
        """The name of the file that it is; empty where it is none."""
        named = _NAMED.match(self.text)
        return named[1] if named and self.language in ("python", "yaml") else ""

    @property
    def commands(self) -> list[list[str]]:
        """What is to be typed, as words: of bash all lines, of text those behind a $."""
        if self.language == "text":
            lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        else:
            lines = re.sub(r"(&&|\\)\n\s*", r"\1 ", self.text).splitlines() if self.language == "bash" else []
        typed = [shlex.split(one, comments=True) for line in lines for one in line.split(" && ")]
        return [[words[0].removeprefix(".venv/bin/"), *words[1:]] for words in typed if words]

    def put(self, folder: Path) -> None:
        """Write the file that it is, or change it."""
        named = _NAMED.match(self.text)
        assert named is not None
        file, how = folder / named[1], named[2]
        file.parent.mkdir(parents=True, exist_ok=True)
        body = self.text[named.end() :]
        if how == "added":
            body = file.read_text() + "\n\n" + body
        if how == "changed":
            head = next(line for line in file.read_text().splitlines() if line.startswith("# @package"))
            changed = _over(yaml.safe_load(file.read_text()), yaml.safe_load(body))
            body = f"{head}\n{yaml.safe_dump(changed, sort_keys=False)}"
        file.write_text(body)


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order; directives of Sphinx are none."""
    found = [block for block in _FENCED.findall(page.read_text()) if not block[0].startswith("{")]
    return [Block(page, i, language, text) for i, (language, text) in enumerate(found)]


def _over(under: dict, upper: dict) -> dict:
    mixed = dict(under)
    for key, value in upper.items():
        below = mixed.get(key)
        mixed[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return mixed
