"""Targets: standardised by one scale, redrawn where constant, fresh on held-out inputs, and independent of who asks."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from archab import ArchitecturalSpace, Comparison
from archab.errors import ArchabError
from archab.networks.population import Draws
from archab.space.inputs import Normal
from archab.targets.network import NetworkSource


class Stretched(nn.Module):
    """Coordinates of very different scale."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(x) * torch.tensor([100.0, 1.0]) + 7


class SometimesConstant(nn.Module):
    """Constant in about half of the draws."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3) * (torch.rand(()) < 0.5))

    def forward(self, x):
        return (x @ self.weight).unsqueeze(1)


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return (x @ self.weight).unsqueeze(1) + 1


def source(network, tile=4, **given):
    space = ArchitecturalSpace(network, {}, [3])
    standard = {"index": 0, "member": 0, "side": "b", "inputs": Normal(), "samples": 64, "heldout": 4096, "seed": 0}
    return NetworkSource(space=space, tile=tile, **{"draws": Draws(False, False), **standard, **given})


def test_outputs_have_mean_zero_a_coordinate_and_variance_one_over_all_coordinates_together():
    drawn = source(Stretched).draw(0, 3)
    torch.testing.assert_close(drawn.outputs.mean(1), torch.zeros(3, 2), rtol=0, atol=1e-5)
    torch.testing.assert_close(drawn.outputs.var(1, correction=0).mean(-1), torch.ones(3), rtol=1e-4, atol=0)
    per_coordinate = drawn.outputs.var(1, correction=0)
    assert (per_coordinate[:, 0] > 100 * per_coordinate[:, 1]).all()


def test_held_out_outputs_are_standardised_by_the_training_outputs_map():
    torch.manual_seed(0)
    drawn = source(Stretched).draw(0, 1)
    x = torch.cat([drawn.inputs[0], drawn.heldout_inputs[0]])
    y = torch.cat([drawn.outputs[0], drawn.heldout_outputs[0]])
    with_one = torch.cat([x, torch.ones(len(x), 1)], 1)
    fitted = torch.linalg.lstsq(with_one.double(), y.double()).solution
    torch.testing.assert_close(with_one.double() @ fitted, y.double(), rtol=0, atol=1e-5)


def test_held_out_inputs_are_never_training_inputs():
    drawn = source(Stretched).draw(0, 2)
    for i in range(2):
        assert torch.cdist(drawn.inputs[i], drawn.heldout_inputs[i]).min() > 0


def test_more_targets_extend_the_same_ones_across_tiles():
    few, many = source(Stretched).draw(0, 3), source(Stretched).draw(0, 11)
    late = source(Stretched).draw(6, 11)
    assert many.names[:3] == few.names
    assert many.names[6:] == late.names
    assert torch.equal(many.outputs[6:], late.outputs)
    assert len(set(many.names)) == 11


def test_constant_targets_are_drawn_again_and_counted_and_the_others_stay():
    drawn = source(SometimesConstant, tile=16).draw(0, 16)
    assert 3 < drawn.redrawn < 40
    assert (drawn.outputs.var(1) > 0.5).all()
    few = source(SometimesConstant, tile=16).draw(0, 5)
    assert few.names == drawn.names[:5]


def test_a_prior_of_constant_targets_is_refused_after_20_attempts():
    with pytest.raises(ArchabError, match=r"prior of Constant.*20 draws"):
        source(Constant).draw(0, 1)


def test_the_order_is_a_fresh_permutation_each_epoch_and_the_same_for_every_asker():
    here = source(Stretched)
    first, second = here.order(0, 3, 0), here.order(0, 3, 1)
    assert torch.equal(first.sort(1).values, torch.arange(64).expand(3, -1))
    assert not torch.equal(first, second)
    assert torch.equal(here.order(2, 3, 0)[0], first[2])


def test_drawing_leaves_the_global_generators_as_they_were():
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    Comparison(ArchitecturalSpace(Stretched, {}, [3]), ArchitecturalSpace(Stretched, {}, [3]), targets=2).table()
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002
    assert random.getstate() == state[2]


def test_a_users_inputs_that_ignore_the_generator_are_reproducible_all_the_same():
    def careless(shape, generator):
        return torch.rand(*shape)

    assert source(Stretched, inputs=careless).draw(0, 2).names == source(Stretched, inputs=careless).draw(0, 2).names


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ArchabError, match="inputs: the distribution gave"):
        source(Stretched, inputs=lambda shape, generator: torch.zeros(3)).draw(0, 1)
