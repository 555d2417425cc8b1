"""The examples of the documentation run as they stand."""

import re
from pathlib import Path

import pytest

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
