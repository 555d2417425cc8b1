"""What a student costs: the same by every engine, what a hand count says, kept through resumes, shards and seeds."""

import io
import itertools
import json
import math
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import family
from logged import AMOUNT, TWO
from tables import costs, random_rows
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.cli import compare
from archab.engine.plan import Compiled, Loop, Vmap, shared
from archab.errors import ArchabError
from archab.evidence.costs import COLUMNS, joined
from archab.evidence.verdict import judge
from archab.space.routine import AdamW

RUN = (
    "+space=n_diagonal_original",
    *TWO,
    *AMOUNT,
    "control=false",
    "routine.epochs=3",
    "engine=loop",
    "engine.chunk=1",
)
STEPS = 3 * 32 / 16
# Four layers of full matrices of dimension 5, whose operations LoRA of rank r precedes by those of its own product.
FORWARD = {"a": lambda rank, n: 4 * n * 2 * 25, "b": lambda rank, n: 4 * (2 * 25 * rank + n * 2 * 25)}


def small(engine=None, **given) -> Comparison:
    sides = family("dense", **given), family("lora", **given), family("dense")
    return Comparison(*sides, targets=4, samples=48, heldout_samples=16, engine=engine or Loop())


def told(comparison: Comparison) -> pd.DataFrame:
    found = comparison.study().costs
    assert found is not None
    assert list(found) == list(COLUMNS)
    return found.set_index("side")


def kept(folder: Path, where: str = "") -> pd.DataFrame:
    files = folder.glob(f".archab/*/{where or '0'}/costs.parquet")
    return pd.concat(map(pd.read_parquet, files), ignore_index=True)


def compared() -> list[dict]:
    with redirect_stdout(io.StringIO()) as printed:
        assert compare.main(["--space", "n_diagonal_original", "--json"]) == 0
    return json.loads(printed.getvalue())["members"]


def test_a_run_keeps_what_a_hand_count_says_and_the_verdict_tells_it(command, tmp_path):
    begun = time.perf_counter()
    assert command(*RUN).code == 0
    passed = time.perf_counter() - begun
    table = kept(tmp_path)
    for cost in table.to_dict("records"):
        rank, forward = (1, 3)[cost["member"]], FORWARD[cost["side"]]
        entries = 5 + 2 * sum(5 - k for k in range(1, rank)) if cost["side"] == "a" else 2 * 5 * rank
        assert (cost["parameters"], cost["information"]) == (4 * (entries + 15), 4 * (entries + 15) * 32)
        assert (cost["flops"], cost["steps"]) == (forward(rank, 1), STEPS)
        assert cost["training_flops"] == 3 * STEPS * forward(rank, 16)
        assert cost["students"] == 2
    assert len(table) == 4
    assert 0 < (table["seconds"] * table["students"]).sum() < passed
    for member in compared():
        for side in "ab":
            [known] = table[(table["member"] == member["member"]) & (table["side"] == side)].to_dict("records")
            assert member[f"cost_{side}"] == {name: known[name] for name in COLUMNS[3:]}


def test_what_was_trained_before_a_run_was_interrupted_counts_and_so_does_what_has_no_times(command, tmp_path):
    assert command(*RUN, "targets=4").code == 0
    whole = kept(tmp_path)
    [folder] = tmp_path.glob(".archab/*/0")
    rows = pd.read_parquet(folder / "results.parquet")
    (folder / "parts").mkdir()
    for name in ("results.parquet", "finished.json", "costs.parquet"):
        (folder / name).unlink()
    for draw in (0, 1):  # of member 0: with times, and as an earlier version left it
        unit = f"0000-reference-{draw:08d}"
        part = rows[(rows["member"] == 0) & (rows["draw"] == draw)]
        part.attrs["redrawn"] = 0
        part.to_parquet(folder / "parts" / f"{unit}.parquet", index=False)
    spent = pd.DataFrame({"member": 0, "side": ["a", "b"], "students": 1, "steps": STEPS, "seconds": 1000.0})
    spent.to_parquet(folder / "parts" / "0000-reference-00000000.spent", index=False)
    ended = command(*RUN, "targets=4")
    assert "going on from 2 of 8 finished parts" in ended.out
    resumed = kept(tmp_path)
    fixed = ["member", "side", "information", "parameters", "flops", "steps", "training_flops"]
    pd.testing.assert_frame_equal(resumed[fixed], whole[fixed])
    first = resumed[resumed["member"] == 0]
    assert list(first["students"]) == [3, 3]
    assert first["seconds"].between(1000 / 3, 1000 / 3 + 1).all()
    assert list(resumed.loc[resumed["member"] == 1, "students"]) == [4, 4]


