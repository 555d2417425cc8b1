"""Trials that train together, each by numbers of its own, are those trained apart: in every engine."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import family, in_double

from archab import Comparison
from archab.engine.plan import Compiled, Loop, Vmap
from archab.space.routine import SGD, Adam, AdamW, kind

ROUTINES = [
    [AdamW(lr=lr, epochs=3, weight_decay=decay) for lr, decay in ((1e-3, 0.0), (1e-2, 0.1), (0.1, 0.01))],
    [Adam(lr=1e-2, epochs=3, schedule=schedule) for schedule in ("constant", "linear", "cosine")],
    [Adam(lr=1e-2, epochs=3, clip=clip, clip_norm=norm) for clip, norm in ((None, 0.1), (0.01, 1.0), (1.0, 10.0))],
    [SGD(lr=0.1, epochs=3, momentum=momentum, nesterov=True) for momentum in (0.1, 0.5, 0.9)],
    [SGD(lr=lr, epochs=3, weight_decay=0.1) for lr in (0.0, 0.01, 0.1)],
]
TARGETS = 5  # so that blocks of 8 students begin at different trials


def cohort_of(name, routines, engine, prior=in_double):
    space = family(name, prior=prior, routine=routines[0])
    asked = {"targets": TARGETS, "restarts": len(routines), "samples": 64, "heldout_samples": 64}
    comparison = Comparison(space, space, protocol="direct", engine=engine, **asked)
    [lesson, *_] = comparison.plan.lessons.values()
    [(side, method)] = lesson.methods.items()
    part = lesson.parts[0]
    cohort = comparison._cohort(lesson, part, side, *comparison._sampled(lesson, part), routines, lambda _: None)
    return method, cohort


@pytest.mark.parametrize(
    ("engine", "routines"),
    [(Loop(), ROUTINES[0]), *((engine, routines) for engine in (Vmap(), Compiled()) for routines in ROUTINES)],
    ids=lambda given: type(given[0] if isinstance(given, list) else given).__name__,
)
def test_trials_of_one_kind_train_together_as_they_do_apart(engine, routines):
    assert len({kind(routine) for routine in routines}) == 1
    method, cohort = cohort_of("lora", routines, engine)
    assert method.engine == type(engine).__name__.lower()
    together = method.train(replace(cohort, routines=routines * TARGETS))
    for i, routine in enumerate(routines):
        apart = method.train(replace(cohort, routines=[routine] * len(routines) * TARGETS))
        own = slice(i, None, len(routines))
        np.testing.assert_allclose(together.nmse[own], apart.nmse[own], rtol=1e-9)
        np.testing.assert_allclose(together.train_nmse[own], apart.train_nmse[own], rtol=1e-9)
    assert len(np.unique(together.nmse.round(9))) > 2


def test_trials_of_half_precision_networks_train_together_as_they_do_apart():
    def half(network):
        return network.to(torch.bfloat16)

    routines = [AdamW(lr=lr, epochs=2) for lr in (1e-3, 1e-2)]
    method, cohort = cohort_of("lora", routines, Vmap(), prior=half)
    together = method.train(replace(cohort, routines=routines * TARGETS))
    for i, routine in enumerate(routines):
        apart = method.train(replace(cohort, routines=[routine] * 2 * TARGETS))
        np.testing.assert_allclose(together.nmse[i::2], apart.nmse[i::2], rtol=0.05)


@pytest.mark.parametrize(
    "other",
    [AdamW(epochs=4), AdamW(minibatch=8), Adam(), SGD(), AdamW(clip_norm=1.0), lambda network, batches, loss: None],
    ids=["epochs", "minibatch", "Adam", "SGD", "clip_norm", "function"],
)
def test_what_changes_a_program_or_its_length_is_of_another_kind(other):
    assert kind(other) != kind(AdamW(lr=0.3, beta1=0.5))


def test_momentum_or_none_are_two_kinds():
    assert kind(SGD()) != kind(SGD(momentum=0.9))
