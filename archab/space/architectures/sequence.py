"""Sequence models that differ in how positions are mixed: attention, linear attention or a recurrent layer."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RECURRENT = {"gru": nn.GRU, "rnn": nn.RNN, "lstm": nn.LSTM}


class Attention(nn.Module):
    """Multi-head attention to all positions, or to a position's own past.

    Softmax (Vaswani et al. 2017, arXiv:1706.03762, equation 1), or linear: the kernel φ(q)·φ(k) with φ = elu + 1 in its
    place (Katharopoulos et al. 2020, arXiv:2006.16236, equations 4 and 7).
    """

    def __init__(self, d_model: int, heads: int, linear: bool, causal: bool) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"d_model={d_model} cannot be split into heads={heads} of equal width")
        self.heads, self.linear, self.causal = heads, linear, causal
        self.query, self.key, self.value, self.out = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value))
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        if self.linear:
            weight = (F.elu(q) + 1) @ (F.elu(k) + 1).transpose(-1, -2)
            weight = weight.masked_fill(future, 0.0) if self.causal else weight
            weight = weight / weight.sum(-1, keepdim=True)
        else:
            weight = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            weight = (weight.masked_fill(future, -math.inf) if self.causal else weight).softmax(-1)
        return self.out((weight @ v).transpose(1, 2).flatten(2))


class Recurrent(nn.Module):
    """A recurrent layer of torch as a mixer: `gru`, `rnn` (tanh) or `lstm`."""

    def __init__(self, d_model: int, mixer: str) -> None:
        super().__init__()
        self.layer = RECURRENT[mixer](d_model, d_model, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        mixed: Tensor = self.layer(x)[0]
        return mixed


class Layer(nn.Module):
    """A mixer and, position by position, a perceptron; each behind a LayerNorm and beside a residual path."""

    def __init__(self, mixer: nn.Module, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.mixer, self.before_mixer, self.before_forward = mixer, nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.up, self.down = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, length, d_model) to the same."""
        x = x + self.mixer(self.before_mixer(x))
        return x + self.down(F.gelu(self.up(self.before_forward(x))))


class SequenceModel(nn.Module):
    """Tokens or vectors in; an output at every position, or one, read at the last.

    Args:
        inputs: the shape of one input: (length,) of tokens, or (length, features).
        outputs: of one output: (length, k), or (k,).
        d_model: width.
        layers: how many.
        mixer: `attention`, `linear_attention`, `gru`, `rnn` or `lstm`.
        heads: of attention.
        d_ff: width of the perceptrons.
        vocabulary: how many tokens there are, at most.
        causal: whether attention sees a position's own past alone.
        positions: whether what is learnt of each position is added; without it, and not causal, attention maps sets.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        d_model: int = 16,
        layers: int = 2,
        mixer: str = "attention",
        heads: int = 2,
        d_ff: int = 32,
        vocabulary: int = 64,
        causal: bool = True,
        positions: bool = True,
    ) -> None:
        super().__init__()
        known = ("attention", "linear_attention", *RECURRENT)
        if mixer not in known:
            raise ValueError(f"mixer={mixer}: one of {', '.join(known)}")
        tokens = len(inputs) == 1
        self.embedding = nn.Embedding(vocabulary, d_model) if tokens else nn.Linear(inputs[1], d_model)
        self.position = nn.Parameter(torch.randn(inputs[0], d_model) / math.sqrt(d_model)) if positions else None
        mixers = (
            Recurrent(d_model, mixer) if mixer in RECURRENT else Attention(d_model, heads, mixer != "attention", causal)
            for _ in range(layers)
        )
        self.layers = nn.Sequential(*(Layer(each, d_model, d_ff) for each in mixers))
        self.norm, self.head = nn.LayerNorm(d_model), nn.Linear(d_model, outputs[-1])
        self.last = len(outputs) == 1

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, *inputs) to (n, *outputs)."""
        x = self.embedding(x)
        x = self.layers(x if self.position is None else x + self.position)
        return self.head(self.norm(x[:, -1] if self.last else x))
