"""How far apart both sides are before training: closed forms, what cannot be asked, and what a verdict says of it."""

import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import family
from logged import QUICK
from tables import paired_rows
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.engine.plan import Loop
from archab.evidence.contrast import Contrast
from archab.evidence.study import Study
from archab.evidence.verdict import judge
from archab.experiment.remembered import remember
from archab.results import frame
from archab.review.report.plain import minded
from archab.space.inputs import Normal
from archab.space.prior import Scaled

FEW = {"targets": 2, "samples": 16, "heldout_samples": 16, "engine": Loop()}


class Times(nn.Module):
    """A linear map whose outputs are multiplied by a number."""

    def __init__(self, by: float = 1.0, bias: bool = True):
        super().__init__()
        self.by, self.linear = by, nn.Linear(8, 4, bias=bias)

    def forward(self, x):
        return self.by * self.linear(x)


class Fussy(Times):
    """Takes no weights of another, or no batch of more than a training step's."""

    def __init__(self, loads: bool, most: int):
        super().__init__()
        self.loads, self.most = loads, most

    def load_state_dict(self, *given, **named):
        if not self.loads:
            raise RuntimeError("no")
        return super().load_state_dict(*given, **named)

    def forward(self, x):
        if len(x) > self.most:
            raise RuntimeError("too many")
        return super().forward(x)


def space(make, **given) -> ArchitecturalSpace:
    return ArchitecturalSpace(make, {}, [8], **given)


def contrast(a: ArchitecturalSpace, b: ArchitecturalSpace, **given) -> Contrast:
    [found] = Comparison(a, b, **given).contrast
    return found


@pytest.mark.parametrize("by", [1.02, 1.3])
def test_the_nmse_between_a_function_and_its_multiple_is_the_closed_form(by):
    # At the weights of either side the other errs by (c − 1)² or (1 − 1/c)² of the target's mean square.
    found = contrast(space(partial(Times, bias=False)), space(partial(Times, by, bias=False)))
    assert found.nmse == pytest.approx(np.mean([(by - 1) ** 2, (1 - 1 / by) ** 2]), rel=0.15)
    assert found.scale_b / found.scale_a == pytest.approx(by, rel=0.15)


def test_the_scale_is_the_root_of_the_weights_mean_square_for_inputs_of_unit_variance():
    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            own = torch.Generator().manual_seed(3)
            self.weight = nn.Parameter(torch.randn(4, 8, generator=own))

        def forward(self, x):
            return x @ self.weight.T

    found = contrast(space(Given), space(Times, prior=Scaled({"*": 2.0})), inputs=Normal(mean=5.0, std=3.0))
    assert found.scale_a == pytest.approx(3 * Given().weight.detach().square().sum(1).mean().sqrt().item(), rel=0.05)
    # Weights uniform within ±1/√8, doubled: variance 4/24, of 8 of them.
    assert found.scale_b == pytest.approx(3 * math.sqrt(8 * 4 / 24), rel=0.1)
    assert math.isnan(found.nmse), "their weights have other names"


def test_a_buffer_of_another_shape_keeps_weights_apart():
    class Buffered(Times):
        def __init__(self, size: int):
            super().__init__()
            self.register_buffer("held", torch.zeros(size))

    assert math.isnan(contrast(space(partial(Buffered, 2)), space(partial(Buffered, 3))).nmse)
    assert contrast(space(partial(Buffered, 2)), space(partial(Buffered, 2))).nmse == 0


@pytest.mark.parametrize(("loads", "most"), [(False, 1000), (True, 16)])
def test_a_network_that_cannot_be_asked_says_nothing_and_trains(loads, most):
    fussy = partial(Fussy, loads, most)
    table = Comparison(space(Times), space(fussy, name="fussy"), protocol="crossed", **FEW).table()
    assert (table["status"] == "ok").all()
    assert not [note for note in judge(table).notes if note.kind in ("contrast", "scales", "hardly differ")]


def test_a_side_against_itself_has_no_contrast():
    assert Comparison(family("lora"), family("lora"), protocol="aa", **FEW).contrast == ()


