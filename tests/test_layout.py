"""The rooms of the house, from the bottom up: a file imports only from its own room and from those below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import archab

ROOT = Path(archab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ROOMS = (
    "errors", "results", "space", "networks", "evidence", "runs", "engine", "targets", "review", "store", "comparison",
    "experiment", "cli", "benchmark", "calibration", "soak", "__init__", "__main__",
)  # fmt: skip
# A verdict still shows itself, in a notebook and as a table.
UPWARD = {("evidence", "review")}
# Which rooms may import a heavy library, at all.
MAY = {
    "torch": {"space", "networks", "engine", "targets", "comparison", "experiment", "benchmark"},
    "jax": {"benchmark"},
    "optax": {"benchmark"},
    "sklearn": set(),
    "mlflow": {"store"},
    "hydra": {"cli", "experiment"},
    "omegaconf": {"cli", "experiment"},
    "scipy": {"evidence", "review", "calibration"},
    "matplotlib": {"review"},
    "jinja2": {"review"},
    "yaml": {"experiment", "cli"},
    "rich": {"cli", "review", "evidence", "benchmark"},
}


def room(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    """What it imports, inside of functions and for types alone, too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert not node.level, f"{file}: an import is written in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_file_is_in_a_room_and_few_stand_in_the_hall():
    assert {room(file) for file in FILES} == set(ROOMS)
    assert len(list(ROOT.glob("*.py"))) <= 5


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_imports_only_from_its_room_and_those_below(file: Path):
    here = room(file)
    for module in imported(file) - {"archab.__version__"}:
        top, *rest = module.split(".")
        if top in MAY:
            assert here in MAY[top], f"{module}"
        if top == "archab" and rest and here != "__init__" and (here, rest[0]) not in UPWARD:
            below = ROOMS[: ROOMS.index(here) + 1]
            assert rest[0] in below or rest[0] in ("ArchitecturalSpace", "Comparison"), module


@pytest.mark.parametrize(
    ("module", "heavy"), [("__main__", "scipy"), ("__main__", "torch"), ("experiment.again", "torch")]
)
def test_the_command_line_is_imported_without(module, heavy, tmp_path):
    code = f"import sys, archab.{module}; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0
