"""The bundled layers compute what their definitions say, against torch's own."""

import pytest
import torch
from torch import nn

from archab.space.architectures import deep, transformer


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_an_n_diagonal_matrix_is_a_masked_dense_matrix(rank):
    dim = 5
    layer = deep.NDiagonal(dim, rank)
    i, j = torch.meshgrid(torch.arange(dim), torch.arange(dim), indexing="ij")
    mask = (i - j).abs() < rank
    matrix = layer.matrix()
    assert (matrix != 0).equal(mask)
    dense = nn.Linear(dim, dim)
    with torch.no_grad():
        dense.weight.copy_(matrix * mask)
        dense.bias.copy_(layer.bias)
    x = torch.randn(7, dim)
    torch.testing.assert_close(layer(x), dense(x))
    layer(x).square().sum().backward()
    dense(x).square().sum().backward()
    torch.testing.assert_close(layer.band.grad, dense.weight.grad.flatten()[layer.places])


def test_a_diagonal_of_offset_k_lies_at_its_place():
    layer = deep.NDiagonal(4, 2)
    with torch.no_grad():
        layer.band.copy_(torch.arange(1.0, 11.0))
    expected = [[4, 8, 0, 0], [1, 5, 9, 0], [0, 2, 6, 10], [0, 0, 3, 7]]
    assert layer.matrix().tolist() == expected


def test_lora_is_the_product_of_its_factors():
    layer, x = deep.LoRA(5, 2), torch.randn(3, 5)
    torch.testing.assert_close(layer(x), x @ (layer.down @ layer.up).T + layer.bias)
    assert torch.linalg.matrix_rank(layer.down @ layer.up) == 2


def test_an_n_diagonal_rank_out_of_range_is_refused():
    with pytest.raises(ValueError, match="rank=6"):
        deep.NDiagonal(5, 6)


def test_an_encoder_layer_without_activation_is_torchs_own():
    d, heads, ff = 6, 3, 8
    ours = transformer.EncoderLayer(d, heads, ff, dropout=0.0, activation="identity").double()
    torchs = nn.TransformerEncoderLayer(d, heads, ff, dropout=0.0, batch_first=True).double()
    attention = ours.attention
    with torch.no_grad():
        torchs.self_attn.in_proj_weight.copy_(
            torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
        )
        torchs.self_attn.in_proj_bias.zero_()
    pairs = [
        (torchs.self_attn.out_proj, attention.out),
        (torchs.linear1, ours.up),
        (torchs.linear2, ours.down),
        (torchs.norm1, ours.norm_attention),
        (torchs.norm2, ours.norm_forward),
    ]
    for to, source in pairs:
        to.load_state_dict(source.state_dict())
    x = torch.randn(4, 5, d, dtype=torch.float64)
    torch.testing.assert_close(ours(x), torchs.train()(x), rtol=1e-12, atol=1e-12)


def test_the_split_transformer_applies_its_activation_to_queries_and_keys_alone():
    layer = transformer.Attention(6, 3, 0.0, "tanh").double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)

    def heads(linear: nn.Linear) -> torch.Tensor:
        return linear(x).view(2, 5, 3, 2).transpose(1, 2)

    expected = nn.functional.scaled_dot_product_attention(
        heads(layer.query).tanh(), heads(layer.key).tanh(), heads(layer.value)
    )
    torch.testing.assert_close(layer(x), layer.out(expected.transpose(1, 2).reshape(2, 5, 6)))


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="activation=rellu"):
        deep.dense(5, 2, activation="rellu")