def test_what_is_measured_draws_nothing_that_a_run_draws():
    given = family("lora"), family("n_diagonal"), family("dense")
    asked, plain = (Comparison(*given, **FEW) for _ in range(2))
    assert asked.contrast
    rows = frame(row for part in plain.plan.parts for row in plain.run(part).rows)
    pd.testing.assert_frame_equal(frame(asked), rows, check_exact=True)


def test_outputs_of_another_scale_are_a_warning_and_a_note():
    wide = space(Times, prior=Scaled({"*": 5.0}), name="wide")
    with pytest.warns(UserWarning, match=r"outputs of wide have 5.* times the scale of those of plain \(member 0\)"):
        study = Comparison(space(Times, name="plain"), wide, **FEW).study()
    [note] = [note for note in judge(study).notes if note.kind == "scales"]
    assert "prior@space.a.prior=matched brings plain to the scale of wide." in note.text


ERRORS = {0: [(math.log(0.02 * k), math.log(0.03 * k)) for k in (1, 1.1, 0.9, 1.05, 1, 1.2)]}


@pytest.mark.parametrize(("nmse", "below"), [(0.0005, True), (0.0019, True), (0.0025, False), (0.0, False)])
def test_a_contrast_far_below_the_better_sides_error_is_a_caveat(nmse, below):
    verdict = judge(Study(paired_rows(ERRORS), names=("tanh", "plain"), contrast=[Contrast(nmse, 1.0, 1.1)]))
    held = [note.text for note in verdict.notes if note.kind == "hardly differ"]
    assert bool(held) == below == ("the sides hardly differ at the same weights" in verdict.caveats)
    [fact] = [note.text for note in verdict.notes if note.kind == "contrast"]
    shown = f"differ by an NMSE of {nmse:#.2g}" if nmse else "are the same function"
    assert fact.startswith(f"With the same weights, drawn from the priors, tanh and plain {shown}.")
    assert fact.endswith("At initialisation outputs have the scale 1.0 (tanh) and 1.1 (plain).")
    assert fact not in minded(verdict), "on the page it stands in the small print"


def test_members_that_hardly_differ_are_named():
    rows = paired_rows(ERRORS | {1: ERRORS[0]})
    found = judge(Study(rows, member_names=["small", "large"], contrast=[Contrast(0.5), Contrast(1e-5)]))
    [note] = [note.text for note in found.notes if note.kind == "hardly differ"]
    assert "differ by 1.0e-05" in note
    assert "at large: this asks almost nothing" in note


def test_a_table_brings_its_contrast_along():
    study = Study(paired_rows(ERRORS), contrast=[Contrast(0.0005, 1.0)])
    one, other = (judge(s).to_dict()["notes"] for s in (study, study.table()))
    assert one == other
    assert len(one) == len(judge(Study(paired_rows(ERRORS))).notes) + 2


def test_a_configuration_is_measured_once_for_its_seeds_and_shards(tmp_path):
    given = space(Times), space(partial(Times, 1.1))
    first, second, third = (Comparison(*given, **FEW, seed=seed) for seed in range(3))
    remember(first, tmp_path)
    file, costs = tmp_path / "contrast.json", tmp_path / "counted.json"
    assert [tuple(row) for row in json.loads(costs.read_text())] == list(first.counted)
    assert tuple(Contrast(*one) for one in json.loads(file.read_text())) == first.contrast
    file.write_text("[[0.125, 1, 1]]")
    costs.write_text('[[0, "a", 1, 2, NaN, 4]]')
    remember(second, tmp_path)
    assert second.contrast == (Contrast(0.125, 1, 1),)
    assert repr(second.counted) == "((0, 'a', 1.0, 2.0, nan, 4.0),)"
    file.write_text("damaged")
    costs.write_text('[["damaged"]]')
    remember(third, tmp_path)
    assert third.contrast == first.contrast, "which hangs on no seed"
    assert third.counted == first.counted


def test_a_run_says_it_with_its_plan_and_its_verdict_and_again_from_what_it_left(command):
    said = "At initialisation outputs have the scale"
    assert " ".join(command(*QUICK).out.split()).count(said) == 2
    assert " ".join(command(*QUICK).out.split()).count(said) == 1
