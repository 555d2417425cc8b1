"""Comparisons in threads of one process: each has the rows that it has alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Compiled, Loop, Vmap
from archab.results import Row
from archab.space.routine import AdamW

PATIENCE = 60.0  # seconds


class Dropped(nn.Module):
    """Whose steps draw."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.up, self.down, self.share = nn.Linear(3, 4), nn.Linear(4, 2), share

    def forward(self, x: Tensor) -> Tensor:
        return self.down(nn.functional.dropout(self.up(x).tanh(), self.share, self.training))


def comparison(engine: object, seed: int) -> Comparison:
    a, b = (
        ArchitecturalSpace(Dropped, {"share": share}, [3], routine=AdamW(epochs=2), name=f"{share:.0%}")
        for share in (0.1, 0.3)
    )
    return Comparison(a, b, protocol="crossed", targets=12, samples=64, heldout_samples=32, engine=engine, seed=seed)


@pytest.mark.parametrize("engines", [(Compiled(), Loop()), (Vmap(), Compiled()), (Loop(), Loop())])
def test_two_at_once_have_the_rows_of_one_after_the_other(engines):
    asked = [(engine, seed) for seed in range(3) for engine in engines]
    alone = [comparison(*one).table() for one in asked]
    before = torch.get_rng_state(), nn.functional.dropout, torch.rand
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(lambda one: comparison(*one).table(), asked))
    for table, wanted in zip(together, alone, strict=True):
        pd.testing.assert_frame_equal(table, wanted, check_exact=True)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (nn.functional.dropout, torch.rand) == before[1:]


@pytest.mark.parametrize("engine", [Compiled(chunk=4), Loop(chunk=4)])
@pytest.mark.parametrize("ending", ["goes on", "dropped"])
def test_an_iteration_that_another_thread_began_goes_on_or_holds_nobody(engine, ending):
    asked = comparison(engine, 0)

    def begun() -> Iterator[Row]:
        rows = iter(asked)
        next(rows)
        return rows

    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(begun).result()
    if ending == "goes on":
        assert len(list(rows)) == asked.students - 1
    del rows
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(asked.table)
        pd.testing.assert_frame_equal(asked.table(), elsewhere.result(PATIENCE), check_exact=True)


@pytest.mark.parametrize("engine", [Compiled(chunk=4), Loop(chunk=4)])
def test_who_is_told_of_progress_may_ask_a_comparison(engine):
    asked, other = comparison(engine, 0), comparison(engine, 1)
    seen = []
    rows = asked.study(lambda students: seen.append(other.expected)).table()
    assert len(rows) == asked.students
    assert set(seen) == {other.expected}


def test_torchs_generator_is_where_it_was():
    def orthogonal() -> nn.Module:
        return nn.Sequential(nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 2))

    space = ArchitecturalSpace(orthogonal, {}, [4], routine=AdamW(epochs=1))
    before = torch.get_rng_state()
    Comparison(space, space, protocol="direct", targets=2, samples=32, heldout_samples=32, engine=Loop()).table()
    assert torch.equal(torch.get_rng_state(), before)
