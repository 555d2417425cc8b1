"""Programs against the plain loop: every rule, every bundled family, and what must never be compiled."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import FAMILIES, family, in_double
from torch import nn
from torch.nn import functional as F

from archab import ArchitecturalSpace, Comparison
from archab.engine import compiled
from archab.engine.compiled import Block, Compiled
from archab.engine.cpp import compiler, source
from archab.engine.cpp.kernels import NoRule
from archab.engine.cpp.record import Untraceable
from archab.engine.equivalence import Sample, largest, why_not_compiled
from archab.engine.plan import Auto, Loop
from archab.engine.plan import Compiled as Engine
from archab.errors import ArchabError
from archab.networks import population
from archab.space.inputs import Normal, Tokens
from archab.space.routine import SGD, Adam, AdamW

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler: install g++")


class Net(nn.Module):
    """A network of named parts and a forward function of it and its inputs."""

    def __init__(self, run, parts):
        super().__init__()
        for name, make in parts.items():
            setattr(self, name, make())
        self.run = run

    def forward(self, x):
        return self.run(self, x)


def linear(i=3, o=4, **given):
    return lambda: nn.Linear(i, o, **given)


def weight(*shape):
    return lambda: nn.Parameter(torch.randn(*shape))


def acts(*functions):
    """Pointwise functions of one linear layer, side by side."""
    return lambda n, x: torch.cat([f(n.l(x)) for f in functions], -1)


def write_diagonal(n, x):
    w = torch.zeros(3, 3, dtype=x.dtype)
    for i in range(3):
        w[i, i] = n.d[i]
    return x @ w


THREE, WORDS = (Normal(), [3]), (Tokens(7), [5])
RULES = {
    "activations": (
        acts(torch.tanh, torch.relu, torch.sigmoid, F.gelu, F.silu, F.elu, F.leaky_relu),
        {"l": linear()},
        THREE,
    ),
    "more": (acts(F.softplus, F.mish, F.hardtanh, F.hardswish, F.relu6, F.selu, F.tanhshrink), {"l": linear()}, THREE),
    "functions": (
        acts(torch.sin, torch.exp, torch.erf, torch.expm1, lambda h: torch.log1p(h * h)),
        {"l": linear()},
        THREE,
    ),
    "powers": (
        acts(lambda h: h**3, lambda h: (h**2 + 0.5) ** 1.5, lambda h: (h * h + 1).rsqrt()),
        {"l": linear()},
        THREE,
    ),
    "rounding": (
        acts(torch.round, lambda h: torch.remainder(h, 1), lambda h: torch.fmod(h, 1), torch.floor),
        {"l": linear()},
        THREE,
    ),
    "softmax": (
        acts(lambda h: F.softmax(h, -1), lambda h: F.log_softmax(h, 0), lambda h: h.logsumexp(-1, True)),
        {"l": linear()},
        THREE,
    ),
    "reductions": (
        acts(
            lambda h: h.amax(-1, True),
            lambda h: h.std(-1, keepdim=True),
            lambda h: h.prod(-1, True),
            lambda h: h - h.min(),
        ),
        {"l": linear()},
        THREE,
    ),
    "scalars": (
        lambda n, x: n.l(x) * n.w.sum() + n.w.square().mean() + n.w.logsumexp(0),
        {"l": linear(), "w": lambda: nn.Parameter(torch.tensor(0.7))},
        THREE,
    ),
    "extremes": (acts(lambda h: h.max(-1, True)[0], lambda h: F.one_hot(h.argmax(-1), 4) * h), {"l": linear()}, THREE),
    "conditions": (
        acts(lambda h: torch.where(h > 0, h, -2 * h), torch.nan_to_num, lambda h: h.clamp(-0.5, 0.3)),
        {"l": linear()},
        THREE,
    ),
    "shapes": (
        acts(
            lambda h: h.roll(1, -1).flip(-1),
            lambda h: h.cumsum(-1),
            lambda h: h.unfold(-1, 2, 1).sum(-1),
            lambda h: h[:, [2, 0, 1]],
        ),
        {"l": linear()},
        THREE,
    ),
    "norms": (
        lambda n, x: n.g(n.r(n.n(n.l(x)))),
        {"l": linear(), "n": lambda: nn.LayerNorm(4), "r": lambda: nn.RMSNorm(4), "g": lambda: nn.GroupNorm(2, 4)},
        THREE,
    ),
    "batch_norm": (
        lambda n, x: n.o(n.n(n.l(x)).tanh()),
        {"l": linear(bias=False), "n": lambda: nn.BatchNorm1d(4), "o": linear(4, 2)},
        THREE,
    ),
    "matrices": (
        lambda n, x: x @ (torch.diag(n.d) + torch.diag_embed(n.e, 1) + torch.tril(n.w)),
        {"d": weight(3), "e": weight(2), "w": weight(3, 3)},
        THREE,
    ),
    "products": (
        lambda n, x: torch.einsum("bij,jk,ikl->bil", x, n.w, n.v),
        {"w": weight(3, 4), "v": weight(5, 4, 2)},
        (Normal(), [5, 3]),
    ),
    "kronecker": (
        lambda n, x: x @ torch.kron(n.a, n.b) * (x @ n.v).unsqueeze(-1),
        {"a": weight(2, 2), "b": weight(2, 2), "v": weight(4)},
        (Normal(), [4]),
    ),
    "writing": (write_diagonal, {"d": weight(3)}, THREE),
    "conv1d": (
        lambda n, x: F.pad(n.c(x), (1, 1), mode="circular"),
        {"c": lambda: nn.Conv1d(2, 4, 3, padding=1, stride=2)},
        (Normal(), [2, 7]),
    ),
    "conv2d": (
        lambda n, x: F.max_pool2d(n.g(n.c(x)), 2),
        {"c": lambda: nn.Conv2d(2, 4, 3, padding="same", groups=2), "g": lambda: nn.GroupNorm(2, 4)},
        (Normal(), [2, 5, 4]),
    ),
    "pooling": (
        lambda n, x: F.avg_pool2d(n.c(x), 2).flatten(1),
        {"c": lambda: nn.Conv2d(1, 2, 2, dilation=2)},
        (Normal(), [1, 6, 6]),
    ),
    "lstm": (
        lambda n, x: n.l(x)[0],
        {"l": lambda: nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True)},
        (Normal(), [3, 3]),
    ),
    "gru": (lambda n, x: n.l(x)[0][:, -1], {"l": lambda: nn.GRU(3, 4, batch_first=True)}, (Normal(), [3, 3])),
    "encoder": (
        lambda n, x: n.e(x),
        {"e": lambda: nn.TransformerEncoderLayer(6, 3, 6, 0.1, batch_first=True, norm_first=True, activation="gelu")},
        (Normal(), [4, 6]),
    ),
    "causal": (
        lambda n, x: F.scaled_dot_product_attention(n.l(x), x, x, is_causal=True),
        {"l": linear(3, 3)},
        (Normal(), [4, 3]),
    ),
    "embedding": (
        lambda n, x: n.o(n.e(x).mean(1)),
        {"e": lambda: nn.Embedding(7, 3, padding_idx=0), "o": linear(3, 2)},
        WORDS,
    ),
    "tied": (lambda n, x: n.e(x) @ n.e.weight.T, {"e": lambda: nn.Embedding(7, 3)}, WORDS),
    "gather": (
        lambda n, x: n.w.expand(len(x), -1, -1).gather(1, x[:, :, None].expand(-1, -1, 3)),
        {"w": weight(7, 3)},
        WORDS,
    ),
    "integers": (
        lambda n, x: n.w[(x * 3 + 1) % 7] * (x > 2)[..., None] + (x // 2)[..., None],
        {"w": weight(7, 3)},
        WORDS,
    ),
    "weight_norm": (lambda n, x: n.l(x), {"l": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))}, THREE),
}


def sample_of(run, parts, given, routine=None, dtype=torch.float64) -> Sample:
    inputs, shape = given
    make: Callable[[], nn.Module] = lambda: Net(run, parts).to(dtype)  # noqa: E731
    space = ArchitecturalSpace(make, {}, shape, routine=routine or AdamW(epochs=1))
    x = inputs((4, *shape), torch.Generator().manual_seed(0))
    output = tuple(make().eval()(x.to(dtype) if x.is_floating_point() else x).shape[1:])
    return Sample(space, 0, 4, inputs, output, torch.device("cpu"))


def program_of(sample: Sample, change: Callable[[str], str] = str) -> Compiled:
    network, cohort = sample.networks[0], sample.cohort(1)
    dtype = next(network.parameters()).dtype
    x, y = (t[0].to(dtype) if t.is_floating_point() else t[0] for t in (cohort.inputs, cohort.outputs))
    made = compiled.write(network, sample.routine, x, y, cohort.loss)
    return Compiled(made, compiler.load(change(made.text)), 1)


def one_by_one(monkeypatch):
    """Every program trains one student at a time, as those of wide networks do."""
    monkeypatch.setattr(source, "CACHE", 0)
    monkeypatch.setattr(source, "ONE_BY_ONE", math.inf)


# Of one student alone the daily ones hold products, folds, strides, masks, places and integers.
ALONE = {
    "encoder",
    "conv2d",
    "embedding",
    "extremes",
    "softmax",
    "reductions",
    "scalars",
    "gather",
    "norms",
    "matrices",
}


@pytest.mark.parametrize(
    ("name", "alone"),
    [
        *((name, False) for name in RULES),
        *(pytest.param(name, True, marks=[] if name in ALONE else pytest.mark.slow) for name in RULES),
    ],
)
def test_predictions_and_gradients_of_every_rule_are_torchs_in_float64(name, alone, monkeypatch):
    if alone:
        one_by_one(monkeypatch)
    sample = sample_of(*RULES[name])
    program, cohort = replace(program_of(sample), threads=3), sample.cohort(1)
    assert program.source.lanes == (1 if alone else 8)
    x = cohort.inputs.double() if cohort.inputs.is_floating_point() else cohort.inputs
    y = cohort.outputs.double()
    block = compiled.fit(cohort, program, cohort.students())
    answers = Block(program, cohort.students(), cohort.noise).answers(x, y)
    for i, network in enumerate(sample.networks[: len(x)]):
        torch.testing.assert_close(answers[i], network.eval()(x[i]), rtol=1e-10, atol=1e-10)
        if name == "encoder":  # its dropout is the counter's: compared over many steps below
            continue
        (network.train()(x[i]) - y[i]).square().mean().backward()
        for key, parameter in network.named_parameters():
            found = torch.from_numpy(block.gradient(key)[i].copy()).view(parameter.shape)
            torch.testing.assert_close(found, parameter.grad, rtol=1e-9, atol=1e-11, msg=lambda m, k=key: f"{k}: {m}")


def compared(space: ArchitecturalSpace, steps: int, **given) -> list[pd.DataFrame]:
    asked = {"targets": 2, "samples": 16 * steps, "heldout_samples": 40, **given}
    programs, loops = (Comparison(space, space, engine=e(), **asked) for e in (Engine, Loop))
    assert {m.engine for lesson in programs.plan.lessons.values() for m in lesson.methods.values()} == {"compiled"}
    return [programs.table(), loops.table()]


def assert_same(rows: list[pd.DataFrame], tolerance: float) -> None:
    errors = ["nmse", "train_nmse"]
    pd.testing.assert_frame_equal(*(table.drop(columns=errors) for table in rows))
    np.testing.assert_allclose(*(table[errors] for table in rows), rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_compiled_is_alone_after_100_steps_in_float64(name):
    assert_same(compared(family(name, prior=in_double, routine=AdamW(epochs=5, lr=1e-2)), 20), 1e-9)


@pytest.mark.parametrize("name", ["encoder", "lstm", "batch_norm", "conv2d", "tied"])
def test_networks_of_torch_are_alone_after_100_steps_in_float64(name):
    run, parts, (inputs, shape) = RULES[name]
    space = ArchitecturalSpace(lambda: Net(run, parts).double(), {}, shape, routine=AdamW(epochs=5, lr=1e-2), name=name)
    assert_same(compared(space, 20, inputs=inputs), 1e-7)


@pytest.mark.parametrize(
    "routine",
    [
        Adam(weight_decay=0.1, schedule="cosine", warmup=0.2),
        AdamW(clip=None, clip_norm=0.1, schedule="linear"),
        SGD(momentum=0.9, nesterov=True, weight_decay=0.1, clip=0.01),
        SGD(clip_norm=0.05, clip=None),
    ],
    ids=lambda r: type(r).__name__,
)
def test_every_bundled_routine_is_torchs_own(routine):
    assert_same(compared(family("lora", prior=in_double, routine=replace(routine, epochs=2, lr=1e-2)), 10), 1e-9)


@pytest.mark.parametrize("alone", [False, True])
def test_rows_do_not_depend_on_chunk_threads_or_neighbours_to_the_bit(alone, monkeypatch, cache):
    if alone:
        one_by_one(monkeypatch)
    space = family("transformer", routine=AdamW(epochs=2))
    tables = []
    for chunk, threads in ((None, 1), (16, 2), (64, 2)):
        torch.set_num_threads(threads)
        tables.append(
            Comparison(space, space, protocol="direct", targets=37, samples=64, engine=Engine(chunk=chunk)).table()
        )
        torch.set_num_threads(1)
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def test_rows_do_not_depend_on_how_many_steps_a_call_makes_to_the_bit(monkeypatch, cache):
    space = family("lora", routine=AdamW(epochs=5, schedule="cosine"))
    tables = []
    for at_once in (256, 7, 1):  # of five epochs of four steps each, where no curve is kept: in all parts but the first
        monkeypatch.setattr(compiled, "AT_ONCE", at_once)
        asked = Comparison(space, space, protocol="direct", targets=48, samples=64, engine=Engine(chunk=16))
        tables.append(asked.table())
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def test_wide_networks_train_one_by_one_and_give_the_loops_rows():
    def lanes(width: int) -> int:
        return program_of(sample_of(*perceptron(width), dtype=torch.float32)).source.lanes

    def perceptron(width):
        parts = {"up": linear(3, width), "middle": linear(width, width), "down": linear(width, 2)}
        return lambda n, x: n.down(n.middle(n.up(x).relu()).tanh()), parts, THREE

    assert (lanes(16), lanes(128)) == (16, 1)
    run, parts, (inputs, shape) = perceptron(100)
    space = ArchitecturalSpace(
        lambda: Net(run, parts).double(), {}, shape, routine=AdamW(epochs=5, lr=1e-3), name="wide"
    )
    assert_same(compared(space, 10, inputs=inputs), 1e-7)


def test_diverged_students_are_marked_alone():
    rows = compared(family("dense", routine=SGD(lr=1e3, clip=None, epochs=3)), 8, targets=20)
    assert (rows[0]["status"] == rows[1]["status"]).all()
    assert (rows[0]["status"] == "diverged").any()


@pytest.mark.parametrize(
    "wrong",
    [
        (" - ", " + "),
        ("(apart * block * steps + t - at) * NUMBERS", "apart * block * steps * NUMBERS"),
        ("(w + X_AT)", "(w + X_AT + 128)"),
        ("sqrt_", "exp_"),
    ],
)
def test_a_program_that_computes_something_else_is_found_out(wrong):
    sample = sample_of(lambda n, x: F.layer_norm(n.l(x), (4,)).tanh(), {"l": linear()}, THREE)
    assert why_not_compiled(sample, program_of(sample)) is None

    def broken(text: str) -> str:
        start, end = text.index("typedef double Number"), text.index("// What every generated program ends with")
        parts = text[:start], text[start:end], text[end:]
        where = 2 if "NUMBERS" in wrong[0] else 1
        assert wrong[0] in parts[where]
        return "".join(part.replace(*wrong) if i == where else part for i, part in enumerate(parts))

    assert "compiling changes" in str(why_not_compiled(sample, program_of(sample, broken)))


def test_an_operation_without_a_rule_is_named():
    with pytest.raises(NoRule, match="linalg_eig"):
        program_of(sample_of(lambda n, x: x @ torch.linalg.eigvals(n.w).abs(), {"w": weight(3, 3)}, THREE))


def drawing(n, x):
    """Noise on constants, which a trace could take for constants themselves, and of every other kind."""
    h = n.r(n.l(x).unsqueeze(1).expand(-1, 2, -1))[0][:, -1]
    if n.training:
        h = h * torch.empty(1, dtype=x.dtype).bernoulli_(0.8) + torch.rand(4) * torch.randint(1, 3, (4,))
        h = h + torch.randn(len(x), 1, dtype=x.dtype) * torch.empty_like(h).exponential_()
    h = h + n.d(h)
    return F.alpha_dropout(F.rrelu(h, training=True) if n.training else h, 0.2, n.training)


DRAWING = {
    "l": linear(),
    "r": lambda: nn.LSTM(4, 2, 2, dropout=0.3, batch_first=True, bidirectional=True),
    "d": lambda: nn.Dropout(0.4, inplace=True),
}


def test_random_functions_draw_anew_at_each_step_as_in_the_loop():
    sample = sample_of(drawing, DRAWING, THREE)
    assert why_not_compiled(sample, program_of(sample)) is None


@pytest.mark.parametrize(
    "draw", [lambda: torch.poisson(torch.ones(4)), lambda: torch.rand(4, generator=torch.Generator().manual_seed(1))]
)
def test_what_draws_otherwise_is_not_compiled(draw):
    with pytest.raises(Untraceable, match="draws random numbers that no counter reaches"):
        program_of(sample_of(lambda n, x: n.l(x) * (draw() if n.training else 1), {"l": linear()}, THREE))


def test_what_is_empty_infinite_or_small_of_type_is_compiled():
    def run(n, x):
        h = n.l(x)[:, n.order] * n.gain + n.none.sum() + x[:, :0] @ n.none
        return (h + n.hidden).softmax(-1) * n.seen.sum() * x[:, 3:].prod(-1, True) + torch.cat(
            [x[:, :0], h, n.nothing], 1
        )

    parts = {
        "l": linear(),
        "gain": lambda: nn.Parameter(torch.tensor(0.5)),
        "none": weight(0, 4),
        "hidden": lambda: nn.Buffer(torch.tensor([0.0, -math.inf, 0, 0])),
        "order": lambda: nn.Buffer(torch.tensor([2, 0, 1, 3], dtype=torch.int32)),
        "seen": lambda: nn.Buffer(torch.rand(4) > 0.5),
        "nothing": lambda: nn.Buffer(torch.empty(0)),
    }
    sample = sample_of(run, parts, THREE)
    assert why_not_compiled(sample, program_of(sample)) is None


def test_the_scale_of_a_difference_is_a_finite_number():
    assert largest(torch.tensor([1.0, -2.0, torch.inf, torch.nan])) == 2
    assert largest(torch.empty(0)) == 0


def test_tokens_outside_of_the_vocabulary_are_an_error_and_no_crash():
    sample = sample_of(*RULES["tied"])
    program = program_of(sample)
    students = population.of(sample.networks[:3])
    with pytest.raises(ArchabError, match="index pointed outside"):
        Block(program, students, [0] * 3).answers(
            torch.full((3, 4, 5), 7), torch.empty(0, 4, 5, 7, dtype=torch.float64)
        )


def test_without_a_compiler_students_train_together_all_the_same_and_one_line_says_so(monkeypatch):
    monkeypatch.setenv("CXX", "/nonexistent")
    compiler.compiler.cache_clear()
    try:
        space = family("dense", routine=AdamW(epochs=10))
        comparison = Comparison(space, space, targets=2, samples=320)
        assert [n for n in comparison.plan.notes if "C++" in n] == list(comparison.plan.notes)
        assert {m.engine for lesson in comparison.plan.lessons.values() for m in lesson.methods.values()} == {"vmap"}
    finally:
        compiler.compiler.cache_clear()


class Tie(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        if tied:
            self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(torch.tanh(self.one(x)))


def test_tied_and_untied_weights_are_two_families(cache):
    for tied in (False, True, False):
        assert_same(compared(ArchitecturalSpace(Tie, {"tied": tied}, [3]), 4), 1e-4)


def test_a_bias_before_a_norm_is_no_reason_not_to_compile():
    layers = lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(20, 2))  # noqa: E731
    compared(ArchitecturalSpace(layers, {}, [2, 7]), 8)


def test_a_compiler_that_fails_is_said_once(monkeypatch, cache):
    def fails(source):
        raise compiler.CompilationFailed("boom")

    monkeypatch.setattr(compiler, "_compiled", fails)
    space = family("dense")
    notes = Comparison(space, space, targets=2, samples=320, engine=Engine()).plan.notes
    assert [note for note in notes if "boom" in note] == list(notes)
    assert len(notes) == 1


class Bessel(nn.Linear):
    """A layer with a function that no program has a rule for."""

    def forward(self, x):
        return torch.special.i0e(super().forward(x))


def test_a_family_that_is_not_compiled_is_said_once_with_its_reason_where_compiled_was_asked_for():
    bessel = ArchitecturalSpace(partial(Bessel, 3), [{"out_features": 3}] * 2, [3], name="Bessel")

    def sorts(n, x):  # which fills no vectors but with students side by side
        for _ in range(5):
            x = n.l(x).sort(-1)[0].cumsum(-1)
        return x

    wide = ArchitecturalSpace(partial(nn.Linear, 256), {"out_features": 256}, [256], name="wide")
    long = ArchitecturalSpace(lambda: Net(sorts, {"l": linear(3, 3)}), {}, [2000, 3], name="long")

    def notes(space, engine):
        plan = Comparison(space, space, targets=2, samples=320, engine=engine).plan
        return [n for n in plan.notes if "compiled" in n]

    [note] = notes(bessel, Engine())
    assert re.fullmatch("engine=compiled: Bessel is not compiled: .*i0e.*; it trains by vmap", note)
    [note] = notes(wide, Engine(memory=1))
    assert "not compiled: a student takes more than engine.memory=1 MiB; it trains by vmap" in note
    assert notes(wide, Engine(memory=8)) == []  # one at a time, where a block of 16 would not fit
    [note] = notes(long, Engine(memory=8))
    assert "not compiled: a block of 16 students takes more than engine.memory=8 MiB; it trains by vmap" in note
    assert notes(bessel, Auto()) == notes(wide, Auto(memory=1)) == []


def test_auto_compiles_by_the_length_of_the_run_alone():
    space = family("dense")
    long, short = (Comparison(space, space, targets=4, samples=n) for n in (4096, 64))
    engines = [{m.engine for lesson in c.plan.lessons.values() for m in lesson.methods.values()} for c in (long, short)]
    assert engines == [{"compiled"}, {"vmap"}]


def test_a_known_family_is_not_traced_and_changed_code_is_found_by_the_check(cache, monkeypatch, tmp_path):
    def plan(space):
        return Comparison(space, space, targets=2, samples=320, engine=Engine()).plan

    space = family("lora")
    plan(space)
    monkeypatch.setattr(compiled, "trace", lambda *_: pytest.fail("traced again"))
    plan(space)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    factor = {"value": 2.0}  # what no key can see

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return self.linear(x) * factor["value"]

    globals()["Scaled"] = Scaled  # found by its name, as pickle wants
    Scaled.__qualname__ = "Scaled"
    changing = ArchitecturalSpace(Scaled, {}, [3])
    assert_same(compared(changing, 4), 1e-4)
    factor["value"] = -1.0
    assert_same(compared(changing, 4), 1e-4)


def test_a_key_is_the_same_in_every_process(tmp_path):
    # The names of a network's unsaved buffers are a set, whose order hangs on the process.
    code = (
        "import torch\n"
        "from archab.engine.cpp.cache import _key\n"
        "network = torch.nn.Linear(2, 2)\n"
        "for name in 'abcdefgh':\n"
        "    network.register_buffer(name, torch.zeros(1), persistent=False)\n"
        "print(_key(network, (1,)))\n"
    )
    (tmp_path / "key.py").write_text(code)
    keys = set()
    for seed in "12":
        ended = subprocess.run(
            [sys.executable, "key.py"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        keys.add(ended.stdout)
        assert len(ended.stdout) == 33, ended.stderr
    assert len(keys) == 1
