"""Equal sizes and equal tuning by the command: found before training, kept beside the plan, said with the verdict."""

import json

import pandas as pd
import pytest
from logged import TWO, artifacts, client, runs

from archab.cli import compare
from archab.cli.config import home
from archab.comparison.comparison import Comparison
from archab.comparison.plan import Part
from archab.evidence.tuning import choose
from archab.runs.folder import RunFolder

SMALL = (
    "+space=n_diagonal_original", *TWO, "targets=7", "samples=32", "heldout_samples=32", "routine.epochs=1",
    "engine=loop", "tune.targets=8", "tune.extend=0", "control=false",
)  # fmt: skip
GRID = "tune.lr=[0.001,0.05]"


def plain(said: str) -> str:
    """Without the frame around it and the ends of its lines."""
    return " ".join(said.replace("|", " ").split())


def tuned(folder) -> pd.DataFrame:
    [file] = folder.glob(".archab/*/tuning.parquet")
    return pd.read_parquet(file)


def test_a_run_is_tuned_once_for_all_its_seeds(command, tmp_path, capfd):
    first = command(*SMALL, GRID)
    assert first.code == 0, first.err
    assert "Tuned alike: 2 learning rates on 16 targets a side; both train at lr 0.05." in first.out
    trials = tuned(tmp_path)
    assert set(trials["side"]) == {"a", "b", "reference"}
    [file] = tmp_path.glob(".archab/*/tuning.parquet")
    made = file.stat().st_mtime_ns
    second = command(*SMALL, GRID, "seed=1")
    assert "tuning" not in second.out.split("tuned", 1)[0].split("training B")[1]
    assert file.stat().st_mtime_ns == made
    table = runs(tmp_path, "n_diagonal_original")
    assert table["params.space.a.routine.lr"].tolist() == ["0.05", "0.05"]
    assert all("tuning.parquet" in artifacts(tmp_path, run) for run in table["run_id"])
    assert not list(tmp_path.glob(".archab/*/trials"))
    by_hand = command(*SMALL, "routine.lr=0.05", "seed=1")
    assert by_hand.code == 0
    one, other = (pd.read_parquet(file) for file in tmp_path.glob(".archab/*/1/results.parquet"))
    pd.testing.assert_frame_equal(one.drop(columns="fingerprint"), other.drop(columns="fingerprint"))
    capfd.readouterr()
    assert compare.main(["--space", "n_diagonal_original", "--json"]) == 0
    assert capfd.readouterr().out.count("Tuned alike: 2 learning rates") == 1


def test_a_search_that_was_cut_off_goes_on(command, tmp_path, monkeypatch):
    given = (*SMALL, GRID, "engine.chunk=4")  # two targets a work unit, by both rates
    assert command(*given).code == 0
    whole = tuned(tmp_path)
    for file in tmp_path.glob(".archab/*/tuning.parquet"):
        file.write_bytes(b"torn")
    done: list[Part] = []
    run = Comparison.run

    def stopped(self, part, *rest):
        if self.trials:
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(part)
        return run(self, part, *rest)

    monkeypatch.setattr(Comparison, "run", stopped)
    assert command(*given, "seed=1").code == 130
    first, done = done, []

    def counted(self, part, *rest):
        if self.trials:
            done.append(part)
        return run(self, part, *rest)

    monkeypatch.setattr(Comparison, "run", counted)
    assert command(*given, "seed=1").code == 0
    assert (len(first), len(done)) == (3, 5)
    assert not set(first) & set(done)
    pd.testing.assert_frame_equal(tuned(tmp_path), whole)


def test_sides_that_are_tuned_unequally_have_no_winner_unless_that_is_asked_for(command):
    unequal = (*SMALL, "targets=12", GRID, "space.b.tune={lr: [0.00001, 0.00002]}")
    refused = command(*unequal)
    assert refused.code == 0, refused.err
    assert "Undecided: the sides are tuned unequally" in refused.out
    assert "tune.unequal=true names a winner all the same" in plain(refused.out)
    named = command(*unequal, "tune.unequal=true")
    assert "Tuned unequally: n-diagonal learns better than LoRA" in plain(named.out)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("tune.lr=[0.1]",), "tune.lr=[0.1]: a list of at least two values to try is needed"),
        (("tune.lr=0.1",), "tune.lr=0.1: a list of at least two values to try is needed"),
        (("tune.lr=[0,0.1]",), "tune.lr=[0, 0.1]: a learning rate of 0 learns nothing"),
        (("space.b.members.by=[rank,rank]",), "LoRA: members.by=['rank', 'rank']: an argument stands there twice"),
        (("tune.lr=[0.1,0.1]",), "tune.lr=[0.1, 0.1]: a value stands there twice"),
        (("+tune.rate=[0.1,0.2]",), "tune.rate: the routine of n-diagonal has no such hyperparameter, but lr"),
        (("tune.lr=[0.1,0.2]", "tune.targets=0"), "tune.targets=0: a whole number of at least 1"),
        (("tune.lr=[0.1,0.2]", "protocol=aa"), "tune.lr: protocol=aa compares a side with itself"),
        (("space.b.members.match=b",), "space.b.members.match=b: another side whose members are written"),
        (("~space.b.members.by",), "space.b.members.match=a: by=… is needed"),
        (("space.b.members.by=norm",), "LoRA: members.by=norm: True is no integer"),
        (("+space.b.members.dim=40",), "LoRA: members.by=rank: a size of 592 cannot be reached"),
    ],
)
def test_a_mistake_in_sizes_or_tuning_is_one_line_before_any_training(command, tmp_path, typed, said):
    matched = any("space." in word for word in typed)
    ended = command("+space=n_diagonal" if matched else "+space=n_diagonal_original", *typed)
    assert ended.code == 2
    assert "training A" not in ended.out
    [line] = ended.err.splitlines()
    assert line.startswith(f"archab: {said}")
    assert not list(tmp_path.glob(".archab/*/*/results.parquet"))


