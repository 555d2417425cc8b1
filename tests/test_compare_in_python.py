"""The Python door: compare gives the rows and the verdict of the command, shows, keeps and reads them again."""

import json
import warnings
from functools import partial

import pandas as pd
import pytest
from logged import artifacts, client

import archab
from archab import ArchitecturalSpace, compare, judge
from archab.cli import compare as command_line
from archab.errors import ArchabError
from archab.experiment.compare import Result
from archab.space.architectures import deep
from archab.space.routine import AdamW

TYPED = (
    "+space=n_diagonal_original", "space.a.members=[{rank: 2}]", "space.b.members=[{rank: 3}]", "targets=6",
    "samples=64", "heldout_samples=32", "routine.epochs=2", "routine.lr=0.01", "tune.lr=[0.01,0.03]", "tune.extend=0",
)  # fmt: skip


def sides(**given):
    routine = AdamW(lr=0.01, epochs=2, schedule="constant")
    made = {
        "n-diagonal": (deep.n_diagonal, {"rank": 2}),
        "LoRA": (deep.lora, {"rank": 3}),
        "full matrices": (deep.dense, {}),
    }
    shared = {"measure": "parameter", "routine": routine, **given}
    return [
        ArchitecturalSpace(partial(network, dim=5, depth=4), member, [5], name=name, **shared)
        for name, (network, member) in made.items()
    ]


SMALL = {"targets": 6, "samples": 64, "heldout_samples": 32, "progress": False}


def test_rows_verdict_and_caveats_are_those_of_the_command(command, tmp_path, capfd):
    for seed in (0, 1):
        assert command(*(t for t in TYPED if not t.startswith("routine.lr")), f"seed={seed}").code == 0
    rows = [pd.read_parquet(file) for file in sorted(tmp_path.glob(".archab/*/[01]/results.parquet"))]
    capfd.readouterr()
    assert command_line.main(["--space", "n_diagonal_original", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    [said] = said if isinstance(said, list) else [said]
    result = compare(*sides(), seeds=2, tune=archab.comparison.tuning.Tune({"lr": [0.01, 0.03]}, extend=0), **SMALL)
    same = ["seed", "member", "target", "draw", "side", "nmse", "train_nmse", "measure", "linear"]
    pd.testing.assert_frame_equal(
        result.table()[same].reset_index(drop=True), pd.concat(rows, ignore_index=True)[same], check_exact=True
    )
    own = result.verdict.to_dict()
    apart = {"label", "next_step", "cost_a", "cost_b", "members"}
    assert {key for key, value in said.items() if own[key] != value} <= apart
    assert said["notes"]


def test_a_result_shows_itself_is_kept_and_read_again(tmp_path):
    result = compare(*sides(), seeds=[3, 1], **SMALL)
    assert repr(result) == f"Result: {result.verdict.sentence()}"
    assert f"{1 - 1 / result.verdict.gmr:.0%} lower" in result._repr_html_()
    assert repr(result.verdict) == f"Verdict: {result.verdict.sentence()}"
    assert result.study.order == [3, 1]
    planned = compare(*sides(), loss="mae", rule="hybrid", planned=6, margin=1.2, **SMALL).verdict
    assert (planned.rule, planned.margin, planned.settings.planned) == ("hybrid", 1.2, 6)
    assert any(note.kind == "loss" for note in planned.notes)
    result.report(tmp_path / "report.html")
    assert result.verdict.sentence() in (tmp_path / "report.html").read_text()
    assert result.plot().axes
    result.save(tmp_path / "rows.parquet")
    again = Result.load(tmp_path / "rows.parquet")
    assert again.verdict.to_dict() == result.verdict.to_dict()
    assert judge(result.study).to_dict() == result.verdict.to_dict()
    with pytest.raises(ArchabError, match=r"rows.csv: a name that ends in .parquet"):
        result.save(tmp_path / "rows.csv")
    with pytest.raises(ArchabError, match=r"nothing.parquet: no such file"):
        Result.load(tmp_path / "nothing.parquet")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seeds": 0}, "seeds=0: a number of at least 1 is needed"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\]"),
        ({"seeds": True}, "seeds=True"),
        ({"seed": 4}, r"seed=4: compare takes seeds=\[4\]"),
        ({"tune": {"lr": [0.1]}}, r"tune.lr=\[0.1\]: a list of at least two values"),
        ({"targets": 0}, "targets=0"),
        ({"seeds": 1.5}, "seeds=1.5: a number of at least 1"),
        ({"tune": [0.1, 0.2]}, r"tune=\[0.1, 0.2\]: values to try by hyperparameter"),
        ({"rule": "nope"}, "rule=nope: no such rule"),
        ({"rule": "hybrid"}, "rule=hybrid: the planned number of rounds is needed"),
        ({"bogus": 1}, "bogus=1: no such argument. There are protocol, targets"),
        ({"loss": "mea"}, "loss='mea': mse, mae, huber, cross_entropy, binary_cross_entropy, an object"),
    ],
)
def test_a_mistake_is_one_line_before_any_training(given, said):
    with pytest.raises(ArchabError, match=said):
        compare(*sides(), **{**SMALL, **given})


def test_a_warning_points_at_the_users_own_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compare(*sides(), **SMALL)
    unequal = [w for w in caught if "unequal sizes" in str(w.message)]
    assert [w.filename for w in unequal] == [__file__]


def test_the_package_lists_its_public_names():
    assert {"ArchitecturalSpace", "Comparison", "compare", "judge"} <= set(dir(archab))


def test_a_result_is_logged_to_mlflow(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = compare(*sides(), **{**SMALL, "targets": 12})
    assert judge(result, rule="fixed").rule == "fixed"
    run = result.to_mlflow("mine")
    again = result.to_mlflow("mine")
    there = client(tmp_path).get_run(again)
    assert client(tmp_path).get_run(run).info.lifecycle_stage in ("active", "deleted")
    assert there.info.status == "FINISHED"
    assert there.data.tags["archab.verdict"] == result.verdict.verdict
    assert there.data.metrics["blocks"] == 12
    assert there.data.metrics["gmr"] == pytest.approx(result.verdict.gmr)
    assert artifacts(tmp_path, again) == {"rows.parquet", "report.html"}
    with pytest.raises(ArchabError, match="no folder"):
        result.to_mlflow("mine", uri="sqlite:////nowhere/mlflow.db")
