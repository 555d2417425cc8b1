"""Priors change parameters as they say."""

import pytest
import torch
from torch import nn

from archab.errors import ArchabError
from archab.space.prior import Init, Scaled


def drawn() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))


def test_init_leaves_the_constructors_draws():
    network = drawn()
    Init()(network)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), drawn().parameters(), strict=True))


def test_scaled_multiplies_the_factors_of_all_patterns_that_match():
    network, plain = drawn(), dict(drawn().named_parameters())
    Scaled({"0.*": 0.5, "*.weight": 10.0})(network)
    factors = {"0.weight": 5.0, "0.bias": 0.5, "1.weight": 10.0, "1.bias": 1.0}
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), plain[name].detach() * factors[name])


def test_a_pattern_that_matches_nothing_is_refused_with_the_names_there_are():
    with pytest.raises(ArchabError, match=r"'2\.\*' matches no parameter.*0\.weight"):
        Scaled({"2.*": 0.5})(drawn())
