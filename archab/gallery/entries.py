"""What the gallery asks: every space that comes with archab, and as controls a side against itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from archab.cli.config import home
from archab.errors import ArchabError

ORIGINAL = "_original"  # ends the names of spaces that stay as they were first asked, at unequal sizes or untuned
CONTROL = ("protocol=aa", "tune=null")
CONTROLLED = ("swiglu", "n_diagonal")  # spaces whose side A is asked against itself


@dataclass(frozen=True)
class Entry:
    """One question.

    Attributes:
        name: of the space, or of a space with `_again` behind it: its side A against itself, initialised anew.
        question: in words.
        typed: the overrides of the command that asks it.
    """

    name: str
    question: str
    typed: tuple[str, ...]

    @property
    def command(self) -> str:
        """What is typed to ask it."""
        return f"python -m archab {' '.join(self.typed)}"


def entries() -> list[Entry]:
    """All of the gallery, spaces by name, then the controls."""
    files = sorted((home() / "space").glob("*.yaml"))
    asked = {file.stem: str(yaml.safe_load(file.read_text())["space"]["question"]) for file in files}
    spaces = [Entry(name, asked[name], (f"+space={name}",)) for name in asked if not name.endswith(ORIGINAL)]
    controls = [Entry(f"{name}_again", _again(name), (f"+space={name}", *CONTROL)) for name in CONTROLLED]
    return [*spaces, *controls]


def chosen(names: Sequence[str]) -> list[Entry]:
    """Those that are named, in the order of the gallery; all where none is.

    Raises:
        ArchabError: if there is none of a name.
    """
    found = entries()
    known = [entry.name for entry in found]
    if unknown := [name for name in names if name not in known]:
        raise ArchabError(f"{unknown[0]}: none of {', '.join(known)}")
    return [entry for entry in found if entry.name in names or not names]


def _again(name: str) -> str:
    return f"Does side A of {name} differ from itself, initialised anew? (a negative control)"
