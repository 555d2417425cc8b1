"""How long a run is said to take."""

import time

import pytest
from conftest import family

from archab import Comparison
from archab.comparison.duration import in_words
from archab.engine.plan import Loop


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


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "about 1 s"), (41, "about 41 s"), (300, "about 5 min"), (9000, "about 2 h")]
)
def test_seconds_in_words(seconds, words):
    assert in_words(seconds) == words
