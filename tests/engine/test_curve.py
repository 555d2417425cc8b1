"""Training curves: the same in every engine, at most 50 points, and the mean loss between them."""

import numpy as np
import pytest
from conftest import family

from archab import Comparison
from archab.engine.curve import MOST, Curve, quartiles
from archab.engine.plan import Compiled, Loop, Vmap
from archab.space.routine import AdamW


@pytest.mark.parametrize("steps", [1, 2, 49, 50, 51, 200, 1_234])
def test_a_point_is_the_mean_loss_since_the_point_before(steps):
    losses = np.random.default_rng(0).random((steps, 3))
    curve = Curve()
    for step in range(steps):
        curve.step(losses[: step + 1].sum(0), step + 1)
    means = curve.means()
    assert 0 < len(means) <= MOST
    before = 0
    for step, mean in means:
        np.testing.assert_allclose(mean, losses[before:step].mean(0))
        before = step
    assert steps - before < max(1, steps / 25)


def test_quartiles_are_over_students_and_a_broken_loss_is_the_largest():
    curves = []
    for total in ([1.0, 2.0], [3.0, np.nan]):
        curve = Curve()
        curve.add(4, np.array(total), 1)
        curves.append(curve)
    longer = Curve()
    longer.add(4, 5.0, 1)
    longer.add(8, 6.0, 2)
    assert quartiles([*curves, longer]) == [(4, 2.0, 3.0, 5.0)]  # a step that one student of five took is none of all
    assert quartiles([]) == []


def run(engine: object, epochs: int, routine: object = None) -> dict:
    a, b = (family(name, routine=routine or AdamW(epochs=epochs)) for name in ("n_diagonal", "lora"))
    reference = family("dense")
    comparison = Comparison(a, b, reference, targets=5, restarts=2, samples=112, engine=engine)
    return comparison.run(comparison.plan.parts[0]).curves


@pytest.mark.parametrize("epochs", [1, 3, 20])
def test_every_engine_keeps_the_same_curves(epochs):
    wanted = run(Loop(), epochs)
    for engine in (Vmap(), Compiled()):
        found = run(engine, epochs)
        for side in ("a", "b"):
            steps = [point[0] for point in found[side]]
            assert 0 < len(steps) <= MOST
            assert steps == sorted(set(steps))
            shared = [point for point in wanted[side] if point[0] in steps]
            if epochs < 20:  # programs know the number of steps before, and choose their points by it
                np.testing.assert_allclose(found[side], shared, rtol=1e-4)
            assert found[side][-1][2] == pytest.approx(wanted[side][-1][2], rel=0.15)


def test_a_users_routine_that_stops_early_has_a_curve():
    def stops(network, batches, loss):
        for inputs, outputs in batches:
            value = loss(network(inputs), outputs)
            value.backward()
            if value < 0.5:
                break

    curves = run(Loop(), 1, stops)
    assert curves["a"][0][0] == 1
    assert len(curves["a"]) <= 7
