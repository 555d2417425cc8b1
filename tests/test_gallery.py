"""The gallery: every comparison runs, at a tenth of its size, is fair, and stands on the page that goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from archab.cli.config import home
from archab.cli.overrides import configured
from archab.evidence.fields import Verdict
from archab.experiment import build
from archab.gallery import __main__ as gallery
from archab.gallery import page
from archab.gallery.answer import Answer, ask
from archab.gallery.entries import CONTROLLED, Entry, entries
from archab.gallery.page import BEGIN, END, Page

ENTRIES = entries()
NAMED = {entry.name: entry for entry in ENTRIES}


@cache
def answered() -> tuple[Verdict, float]:
    """A verdict with all that one has, quickly."""
    return ask(["+space=linear", "targets=8", "samples=128", "tune.lr=null", "routine.lr=0.01", "routine.steps=200"])


@pytest.fixture
def quick(monkeypatch):
    """Questions are answered at once, and counted by name."""
    asked: list[str] = []

    def at_once(typed):
        asked.append(typed[0])
        return answered()

    monkeypatch.setattr(gallery, "ask", at_once)
    return asked


def test_every_space_that_comes_with_archab_is_asked_but_those_as_first_asked():
    files = {file.stem for file in (home() / "space").glob("*.yaml") if not file.stem.endswith("_original")}
    assert {entry.name for entry in ENTRIES} == files | {f"{name}_again" for name in CONTROLLED}
    assert all(entry.question.endswith(("?", "control)")) for entry in ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_it_runs_and_is_fair(entry: Entry):
    asked = build.comparison(configured(entry.typed))
    control = entry.name.endswith("_again")
    assert (asked.tune is None) == control
    assert control or asked.tune.of("a") == asked.tune.of("b")
    assert asked.a.routine == asked.b.routine
    assert len(asked.a) == len(asked.b)
    for member in range(len(asked.a)):
        assert abs(asked.b.size(member) / asked.a.size(member) - 1) <= 0.05
    routine = replace(asked.a.routine, epochs=None, steps=4)
    a, b = (replace(space, routine=routine, members=space.arguments[:1]) for space in (asked.a, asked.b))
    short = replace(asked, a=a, b=b, targets=2, samples=64, heldout_samples=32, tune=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of so few targets and steps
        rows = short.ready.study().rows
    assert len(rows) == 4
    assert set(rows["status"]) == {"ok"}


def test_questions_and_commands_are_listed(capsys):
    assert gallery.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 2 * len(ENTRIES)
    assert "gelu: Does GELU learn better than ReLU, at equal size?\n    python -m archab +space=gelu\n" in out
    assert "\n    python -m archab +space=swiglu protocol=aa tune=null\n" in out


def test_a_name_that_there_is_not_is_refused(capsys):
    assert gallery.main(["gleu", "--list"]) == 2
    assert "archab: gleu: none of adapter, block_diagonal" in capsys.readouterr().err


def test_the_table_has_what_the_verdict_says(quick, capsys):
    verdict, _ = answered()
    assert gallery.main(["linear", "gelu", "--markdown"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head == f"| {' | '.join(gallery.COLUMNS)} |"
    assert rule == "|---" * len(gallery.COLUMNS) + "|"
    assert [row.split(" | ")[0] for row in rows] == ["| gelu", "| linear"]
    [member] = verdict.members
    assert (
        f"ReLU, {1 - verdict.gmr:.0%} lower | {member.a.typical:.2g} and {member.b.typical:.2g} | 193 and 193"
        in rows[1]
    )
    assert quick == ["+space=gelu", "+space=linear"]
    assert gallery.main(["linear"]) == 0
    assert f"ReLU, {1 - verdict.gmr:.0%} lower" in capsys.readouterr().out


def test_an_answer_is_read_as_it_was_kept():
    answer = Answer.of(*answered())
    assert Answer.read(json.loads(json.dumps(answer.plain()))) == answer


def test_a_page_shows_each_verdict_and_asks_none_again(quick, tmp_path, capsys):
    verdict, _ = answered()
    assert gallery.main(["linear", "gelu", "--page", str(tmp_path)]) == 0
    text = (tmp_path / "gallery.md").read_text()
    for name in ("linear", "gelu"):
        entry = NAMED[name]
        assert f"## {name}\n\n{entry.question}\n\n```bash\n{entry.command}\n```\n" in text
    assert f"**{verdict.sentence()}**" in text
    named = set(re.findall(r'"(gallery/[^"]+)"', text))
    assert named == {f"gallery/{name}{shade}.svg" for name in ("linear", "gelu") for shade in ("", "-dark")}
    assert all((tmp_path / file).read_text().count("<svg") == 1 for file in named)
    assert all((tmp_path / file).stat().st_size < 14_000 for file in named)
    assert gallery.main(["linear", "rope", "--page", str(tmp_path)]) == 0
    assert quick == ["+space=gelu", "+space=linear", "+space=rope"], "linear is kept"
    text = (tmp_path / "gallery.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.M) == ["gelu", "linear", "rope"]
    assert not list(tmp_path.rglob(".*")), "nothing unfinished is left"
    assert gallery.main(["rope", "--page", str(tmp_path)]) == 0
    assert (tmp_path / "gallery.md").read_text() == text


def test_what_stands_around_the_verdicts_stays(quick, tmp_path, capsys):
    file = tmp_path / "gallery.md"
    file.write_text(f"# Mine\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nBehind.\n")
    assert gallery.main(["linear", "--page", str(tmp_path)]) == 0
    text = file.read_text()
    assert text.startswith(f"# Mine\n\nBefore.\n\n{BEGIN}\n\n| question |")
    assert text.endswith(f"{END}\n\nBehind.\n")
    assert "old" not in text
    file.write_text("# Mine\n")
    assert gallery.main(["linear", "--page", str(tmp_path)]) == 2
    assert "the lines <!--" in capsys.readouterr().err
    assert file.read_text() == "# Mine\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text(file.read_text()[:100]),
        lambda file: file.write_text(file.read_text().replace('"identity": "', '"identity": "0')),
        lambda file: file.write_text("[]"),
        lambda file: file.with_name("linear-dark.svg").unlink(),
    ],
    ids=["cut", "of another configuration", "something else", "without its picture"],
)
def test_an_answer_that_is_damaged_or_of_another_configuration_is_asked_again(quick, tmp_path, spoil, capsys):
    gallery.main(["linear", "--page", str(tmp_path)])
    spoil(tmp_path / "gallery" / "linear.json")
    gallery.main(["linear", "--page", str(tmp_path)])
    assert quick == ["+space=linear"] * 2
    assert Page(tmp_path).kept(NAMED["linear"]) == Answer.of(*answered())


def test_a_changed_configuration_is_another_one(monkeypatch):
    linear = NAMED["linear"]
    longer = Entry("linear", linear.question, (*linear.typed, "routine.steps=4000"))
    reseeded = Entry("linear", linear.question, (*linear.typed, "seed=1"))
    assert len({page.identity(entry) for entry in (linear, longer, reseeded)}) == 3


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(quick, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert gallery.main(["linear", "--page", str(tmp_path / "file")]) == 2
    assert f"--page {tmp_path / 'file'}: cannot be written" in capsys.readouterr().err
    assert not quick


KILLED = """
import sys, time
from archab.gallery import __main__ as gallery
from test_gallery import answered

def ask(typed):
    if typed[0] == "+space=linear":
        print("there", flush=True)
        time.sleep(600)
    return answered()

gallery.ask = ask
gallery.main(["gelu", "linear", "--page", sys.argv[1]])
"""


def test_a_kill_in_the_middle_leaves_what_was_answered(quick, tmp_path, capsys):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    assert process.stdout.readline() == b"there\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert Page(tmp_path).kept(NAMED["gelu"]) is not None
    assert gallery.main(["gelu", "linear", "--page", str(tmp_path)]) == 0
    assert quick == ["+space=linear"]
    assert "## gelu" in (tmp_path / "gallery.md").read_text()
