"""archab new NAME: a project that runs as it stands, by the commands that its own page gives."""

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archab.cli import new
from archab.errors import ArchabError

NUMBERS = itertools.count()
TINY = ("targets=8", "samples=64", "heldout_samples=64", "tune.lr=null", "routine.epochs=2")


@pytest.fixture
def project(command, tmp_path, monkeypatch):
    name = f"gates{next(NUMBERS)}"  # each a module of its own
    ended = command("new", name)
    assert ended.code == 0
    assert f"cd {name} && python -m archab --config-dir configs +space={name}" in ended.out
    folder = tmp_path / name
    (tmp_path / "mlflow.db").rename(folder / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("further", [(), ("target=ripple",), ("routine=descend",)])
def test_its_commands_run(command, project, further):
    ended = command("--config-dir", "configs", f"+space={project.name}", *TINY, *further)
    assert ended.code == 0, ended.err
    assert "verdict" in ended.out
    assert re.search(r"matched +old: hidden \d+, hidden \d+; ", ended.out)


def test_its_page_names_commands_that_there_are(project):
    block = (project / "README.md").read_text().split("```bash\n")[1].split("```")[0]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    options = {word for line in lines for word in line if word.startswith(("+space", "target=", "routine="))}
    assert options == {f"+space={project.name}", "target=ripple", "target=diabetes", "routine=descend"}
    for group in (f"space/{project.name}", "target/ripple", "routine/descend"):
        assert (project / "configs" / f"{group}.yaml").is_file()


def test_its_tests_pass(project):
    root = str(Path(new.__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True, text=True, cwd=project, env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My-Layer", "the name of a Python module is needed"),
        ("class", "the name of a Python module is needed"),
        ("json", "a module of this name is installed"),
        ("torch", "a module of this name is installed"),
        ("there", "is there already; nothing was written"),
    ],
)
def test_a_name_that_could_not_be_used_is_refused(name, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(ArchabError, match=words):
        new.make([name])
    assert [entry.name for entry in tmp_path.iterdir()] == ["there"]
