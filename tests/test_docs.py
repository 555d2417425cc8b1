"""The documentation holds: programs run, projects are made and compared, commands are ones that there are.

How a page tells its files, programs and commands apart is said in `tests/pages.py`. Pages that make a project (the
tutorial, the how-tos) are followed from their first block to their last, at the size of a few students: of several runs
in one block the first is made, the others are planned. Then the tests that the page gives are called. The commands of
all other pages are held against the programs that they name.
"""

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

import archab
from archab.check import __main__ as check
from archab.cli import compare, gate
from archab.cli.config import Run
from archab.cli.overrides import configured
from archab.engine.cpp import compiler
from archab.engine.cpp.rules import RULES
from archab.experiment.build import comparison
from tests.pages import DOCS, LANGUAGES, MADE, PAGES, Block, blocks

ALL = [block for page in PAGES for block in blocks(page)]
PROGRAMS = [pytest.param(b, id=str(b)) for b in ALL if b.language == "python" and not b.file and b.page not in MADE]
TYPED = re.findall(r"^python -m archab (.*?)(?:  #.*)?$", (DOCS / "targets.md").read_text(), re.M)
SHORT = (
    "targets=2",
    "samples=64",
    "heldout_samples=32",
    "tune.lr=null",
    "routine.epochs=1",
    "routine.steps=null",
    "engine=loop",
)


@pytest.mark.parametrize("block", PROGRAMS)
def test_a_block_of_python_runs(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, "docs", "exec"), {"__name__": "docs"})
    printed = re.findall(r"^# prints: (.*)$", block.text, re.M)
    assert "\n".join(printed) in capsys.readouterr().out


# Pages that make a project.

SMALL = {"targets": "8", "samples": "64", "heldout_samples": "64", "tune.lr": "null", "routine.epochs": "2"}
SWEPT = {"hydra.sweeper.max_seeds": "1", "hydra.sweeper.batch": "1"}
ELSEWHERE = ("pip install", "python3 -m venv", "source ", "mlflow ui", "python -m pytest", "git clone")


@pytest.fixture
def forgotten(tmp_path: Path) -> Iterator[None]:
    """The modules and rules of a page's project are none of the next page's, though they have the same names."""
    path, rules = list(sys.path), dict(RULES)
    yield
    sys.path[:] = path
    RULES.clear()
    RULES.update(rules)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", MADE, ids=lambda page: page.stem)
@pytest.mark.usefixtures("forgotten")
def test_a_page_can_be_followed(page, command, capfd, monkeypatch):
    if page.stem == "engine_rule" and compiler.compiler() is None:
        pytest.skip("no C++ compiler")
    said = ""
    monkeypatch.syspath_prepend(str(Path.cwd()))
    for block in blocks(page):
        if block.file:
            block.put(Path.cwd())
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), {"__name__": "docs"})
        elif block.language == "text":
            _holds(block, said)
        ran = False
        for words in block.commands if block.language == "bash" else []:
            if ran and _trains(words):
                assert comparison(configured(words[3:])).plan.parts
            else:
                said += _typed(words, command, capfd, monkeypatch)
                ran = ran or _trains(words)
    for file in sorted(Path.cwd().glob("test_*.py")):
        _pass(file)


def _typed(words: list[str], command: Callable, capfd: pytest.CaptureFixture[str], monkeypatch) -> str:
    """Do what a line says, small, and give what was printed."""
    match words:
        case ["cd", folder]:
            store = Path("mlflow.db").absolute()
            monkeypatch.chdir(folder)
            store.rename("mlflow.db")
            monkeypatch.syspath_prepend(str(Path.cwd()))
            return ""
        case ["python", "-m", "archab", *arguments]:
            ended = command(*arguments, *_small(arguments))
            assert ended.code == 0, ended.err
            return ended.out
        case ["python", "-m", "archab.check", *arguments]:
            assert check.main(arguments) == 0
        case ["archab-compare", *arguments]:
            assert compare.main(arguments) == 0
        case _:
            assert " ".join(words).startswith(ELSEWHERE), words
    return capfd.readouterr().out


def _trains(words: list[str]) -> bool:
    return words[:3] == ["python", "-m", "archab"] and words[3] not in ("new", "sizes", "-m")


