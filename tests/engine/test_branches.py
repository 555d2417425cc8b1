"""Control flow that depends on data: compiled where the check takes every way, else trained by another engine."""

import logging

import pytest
import torch
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.engine.cpp import compiler
from archab.engine.plan import Compiled
from archab.space.routine import AdamW

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3, dtype=torch.float64)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("mean", self.linear.weight.detach().clone())

    def forward(self, x):
        if self.training:
            self.steps += 1
        return self.then(x, self.linear(x))


class Early(Counting):
    """A gate that opens at the third step, and weights that must be finite."""

    def then(self, x, h):
        if not torch.isfinite(self.linear.weight).all():
            raise ValueError("weights without end")
        return h.tanh() if self.steps > 2 else h


class Late(Counting):
    """A gate that opens when the check is over."""

    def then(self, x, h):
        return h.tanh() if self.steps > 20 else h


class RareBatch(Counting):
    """A condition on the whole batch that seldom holds."""

    def then(self, x, h):
        return h / 10 if (x.abs() > 6).any() else h


class Clamped(Counting):
    """Weights that are written on before they are used."""

    def then(self, x, h):
        if self.training:
            self.linear.weight.data.clamp_(-5, 5)
        return h


class Averaged(Counting):
    """A buffer that another tensor takes the place of, which evaluation alone reads."""

    def then(self, x, h):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * self.linear.weight.detach()
            return h
        return x @ self.mean.T


class Counted(Counting):
    """A number of steps as Python's own, which a set knows by its value."""

    def then(self, x, h):
        return 2 * h if self.steps.item() in {10, 20} else h


REFUSED = {
    Late: "has a way that the check does not take",
    RareBatch: "has a way that the check does not take",
    Clamped: "writes on linear.weight, which it learns",
    Averaged: "puts another tensor in the place of mean",
    Counted: "counting, member 0, is not compiled: ",
}


def made(make, caplog):
    routine = AdamW(epochs=4, minibatch=8, schedule="constant")
    space = ArchitecturalSpace(make, {}, [3], routine=routine, name="counting")
    with caplog.at_level(logging.DEBUG, logger="archab"):
        found = Comparison(space, space, protocol="crossed", targets=2, samples=64, engine=Compiled())
        return {method.engine for method in found.plan.methods.values()}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_a_trace_does_not_see_is_not_compiled(make, caplog):
    assert "compiled" not in made(make, caplog)
    assert REFUSED[make] in caplog.text


def test_ways_that_the_check_takes_are_compiled_and_one_that_is_refused_does_not_matter(caplog):
    assert made(Early, caplog) == {"compiled"}, caplog.text
