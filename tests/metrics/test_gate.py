"""archab gate: what it answers, what it keeps, what it refuses, and how often a session keeps what does nothing."""

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from archab.calibration import gate as calibration
from archab.cli.gate import main
from archab.metrics.gate import Settings, decide, evidence, fewest

SETTINGS = Settings("val_bpb", "lower", "difference", ("seed",))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes runs of both sides: gains of the new one by seed, a file's name each."""
    monkeypatch.chdir(tmp_path)

    def write(gains, new="new.jsonl", old="old.jsonl"):
        rng = np.random.default_rng(0)
        levels = rng.normal(1, 0.1, 60)
        lines = [{"seed": s, "val_bpb": levels[s] - gain} for s, gain in enumerate(gains)]
        (tmp_path / new).write_text("\n".join(map(json.dumps, lines)))
        (tmp_path / old).write_text("\n".join(json.dumps({"seed": s, "val_bpb": levels[s]}) for s in range(60)))

    return write


def gate(*arguments, new="new.jsonl"):
    return main(["--new", new, "--old", "old.jsonl", "--metric", "val_bpb", *arguments])


def test_one_sided_evidence_is_a_martingale_over_fair_signs_and_shrinks_for_the_worse():
    size = np.array([0.5, 0.2, 1.0, 0.3, 0.8])
    paths = [evidence(np.array(signs) * size) for signs in itertools.product((-1, 1), repeat=5)]
    assert np.exp(paths).mean(axis=0) == pytest.approx(np.ones(5))
    assert (np.diff(evidence(-size)) < 0).all()


def test_a_clear_improvement_is_kept_as_soon_as_the_bar_is_reached(files, capsys):
    least = fewest(0.05 / 50)
    for n in range(1, least + 1):
        files(np.full(n, 0.3))
        assert gate("--state", "gate.db") == (0 if n == least else 3)
    assert f"keep: proposal 1, {least} rounds of at most 30" in capsys.readouterr().out


def test_a_change_for_the_worse_is_discarded_early_and_all_kinds_of_data_end(files, capsys):
    files([-0.3, -0.2, -0.25, -0.31])
    assert gate("--state", "gate.db", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["decision"], found["rounds"], found["bar"]) == ("discard", 4, pytest.approx(1000))
    assert decide([0.0] * 30, 0.001, 30) == "discard"
    assert decide([0.1, -0.1] * 15, 0.001, 30) == "discard"


def test_rounds_that_go_on_are_the_same_proposal_and_others_a_new_one_at_the_level_of_e_lond(files, capsys):
    files(np.full(20, 0.3))
    assert gate("--state", "gate.db") == 0
    assert gate("--state", "gate.db") == 0  # the same again is the same proposal
    files([0.1, -0.2, 0.05], new="other.jsonl")
    gate("--state", "gate.db", "--json", new="other.jsonl")
    second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (second["proposal"], second["level"]) == (2, pytest.approx(0.05 / 50 * 2))
    files([0.1, -0.2, 0.05, 0.3], new="other.jsonl")
    gate("--state", "gate.db", "--json", new="other.jsonl")
    assert json.loads(capsys.readouterr().out)["proposal"] == 2
    files([0.2, 0.2], new="third.jsonl")
    gate("--state", "gate.db", "--json", new="third.jsonl")
    assert json.loads(capsys.readouterr().out)["proposal"] == 3
    with closing(sqlite3.connect("gate.db")) as state:
        assert state.execute("SELECT decision FROM proposal ORDER BY number").fetchall() == [
            ("keep",), ("discard",), ("more",),
        ]  # fmt: skip


def test_runs_of_a_named_proposal_that_were_made_anew_are_refused(files, capsys):
    files([0.3, 0.2])
    assert gate("--state", "gate.db", "--proposal", "rope") == 3
    files([0.3, 0.9])
    assert gate("--state", "gate.db", "--proposal", "rope") == 2
    assert "made anew is no new evidence" in capsys.readouterr().err
    files([0.3, 0.2, 0.4])
    assert gate("--state", "gate.db", "--proposal", "rope") == 3


def test_named_proposals_may_be_open_at_once(files):
    files([0.3, 0.2])
    assert gate("--state", "gate.db", "--proposal", "one") == 3
    files([0.1, 0.2], new="other.jsonl")
    assert gate("--state", "gate.db", "--proposal", "two", new="other.jsonl") == 3
    files(np.r_[0.3, 0.2, np.full(20, 0.3)])
    assert gate("--state", "gate.db", "--proposal", "one") == 0


def test_a_session_holds_one_question_and_so_many_proposals(files, capsys):
    files([0.3, 0.2])
    assert gate("--state", "gate.db", "--proposals", "2") == 3
    assert gate("--state", "gate.db", "--proposals", "2", "--alpha", "0.1") == 2
    assert "begun with alpha = 0.05, not 0.1" in capsys.readouterr().err
    files([0.1, 0.2])
    assert gate("--state", "gate.db", "--proposals", "2") == 3
    files([0.15, 0.2])
    assert gate("--state", "gate.db", "--proposals", "2") == 2
    assert "all 2 proposals of this session are used up" in capsys.readouterr().err


