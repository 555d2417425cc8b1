"""What the version before has written is read: its store, run folders and plans; its verdicts are said again."""

import io
import json
import sqlite3
import tarfile
from contextlib import closing, redirect_stdout
from pathlib import Path

import pandas as pd
import pytest
import torch
from logged import runs

from archab.cli import compare

DATA = Path(__file__).parent / "data"
NAMES = ("--names", "gate", "plain")
RUN = (
    "+space=n_diagonal_original", "tracking.experiment=n_diagonal",
    "space.a.members=[{rank:1},{rank:3}]", "space.b.members=[{rank:1},{rank:3}]", "targets=8", "samples=32",
    "heldout_samples=32", "routine.epochs=2",
)  # fmt: skip


@pytest.fixture
def before(command, tmp_path: Path) -> Path:
    """Where it ran: seeds 0 and 1 are finished, seed 2 has 3 of its 16 parts, seed 3 the first of its two shards."""
    with tarfile.open(DATA / "store.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            store.execute(f"UPDATE {table} SET {column} = replace({column}, '/before', '{tmp_path}')")
    for file in (tmp_path / ".archab").rglob("*.json"):
        text = file.read_text().replace("/before", str(tmp_path))
        file.write_text(text.replace('"torch": "2.13.0+cpu"', f'"torch": "{torch.__version__}"'))
    return tmp_path


def said(*arguments: str) -> str:
    with redirect_stdout(io.StringIO()) as printed:
        assert compare.main(arguments) == 0
    return printed.getvalue()


def equal(found: object, wanted: object) -> None:
    """The same to the letter, numbers to rounding; an object may have fields that it did not have then."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict)
        assert [key for key in found if key in wanted] == list(wanted)
        for key in wanted:
            equal(found[key], wanted[key])
    elif isinstance(wanted, list):
        assert isinstance(found, list)
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            equal(one, other)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    else:
        assert found == wanted


@pytest.mark.parametrize("table", ["decided", "equivalent", "unpaired"])
def test_a_verdict_on_a_table_is_the_same_object(table, monkeypatch):
    monkeypatch.chdir(DATA)
    equal(json.loads(said("--table", f"{table}.csv", *NAMES, "--json")), json.loads(Path(f"{table}.json").read_text()))


def test_a_verdict_on_a_table_is_the_same_text(monkeypatch):
    monkeypatch.chdir(DATA)
    monkeypatch.setenv("COLUMNS", "100")
    assert said("--table", "decided.csv", *NAMES) == Path("decided.txt").read_text()


def test_a_verdict_on_the_store_is_the_same_object_and_text(before, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = said("--space", "n_diagonal")
    assert text[: text.index("  review ")] == (DATA / "store.txt").read_text()
    equal(json.loads(said("--space", "n_diagonal", "--json")), json.loads((DATA / "store.json").read_text()))


def test_a_finished_seed_is_finished_before_and_its_rows_are_those_of_today(before, command):
    assert "seed 0: finished before" in command(*RUN, "engine=vmap").out
    assert command(*RUN, "engine=vmap", "engine.chunk=4", "spool=anew", "tracking.experiment=anew").code == 0
    one, other = (pd.read_parquet(next(before.glob(f"{spool}/*/0/results.parquet"))) for spool in (".archab", "anew"))
    assert set(other) - set(one) == {"accuracy", "overlap"}  # which the version of then did not know
    pd.testing.assert_frame_equal(one, other[one.columns], rtol=1e-4)


def test_an_unfinished_seed_goes_on_by_its_plan(before, command):
    ended = command(*RUN, "seed=2")
    assert (ended.code, ended.err) == (0, "")
    assert "by the plan that is kept" in ended.out
    assert "going on from 3 of 16 finished parts" in ended.out


def test_a_shard_follows_the_plan_of_the_other(before, command):
    ended = command(*RUN, "seed=3", "shard=2/2")
    assert (ended.code, ended.err) == (0, "")
    found = runs(before, "n_diagonal")
    assert found[found["tags.archab.seed"] == "3"]["tags.archab.plan"].nunique() == 1
    assert "shards" not in said("--space", "n_diagonal")
