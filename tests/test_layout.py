"""The rooms of the house, from the bottom up: a file imports only from its own room and from those below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import archab

ROOT = Path(archab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# From the bottom up, each with the rooms that it may import from.
ROOMS = {
    "errors": "",
    "results": "errors",
    "space": "errors",
    "networks": "errors space",
    "evidence": "errors results",
    "metrics": "errors evidence",
    "runs": "errors results",
    "engine": "errors space networks",
    "targets": "errors space networks engine",
    "review": "errors evidence metrics",
    "store": "errors results evidence runs metrics",
    "comparison": "errors results space networks evidence runs engine targets",
    "experiment": "errors results space networks evidence runs engine review store comparison",
    "cli": "errors results space evidence metrics runs review store comparison experiment",
    "benchmark": "errors space networks engine comparison",
    "calibration": "errors results evidence metrics comparison experiment cli",
    "check": "errors results space engine comparison experiment cli",
    "gallery": "errors evidence runs review experiment cli",
    "known": "errors gallery cli",
    "soak": "results store",
    "__init__": "space evidence metrics review comparison experiment",
    "__main__": "cli",
}
# Which rooms may import a heavy library, at all.
MAY = {
    "torch": {"space", "networks", "engine", "targets", "comparison", "experiment", "benchmark", "check"},
    "jax": {"benchmark"},
    "optax": {"benchmark"},
    "sklearn": set(),
    "mlflow": {"store"},
    "hydra": {"cli", "experiment"},
    "omegaconf": {"cli", "experiment"},
    "scipy": {"evidence", "metrics", "review", "calibration"},
    "matplotlib": {"review"},
    "jinja2": {"review"},
    "yaml": {"experiment", "cli", "check", "gallery"},
    "rich": {"cli", "review", "benchmark", "experiment", "check", "gallery"},
}
# Files with imports for types alone: a run is described without torch and scipy, and without MLflow, which these
# types need.
FOR_TYPES = {"experiment/job.py", "experiment/context.py", "store/history.py"}
# Files that still import late, in rooms that have not been straightened yet.
STILL_LATE = {"evidence/sentences.py"}


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
        if top == "archab" and rest:
            assert rest[0] in {here, *ROOMS[here].split(), "ArchitecturalSpace", "Comparison"}, module


def test_rooms_import_downward():
    order = list(ROOMS)
    assert all(order.index(below) < order.index(room) for room, rooms in ROOMS.items() for below in rooms.split())


def late(file: Path) -> list[int]:
    """The lines of its imports that stand in a function or under a condition, such as TYPE_CHECKING."""
    tree = ast.parse(file.read_text())
    return [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) and n not in tree.body]


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_only_the_command_line_decides_what_is_imported_late(file: Path):
    name = str(file.relative_to(ROOT))
    if room(file) not in ("cli", "__init__"):
        assert bool(late(file)) == (name in FOR_TYPES | STILL_LATE), late(file)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("__main__", "torch mlflow matplotlib scipy pandas sqlalchemy rich"),
        ("cli.compare", "torch mlflow matplotlib scipy pandas"),
        ("cli.sync", "torch mlflow matplotlib scipy"),
        ("experiment.job", "torch mlflow matplotlib scipy"),
        ("experiment.again", "torch mlflow scipy.stats matplotlib"),
        ("experiment.run", "mlflow scipy.stats matplotlib"),
    ],
)
def test_the_command_line_is_imported_without(module, heavy, tmp_path):
    code = f"import sys, archab.{module}; print(*set('{heavy}'.split()) & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True) == "\n"