def test_a_failed_run_of_the_new_one_counts_against_it(files, tmp_path):
    files(np.full(20, 0.3))
    lines = (tmp_path / "new.jsonl").read_text().splitlines()
    lost = [line if i % 2 else json.dumps({"seed": i, "val_bpb": float("nan")}) for i, line in enumerate(lines)]
    (tmp_path / "new.jsonl").write_text("\n".join(lost))
    assert gate() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--state", "new.jsonl"), "as the state of a session"),
        (("--state", "no/where.db"), "as the state of a session"),
        (("--lower-is-better", "--higher-is-better"), "one of them"),
        (("--pair", "sed"), "--pair sed"),
        (("--seeds", "5"), "--seeds 5: with 1 proposals at 0.05 none can be kept before 6 seeds"),
        (("--alpha", "2"), "--alpha 2"),
        (("--proposals", "0"), "--proposals 0"),
        (("--scale", "logit"), "on the scale logit"),
    ],
)
def test_a_mistake_exits_2_with_one_line(files, capsys, arguments, said):
    files([0.3, -2.0])
    assert gate(*arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_whatever_else_goes_wrong_is_no_discard(files, monkeypatch, capsys):
    files([0.3, 0.2])
    monkeypatch.setattr("archab.metrics.gate.decide", lambda *given: 1 / 0)
    assert gate("--state", "gate.db") == 2
    assert "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()


def test_a_kill_in_the_middle_leaves_the_session_as_it_was(files, tmp_path):
    files([0.3, 0.2])
    assert gate("--state", str(tmp_path / "gate.db")) == 3
    files([0.3, 0.2, 0.1])
    code = (
        "import archab.metrics.gate as g, time, sys\n"
        "def slow(*given):\n    print('in', flush=True)\n    time.sleep(60)\n"
        "g.decide = slow\n"
        "from archab.cli.gate import main\n"
        "main(['--new', 'new.jsonl', '--old', 'old.jsonl', '--metric', 'val_bpb', '--state', 'gate.db'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "in\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(0.1)
    with closing(sqlite3.connect(tmp_path / "gate.db")) as state:
        assert [json.loads(row[0]) for row in state.execute("SELECT labels FROM proposal")] == [["0", "1"]]
    assert gate("--state", str(tmp_path / "gate.db")) == 3


def test_the_command_of_the_package_answers(files, tmp_path):
    files(np.full(10, 0.3))
    command = [
        sys.executable,
        "-m",
        "archab",
        "gate",
        "--new",
        "new.jsonl",
        "--old",
        "old.jsonl",
        "--metric",
        "val_bpb",
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("keep: proposal 1")


def test_seeds_that_arrive_in_any_order_are_one_proposal(files, tmp_path, capsys):
    files(np.full(13, 0.3))
    lines = (tmp_path / "new.jsonl").read_text().splitlines()
    for n, order in enumerate(([7], [7, 3], [7, 3, 12, 1], [1, 3, 7, 9, 12])):
        (tmp_path / "new.jsonl").write_text("\n".join(lines[i] for i in order))
        assert gate("--state", "gate.db", "--json") == 3
        found = json.loads(capsys.readouterr().out)
        assert (found["proposal"], found["rounds"]) == (1, len(order)), n
    with closing(sqlite3.connect("gate.db")) as state:
        [(labels,)] = state.execute("SELECT labels FROM proposal").fetchall()
    assert json.loads(labels) == ["7", "3", "12", "1", "9"]


def test_runs_that_the_old_one_lacks_are_named_and_wait(files, tmp_path, capsys):
    files([0.3, 0.2])
    (tmp_path / "old.jsonl").write_text('{"seed": 50, "val_bpb": 1.0}')
    assert gate("--state", "gate.db") == 3
    out = capsys.readouterr().out
    assert "nothing to compare yet" in out
    assert "Of new alone: 0, 1: run the old one there, too." in out
    files([0.3, 0.2])
    assert gate("--state", "gate.db", "--json") == 3
    assert json.loads(capsys.readouterr().out)["proposal"] == 1


def test_a_database_of_something_else_is_left_as_it_is(files, tmp_path, capsys):
    files([0.3, 0.2])
    with closing(sqlite3.connect("other.db")) as other, other:
        other.execute("CREATE TABLE session (settings TEXT)")
    assert gate("--state", "other.db") == 2
    assert "a database of something else (session, …)" in capsys.readouterr().err
    with closing(sqlite3.connect("other.db")) as other:
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_more_rounds_than_a_proposal_may_have_are_not_read(files, capsys):
    files([0.1, -0.1] * 20)
    assert gate("--state", "gate.db", "--json") == 1
    assert json.loads(capsys.readouterr().out)["rounds"] <= 30


def test_sessions_without_an_improvement_seldom_keep_any_and_rules_of_thumb_often_do():
    ours = [calibration.session(calibration.archab, np.random.default_rng([0, i]), proposals=20) for i in range(15)]
    assert sum(kept > 0 for kept, _ in ours) <= 3
    for rule in (calibration.better_once, calibration.better_mean):
        thumb = [calibration.session(rule, np.random.default_rng([0, i])) for i in range(15)]
        assert sum(kept > 0 for kept, _ in thumb) >= 10


@pytest.mark.slow
def test_the_gate_keeps_its_promise_over_400_sessions():
    [ours] = [line for line in calibration.calibrate(400) if line.gate == "archab gate" and line.gain == 0]
    assert ours.holds
