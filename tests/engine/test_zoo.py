"""Every network of the zoo, by every engine, against a few lines of plain PyTorch: equal rows, or a refusal."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.random import SeedSequence
from torch import Tensor, nn
from zoo import ZOO, Kind

from archab import ArchitecturalSpace, Comparison
from archab.engine.cpp import compiler
from archab.engine.plan import Candidate, Compiled, Engine, Loop, Method, Vmap
from archab.errors import ArchabError
from archab.networks import population
from archab.networks.noise import Counter
from archab.networks.streams import Stage, forked, stream, words
from archab.space.routine import SGD, AdamW

ADAMW = AdamW(lr=1e-2, epochs=2, minibatch=8, clip=0.5, schedule="constant")
MOMENTUM = SGD(lr=3e-2, epochs=2, minibatch=8, clip=0.5, momentum=0.9, weight_decay=1e-2, schedule="constant")
ENGINES = {"loop": Loop, "vmap": Vmap} | ({"compiled": Compiled} if compiler.compiler() else {})


@dataclass(frozen=True)
class Once:
    """An engine that decides once for both sides and the targets, which are of one family."""

    engine: Engine

    def methods(self, candidates: Sequence[Candidate]) -> list[Method]:
        return self.engine.methods(candidates[:1]) * len(candidates)


@pytest.fixture(autouse=True)
def _unfused() -> Iterator[None]:
    """Without the fused encoder of torch's evaluation mode, which answers NaN where all is padding."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


def comparison(kind: Kind, engine: Engine) -> Comparison:
    """Side A of the kind against itself, on targets of its own: its answers as well as its training are compared."""
    space = ArchitecturalSpace(kind.construct, {}, kind.shape, routine=routine(kind), name=kind.name)
    given = {"targets": 2, "samples": 24, "heldout_samples": 16, "inputs": kind.inputs, "protocol": "crossed"}
    return Comparison(space, space, engine=Once(engine), **given)


def routine(kind: Kind) -> AdamW | SGD:
    """By turns, since one sees what the other does not: AdamW no factor of a gradient, SGD no order of small ones.

    Of half precision SGD alone: AdamW's epsilon is 0 there.
    """
    return (ADAMW, MOMENTUM)[ZOO.index(kind) % 2 if kind.tolerance < 1e-2 else 1]


def plain(kind: Kind, asked: Comparison) -> np.ndarray:
    """Held-out and training NMSE of every student, in the order of rows, by a plain loop."""
    return np.array([row for source in ("a", "b") for row in plain_on(kind, asked, source)])


def plain_on(kind: Kind, asked: Comparison, source: str) -> Iterator[tuple[float, float]]:
    """The same of the students of both sides that learn the one target of a source."""
    where = asked.plan.lessons[0, source].source
    drawn = where.draw(0, 1)
    assert drawn.redrawn == 0
    orders = [where.order(0, 1, epoch)[0] for epoch in range(routine(kind).epochs)]
    teacher = network(kind, asked, Stage.TARGET, source, source)
    dtype = next(teacher.parameters()).dtype.to_real()
    x, heldout = (t[0].to(dtype if t.is_floating_point() else t.dtype) for t in (drawn.inputs, drawn.heldout_inputs))
    with torch.no_grad():
        y, heldout_y = (teacher.eval()(some).double() for some in (x, heldout))
    mean, scale = y.mean(0), (y - y.mean(0)).square().mean().sqrt()
    y, heldout_y = (((some - mean) / scale).to(dtype) for some in (y, heldout_y))
    for side in ("a", "b"):
        student = network(kind, asked, Stage.STUDENT, source, side)
        train(kind, student, x, y, orders, words(_stream(Stage.NOISE, source, side), 1)[0])
        errors = error(student, heldout, heldout_y), error(student, x, y)
        assert np.isfinite(errors).all()
        yield errors


def network(kind: Kind, asked: Comparison, stage: Stage, source: str, side: str) -> nn.Module:
    """The first target or student of a stream as archab draws it, constructed for itself."""
    how, here = asked.survey.draws[side][0], _stream(stage, source, side)
    with forked(here):
        made = kind.construct()
    if how.together:
        tile = asked.plan.lessons[0, source].source.tile
        tensors = population.draw(kind.construct, how, tile, 1, here).tensors
        with torch.no_grad():
            for name, tensor in (*made.named_parameters(), *made.named_buffers()):
                tensor.copy_(tensors[name][0])
    return made


def _stream(stage: Stage, source: str, side: str) -> SeedSequence:
    return stream(0, stage, source, side, 0, 0, 0)


def train(kind: Kind, network: nn.Module, x: Tensor, y: Tensor, orders: list[Tensor], noise: int) -> None:
    """Mean squared error, gradients clipped by value, torch's optimiser; where there is noise, archab's counter."""
    asked = routine(kind)
    parameters = list(network.parameters())
    if isinstance(asked, SGD):
        optimiser = torch.optim.SGD(parameters, asked.lr, asked.momentum, weight_decay=asked.weight_decay)
    else:
        optimiser = torch.optim.AdamW(parameters, asked.lr, weight_decay=asked.weight_decay)
    counter = Counter(torch.tensor(noise))
    with forked(SeedSequence(noise)), counter if kind.noisy else nullcontext():
        network.train()
        for order in orders:
            for at in order.split(asked.minibatch):
                counter.next_step()
                optimiser.zero_grad()
                (network(x[at]) - y[at]).square().mean().backward()
                for p in parameters:
                    if p.grad is not None:
                        torch.view_as_real(p.grad).clamp_(-0.5, 0.5) if p.is_complex() else p.grad.clamp_(-0.5, 0.5)
                optimiser.step()


@torch.no_grad()
def error(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Mean squared error over the variance of the outputs, a mean over coordinates."""
    squares = (network.eval()(x).double() - y.double()).square()
    return float(squares.mean() / y.double().flatten(1).var(0, correction=0).mean())


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name, marks=kind.marks) for kind in ZOO])
def test_rows_of_every_engine_are_those_of_a_plain_loop_or_refused(kind):
    wanted = None
    for engine, make in ENGINES.items():
        asked = comparison(kind, make())
        if kind.refused:
            with pytest.raises(ArchabError, match=kind.refused):
                asked.run(asked.plan.parts[0])
            return
        used = {method.engine for lesson in asked.plan.lessons.values() for method in lesson.methods.values()}
        assert used == {kind.trained_by(engine)}, asked.plan.notes
        if used == {"loop"} != {engine}:
            assert kind.alone in " ".join(asked.plan.notes)
        wanted = plain(kind, asked) if wanted is None else wanted
        rows = [row for part in asked.plan.parts for row in asked.run(part).rows]
        found = np.array([[row.nmse, row.train_nmse] for row in rows])
        np.testing.assert_allclose(found, wanted, rtol=kind.tolerance, atol=0, err_msg=engine)


def test_there_are_many_kinds_and_each_says_what_it_is():
    assert sum(kind.daily for kind in ZOO) >= 40
    assert all(kind.says for kind in ZOO)
