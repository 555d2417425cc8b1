"""What a run goes on from: the plan it was begun with, parts, shards, and the folder that others may be at work in."""

import json
import os
import time
from pathlib import Path

import pandas as pd
from logged import TWO, runs

from archab.engine.cpp import compiler
from archab.results import KEY
from archab.runs.folder import RunFolder

ALIKE = (
    "+space=n_diagonal_original",
    *TWO,
    "targets=6",
    "samples=32",
    "heldout_samples=32",
    "control=false",
    "routine.epochs=1",
)
SMALL = (*ALIKE, "engine.chunk=2")
LOOP = (*SMALL, "engine=loop")
CONTROLLED = tuple(word for word in LOOP if word != "control=false")


def interrupted(folder: Path, parts: int = 2) -> pd.DataFrame:
    """A finished run as one that died after its first parts; its rows."""
    [result] = folder.glob(".archab/*/0/results.parquet")
    rows = pd.read_parquet(result)
    (result.parent / "parts").mkdir()
    whole = rows.groupby(["member", rows["draw"] // 2])
    for (member, chunk), part in list(whole)[:parts]:
        part.attrs["redrawn"] = 0
        part.to_parquet(result.parent / "parts" / f"{member:04d}-reference-{2 * chunk:08d}.parquet", index=False)
    result.unlink()
    (result.parent / "finished.json").unlink()
    return rows


def kept(folder: Path) -> pd.DataFrame:
    [result] = folder.glob(".archab/*/0/results.parquet")
    return pd.read_parquet(result)


def test_an_interrupted_run_goes_on_by_the_plan_it_was_begun_with_whatever_is_typed_now(command, tmp_path):
    assert command(*LOOP).code == 0
    undisturbed = interrupted(tmp_path)
    resumed = command(*ALIKE, "engine=vmap", "engine.chunk=3", "engine.memory=77")
    assert (resumed.code, resumed.err) == (0, "")
    assert "by the plan that is kept" in resumed.out
    assert "going on from 2 of 6 finished parts" in resumed.out
    pd.testing.assert_frame_equal(kept(tmp_path), undisturbed, check_exact=True)
    [plan] = [json.loads(file.read_text()) for file in tmp_path.glob(".archab/*/0/plan.json")]
    assert {method["engine"] for method in plan["methods"]} == {"loop"}
    assert plan["memory"] == 1024


def broken(text: str) -> None:
    raise compiler.CompilationFailed("no space left")


def test_a_plan_that_this_machine_cannot_follow_is_an_error_that_says_so(command, tmp_path, monkeypatch):
    assert command(*SMALL, "engine=vmap").code == 0
    interrupted(tmp_path)
    [file] = tmp_path.glob(".archab/*/0/plan.json")
    plan = json.loads(file.read_text())
    plan["methods"][0]["engine"] = "compiled"
    file.write_text(json.dumps(plan))
    monkeypatch.setattr(compiler, "load", broken)
    ended = command(*LOOP)
    assert ended.code == 2
    assert "begun with engine=compiled for n-diagonal" in ended.err
    assert "rerun=true" in ended.err


def test_a_plan_of_other_versions_is_put_aside_with_its_parts(command, tmp_path):
    assert command(*LOOP).code == 0
    interrupted(tmp_path)
    [file] = tmp_path.glob(".archab/*/0/plan.json")
    file.write_text(file.read_text().replace('"torch": "', '"torch": "0.'))
    again = command(*SMALL, "engine=vmap")
    assert again.code == 0
    assert "going on" not in again.out
    assert len(list(tmp_path.glob(".archab/*/0/parts-0/*.parquet"))) == 2


def test_running_anew_leaves_the_old_rows_until_the_end_and_its_own_parts_to_the_next_try(command, tmp_path):
    assert command(*LOOP).code == 0
    before = interrupted(tmp_path)
    anew = command(*LOOP, "rerun=true")
    assert anew.code == 0
    assert "going on" not in anew.out  # parts of the earlier run are none of this one's
    pd.testing.assert_frame_equal(kept(tmp_path), before, check_exact=True)
    interrupted(tmp_path)
    assert "going on from 2 of 6" in command(*LOOP, "rerun=true").out


def test_shards_have_the_rows_of_the_undivided_run_each_once(command, tmp_path):
    ended = command(*LOOP, "shards=3")
    assert ended.code == 0, ended.err
    assert "shard 3/3 of this run is finished" in ended.out
    files = list(tmp_path.glob(".archab/*/0/shard-*/results.parquet"))
    assert len(files) == 3
    shards = pd.concat([pd.read_parquet(file) for file in files]).sort_values(KEY, ignore_index=True)
    assert command(*LOOP).code == 0
    pd.testing.assert_frame_equal(kept(tmp_path), shards, check_exact=True)
    found = runs(tmp_path, "n_diagonal_original")
    assert sorted(found["tags.archab.shard"]) == ["", "1/3", "2/3", "3/3"]
    assert found["tags.archab.plan"].nunique() == found["tags.archab.fingerprint"].nunique() == 1


def test_shards_follow_the_plan_of_the_first(command, tmp_path):
    assert command(*LOOP, "shard=1/2").code == 0
    assert "by the plan that is kept" in command(*ALIKE, "shard=2/2", "engine=vmap").out
    assert runs(tmp_path, "n_diagonal_original")["tags.archab.plan"].nunique() == 1


def test_the_control_is_trained_once_by_the_shards(command, tmp_path):
    command("-m", *CONTROLLED, "shard=1/2,2/2")
    shards = pd.concat([pd.read_parquet(file) for file in tmp_path.glob(".archab/*/0/shard-*/control.parquet")])
    command(*CONTROLLED)
    [whole] = tmp_path.glob(".archab/*/0/control.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(whole), shards.sort_values(KEY, ignore_index=True), check_exact=True)


def test_a_run_that_another_host_is_at_is_left_alone_until_its_lease_is_stale(command, tmp_path):
    assert command(*LOOP).code == 0
    interrupted(tmp_path)
    [folder] = tmp_path.glob(".archab/*/0")
    lease = folder / "lease"
    lease.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    ended = command(*LOOP)
    assert ended.code == 2
    assert "a process on elsewhere is at this very run" in ended.err
    os.utime(lease, (time.time() - 301,) * 2)
    assert command(*LOOP).code == 0
    assert not lease.exists()


def test_a_damaged_plan_is_none(command, tmp_path):
    assert command(*LOOP).code == 0
    rows = interrupted(tmp_path)
    [file] = tmp_path.glob(".archab/*/0/plan.json")
    folder = RunFolder(tmp_path / ".archab", file.parents[1].name, 0)
    plan = json.loads(file.read_text())
    for text in ("", "[1, 2]", "5", "null", '{"made_by": {}}', '{"made_by"'):
        file.write_text(text)
        assert folder.begin(plan) is plan, text
        assert json.loads(file.read_text()) == plan
    file.write_text("null")
    assert command(*LOOP).code == 0
    pd.testing.assert_frame_equal(kept(tmp_path), rows, check_exact=True)


DAMAGES = {
    "rows": lambda folder: (folder / "results.parquet").write_bytes((folder / "results.parquet").read_bytes()[:3000]),
    "a short record": lambda folder: (folder / "finished.json").write_text('{"experiment": "x"}'),
    "another record": lambda folder: (folder / "finished.json").write_text(
        (folder / "finished.json").read_text().replace('"runs": {', '"runs": [], "gone": {')
    ),
}


def test_a_finished_run_that_is_damaged_is_trained_again_and_says_so(command, tmp_path):
    assert command(*LOOP).code == 0
    rows = kept(tmp_path)
    [folder] = tmp_path.glob(".archab/*/0")
    for name, damage in DAMAGES.items():
        damage(folder)
        again = command(*LOOP)
        assert (again.code, again.err) == (0, ""), name
        assert "is damaged, and is made anew" in again.out, name
        pd.testing.assert_frame_equal(kept(tmp_path), rows, check_exact=True)
