"""A mixture of experts gives what its likeliest expert gives, and counts what one input needs."""

import torch
from torch import nn

from archab.space.architectures.experts import Experts
from archab.space.architectures.perceptron import perceptron


def expert(mixture: Experts, i: int) -> nn.Sequential:
    """The one of this index as a network by itself."""
    first, last = nn.Linear(8, 16), nn.Linear(16, 2)
    with torch.no_grad():
        for layer, weight, bias in ((first, mixture.up, mixture.up_bias), (last, mixture.down, mixture.down_bias)):
            layer.weight.copy_(weight[i].T)
            layer.bias.copy_(bias[i, 0])
    return nn.Sequential(first, nn.ReLU(), last)


def test_an_input_passes_the_likeliest_expert_alone():
    mixture, x = Experts(8, 2, 16, experts=5), torch.randn(40, 8)
    probability = mixture.router(x).softmax(-1)
    chosen = probability.argmax(-1)
    assert len(chosen.unique()) > 1
    each = torch.stack([probability[n, i] * expert(mixture, int(i))(x[n]) for n, i in enumerate(chosen)])
    torch.testing.assert_close(mixture(x), each)


def test_the_router_learns_through_the_probability():
    mixture, x = Experts(8, 2, 16, experts=5), torch.randn(40, 8)
    mixture(x).square().sum().backward()
    assert mixture.router.weight.grad.abs().sum() > 0


def test_active_parameters_are_those_of_the_router_and_one_expert():
    mixture = Experts(8, 2, 16, experts=5)
    alone = sum(p.numel() for p in expert(mixture, 0).parameters())
    assert mixture.active() == 8 * 5 + 5 + alone
    assert sum(p.numel() for p in mixture.parameters()) == 8 * 5 + 5 + 5 * alone


def test_the_space_gives_the_active_parameters_as_its_measure():
    dense = sum(p.numel() for p in perceptron(8, 1, 25).parameters())
    assert Experts(8, 1, 16, experts=10).active() == dense == 251