def test_seeds_and_shards_are_joined_student_by_student(command, tmp_path):
    assert command(*RUN, "targets=6", "seed=0", "shards=2").code == 0
    assert command(*RUN, "targets=6", "seed=1").code == 0
    every = pd.concat([kept(tmp_path, "0/shard-*"), kept(tmp_path, "1")])
    for member in compared():
        for side in "ab":
            own = every[(every["member"] == member["member"]) & (every["side"] == side)].query("students > 0")
            assert own["students"].sum() == 12
            wanted = np.average(own["seconds"], weights=own["students"])
            assert member[f"cost_{side}"]["seconds"] == pytest.approx(wanted)
            assert member[f"cost_{side}"]["steps"] == STEPS


@pytest.mark.parametrize("engine", [Loop(), Vmap(), Compiled()], ids=["loop", "vmap", "compiled"])
def test_every_engine_takes_the_same_steps(engine):
    begun = time.perf_counter()
    found = told(small(engine, routine=AdamW(epochs=2)))
    passed = time.perf_counter() - begun
    assert list(found["steps"]) == [6, 6]
    assert list(found["students"]) == [4, 4]
    assert (found["seconds"] > 0).all()
    assert (found["seconds"] * found["students"]).sum() < passed


def again(network, batches, loss, passes=5):
    """Keeps the mini-batches of one epoch, and goes over them several times."""
    optimiser, here = torch.optim.SGD(network.parameters(), 0.01), list(batches)
    for _ in range(passes):
        for inputs, outputs in here:
            optimiser.zero_grad()
            loss(network(inputs), outputs).backward()
            optimiser.step()


def without(network, batches, loss):
    """Has a loss of its own."""
    optimiser = torch.optim.SGD(network.parameters(), 0.01)
    for inputs, outputs in batches:
        optimiser.zero_grad()
        (network(inputs) - outputs).square().sum().backward()
        optimiser.step()


@pytest.mark.parametrize("engine", [Loop(), Vmap()], ids=["loop", "vmap"])
def test_steps_of_a_routine_of_the_users_are_those_that_it_took(engine):
    assert list(told(small(engine, routine=again))["steps"]) == [15, 15]


def test_steps_that_nobody_counts_are_unknown_and_so_is_the_work_of_training():
    study = small(routine=without).study()
    [member] = judge(study).to_dict()["members"]
    for cost in (member["cost_a"], member["cost_b"]):
        assert (cost["steps"], cost["training_flops"]) == (None, None)
        assert cost["seconds"] > 0
        assert cost["flops"] > 0


class Scaled(nn.Module):
    """A network that torch's counter of operations knows nothing of."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3))

    def forward(self, x):
        return self.scale * x


def test_operations_that_cannot_be_counted_are_unknown_and_stop_no_run():
    sides = [ArchitecturalSpace(Scaled, {}, [3], name=name, routine=AdamW(epochs=1)) for name in ("one", "other")]
    found = told(Comparison(*sides, targets=2, samples=16, heldout_samples=16, engine=Loop()))
    assert found[["flops", "training_flops"]].isna().all(axis=None)
    assert list(found["parameters"]) == [3, 3]


def test_tables_have_no_costs_and_those_of_a_study_stay_with_its_table():
    [bare, *_] = judge(random_rows(0)).to_dict()["members"]
    assert (bare["cost_a"], bare["cost_b"]) == (None, None)
    study = small().study()
    assert judge(study.table()).to_dict() == judge(study).to_dict()
    assert judge(study).members[0].cost_a.flops == 2 * 2 * 25


def test_costs_that_lack_a_column_are_refused():
    with pytest.raises(ArchabError, match="no column seconds in the costs"):
        judge(random_rows(0), costs=costs(2).drop(columns="seconds"))


def test_time_is_shared_by_those_who_spend_it_and_none_is_lost():
    rng = np.random.default_rng(0)
    spans = [tuple(sorted(pair)) for pair in rng.integers(0, 50, (5, 2)).tolist()]
    by_hand = [0.0] * len(spans)
    for moment in range(50):
        here = [i for i, (start, end) in enumerate(spans) if start <= moment < end]
        for i in here:
            by_hand[i] += 1 / len(here)
    assert shared(spans) == pytest.approx(by_hand)
    assert shared([(0.0, 2.0), (3.0, 4.0)]) == [2.0, 1.0]  # one after another


def test_parts_are_joined_as_a_mean_over_students_of_what_is_known():
    rng = np.random.default_rng(0)
    parts = pd.DataFrame(
        [(m, s, int(rng.integers(1, 9)), float(rng.normal()), math.nan if i == 0 else float(rng.normal()), 7.0)
         for m, s, i in itertools.product(range(2), "ab", range(3))],
        columns=["member", "side", "students", "steps", "seconds", "flops"],
    )  # fmt: skip
    found = joined(parts.sample(frac=1, random_state=0)).set_index(["member", "side"])
    for (member, side), own in parts.groupby(["member", "side"]):
        timed = own.dropna()
        row = found.loc[member, side]
        assert row["steps"] == pytest.approx(np.average(own["steps"], weights=own["students"]))
        assert row["seconds"] == pytest.approx(np.average(timed["seconds"], weights=timed["students"]))
        assert (row["students"], row["flops"]) == (own["students"].sum(), 7)