def _small(arguments: list[str]) -> list[str]:
    if arguments[0] in ("new", "sizes"):
        return []
    wanted = SMALL | (SWEPT if any("until_decided" in word for word in arguments) else {})
    wanted |= {"budget_limit": "2"} if "budget=auto" in arguments else {}
    given = {word.partition("=")[0] for word in arguments}
    return [f"{key}={value}" for key, value in wanted.items() if key not in given or key.startswith("hydra.")]


def _holds(block: Block, said: str) -> None:
    """Each line that begins with a word of the output's margin has one among those that were printed."""
    for word in re.findall(r"^[\s│|]*([a-z]{5,})\b  ", block.text, re.M):
        assert re.search(rf"^[\s│|]*{word}\b", said, re.M), f"{block}: no line of the output begins with {word}"


def _pass(file: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"docs_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


SOURCE = re.sub(
    r"\"\s*\n\s*f?\"", "", "".join(file.read_text() for file in sorted(Path(archab.__file__).parent.rglob("*.py")))
)


@pytest.mark.parametrize("page", [page for page in MADE if page.stem != "tutorial"], ids=lambda page: page.stem)
def test_messages_of_a_page_are_ones_that_there_are(page):
    [listed] = re.findall(r"^## What goes wrong\n(.*?)^## ", page.read_text(), re.S | re.M)
    messages = re.findall(r"^\| `(.*?)`(?: \([^|]*\))? \|", listed, re.M)
    assert messages
    for message in messages:
        for part in message.split("…"):
            if len(part.strip(" :,()")) > 8:
                assert part.strip(" :,()") in SOURCE, f"{page.name}: nothing says {part!r}"


# All pages.

CONF = DOCS.parent / "conf"
GROUPS = {folder.name for folder in CONF.iterdir() if folder.is_dir()}
KEYS = {field.name for field in fields(Run)} | GROUPS | {"hydra", "shards"}
OWN = {"mine", "gates", "ripple", "descend", "houses", "species", "log_cosh", "NAME"}  # made by who reads


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_holds(page):
    text = page.read_text()
    assert text.startswith(("# ", "<!-- "))
    assert text.count("```") % 2 == 0
    assert "![]" not in text, "a picture needs words for who cannot see it"
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)):
        if not target.startswith(("http", "#", "mailto")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target} is not there"
    for typed in re.findall(r"`((?:python -m archab|archab-compare|archab gate)[^`…]*)`", text):
        _known(shlex.split(typed))
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block}: a language is needed, one of {', '.join(sorted(LANGUAGES))}"
        if block.language == "yaml":
            yaml.safe_load(block.text)
        if "for CHANGE in" not in block.text:  # a loop, which has a test of its own
            for words in block.commands:
                _there(words)


