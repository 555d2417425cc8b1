"""A side in another precision: the same draws, rounded, counted in their bits, trained as plain PyTorch trains them."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import FAMILIES, family
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.cli import config
from archab.engine.plan import Compiled, Engine, Loop, Vmap
from archab.errors import ArchabError
from archab.experiment import build
from archab.networks.streams import Stage, forked, stream
from archab.results import frame
from archab.runs.identity import fingerprint
from archab.space.inputs import Tokens
from archab.space.routine import SGD, AdamW

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def against(a: ArchitecturalSpace, b: ArchitecturalSpace, engine: Engine, **given: object) -> pd.DataFrame:
    """The rows of both on targets of A's family."""
    standard = {"targets": 3, "samples": 64, "heldout_samples": 64, "engine": engine}
    return frame(Comparison(a, b, replace(a, name="third"), **{**standard, **given}))


def side(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["side"] == name].drop(columns="side").reset_index(drop=True)


@pytest.mark.parametrize("dtype", ["float64", "float32", *HALF])
def test_bits_are_those_of_the_dtype(dtype):
    numbers = 2 * (5 * 2 + 2 * 5 + 5 + 2 * 5)  # two layers: down, up, bias, and the norm's two vectors
    bits = {"float64": 64, "float32": 32}.get(dtype, 16)
    for given in (dtype, getattr(torch, dtype)):
        space = family("lora", dtype=given)
        assert space.size(0) == numbers * bits
        assert replace(space, measure="parameter").size(0) == numbers
        assert {p.dtype for p in space.construct(0).parameters()} == {getattr(torch, dtype)}


def test_the_bundled_ranks_are_those_that_counting_by_hand_finds():
    made = build.comparison(config.resolved(config.composed(["+space=half_precision"])))
    sizes = {s: [getattr(made, s).size(m) for m in range(3)] for s in "ab"}
    assert sizes["a"] == sizes["b"] == [32 * (2 * 16 * rank + 2 * 16) for rank in (2, 6, 16)]
    assert [dict(member) for member in made.b.arguments] == [{"rank": 2 * rank + 1} for rank in (2, 6, 16)]


def test_without_a_dtype_nothing_changes_and_the_other_side_changes_nothing():
    space = family("lora")
    plain, named, coarse = (against(space, replace(space, dtype=d), Vmap()) for d in (None, torch.float32, "bfloat16"))
    pd.testing.assert_frame_equal(plain, named)
    pd.testing.assert_frame_equal(side(plain, "a"), side(coarse, "a"))
    assert not np.allclose(side(plain, "b")["nmse"], side(coarse, "b")["nmse"], rtol=1e-5)


def test_null_leaves_fingerprints_as_they_were_and_another_dtype_is_another_experiment():
    plain, null, coarse = (
        config.resolved(config.composed(["+space=n_diagonal_original", *typed]))
        for typed in ([], ["space.b.dtype=null"], ["space.b.dtype=bfloat16"])
    )
    assert all("dtype" not in node for node in plain["space"].values() if isinstance(node, dict))
    assert fingerprint(null) == fingerprint(plain) != fingerprint(coarse)


@pytest.mark.filterwarnings("ignore:sizes differ")
@pytest.mark.parametrize("name", FAMILIES)
def test_a_draw_is_the_same_draw_rounded(name):
    """Targets of that precision and students that never learn differ by its rounding from those of float32."""
    whole = family(name, routine=SGD(lr=0.0, epochs=1))
    given = {"targets": 4, "samples": 16, "heldout_samples": 64, "engine": Loop(), "size_tolerance": 0.5}
    fine, coarse = (
        frame(Comparison(whole, replace(whole, dtype=d), protocol="crossed", **given)) for d in (None, "bfloat16")
    )
    np.testing.assert_allclose(coarse["nmse"], fine["nmse"], rtol=0.05)
    assert not np.allclose(coarse["nmse"], fine["nmse"], rtol=1e-5)


class Net(nn.Module):
    """Two layers; each network is drawn by a call of its own, since this one asks numpy, too."""

    def __init__(self) -> None:
        super().__init__()
        np.random.rand()  # noqa: NPY002
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


