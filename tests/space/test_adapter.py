"""Adapted networks: one frozen base, from which every student starts and from which targets have moved."""

import pytest
import torch

from archab.space.architectures.adapter import LowRank, adapted


def test_every_draw_starts_at_the_same_frozen_network():
    x = torch.randn(7, 8)
    draws = [adapted(8, 8, rank=2), adapted(8, 8, rank=2), adapted(8, 8, rank=5), adapted(8, 8, layers=3)]
    for other in draws[1:]:
        torch.testing.assert_close(draws[0](x), other(x))
    assert not torch.equal(draws[0][2].up, draws[1][2].up)


def test_a_thin_product_is_added_to_its_matrix():
    layer, x = LowRank(torch.randn(5, 5), 2), torch.randn(3, 5)
    torch.nn.init.normal_(layer.down)
    torch.testing.assert_close(layer(x), x @ (layer.weight + layer.down @ layer.up).T)


def test_what_learns_is_the_products_or_the_last_layers():
    def learnt(network: torch.nn.Module) -> dict[str, int]:
        return {name: p.numel() for name, p in network.named_parameters()}

    assert sum(learnt(adapted(8, 8, 32, 4, rank=4)).values()) == 4 * 2 * 32 * 4
    assert learnt(adapted(8, 8, 32, 4, layers=1)) == {"8.change": 32 * 32}
    assert learnt(adapted(8, 8, 32, 4, layers=2)) == {"6.change": 32 * 32, "8.change": 32 * 32}


def test_a_moved_network_is_another_each_time():
    a, b = adapted(8, 8, layers=4, moved=0.5), adapted(8, 8, layers=4, moved=0.5)
    assert not torch.equal(a[2].change, b[2].change)
    changes = torch.stack([a[i].change.detach() for i in (2, 4, 6, 8)])
    assert float(changes.std()) == pytest.approx(0.5 / 32**0.5, rel=0.05)


def test_it_is_built_without_memory_where_it_is_only_counted():
    with torch.device("meta"):
        assert adapted(8, 8, rank=2)[2].weight.is_meta


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "rank=None, layers=None: one of the two"),
        ({"rank": 2, "layers": 1}, "rank=2, layers=1: one of the two"),
        ({"layers": 5}, "layers=5: from 1 to depth=4"),
    ],
)
def test_what_cannot_be_adapted_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        adapted(8, 8, **given)
