"""The rooms of the house: who may import what."""

import ast
from pathlib import Path

import pytest

import archab

ROOT = Path(archab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Which file may import a heavy library, at all.
MAY = {
    "torch": (
        "space/",
        "engine/",
        "target.py",
        "linear.py",
        "comparison.py",
        "pool.py",
        "pace.py",
        "benchmark.py",
        "rivals.py",
        "whole_runs.py",
        "portrait.py",
    ),
    "jax": ("rivals_jax.py",),
    "optax": ("rivals_jax.py",),
    "sklearn": (),
    "mlflow": ("tracking.py", "schema.py"),
    "hydra": ("arguments.py", "config.py", "instantiate.py", "__main__.py"),
    "omegaconf": ("config.py", "instantiate.py", "__main__.py"),
    "scipy": ("evidence/", "calibration.py", "twins.py"),
    "matplotlib": ("evidence/",),
    "jinja2": ("evidence/report/",),
    "yaml": ("background.py", "arguments.py"),
    "rich": ("console.py", "evidence/", "compare.py", "benchmark.py", "job.py"),
}
# Which room may import which other room of archab.
ROOMS = {
    "space": {"errors", "space"},
    "engine": {"errors", "space", "engine"},
    "results": {"errors"},
    "target": {"errors", "space", "engine"},
    "linear": {"engine", "target"},
    "protocol": {"results"},
    "survey": {"errors", "space", "engine", "results", "target", "protocol"},
    "schedule": {"engine", "results", "target"},
    "valid": {"errors", "space", "engine", "protocol", "comparison"},
    "comparison": {
        "about",
        "evidence",
        "errors",
        "valid",
        "space",
        "engine",
        "results",
        "target",
        "linear",
        "protocol",
        "survey",
        "schedule",
    },
    "evidence": {"errors", "results", "evidence"},
    "fingerprint": {"protocol", "results"},
    "shard": {"errors"},
    "lease": set(),
    "record": set(),
    "spool": {"errors", "results", "shard", "lease", "record"},
    "address": {"errors"},
    "view": set(),
    "schema": {"errors", "address"},
    "tracking": {"errors", "address", "schema", "record", "view"},
    "summary": {"labels", "record", "tracking", "evidence"},
    "delivery": {"errors", "record", "tracking"},
    "sync": {"__version__", "errors", "record", "tracking", "delivery"},
    "labels": set(),
    "history": {"errors", "labels", "record", "results", "shard", "tracking", "evidence"},
    "background": {"__version__", "history", "tracking", "evidence", "config", "portrait"},
    "pages": {"compare", "errors", "evidence"},
    "portrait": {"space", "engine", "survey", "schedule", "comparison", "evidence"},
}


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_imports_only_what_its_room_may(file: Path):
    name = str(file.relative_to(ROOT))
    for module in imported(file):
        top = module.split(".")[0]
        if top in MAY:
            assert name.startswith(MAY[top]), f"{name} imports {module}"
    room = name.split("/")[0].removesuffix(".py")
    if room in ROOMS:
        own = {m.split(".")[1] for m in imported(file) if m.startswith("archab.")}
        assert own <= ROOMS[room], f"{name} imports {own - ROOMS[room]}"


def test_the_package_is_imported_without_torch(tmp_path):
    import subprocess
    import sys

    code = "import sys, archab, archab.__main__, archab.fingerprint, archab.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0