@pytest.mark.parametrize(
    "routine",
    [SGD(lr=0.1, momentum=0.9, epochs=3, schedule="constant"), AdamW(lr=1e-2, epochs=3, schedule="constant")],
    ids=["SGD", "AdamW"],
)
def test_the_loops_rows_are_those_of_a_plain_loop_in_bfloat16(routine):
    a = ArchitecturalSpace(Net, {}, [3], routine=routine)
    b = replace(a, dtype="bfloat16", name="B")
    comparison = Comparison(a, b, replace(a, name="third"), targets=2, samples=64, heldout_samples=32, engine=Loop())
    found = side(frame(comparison), "b")
    source = comparison.plan.lessons[0, "reference"].source
    targets = source.draw(0, 2)
    with forked(stream(0, Stage.STUDENT, "reference", "b", 0, 0, 0)):
        networks = [Net().bfloat16() for _ in range(2)]
    for i, network in enumerate(networks):
        parameters = list(network.parameters())
        if isinstance(routine, SGD):
            optimiser = torch.optim.SGD(parameters, routine.lr, momentum=0.9)
        else:
            optimiser = torch.optim.AdamW(parameters, routine.lr, fused=True)  # rounded once a step
        x, y = targets.inputs[i].bfloat16(), targets.outputs[i]
        for epoch in range(3):
            for at in source.order(0, 2, epoch)[i].split(16):
                optimiser.zero_grad()
                (network(x[at]).float() - y[at]).square().mean().backward()
                for p in parameters:
                    p.grad.clamp_(-1, 1)
                optimiser.step()
        with torch.no_grad():
            off = network(targets.heldout_inputs[i].bfloat16()).double() - targets.heldout_outputs[i].double()
        wanted = off.square().mean() / targets.heldout_outputs[i].double().var(0, correction=0).mean()
        assert found["nmse"][i] == pytest.approx(float(wanted), rel=1e-9)
        assert targets.outputs.dtype == torch.float32


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("routine", [SGD(lr=0.1), AdamW(lr=1e-2, eps=1e-4)], ids=["SGD", "AdamW"])
@pytest.mark.parametrize("engine", [Vmap, Compiled])
def test_every_engine_is_the_loop_to_the_precision_of_the_dtype(dtype, routine, engine):
    coarse = family("lora", dtype=dtype, routine=routine)
    one, other = (against(replace(coarse, dtype=None), coarse, engine()) for engine in (Loop, engine))
    np.testing.assert_allclose(side(one, "b")["nmse"], side(other, "b")["nmse"], rtol=4 * torch.finfo(HALF[dtype]).eps)


@pytest.mark.parametrize("dtype", ["int8", "bfloat", "", 16, torch.complex64, ["float16"]], ids=str)
def test_any_other_dtype_is_one_clear_error(dtype):
    with pytest.raises(ArchabError, match=r"dtype=.*: one of float64, float32, bfloat16, float16, or null"):
        family("lora", dtype=dtype)


class Parted(nn.Module):
    """Two layers on one memory, or a complex parameter."""

    def __init__(self, complex_: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = nn.Parameter(torch.randn(3, dtype=torch.complex64) if complex_ else self.a.weight.data)


@pytest.mark.parametrize(
    ("complex_", "said"), [(False, "a.weight and b.weight share memory"), (True, "b.weight is complex")]
)
def test_a_network_that_a_conversion_would_change_is_refused(complex_, said):
    with pytest.raises(ArchabError, match=f"dtype=.*{said}"):
        ArchitecturalSpace(partial(Parted, complex_), {}, [3], dtype="bfloat16").size(0)


class Words(nn.Module):
    """A layer on the mean of embedded words."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(4, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.words(x).mean(1))


def test_tokens_stay_integers():
    space = ArchitecturalSpace(Words, {}, [5], routine=SGD(lr=0.1))
    fine, coarse = (
        side(against(space, replace(space, dtype=d, name="B"), Vmap(), inputs=Tokens(4)), "b")["nmse"]
        for d in (None, "bfloat16")
    )
    np.testing.assert_allclose(coarse, fine, rtol=0.05)


def test_a_control_in_half_precision_answers_on_the_scale_of_its_targets():
    thin = family("lora", routine=AdamW(lr=1e-2, epochs=5))
    full = family("dense", routine=thin.routine)
    fine, coarse = (
        Comparison(thin, thin, replace(full, dtype=d), targets=4, samples=64, heldout_samples=64).control(0)
        for d in (None, "bfloat16")
    )
    np.testing.assert_allclose([row.nmse for row in coarse], [row.nmse for row in fine], rtol=0.1)


def test_adam_in_float16_is_told_that_its_epsilon_is_too_small():
    fine = family("lora")
    given = {"targets": 2, "samples": 32, "engine": Loop()}
    asked = [("float16", AdamW()), ("bfloat16", AdamW()), ("float16", SGD()), ("float16", AdamW(eps=1e-4))]
    sides = [replace(fine, dtype=dtype, routine=routine) for dtype, routine in asked]
    plans = [Comparison(fine, coarse, family("dense"), **given).plan for coarse in sides]
    assert ["eps=1e-08" in " ".join(plan.notes) for plan in plans] == [True, False, False, False]


def test_the_bundled_comparison_runs(command, tmp_path):
    small = ("space.a.members=[{rank:2}]", "targets=2", "samples=32", "heldout_samples=32", "routine.epochs=1")
    small = (*small, "tune.lr=[0.01,0.1]", "tune.extend=0", "control=false", "engine=vmap")
    ended = command("+space=half_precision", *small)
    assert (ended.code, ended.err) == (0, "")
    assert "matched     bfloat16: rank 5; +0.0% to +0.0% of the sizes of float32" in ended.out
    assert "engine B    vmap" in ended.out
    rows = pd.read_parquet(next(tmp_path.glob(".archab/*/0/results.parquet")))
    assert set(rows["measure"]) == {3072.0}
    refused = command("+space=half_precision", *small, "space.b.dtype=int8")
    assert refused.code == 2
    assert "dtype=int8: one of float64" in refused.err
