"""Transformer encoders, plain or with an activation on queries and keys just before their product."""

import math

from torch import Tensor, nn
from torch.nn import functional as F

from archab.space.architectures.activation import named


class Attention(nn.Module):
    """Multi-head self-attention: softmax(f(Q) f(K)^T / sqrt(d_head)) V, then a projection.

    Vaswani et al. 2017, "Attention Is All You Need" (arXiv:1706.03762, eq. 1), where f is the identity. Q, K and V have
    no bias; f acts on each coordinate.
    """

    def __init__(self, d_model: int, heads: int, dropout: float, activation: str) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"d_model={d_model} cannot be split into heads={heads} of equal width")
        self.heads = heads
        self.query = nn.Linear(d_model, d_model, bias=False)
        self.key = nn.Linear(d_model, d_model, bias=False)
        self.value = nn.Linear(d_model, d_model, bias=False)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.activation = named(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, sequence, d_model) to the same."""
        query, key = self.activation(self._split(self.query(x))), self.activation(self._split(self.key(x)))
        weight = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
        mixed = self.dropout(weight) @ self._split(self.value(x))
        return self.out(mixed.transpose(-2, -3).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network with ReLU, each with dropout, the residual sum and LayerNorm."""

    def __init__(self, d_model: int, heads: int, d_ff: int, dropout: float, activation: str) -> None:
        super().__init__()
        self.attention = Attention(d_model, heads, dropout, activation)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm_attention, self.norm_forward = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, sequence, d_model) to the same."""
        x = self.norm_attention(x + self.dropout(self.attention(x)))
        forward = self.down(self.dropout(F.relu(self.up(x))))
        return self.norm_forward(x + self.dropout(forward))


def encoder(
    layers: int, d_model: int, heads: int, d_ff: int, dropout: float = 0.1, activation: str = "identity"
) -> nn.Sequential:
    """A stack of encoder layers.

    Args:
        layers: how many.
        d_model: width.
        heads: of attention.
        d_ff: width of the feed-forward networks.
        dropout: share of the activations that are set to 0 in training.
        activation: applied to queries and keys just before their product; a name in torch or torch.nn.functional.
    """
    return nn.Sequential(*(EncoderLayer(d_model, heads, d_ff, dropout, activation) for _ in range(layers)))
