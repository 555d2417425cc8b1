"""Multi-head attention whose weights are a softmax, a linear kernel, or the bare products of queries and keys."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archab.space.architectures.positions import Rotary


def softmax(query: Tensor, key: Tensor, future: Tensor | None) -> Tensor:
    """softmax(q·k / sqrt(d)) (Vaswani et al. 2017, arXiv:1706.03762, equation 1).

    Args:
        query, key: shape (…, length, d).
        future: what must not be seen, shape (length, length); None where all is seen.

    Returns:
        Weights of the values, shape (…, length, length).
    """
    weight = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    return (weight if future is None else weight.masked_fill(future, -math.inf)).softmax(-1)


def linear(query: Tensor, key: Tensor, future: Tensor | None) -> Tensor:
    """φ(q)·φ(k) over their sum, φ = elu + 1 (Katharopoulos et al. 2020, arXiv:2006.16236, equations 4 and 7)."""
    weight = (F.elu(query) + 1) @ (F.elu(key) + 1).transpose(-1, -2)
    weight = weight if future is None else weight.masked_fill(future, 0.0)
    return weight / weight.sum(-1, keepdim=True)


def cubic(query: Tensor, key: Tensor, future: Tensor | None) -> Tensor:
    """q·k over a constant, sqrt(d) times the length: what comes out is Q Kᵀ V, a cubic function of what goes in."""
    weight = query @ key.transpose(-1, -2) / (math.sqrt(query.shape[-1]) * query.shape[-2])
    return weight if future is None else weight.masked_fill(future, 0.0)


WEIGHTS: Mapping[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "attention": softmax,
    "linear_attention": linear,
    "cubic_attention": cubic,
}


class Attention(nn.Module):
    """Multi-head attention to all positions, or to a position's own past.

    Args:
        d_model: width, a multiple of `heads`.
        heads: how many.
        weights: a name in `WEIGHTS`.
        causal: whether a position sees its own past alone.
        rotary: turns queries and keys by their positions, if given.
    """

    def __init__(self, d_model: int, heads: int, weights: str, causal: bool, rotary: Rotary | None = None) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"d_model={d_model} cannot be split into heads={heads} of equal width")
        self.heads, self.weights, self.causal, self.rotary = heads, WEIGHTS[weights], causal, rotary
        self.query, self.key, self.value, self.out = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        return self.out((self.weights(q, k, future) @ v).transpose(1, 2).flatten(2))
