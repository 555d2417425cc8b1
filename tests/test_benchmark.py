"""The benchmark: every engine trains the same students, all of their steps."""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from archab.benchmark import __main__ as benchmark
from archab.benchmark.students import Race, dense, encoder
from archab.engine.cpp import compiler

STUDENTS, STEPS = 3, 8
LISTED = ["loop", "loop, fused AdamW", "vmap"]
if compiler.compiler() is not None:
    LISTED += ["compiled, one thread", "compiled, all cores"]


def test_every_engine_of_steady_trains_the_same_students_all_steps(tmp_path, monkeypatch, capsys):
    file = tmp_path / "found.json"
    quick = ["--students", str(STUDENTS), "--steps", str(STEPS), "--repeats", "1", "--no-jax", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["benchmark", "steady", *quick])
    benchmark.main()
    assert "student-steps/s" in capsys.readouterr().out
    found = json.loads(file.read_text())
    assert list(found) == ["machine", "steady"]
    assert list(found["steady"]) == ["dense", "encoder"]
    for of in found["steady"].values():
        assert (of["students"], of["steps"]) == (STUDENTS, STEPS)
        assert sorted(of["engines"]) == sorted(LISTED)
        for engine in of["engines"].values():
            assert 0 < engine["rate"]["min"] <= engine["rate"]["median"] <= engine["rate"]["max"]
            assert engine["over the loop"]["median"] > 0
            # A loss is the mean over all steps: equal losses are equal steps.
            np.testing.assert_allclose(engine["losses"], of["engines"]["loop"]["losses"], rtol=1e-3)


@pytest.mark.skipif(not (find_spec("jax") and find_spec("optax")), reason="the extra `bench` is not installed")
@pytest.mark.parametrize("space", [dense(), encoder(), encoder(8, 2, 16, 2, 3)], ids=lambda s: s.name)
def test_jax_trains_the_same_students_all_steps(space):
    race = Race(space, STUDENTS, STEPS)
    with race.jax() as baseline:
        found = baseline()
    assert found.work == STUDENTS * STEPS
    np.testing.assert_allclose(found.losses, race.loop().losses, rtol=1e-3)


def test_a_section_that_is_not_there_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark", "stedy"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code == 2
    there = "steady, widths, transformer, precisions, job, start, growth, tuning, rival, layers"
    assert f"stedy: no such section. There are: {there}" in capsys.readouterr().err
