"""In half precision programs round where torch does, and to what it does."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archab import ArchitecturalSpace, Comparison
from archab.engine import compiled
from archab.engine.compiled import answerer, write
from archab.engine.cpp import compiler
from archab.engine.loss import SquaredError
from archab.engine.plan import Compiled, Engine, Loop, Vmap
from archab.networks import population
from archab.space.routine import SGD, AdamW

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")

HALVES = [torch.bfloat16, torch.float16]


class Times(nn.Module):
    """A product in float32, rounded to the type of the weight."""

    def __init__(self, dtype: torch.dtype, factor: float) -> None:
        super().__init__()
        self.weight, self.factor = nn.Parameter(torch.ones((), dtype=dtype)), factor

    def forward(self, x: Tensor) -> Tensor:
        return (x.float() * self.factor).to(self.weight.dtype) * self.weight


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("factor", [1.00048828125, 2.0**-9, 1000.0], ids=str)
def test_every_number_is_rounded_as_torch_rounds_it(dtype, factor):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)[
        :, None
    ]  # midpoints and overflow among products
    network = Times(dtype, factor)
    ordinary = torch.rand(8, 1, dtype=dtype)
    source = write(network, AdamW(), ordinary, ordinary, SquaredError())
    program = compiled.Compiled(source, compiler.load(source.text), 1)
    found = answerer(program, (1,))(population.of([network]), every[None].float())[0]
    with torch.no_grad():
        wanted = network(every).double()
    least = torch.finfo(torch.float32).tiny  # programs take smaller numbers for 0
    tiny = (wanted.abs() <= least) | (every.abs() < least)
    assert (found[tiny].abs() <= least).all()
    np.testing.assert_array_equal(found[~tiny], wanted[~tiny])


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.2, batch_first=True), nn.Linear(12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x).flatten(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


class Pictures(nn.Sequential):
    def __init__(self) -> None:
        parts = nn.Conv2d(1, 4, 2, bias=False), nn.GroupNorm(2, 4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten()
        super().__init__(*parts, nn.Linear(4, 2), nn.Softmax(-1))


class Perceptron(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2), nn.Softmax(-1))


class Averages(nn.Module):
    """A running mean of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        if self.training:
            with torch.no_grad():
                self.mean.copy_(0.99 * self.mean.float() + 0.01 * h.float().mean(0))
        return h - self.mean


class Clamped(nn.Module):
    """A bound that the type of the numbers cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.bound = nn.Linear(3, 2), torch.tensor(0.1234567)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        return h + 128 * (torch.maximum(h.clamp(max=0.1), self.bound) - 0.12353515625)


class Autocast(nn.Module):
    """Parameters in float32, products in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.second(self.first(x).tanh()).float()


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 2, dtype=torch.bfloat16), nn.LayerNorm(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.first(x).float())


NETWORKS = {"encoder": (Encoder, [3, 4]), "recurrent": (Recurrent, [3, 4]), "pictures": (Pictures, [1, 3, 3])}
NETWORKS |= {"averages": (Averages, [3]), "clamped": (Clamped, [3]), "perceptron": (Perceptron, [3])}
MOMENTUM = SGD(lr=0.05, momentum=0.9, epochs=4)
ROUTINES = {torch.bfloat16: MOMENTUM, torch.float16: AdamW(lr=1e-3, eps=1e-4, weight_decay=0.1, epochs=4)}


def trained(space: ArchitecturalSpace, engine: Engine) -> tuple[set[str], np.ndarray]:
    """By which engines, and the errors of all students."""
    given = {"targets": 3, "samples": 64, "heldout_samples": 64, "protocol": "direct", "engine": engine}
    asked = Comparison(space, replace(space, name="B"), **given)
    return {m.engine for m in asked.plan.methods.values()}, asked.table()["nmse"].to_numpy()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_students_are_those_of_the_loop_to_the_precision_of_the_dtype(name, dtype):
    make, shape = NETWORKS[name]
    space = ArchitecturalSpace(make, {}, shape, routine=ROUTINES[dtype], dtype=dtype, name=name)
    engines, found = trained(space, Compiled())
    _, wanted = trained(space, Loop())
    assert engines == {"compiled"}
    np.testing.assert_allclose(found, wanted, rtol=4 * torch.finfo(dtype).eps, atol=2e-3)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ["recurrent", "averages", "clamped", "perceptron"])
def test_what_a_network_answers_and_keeps_is_rounded_where_torch_rounds_it(name, dtype):
    make, shape = NETWORKS[name]
    routine = SGD(lr=0.0, momentum=0.9, epochs=8)
    space = ArchitecturalSpace(make, {}, shape, routine=routine, dtype=dtype, name=name)
    np.testing.assert_allclose(trained(space, Compiled())[1], trained(space, Loop())[1], rtol=1e-5)


def test_parts_in_half_precision_are_rounded_and_learnable_numbers_of_two_types_are_not_compiled():
    cast = ArchitecturalSpace(Autocast, {}, [3], routine=MOMENTUM, name="cast")
    engines, found = trained(cast, Compiled())
    assert engines == {"compiled"}
    np.testing.assert_allclose(found, trained(cast, Loop())[1], rtol=1e-3)
    with pytest.warns(UserWarning, match="is (trained|not compiled)") as said:
        engines, _ = trained(replace(cast, architecture=Mixed, name="mixed"), Compiled())
    assert "compiled" not in engines
    assert any("learnable numbers of type torch.bfloat16, torch.float32" in str(one.message) for one in said)


def test_what_a_network_keeps_is_rounded_as_torch_rounds_it_or_not_compiled():
    def make():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.01), nn.ReLU(), nn.Linear(4, 2))

    used = set()
    # Where a processor has instructions for a type, torch rounds a momentum in it, too.
    for dtype, near in {torch.bfloat16: 0.05, torch.float16: 5e-3}.items():
        space = ArchitecturalSpace(make, {}, [3], routine=SGD(lr=0.02, epochs=50), dtype=dtype, name="norm")
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # of what is not compiled
            engines, found = trained(space, Compiled())
        np.testing.assert_allclose(found, trained(space, Loop())[1], rtol=near)
        used |= engines
    assert "compiled" in used


class Steep(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 60


@pytest.mark.parametrize("engine", [Loop, Vmap, Compiled])
def test_a_norm_of_gradients_may_be_larger_than_what_their_type_holds(engine):
    routine = SGD(lr=1e-3, clip=None, clip_norm=1.0, epochs=8)
    space = ArchitecturalSpace(Steep, {}, [3], routine=routine, name="steep")
    _, fine = trained(space, Loop())
    np.testing.assert_allclose(trained(replace(space, dtype="float16"), engine())[1], fine, rtol=0.02)
