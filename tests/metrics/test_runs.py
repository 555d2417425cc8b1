"""Runs from files of every kind: rows of runs and rows of steps, values that are lost, names that are near."""

import json

import numpy as np
import pandas as pd
import pytest
from made import runs

from archab.errors import ArchabError
from archab.metrics.compare import compare_runs
from archab.metrics.metric import Metric
from archab.metrics.rounds import arrange
from archab.metrics.runs import Runs, read

STEPS = pd.DataFrame(
    [
        ("new", 0, 1, 0.9, None), ("new", 0, 2, 0.5, None), ("new", 0, 2, None, 0.1), ("new", 0, 3, 0.7, None),
        ("new", 1, 1, 0.8, None), ("new", 1, 2, 0.6, None),
        ("old", 0, 1, 1.0, None), ("old", 0, 2, 0.9, None), ("old", 0, 3, 0.8, None),
        ("old", 1, 1, 1.1, None), ("old", 1, 2, 1.0, None), ("old", 1, 3, 0.9, None),
    ],
    columns=["model", "seed", "step", "val_loss", "train_acc"],
)  # fmt: skip


def values(table: Runs | pd.DataFrame, step="last", lower=True):
    """The metric by side and seed."""
    given = table if isinstance(table, Runs) else Runs(table, "the table")
    found = arrange(given, Metric("val_loss", lower), "model=new,old", ["seed"], step)
    return found.raw.tolist()


def test_every_kind_of_file_says_the_same(tmp_path):
    table = runs(8)
    table.to_csv(tmp_path / "runs.csv", index=False)
    table.to_csv(tmp_path / "runs.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "runs.parquet")
    (tmp_path / "runs.json").write_text(json.dumps(table.to_dict("records")))
    (tmp_path / "runs.jsonl").write_text("\n\n".join(json.dumps(row) for row in table.to_dict("records")))
    nested = [{"config": {"model": r["model"], "seed": r["seed"]}, "summary": {"val_loss": r["val_loss"]}}
              for r in table.to_dict("records")]  # fmt: skip
    (tmp_path / "wandb.jsonl").write_text("\n".join(map(json.dumps, nested)))
    wanted = compare_runs(table, sides="model=new,old", pair="seed", metric="val_loss").verdicts[0].to_dict()
    for name in ("runs.csv", "runs.tsv", "runs.parquet", "runs.json", "runs.jsonl", "wandb.jsonl"):
        found = (
            compare_runs(tmp_path / name, sides="model=new,old", pair="seed", metric="val_loss").verdicts[0].to_dict()
        )
        assert found["log_e"] == wanted["log_e"], name
        assert found["sentence"] == wanted["sentence"]


def test_the_last_the_best_and_the_value_at_a_step():
    assert values(STEPS) == [[0.7, 0.8], [0.6, 0.9]]
    assert values(STEPS, "best") == [[0.5, 0.8], [0.6, 0.9]]
    assert values(STEPS, "best", lower=False) == [[0.9, 1.0], [0.8, 1.1]]
    assert values(STEPS, 2) == [[0.5, 0.9], [0.6, 1.0]]
    assert np.isnan(values(STEPS, 3)[1][0])  # a run that did not get there
    assert values(STEPS.sample(frac=1, random_state=1)) == [[0.7, 0.8], [0.6, 0.9]]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_last_value_that_is_nan_is_a_run_that_failed(tmp_path, kind):
    rows = [
        {"model": m, "seed": s, "step": t, "val_loss": 1.0 / t}
        for m in ("new", "old")
        for s in range(3)
        for t in (1, 2)
    ]
    rows[1]["val_loss"] = float("nan")  # new, seed 0, at its last step
    file = tmp_path / f"runs.{kind}"
    if kind == "csv":
        file.write_text("model,seed,step,val_loss\n" + "\n".join(",".join(map(str, row.values())) for row in rows))
    else:
        file.write_text("\n".join(map(json.dumps, rows)))
    found = values(read(file))
    assert np.isnan(found[0][0])
    assert found[1][0] == 0.5


def test_states_and_starts_of_an_export_are_heeded():
    table = runs(8).rename(columns={"model": "Model"})
    table["State"] = "finished"
    table["Created"] = [f"2026-01-{20 - seed:02}T00:00:00Z" for seed in table["seed"]]
    table.loc[3, "State"], table.loc[4, "State"] = "crashed", "running"
    found = arrange(Runs(table, "x"), Metric("val_loss", True), "Model=new,old", ["seed"])
    assert found.labels == tuple(str(seed) for seed in reversed(range(8)))  # by their start
    assert np.isinf(found.scores[list(found.labels).index("1"), 1])
    assert found.waiting[list(found.labels).index("2"), 0]
    assert not any("ascending" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sides": "modle=new,old"}, "--sides modle: no run of the table has it. There are: model"),
        ({"sides": "model=new,odl"}, "no run has model=odl. There are: new, old"),
        ({"sides": "model=new"}, "two different values are needed"),
        ({"metric": "val_los"}, "--metric val_los: no run of the table has it. There are: val_loss"),
        ({"metric": "model"}, "is no number"),
        ({"pair": "sed"}, "--pair sed: no run of the table has it. There are: seed"),
        ({"pair": "model"}, "tells the sides apart"),
        ({"where": ["seed=99"]}, "no run has this value"),
        ({"where": ["seed"]}, "KEY=VALUE is needed"),
        ({"step": "best"}, "no column of steps"),
        ({"baseline": "x"}, "--baseline x: no such side. There are: new, old"),
        ({"scale": "logit"}, "on the scale logit"),
    ],
)
def test_bad_input_is_one_line_that_names_it(options, said):
    asked = {"sides": "model=new,old", "metric": "val_loss", "pair": "seed", "lower_is_better": True} | options
    with pytest.raises(ArchabError, match=said):
        compare_runs(runs(), **asked)


