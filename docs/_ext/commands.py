"""What every command says of itself with --help, as Markdown: asked of the commands when the site is built."""

import io
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from hydra.core.global_hydra import GlobalHydra

ROOT = Path(__file__).parents[2]
SUBCOMMANDS = ("sizes", "new", "gate")  # of `archab`


def commands() -> dict[str, tuple[str, ...]]:
    """Every command as it is typed, with the module whose `main` it calls and the words behind it.

    Those of the package's scripts, the subcommands of `archab`, and each part of archab that runs as a module.
    """
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    found: dict[str, tuple[str, ...]] = {}
    for name, place in scripts.items():
        module = place.partition(":")[0]
        found[name] = ("archab.cli.run" if name == "archab" else module,)  # whose main would end this process
        if name == "archab":
            found |= {f"archab {word}": ("archab.cli.run", word) for word in SUBCOMMANDS}
    for file in sorted([*(ROOT / "archab").glob("*.py"), *(ROOT / "archab").glob("*/__main__.py")]):
        path = file.relative_to(ROOT).with_suffix("")
        if (path.name != "__main__" and 'if __name__ == "__main__"' in file.read_text()) or len(path.parts) == 3:
            found[f"python -m archab.{path.parts[1]}"] = (".".join(path.parts),)
    return found


def said(module: str, *words: str) -> str:
    """What it prints with --help, 88 characters wide, as many as a line of the site has."""
    out = io.StringIO()
    GlobalHydra.instance().clear()
    with (
        patch.object(sys, "argv", [module, *words, "--help"]),
        patch.dict(os.environ, {"COLUMNS": "88", "NO_COLOR": "1"}),
        patch.object(sys, "path", list(sys.path)),
        redirect_stdout(out),
        redirect_stderr(out),
        suppress(SystemExit),
    ):
        import_module(module).main()
    return out.getvalue().strip()


def page() -> Iterator[str]:
    """Lines of Markdown: a heading and the text of each command."""
    for typed, (module, *words) in commands().items():
        yield from (f"## {typed}", "", "```{code-block} text", ":class: wrapped", "", f"$ {typed} --help")
        yield from (said(module, *words), "```", "")
