"""How long a run is said to take."""

import time

import pytest
from conftest import family

from archab import Comparison
from archab.comparison.duration import in_words
from archab.engine.cpp import compiler
from archab.engine.plan import Compiled, Loop
from archab.space.routine import AdamW
from archab.targets.network import NetworkSource


def test_what_is_expected_is_what_the_steps_take():
    def sleeping(network, batches, loss, epochs=1):
        for _ in range(epochs):
            for inputs, outputs in batches:
                loss(network(inputs), outputs).backward()
                time.sleep(0.01)

    a, b = (family("lora", routine=sleeping) for _ in range(2))
    comparison = Comparison(a, b, targets=4, samples=160 * 16, engine=Loop())
    assert 2 * 4 * 160 * 0.01 < comparison.expected < 10 * 2 * 4 * 160 * 0.01
    assert Comparison(a, b, targets=2, samples=32, engine=Loop()).expected == 0


@pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")
def test_students_who_share_a_routine_share_it_where_their_time_is_taken(monkeypatch):
    asked = []
    numbers = AdamW.numbers
    monkeypatch.setattr(AdamW, "numbers", lambda self, steps: asked.append(id(self)) or numbers(self, steps))
    a, b = (family("lora", routine=AdamW(epochs=2)) for _ in range(2))
    comparison = Comparison(a, b, targets=300, samples=160 * 16, engine=Compiled())
    _ = comparison.plan
    asked.clear()
    assert comparison.expected > 0
    assert len(asked) < 20  # of 600 students


def test_both_sides_draw_an_epochs_order_once(monkeypatch):
    drawn = []
    order = NetworkSource.order
    monkeypatch.setattr(NetworkSource, "order", lambda self, *which: drawn.append(which) or order(self, *which))
    comparison = Comparison(family("lora"), family("n_diagonal"), family("dense"), targets=8, samples_per_measure=1)
    [part] = comparison.plan.parts
    drawn.clear()
    comparison.run(part)
    assert drawn == [(0, 8, 0)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "about 1 s"), (41, "about 41 s"), (300, "about 5 min"), (9000, "about 2 h")]
)
def test_seconds_in_words(seconds, words):
    assert in_words(seconds) == words