def test_two_runs_of_a_pair_and_a_side_of_one_run_are_refused():
    with pytest.raises(ArchabError, match=r"--pair seed: new has 2 runs of 0 .*--pair may have several"):
        compare_runs(pd.concat([runs(), runs(1)]), sides="model=new,old", pair="seed", metric="val_loss")
    one = runs().drop(index=range(2, 24, 2))
    with pytest.raises(ArchabError, match="new has 1 run; at least 2"):
        compare_runs(one, sides="model=new,old", pair="seed", metric="val_loss")


def test_files_that_cannot_be_read_say_so(tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"a": 1}\n{oops')
    (tmp_path / "none.csv").write_text("model,seed,val_loss\n")
    (tmp_path / "odd.xyz").write_text("1")
    for name, said in (
        ("bad.jsonl", "line 2 is no JSON"),
        ("none.csv", "no run in it"),
        ("odd.xyz", "is needed"),
        ("no.csv", "no such file"),
    ):
        with pytest.raises(ArchabError, match=said):
            read(tmp_path / name)


def test_what_else_differs_between_the_sides_is_said():
    table = runs().assign(optimiser=lambda t: t["model"].map({"new": "lion", "old": "adam"}), width=64)
    notes = arrange(Runs(table, "x"), Metric("val_loss", True), "model=new,old", ["seed"]).notes
    assert [n for n in notes if "differ" in n] == [
        "The sides differ in optimiser (lion and adam), too: the verdict is on all of it together."
    ]


def test_rows_that_are_no_logs_are_not_taken_for_steps():
    rows = [(m, s, 10 + e, 1.0) for m in ("new", "old") for s in range(4) for e in range(3)]
    early = pd.DataFrame(rows, columns=["model", "seed", "epoch", "val_loss"])  # three runs a seed, at their best epoch
    with pytest.raises(ArchabError, match="24 rows for 8 runs, but with epoch from 10 on"):
        values(early)
    with pytest.raises(ArchabError, match="step 1 twice"):
        values(pd.concat([STEPS, STEPS], ignore_index=True))
    named = pd.concat([STEPS.assign(run=STEPS["model"] + STEPS["seed"].astype(str)), STEPS.assign(run="x", seed=9)])
    with pytest.raises(ArchabError, match="twice"):
        values(named.reset_index(drop=True))


def test_how_rows_became_runs_is_said():
    notes = arrange(Runs(STEPS, "x"), Metric("val_loss", True), "model=new,old", ["seed"]).notes
    assert notes == ("12 rows are the steps of 4 runs.",)


def test_a_run_that_ended_without_a_word_of_the_metric_is_left_out_where_states_are_known():
    table = runs(8).assign(state="finished")
    parent = pd.DataFrame([{"model": "new", "state": "finished"}, {"model": "old", "state": "finished"}])
    found = arrange(Runs(pd.concat([table, parent], ignore_index=True), "x"), Metric("val_loss", True), "model=new,old")
    assert len(found.scores) == 8
    assert found.notes == ("Runs that ended without a word of val_loss: 2; they are left out.",)
    crashed = pd.concat([table, parent.assign(state="crashed")], ignore_index=True)
    assert np.isinf(arrange(Runs(crashed, "x"), Metric("val_loss", True), "model=new,old").scores).sum() == 2


def test_a_step_that_a_side_never_reached_is_refused_and_one_that_some_did_is_said():
    with pytest.raises(ArchabError, match="--step 3: no run of new has val_loss at this step"):
        values(STEPS[(STEPS["model"] == "old") | (STEPS["step"] < 3)], 3)
    found = arrange(Runs(STEPS, "x"), Metric("val_loss", True), "model=new,old", ["seed"], 3)
    assert "Runs that ended without val_loss at step 3: 1 of new; they count as failed." in found.notes


def test_numbers_that_differ_between_the_sides_are_named_but_no_states():
    table = runs().assign(lr=lambda t: t["model"].map({"new": 0.01, "old": 0.02}), status="finished")
    table.loc[table["model"] == "old", "status"] = "failed"
    notes = arrange(Runs(table, "x"), Metric("val_loss", True), "model=new,old", ["seed"]).notes
    assert notes == ("The sides differ in lr (0.01 and 0.02), too: the verdict is on all of it together.",)


def test_columns_of_any_name_are_the_users_own():
    table = runs().rename(columns={"model": "side", "seed": "label", "val_loss": "value"}).assign(run="x", rank=1)
    table["run"] = table["side"] + table["label"].astype(str)
    found = compare_runs(table, sides="side=new,old", pair="label", metric="value", lower_is_better=True).verdicts[0]
    wanted = compare_runs(runs(), sides="model=new,old", pair="seed", metric="val_loss").verdicts[0]
    assert found.found.log_e.tolist() == wanted.found.log_e.tolist()


def test_sides_are_known_by_their_value_and_pairs_that_share_none_are_refused():
    table = runs().assign(lr=lambda t: t["model"].map({"new": 0.01, "old": 0.1}), big=lambda t: t["model"] == "new")
    assert compare_runs(table, sides="lr=1e-2,0.10", pair="seed", metric="val_loss").verdicts[0].names == (
        "1e-2",
        "0.10",
    )
    assert compare_runs(table, sides="big=True,False", pair="seed", metric="val_loss").verdicts[0].winner == "True"
    apart = table.assign(seed=table["seed"] + 100 * (table["model"] == "new"))
    with pytest.raises(ArchabError, match="no two sides share a value: new has 100, 101, 102, …, old has 0, 1, 2"):
        compare_runs(apart, sides="model=new,old", pair="seed", metric="val_loss")
    with pytest.raises(ArchabError, match="a column is named twice"):
        compare_runs(table, sides="model=new,old", pair=["seed", "seed"], metric="val_loss")


def test_runs_of_an_export_that_share_a_name_are_told_apart_by_their_start():
    table = runs(8).assign(_step=range(16), Name=lambda t: t["model"], Created=lambda t: t.index + 1.0)
    assert len(arrange(Runs(table, "x"), Metric("val_loss", True), "model=new,old").scores) == 8
