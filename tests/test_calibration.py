import numpy as np
import pytest

from archab.calibration import __main__ as calibration
from archab.calibration import gate, runs
from archab.errors import ArchabError


def test_a_small_calibration_keeps_its_promises_to_three_standard_errors():
    lines = list(calibration.calibrate(experiments=40))
    assert len(lines) > 30
    for line in lines:
        assert line.low - 4 * line.error - 0.1 <= line.value <= line.high + 4 * line.error + 0.1, str(line)


def test_the_command_prints_the_table_and_refuses_what_it_does_not_know(capsys, monkeypatch):
    line = calibration.Line("A/A, fixed n", "paired", 0.2, 0.01, 0.03, 0.07)
    monkeypatch.setattr(calibration, "calibrate", lambda experiments: [line])
    assert calibration.main(["experiments=7"]) == 1
    assert "<- outside" in capsys.readouterr().out
    with pytest.raises(ArchabError, match="experiments=N"):
        calibration.main(["seeds=3"])


def test_crossed_pairs_cancel_a_home_advantage_of_one_sd():
    d = calibration.crossed(calibration.NOISES["normal"], np.random.default_rng(0), 2000, 4)
    assert abs(d.mean()) < 0.05
    assert d.std() == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_the_rules_keep_their_promises_on_2000_experiments():
    broken = [str(line) for line in calibration.calibrate(experiments=2000) if not line.holds]
    assert broken == []


def test_verdicts_on_metrics_keep_their_promises_to_four_standard_errors():
    lines = list(runs.calibrate(experiments=40))
    assert len(lines) == 26
    for line in lines:
        assert line.value <= line.high + 0.1, str(line)


@pytest.mark.slow
def test_verdicts_on_metrics_keep_their_promises_on_2000_experiments():
    assert [str(line) for line in runs.calibrate(experiments=2000) if not line.holds] == []


def test_the_commands_for_runs_and_the_gate_print_their_tables(capsys, monkeypatch):
    outcome = gate.Outcome("archab gate", 0.0, 0.1, 0.5, 0.01, 3.0)
    monkeypatch.setattr(gate, "calibrate", lambda experiments: [outcome])
    assert calibration.main(["gate"]) == 1
    assert "more than promised" in capsys.readouterr().out
    monkeypatch.setattr(runs, "calibrate", lambda experiments: [])
    assert calibration.main(["runs", "experiments=3"]) == 0
    assert "3 experiments a line" in capsys.readouterr().out
