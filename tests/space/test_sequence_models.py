"""Sequence models: what attention without a softmax, positions, norms and mixers are, against their definitions."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archab.space.architectures.attention import Attention
from archab.space.architectures.positions import Rotary, Sinusoidal, angles
from archab.space.architectures.sequence import MIXERS, Across, Layer, PostNorm, SequenceModel


def attention(weights: str, causal: bool = False, rotary: Rotary | None = None) -> Attention:
    layer = Attention(8, 2, weights, causal, rotary).double()
    with torch.no_grad():
        for part in (layer.query, layer.key, layer.value, layer.out):
            part.bias.zero_()
    return layer


def heads(layer: Attention, x: torch.Tensor) -> list[torch.Tensor]:
    return [f(x).view(2, 5, 2, 4).transpose(1, 2) for f in (layer.query, layer.key, layer.value)]


X = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("causal", [False, True])
def test_softmax_attention_is_torchs(causal):
    layer = attention("attention", causal)
    expected = F.scaled_dot_product_attention(*heads(layer, X), is_causal=causal)
    torch.testing.assert_close(layer(X), layer.out(expected.transpose(1, 2).flatten(2)))


@pytest.mark.parametrize("causal", [False, True])
def test_cubic_attention_is_homogeneous_of_degree_three(causal):
    layer = attention("cubic_attention", causal)
    torch.testing.assert_close(layer(3 * X), 27 * layer(X))
    q, k, v = heads(layer, X)
    mask = torch.ones(5, 5, dtype=torch.float64).tril() if causal else 1.0
    expected = ((q @ k.mT) * mask) @ v / (math.sqrt(4) * 5)
    torch.testing.assert_close(layer(X), layer.out(expected.transpose(1, 2).flatten(2)))


def test_without_the_softmax_no_mixer_but_cubic_attention_is_cubic():
    softmax, linear = attention("attention"), attention("linear_attention")
    assert not torch.allclose(softmax(3 * X), 27 * softmax(X))
    assert not torch.allclose(linear(3 * X), 27 * linear(X))


@pytest.mark.parametrize("mixer", ["attention", "linear_attention", "cubic_attention"])
def test_causal_attention_does_not_see_what_comes_later(mixer):
    layer, changed = attention(mixer, causal=True), X.clone()
    changed[:, 3:] += 1.0
    torch.testing.assert_close(layer(changed)[:, :3], layer(X)[:, :3])
    assert not torch.allclose(layer(changed)[:, 3:], layer(X)[:, 3:])


def test_inner_products_of_rotary_queries_and_keys_depend_on_their_distance_alone():
    turn = Rotary(12, 6).double()
    q, k = torch.randn(2, 6, dtype=torch.float64)
    products = turn(q.expand(12, 6)) @ turn(k.expand(12, 6)).T
    for distance in range(-11, 12):
        found = products.diagonal(distance)
        torch.testing.assert_close(found, found[:1].expand(len(found)), rtol=0, atol=2e-6)
    assert products[0].std() > 0.01
    torch.testing.assert_close(turn(q.expand(12, 6)).norm(dim=1), q.norm().expand(12), rtol=0, atol=1e-6)


def test_sinusoidal_positions_are_those_of_the_paper():
    wave = Sinusoidal(7, 6).wave
    for position in range(7):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert wave[position, 2 * i : 2 * i + 2].tolist() == pytest.approx([math.sin(angle), math.cos(angle)])
    with pytest.raises(ValueError, match="a width of 5 has no pairs"):
        angles(7, 5)


def test_without_positions_attention_that_is_not_causal_maps_sets():
    model = SequenceModel([5, 3], [5, 2], positions="none", causal=False)
    x, order = torch.randn(2, 5, 3), torch.tensor([4, 2, 0, 1, 3])
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order])
    for positions in ("learnt", "sinusoidal", "rotary"):
        told = SequenceModel([5, 3], [5, 2], positions=positions, causal=False)
        assert not torch.allclose(told(x[:, order]), told(x)[:, order], rtol=1e-4), positions


def test_pre_norm_leaves_the_residual_path_alone_and_post_norm_ends_in_a_norm():
    x = torch.randn(2, 5, 8)
    for layer in (
        pre := Layer(nn.Identity(), 8, 16, "layer_norm"),
        post := PostNorm(nn.Identity(), 8, 16, "layer_norm"),
    ):
        nn.init.zeros_(layer.down.weight)
        nn.init.zeros_(layer.down.bias)
    torch.testing.assert_close(pre(x), x + F.layer_norm(x, [8]))
    torch.testing.assert_close(post(x), F.layer_norm(F.layer_norm(2 * x, [8]), [8]))


def test_a_mixer_across_positions_is_one_perceptron_for_all_features():
    layer, x = Across(5, 7), torch.randn(2, 5, 3)
    each = [layer.down(F.gelu(layer.up(x[:, :, feature]))) for feature in range(3)]
    torch.testing.assert_close(layer(x), torch.stack(each, -1))


@pytest.mark.parametrize("norm", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("order", ["pre", "post"])
@pytest.mark.parametrize("mixer", MIXERS)
def test_every_mixer_goes_with_every_norm(mixer, norm, order):
    model = SequenceModel([5], [5, 3], 8, 2, mixer, 2, 8, 6, causal=mixer != "mlp", norm=norm, order=order)
    assert model(torch.randint(6, (2, 5))).shape == (2, 5, 3)
    one = SequenceModel([5, 4], [3], 8, 1, mixer, 2, 8, causal=mixer != "mlp", norm=norm, order=order)
    assert one(torch.randn(2, 5, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mixer": "cubc"}, "mixer=cubc: one of attention, linear_attention, cubic_attention"),
        ({"positions": "rope"}, "positions=rope: one of learnt, sinusoidal, rotary, none"),
        ({"norm": "batch"}, "norm=batch: one of layer_norm, rms_norm"),
        ({"order": "sandwich"}, "order=sandwich: one of pre, post"),
        ({"mixer": "mlp"}, "mixer=mlp: sees all positions; causal=false"),
        ({"mixer": "gru", "positions": "rotary"}, "positions=rotary: turns queries and keys, which mixer=gru has not"),
        ({"d_model": 9}, "d_model=9 cannot be split into heads=2"),
        ({"d_model": 6, "positions": "rotary"}, "a width of 3 has no pairs"),
    ],
)
def test_what_a_sequence_model_cannot_be_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        SequenceModel([5], [5, 3], **given)