def test_pictures_are_as_their_script_draws_them():
    spec = importlib.util.spec_from_file_location("draw", DOCS / "pictures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    files = {file.stem: file.read_text() for file in (DOCS / "pictures").glob("*.svg")}
    assert files == {name: draw.drawn(name) for name in draw.PICTURES}


def _known(words: list[str]) -> None:
    """A command that a sentence names, maybe in part: its program and its options are ones that there are."""
    parsers = {"archab-compare": compare._parser(), "archab": gate._parser()}
    if words[0] not in parsers:
        _there(words)
        return
    for word in words:
        assert not word.startswith("--") or word in parsers[words[0]]._option_string_actions, f"{words[0]}: no {word}"


def _there(words: list[str]) -> None:
    """A command names a program, options and choices that there are."""
    words = words[words.index("time") + 1 :] if "time" in words else words
    words = words[: words.index("|")] if "|" in words else words
    match words:
        case ["archab-compare", *arguments]:
            compare._parser().parse_args(arguments)
        case ["archab", "gate", *arguments] | ["python", "-m", "archab", "gate", *arguments]:
            gate._parser().parse_args(arguments)
        case ["python", "-m", "archab", "new", _] | ["cd", _]:
            pass
        case ["python", "-m", "archab", *arguments]:
            _composes(
                [
                    word
                    for word in arguments
                    if word not in ("sizes", "-m", "--config-dir", "configs", "--help", "--cfg", "job")
                ]
            )
        case ["python", "-m", module, *arguments] if module.startswith("archab."):
            spec = importlib.util.find_spec(module)
            assert spec is not None, module
            folder = Path(str(spec.origin)).parent
            text = "".join(file.read_text() for file in folder.glob("*.py"))
            for before, word in zip(["", *arguments], arguments, strict=False):
                if "=" not in word and "." not in word and not {before, word} & {"--config-dir", "--page"}:
                    assert word in text, f"{module} knows no {word}"
        case _:
            known = (*ELSEWHERE, "archab-sync", "ray/bin/pip", "-e", "scancel")
            assert " ".join(words).startswith(known), words


def _composes(overrides: list[str]) -> None:
    for override in OverridesParser.create().parse_overrides(overrides):
        key, value = override.key_or_group, override.value()
        assert re.split(r"[.@/]", key)[0] in KEYS, f"there is no key {key}"
        if key in GROUPS and isinstance(value, str) and value not in OWN and override.package is None:
            assert (CONF / key / f"{value}.yaml").is_file() or any(
                block.file == f"configs/{key}/{value}.yaml" for block in ALL
            ), f"there is no {key}={value}"


@pytest.mark.parametrize("typed", TYPED)
def test_a_command_runs(typed, command):
    if "digits" in typed:
        pytest.importorskip("sklearn", reason="no scikit-learn: pip install 'archab[sklearn]'")
    ended = command(*typed.split(), *SHORT)
    assert ended.code == 0, ended.err
    assert "verdict" in ended.out


RUNS = (DOCS / "runs.md").read_text()
COMPARED = re.findall(r"^(?:      - run: )?archab-compare (--runs runs.csv .*?)(?:  #.*)?$", RUNS, re.M)
GATED = re.findall(r"^archab gate (.*)$", RUNS, re.M)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder with runs.csv, new.jsonl and old.jsonl, as the page's commands take them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame([(m, s) for m in ("new", "old", "third") for s in range(15)], columns=["model", "seed"])
    table = table.assign(width=64, val_loss=2 + rng.normal(0, 0.1, len(table)) - 0.2 * (table["model"] == "new"))
    table.to_csv("runs.csv", index=False)
    for name in ("new", "old"):
        own = table[table["model"] == name].rename(columns={"val_loss": "val_bpb"})
        own[["seed", "val_bpb"]].to_json(f"{name}.jsonl", orient="records", lines=True)


@pytest.mark.parametrize("typed", COMPARED)
def test_a_comparison_of_runs_is_made(typed, runs, capsys):
    assert compare.main(shlex.split(typed)) == 0
    assert "new" in capsys.readouterr().out


def test_the_gate_of_the_page_answers(runs, capsys):
    assert len(COMPARED) == 5
    assert gate.main(shlex.split(GATED[0])) == 0
    assert capsys.readouterr().out.startswith("keep")


@pytest.mark.slow
def test_the_loop_of_the_page_keeps_what_is_better_and_goes_on(tmp_path):
    [loop] = re.findall(r"```bash\n(for CHANGE.*?)```", RUNS, re.S)
    (tmp_path / "changes").mkdir()
    for change in ("1-worse", "2-better", "3-worse"):
        (tmp_path / "changes" / change).touch()
    (tmp_path / "old.jsonl").touch()
    (tmp_path / "train.py").write_text(
        "import argparse, json, random\n"
        "given = argparse.ArgumentParser(); given.add_argument('--change', default=''); given.add_argument('--seed')\n"
        "given = given.parse_args(); random.seed(given.seed)\n"
        "gain = 0.3 * given.change.endswith('better') - 0.3 * given.change.endswith('worse')\n"
        "print(json.dumps({'seed': int(given.seed), 'val_bpb': 1 + random.random() - gain}))\n"
    )
    command = f'archab() {{ {sys.executable} -m archab "$@"; }}\npython() {{ {sys.executable} "$@"; }}\n'
    ended = subprocess.run(["bash", "-e", "-c", command + loop], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    said = [line.split(",")[0] for line in ended.stdout.splitlines() if not line.startswith("one more seed")]
    assert said == ["discard: changes/1-worse", "keep: changes/2-better", "discard: changes/3-worse"]
