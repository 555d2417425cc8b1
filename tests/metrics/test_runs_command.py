"""archab-compare --runs: what it prints and writes, from files and from MLflow stores, whoever logged them."""

import json
import math

import mlflow
import numpy as np
import pytest
from made import runs

from archab.cli.compare import main

ASKED = ("--sides", "model=new,old", "--pair", "seed", "--metric", "val_loss")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs(20, {"new": -0.3, "old": 0.0, "third": -0.3}).to_csv("runs.csv", index=False)
    return tmp_path


def said(capsys, *arguments):
    """What the command prints as JSON."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_file_gives_a_verdict_with_direction_scale_unit_and_pairing(here, capsys):
    assert main(["--runs", "runs.csv", *ASKED]) == 0
    text = " ".join(capsys.readouterr().out.replace("|", " ").split())
    assert "new beats old: its val_loss is" in text
    assert "Lower val_loss is better, compared by its difference, over 20 pairs of runs (by seed)" in text


def test_page_figure_and_words_are_written(here, capsys):
    written = ("--report", "r.html", "--latex", "r.tex", "--figures", "figures")
    assert main(["--runs", "runs.csv", "--sides", "model", "--pair", "seed", "--metric", "val_loss", *written]) == 0
    page, paper = (here / "r.html").read_text(), (here / "r.tex").read_text()
    for name in ("new", "old", "third"):
        assert name in page
        assert name in paper
    assert "Not told apart: " in page
    assert "<svg" in page
    assert "archab-compare --runs runs.csv" in page
    assert r"\toprule" in paper
    assert "vovk2021values" in paper
    assert sorted(file.name for file in (here / "figures").iterdir()) == sorted(
        f"forest{shade}.{kind}" for shade in ("", "-dark") for kind in ("svg", "pdf", "png")
    )


def test_the_command_may_fail_on_a_verdict(here, capsys):
    asked = ("--runs", "runs.csv", *ASKED)
    assert main([*asked, "--fail-on", "b_better", "undecided"]) == 0
    assert main([*asked, "--fail-on", "a_better"]) == 3


def test_several_sides_are_one_object_with_their_order(here, capsys):
    found = said(capsys, "--runs", "runs.csv", "--sides", "model", "--pair", "seed", "--metric", "val_loss")
    assert len(found["verdicts"]) == 3
    assert found["order"][-1] == "old"
    assert [sorted(group) for group in found["not_apart"]] == [["new", "third"]]
    based = said(
        capsys, "--runs", "runs.csv", "--sides", "model", "--baseline", "old", "--pair", "seed", "--metric", "val_loss"
    )
    assert [v["names"] for v in based["verdicts"]] == [["new", "old"], ["third", "old"]]
    assert based["baseline"] == "old"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--runs", "no.csv", *ASKED), "no such file, folder or store"),
        (("--runs", "sqlite:///no.db#x", *ASKED), "there is no store"),
        (("--runs", "runs.csv"), "--sides is needed"),
        (("--runs", "runs.csv", "--sides", "model"), "--metric is needed"),
        (("--runs", "runs.csv", *ASKED, "--lower-is-better", "--higher-is-better"), "one of them"),
        (("--runs", "runs.csv", *ASKED, "--step", "first"), "--step first"),
        (("--runs", "runs.csv", *ASKED, "--margin", "-1"), "margin=-1"),
        (("--runs", "runs.csv", *ASKED, "--watch"), "--watch does not go with --runs"),
        (("--runs", "runs.csv", *ASKED, "--report", "r.txt"), "ends in .html"),
        (("--space", "x", "--metric", "val_loss"), "--metric goes with --runs"),
        (("--table", "runs.csv", "--baseline", "old"), "--baseline goes with --runs"),
    ],
)
def test_options_that_make_no_sense_are_one_line(here, capsys, arguments, wrong):
    assert main(list(arguments)) == 2
    err = capsys.readouterr().err
    assert wrong in err
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store made by plain mlflow code: steps, a run that raised, one whose loss went to NaN, another experiment."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client, rng = mlflow.MlflowClient(uri), np.random.default_rng(0)
    identity = client.create_experiment("lm", (folder / "artifacts").as_uri())
    for seed in reversed(range(8)):
        level = rng.normal()
        for model in ("old", "new"):
            run = client.create_run(identity, run_name=f"{model}-{seed}").info.run_id
            for name, value in (("model", model), ("seed", seed), ("lr", 0.1)):
                client.log_param(run, name, value)
            for step in (10, 20, 30):  # as lightning logs: several metrics, each with its own steps
                loss = 2 + 0.1 * level + math.exp(-step / 10) - 0.2 * (model == "new") + 0.01 * rng.normal()
                client.log_metric(run, "val_loss", loss, step=step)
                client.log_metric(run, "epoch", step // 10, step=step)
            if (model, seed) == ("old", 3):
                client.log_metric(run, "val_loss", float("nan"), step=40)
            client.set_terminated(run, "FAILED" if (model, seed) == ("old", 5) else "FINISHED")
    other = client.create_experiment("other", (folder / "artifacts").as_uri())
    client.set_terminated(client.create_run(other).info.run_id)
    return uri


def test_a_store_of_plain_mlflow_is_read_in_the_order_of_start(store, capsys):
    found = said(capsys, "--runs", f"{store}#lm", *ASKED)
    assert found["blocks"] == 8
    assert found["failed"] == [0, 2]  # what raised, and what went to NaN
    assert found["verdict"] == "a_better"
    assert not any("ascending" in note for note in found["notes"])


@pytest.mark.parametrize(("step", "failed"), [("best", 1), ("20", 1), ("40", 8)])
def test_a_step_is_taken_from_the_history(store, capsys, step, failed):
    if step == "40":
        assert main(["--runs", f"{store}#lm", *ASKED, "--step", step]) == 2
        assert "no run of these has a number at step 40" in capsys.readouterr().err
        return
    found = said(capsys, "--runs", f"{store}#lm", *ASKED, "--step", step)
    assert found["failed"] == [0, failed]
    wanted = 2 + math.exp(-3 if step == "best" else -2)
    assert found["mean_b"] == pytest.approx(wanted, abs=0.2)


def test_an_experiment_must_be_named_where_there_are_several(store, capsys):
    assert main(["--runs", store, *ASKED]) == 2
    assert "which experiment" in capsys.readouterr().err
    assert main(["--runs", f"{store}#ml", *ASKED]) == 2
    assert "There are: lm, other" in capsys.readouterr().err.replace("other, lm", "lm, other")


def test_a_side_may_be_a_tag_and_a_filter_narrows(store, capsys):
    found = said(capsys, "--runs", f"{store}#lm", *ASKED, "--where", "params.lr=0.1")
    assert found["blocks"] == 8
    assert main(["--runs", f"{store}#lm", *ASKED, "--where", "lr=7"]) == 2
    assert "There are: 0.1" in capsys.readouterr().err


def test_a_store_of_archab_itself_is_read(command, tmp_path, capfd):
    for lr in ("0.003", "0.03"):
        ended = command("-m", "+space=n_diagonal_original", "seed=0,1", "targets=2", "samples=32", "control=false",
                        "routine.epochs=1", f"routine.lr={lr}", "tracking.experiment=own")  # fmt: skip
        assert ended.code == 0, ended.err
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    sides = "space.a.routine.lr=0.003,0.03"
    assert (
        main(["--runs", f"{store}#own", "--sides", sides, "--pair", "seed", "--metric", "gmr", "--lower-is-better"])
        == 0
    )
    assert "Too few pairs for any verdict" in capfd.readouterr().out
