"""The examples of the documentation run as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from archab.cli import compare, gate

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = [
    pytest.param(block, id=f"{file.stem} {i}")
    for file in sorted(DOCS.glob("*.md"))
    for i, block in enumerate(re.findall(r"^```python\n(.*?)^```", file.read_text(), re.S | re.M))
]
TYPED = re.findall(r"^python -m archab (.*?)(?:  #.*)?$", (DOCS / "targets.md").read_text(), re.M)
SHORT = ("targets=2", "samples=64", "heldout_samples=32", "tune.lr=null", "routine.epochs=1", "routine.steps=null")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_python_runs(block):
    exec(compile(block, "docs", "exec"), {"__name__": "docs"})


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
