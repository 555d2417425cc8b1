"""An example fit shows the run's own targets and students: at the held-out inputs they score what the rows say."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Loop
from archab.experiment import example
from archab.review.functions import Typical
from archab.space.inputs import Tokens
from archab.space.routine import AdamW


class Net(torch.nn.Sequential):
    """A network of one output, whose whole answer is one coordinate."""

    def __init__(self, width: int) -> None:
        super().__init__(torch.nn.Linear(3, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))


def compared(dtype: str | None = None, **given: object) -> Comparison:
    """Two sides, B in this precision, on targets of a third; of equal size where the protocol is crossed."""
    routine = AdamW(lr=0.01, epochs=2, minibatch=8)
    a, b, reference = (
        ArchitecturalSpace(Net, [{"width": w}, {"width": w + 1}], [3], routine=routine, name=name)
        for w, name in ((4, "narrow"), (4 if given.get("protocol") == "crossed" else 6, "wide"), (5, "reference"))
    )
    settings = {"targets": 6, "samples": 64, "heldout_samples": 40, "seed": 3, "engine": Loop()} | given
    return Comparison(a, replace(b, dtype=dtype), reference, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("protocol", "dtype"), [("reference", None), ("crossed", None), ("reference", "bfloat16")])
def test_students_asked_at_the_heldout_inputs_score_what_the_rows_say(protocol, dtype, monkeypatch):
    comparison = compared(dtype, protocol=protocol)
    chosen = Typical(3, 1, 2, "reference" if protocol == "reference" else "b", -3.0, -3.0)
    drawn = comparison.plan.lessons[chosen.member, chosen.source].source.draw(chosen.draw, chosen.draw + 1)
    monkeypatch.setattr(example, "_lines", lambda _: drawn.heldout_inputs[0])
    found = example.portray(comparison, chosen)
    assert found is not None
    target = drawn.heldout_outputs[0, :, 0].numpy()
    assert np.allclose(found.targets[found.chosen], target, atol=1e-5)
    rows = comparison.table().query(f"member == 1 and draw == 2 and source == '{chosen.source}'").set_index("side")
    for side, answer in (("a", found.a), ("b", found.b)):
        nmse = np.mean((answer - target) ** 2) / target.var()
        assert nmse == pytest.approx(rows["nmse"][side], rel=1e-4)


def test_a_target_is_the_runs_own_where_its_line_has_more_points_than_it_had_samples(monkeypatch):
    """Inputs so wide that the number of points changes how many targets a tile holds."""
    a, b = (ArchitecturalSpace(torch.nn.Linear, [{"in_features": 600, "out_features": 1}], [600],
                               routine=AdamW(epochs=1, minibatch=8)) for _ in range(2))  # fmt: skip
    comparison = Comparison(a, b, protocol="crossed", targets=6, samples=16, heldout_samples=example.POINTS)
    drawn = comparison.plan.lessons[0, "a"].source.draw(1, 2)
    lines = drawn.heldout_inputs[0].repeat(example.LINES, 1)
    monkeypatch.setattr(example, "_lines", lambda _: lines)
    found = example.portray(comparison, Typical(0, 0, 1, "a", 0.0, 0.0))
    assert found is not None
    assert np.allclose(found.targets[found.chosen], drawn.heldout_outputs[0, :, 0], atol=1e-4)


def test_a_line_has_distinct_points_and_every_target_is_asked_along_it():
    found = example.portray(compared(), Typical(3, 0, 1, "reference", -3.0, -3.0))
    assert found is not None
    assert found.targets.shape == (6, example.POINTS)
    assert found.x.shape == found.a.shape == found.b.shape
    assert np.ptp(found.targets, axis=1).min() > 0


def test_the_line_shows_the_sides_as_the_rows_have_them():
    lines = torch.linspace(0, 1, 30).repeat(20, 1).double()
    off = torch.linspace(0.1, 2.0, 20).double().unsqueeze(1)
    rows = Typical(3, 0, 1, "reference", float(np.log(0.25)), 0.0)
    chosen = example._telling(lines, lines + off, lines + 1.0, rows)
    assert off[chosen].item() == pytest.approx(0.5, abs=0.11)  # a squared error of a quarter, B's of 1


def test_of_lines_that_show_the_sides_alike_the_one_on_which_the_target_moves_most_is_taken():
    x = torch.linspace(0, 6, 50).double()
    ways = [0.01 * x, 0.0 * x, x.sin(), (3 * x).sin(), 5.0 + 0.001 * x]
    targets = torch.stack(ways).repeat(6, 1)
    rows = Typical(3, 0, 1, "reference", float(np.log(0.25)), 0.0)
    chosen = example._telling(targets, targets + 0.5, targets + 1.0, rows)
    assert torch.equal(targets[chosen], ways[3])


def test_inputs_that_are_no_numbers_have_no_line():
    assert example.portray(compared(inputs=Tokens(4)), Typical(3, 0, 1, "reference", -3.0, -3.0)) is None
