"""Attention: positions, masks, groups of heads, and rows that see nothing."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(5, 8)
class RotaryAttention(nn.Module):
    """Causal attention whose queries and keys are turned by their positions, cosines and sines in buffers."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24, bias=False), nn.Linear(8, 8)
        angles = torch.outer(torch.arange(5.0), 100 ** -torch.linspace(0, 1, 2))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def turn(self, h):
        one, other = h.chunk(2, -1)
        return torch.cat([one * self.cos - other * self.sin, one * self.sin + other * self.cos], -1)

    def forward(self, x):
        q, k, v = (h.unflatten(-1, (2, 4)).transpose(1, 2) for h in self.qkv(x).chunk(3, -1))
        h = F.scaled_dot_product_attention(self.turn(q), self.turn(k), v, is_causal=True)
        return self.out(h.transpose(1, 2).flatten(2))


@of(4, 8)
class GroupedQueryAttention(nn.Module):
    """Four heads of queries share two of keys and values."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (-1, 2)).transpose(1, 2) for f in (self.q, self.k, self.v))
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2).flatten(2)


@of(4, 8)
class SpreadGroups(nn.Module):
    """Grouped queries, the heads of keys and values repeated by hand."""

    def __init__(self):
        super().__init__()
        self.q, self.kv = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (4, 2)).transpose(1, 2)
        k, v = (h.unflatten(-1, (2, 2)).transpose(1, 2).repeat_interleave(2, 1) for h in self.kv(x).chunk(2, -1))
        return F.scaled_dot_product_attention(q, k, v, scale=0.4).transpose(1, 2).flatten(2)


@of(5, 4)
class LinearAttention(nn.Module):
    """Causal attention of feature maps, by running sums instead of a softmax."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        q, k = F.elu(self.q(x)) + 1, F.elu(self.k(x)) + 1
        states = torch.einsum("bti,btj->btij", k, self.v(x)).cumsum(1)
        return torch.einsum("bti,btij->btj", q, states) / (q * k.cumsum(1)).sum(-1, keepdim=True)


@of(5, 4)
class RandomFeatureAttention(nn.Module):
    """Attention by positive random features, orthogonal, in a buffer that each network draws."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.register_buffer("features", torch.linalg.qr(torch.randn(4, 4))[0] * 2)

    def phi(self, h):
        return torch.exp(h @ self.features - h.square().sum(-1, keepdim=True) / 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = self.phi(q / 2), self.phi(k / 2)
        return q @ (k.transpose(1, 2) @ v) / (q @ k.sum(1).unsqueeze(-1))


@of(5, 4)
class SlidingWindow(nn.Module):
    """Attention to the two last positions, by a boolean mask in a buffer."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.register_buffer("seen", torch.ones(5, 5, dtype=torch.bool).tril().triu(-1))

    def forward(self, x):
        return F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1), attn_mask=self.seen)


@of(5, 4)
class FilledMask(nn.Module):
    """A causal mask filled into the scores, as a buffer of booleans, by hand."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.register_buffer("future", torch.ones(5, 5).triu(1).bool())

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.mT / 2).masked_fill(self.future, -math.inf).softmax(-1) @ v


@of(5, 4)
class SlopedBias(nn.Module):
    """A bias that falls with the distance, different in each head, and -inf ahead."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        distance = (torch.arange(5)[:, None] - torch.arange(5)).to(torch.get_default_dtype())
        slopes = torch.tensor([0.5, 0.25])[:, None, None]
        self.register_buffer("bias", torch.where(distance < 0, -math.inf, -slopes * distance))

    def forward(self, x):
        q, k, v = (h.unflatten(-1, (2, 2)).transpose(1, 2) for h in self.qkv(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias).transpose(1, 2).flatten(2)


@of(3, 4, noisy=True)
class EncoderLayer(nn.Module):
    """Torch's own encoder layer, with dropout at its four sites."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 4, 0.2, batch_first=True, norm_first=True, activation="gelu")

    def forward(self, x):
        return self.layer(x)
