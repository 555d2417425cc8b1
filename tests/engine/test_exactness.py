"""Training together is training alone: in every engine, chunk and thread count, for every network that gets through."""

import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import FAMILIES, family, in_double

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Auto, Loop, Vmap
from archab.space.routine import SGD, AdamW

EQUAL = ["nmse", "train_nmse"]


def table(comparison: Comparison) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return comparison.table()


def assert_same(one: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> None:
    """Keys to the letter, errors within a relative tolerance."""
    pd.testing.assert_frame_equal(one.drop(columns=EQUAL), other.drop(columns=EQUAL))
    np.testing.assert_allclose(one[EQUAL], other[EQUAL], rtol=tolerance, atol=0)


def of(space: ArchitecturalSpace, **given: object) -> Comparison:
    return Comparison(
        space, space, **{"protocol": "direct", "targets": 3, "samples": 64, "heldout_samples": 64, **given}
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_batched_is_alone_after_100_steps_in_float64(name):
    space = family(name, prior=in_double, routine=AdamW(epochs=5, lr=1e-2))
    together, alone = (of(space, samples=320, targets=2, engine=e()) for e in (Vmap, Loop))
    assert {m.engine for lesson in together.plan.lessons.values() for m in lesson.methods.values()} == {"vmap"}
    assert_same(table(together), table(alone), 1e-12)


@pytest.mark.parametrize(
    "routine", [SGD(momentum=0.9, nesterov=True, weight_decay=0.1), SGD(clip=None), AdamW(clip=None)]
)
def test_every_bundled_routine_is_the_same_batched_and_alone(routine):
    space = family("lora", prior=in_double, routine=routine)
    assert_same(table(of(space, engine=Vmap())), table(of(space, engine=Loop())), 1e-12)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_the_chunk_changes_rows_by_rounding_alone(chunk):
    space = family("transformer", prior=in_double)
    whole = of(space, targets=5, restarts=2, engine=Vmap())
    assert_same(table(of(space, targets=5, restarts=2, engine=Vmap(chunk=chunk))), table(whole), 1e-12)


def test_chunks_across_tiles_give_the_rows_of_one_chunk():
    space = family("n_diagonal", prior=in_double)
    wide = {"heldout_samples": 2**17, "targets": 7}
    comparison = of(space, engine=Vmap(chunk=3), **wide)
    assert next(iter(comparison.plan.lessons.values())).source.tile == 4
    assert_same(table(comparison), table(of(space, engine=Vmap(), **wide)), 1e-12)


@pytest.mark.parametrize("name", ["n_diagonal", "transformer"])
def test_repeated_rows_are_the_same_to_the_bit_and_those_of_more_targets_extend_them(name):
    space = family(name)
    rows = table(of(space))
    pd.testing.assert_frame_equal(rows, table(of(space)))
    more = table(of(space, targets=5))
    assert_same(rows, more[more["draw"] < 3].reset_index(drop=True), 1e-4)


@pytest.mark.slow
def test_another_thread_count_changes_rows_by_rounding_alone(tmp_path):
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[2]); from conftest import family, in_double; "
        "from archab import Comparison; torch.set_num_threads(int(sys.argv[1])); "
        "space = family('transformer', prior=in_double); "
        "rows = Comparison(space, space, targets=2, samples=64).table(); "
        "print(rows[['nmse', 'train_nmse']].to_json(double_precision=15))"
    )
    tests = os.path.dirname(os.path.dirname(__file__))
    found = [
        pd.read_json(io.StringIO(subprocess.check_output([sys.executable, "-c", code, n, tests], text=True)))
        for n in ("1", "2")
    ]
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_every_engine_meets_the_same_draws():
    space = family("dense")
    rows = [table(of(space, restarts=2, engine=engine())) for engine in (Auto, Vmap, Loop)]
    for other in rows[1:]:
        pd.testing.assert_frame_equal(rows[0].drop(columns=EQUAL), other.drop(columns=EQUAL))


class Padded(torch.nn.Module):
    """Words, the first of which is none."""

    def __init__(self):
        super().__init__()
        self.words, self.out = torch.nn.Embedding(4, 3, padding_idx=0), torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.words(x).mean(1))


def test_the_padding_row_of_a_batched_embedding_does_not_learn():
    from archab.engine import vmap as batched
    from archab.engine.cohort import Cohort
    from archab.networks import population

    nets = population.of([Padded() for _ in range(2)])
    before = nets.tensors["words.weight"].clone()
    x, y = torch.randint(4, (2, 32, 5)), torch.randn(2, 32, 2)
    cohort = Cohort(
        lambda: nets, [1, 2], [SGD(lr=0.1)] * 2, 16, x, y, x, y, torch.ones(2), torch.ones(2),
        lambda _: torch.arange(32).expand(2, -1), 1, torch.device("cpu"), lambda _: None,
    )  # fmt: skip
    stack, _ = batched.fit(cohort, nets)
    after = stack.learnable[stack.names.index("words.weight")].detach()
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.equal(before[:, 1:], after[:, 1:])