def test_a_typed_value_that_tuning_would_replace_is_refused(command):
    for typed in ("routine.lr=0.003", "space.b.routine.lr=0.003"):
        ended = command("+space=n_diagonal", "routine@space.b.routine=adamw", typed)
        assert ended.code == 2
        assert "training A" not in ended.out
        assert ended.err == f"archab: {typed}: tune.lr tries 4 values in its place; tune.lr=null trains by this one\n"


def test_no_tuning_may_be_said_of_all_hyperparameters_at_once(command):
    short = ("+space=n_diagonal_original", "targets=1", "samples=16", "engine=loop", "control=false")
    one, other = command(*short, GRID, "tune=null"), command(*short, "tune.lr=null")
    assert (one.code, other.code) == (0, 0), one.err
    assert "finished before" in other.out


def test_matched_members_are_written_into_the_configuration(command, tmp_path):
    given = ("+space=n_diagonal", "targets=2", "samples=16", "heldout_samples=16", "routine.epochs=1")
    given = (*given, "space.a.members=[{rank: 4}, {rank: 5}]", "control=false", "engine=loop", "tune.lr=null")
    matched = command(*given)
    assert matched.code == 0, matched.err
    assert "LoRA: rank 3, rank 4; -2.7% to +2.3% of the sizes of n-diagonal" in matched.out
    [run] = client(tmp_path).search_runs(["1"])
    assert json.loads(run.data.params["space.b.members"].replace("'", '"')) == [{"rank": 3}, {"rank": 4}]
    assert "finished before" in command(*given).out


def test_sizes_are_printed_and_pairs_proposed(command):
    shown = command("sizes", "+space=n_diagonal")
    assert shown.code == 0, shown.err
    assert ["rank", "16", "1,216", "1,216", "38,912", "2,048"] in [line.split() for line in shown.out.splitlines()]
    assert "member 0 of n-diagonal and 0 of LoRA: 592 and 576" in shown.out
    far = command(
        "sizes", "+space=n_diagonal", "space.b.architecture.depth=9", "space.a.members=[{rank: 8}, {rank: 16}]"
    )
    assert "no pair; a finer argument" in far.out, far.err
    none = command("sizes", "+space=n_diagonal_original", "space.a.members=[{rank: 1}]", "space.b.members=[{rank: 4}]")
    assert "no pair" in none.out
    wrong = command("sizes", "+space=n_diagonl")
    assert wrong.code == 2
    assert "training A" not in wrong.out
    assert "n_diagonal" in wrong.err


@pytest.mark.parametrize("where", range(3))
def test_sizes_take_a_folder_of_configurations_as_a_run_does(command, tmp_path, where):
    (tmp_path / "configs" / "space").mkdir(parents=True)
    (tmp_path / "configs" / "space" / "mine.yaml").write_text((home() / "space" / "n_diagonal.yaml").read_text())
    words = [["sizes", "+space=mine"], ["sizes", "+space=mine"], ["+space=mine"]][where]
    folder = ["--config-dir", "configs"] if where else ["--config-dir=configs"]
    shown = command(*folder, "sizes", *words) if where == 2 else command(*words[:where], *folder, *words[where:])
    assert shown.code == 0, shown.err
    assert "592 and 576" in shown.out
    missing = command("sizes", "--config-dir", "nowhere", "+space=mine")
    assert (missing.code, missing.err) == (2, "archab: --config-dir nowhere: no such directory\n")


def test_the_choice_of_a_run_is_what_its_trials_say(command, tmp_path):
    assert command(*SMALL, GRID).code == 0
    [plan] = [json.loads(file.read_text()) for file in tmp_path.glob(".archab/*/0/plan.json")]
    assert plan["tuned"] == choose(tuned(tmp_path)).chosen


def test_units_of_routines_that_were_tuned_otherwise_are_put_aside(tmp_path):
    folder = RunFolder(tmp_path, "configuration", 0)
    plan = {"made_by": {"torch": "2"}, "memory": 1, "methods": [], "lessons": []}
    with folder.held():
        first = plan | {"tuned": {"a": {"lr": 0.1}}}
        folder.begin(first)
        folder.write("0000-reference-00000000", pd.DataFrame({"nmse": [0.5]}))
        assert (folder.begin(dict(first)), folder.kept()) == (first, 1)
        other = plan | {"tuned": {"a": {"lr": 0.3}}}
        assert (folder.begin(other), folder.kept()) == (other, 0)
