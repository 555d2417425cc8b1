"""Norms, parametrisations, embeddings, convolutions and pools."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

from archab.space.inputs import Tokens
from zoo.kind import of


@of(3)
class WeightNorm(nn.Module):
    """A direction and a length for each row, as a parametrisation."""

    def __init__(self):
        super().__init__()
        self.linear = parametrizations.weight_norm(nn.Linear(3, 4))

    def forward(self, x):
        return self.linear(x)


@of(3)
class Orthogonal(nn.Module):
    """A weight kept orthogonal by a matrix exponential."""

    def __init__(self):
        super().__init__()
        self.linear = parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="matrix_exp")

    def forward(self, x):
        return self.linear(x)


@of(3, by="compiled", alone="Batching rule")
class Spectral(nn.Module):
    """A weight over its largest singular value, by a power iteration that each training step carries on."""

    def __init__(self):
        super().__init__()
        self.linear = parametrizations.spectral_norm(nn.Linear(3, 4))

    def forward(self, x):
        return self.linear(x)


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


@of(3)
class Symmetrised(nn.Module):
    """A parametrisation of one's own."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        parametrize.register_parametrization(self.linear, "weight", Symmetric())

    def forward(self, x):
        return self.linear(x)


@of(3)
class BatchNorm(nn.Module):
    """Statistics of the mini-batch in training, running ones afterwards."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x):
        return self.layers(x)


@of(2, 4, 4)
class ChannelNorms(nn.Module):
    """A group, an instance and a local response norm on images."""

    def __init__(self):
        super().__init__()
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)
        self.conv, self.local = nn.Conv2d(2, 4, 3), nn.LocalResponseNorm(2)

    def forward(self, x):
        return self.local(self.instance(self.group(self.conv(x)).sin()))


@of(4, 6)
class RootMeanSquare(nn.Module):
    """A norm without a mean before a gated unit, and torch's own behind."""

    def __init__(self):
        super().__init__()
        self.gain, self.norm = nn.Parameter(torch.ones(6)), nn.RMSNorm(6)
        self.up, self.gate, self.down = (nn.Linear(6, 6, bias=False) for _ in range(3))

    def forward(self, x):
        h = x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.gain
        return self.norm(x + self.down(F.silu(self.gate(h)) * self.up(h)))


@of(3, by="vmap")
class CentredBatch(nn.Module):
    """It mixes the samples of a batch, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y - y.mean(0)


@of(5, inputs=Tokens(7))
class PaddedEmbedding(nn.Module):
    """The row of word 0 does not learn; the words share the output's weights."""

    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(7, 3, padding_idx=0), nn.Embedding(5, 3)

    def forward(self, x):
        return (self.words(x) + self.positions(torch.arange(5))).tanh() @ self.words.weight.T


@of(5, inputs=Tokens(7))
class Bag(nn.Module):
    """A mean over the words."""

    def __init__(self):
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(7, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.bag(x))


@of(4, inputs=Tokens(6), by="vmap")
class BoundedEmbedding(nn.Module):
    """Rows that are cut to a norm of 1 whenever they are read."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(6, 3, max_norm=1.0), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.words(x).sum(1))


@of(2, 7)
class Convolution1d(nn.Module):
    """Strides, groups, a circular border and a maximum."""

    def __init__(self):
        super().__init__()
        self.deep = nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular", groups=2)
        self.point = nn.Conv1d(4, 4, 1, stride=2)

    def forward(self, x):
        return F.max_pool1d(self.point(self.deep(x).relu()), 2)


@of(2, 5, 4)
class Convolution2d(nn.Module):
    """A dilated and a padded convolution, then means over windows and the whole."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3, padding="same"), nn.Conv2d(3, 2, 2, dilation=2)

    def forward(self, x):
        return F.avg_pool2d(self.second(self.first(x).tanh()), 2).mean((2, 3))


@of(2, 4)
class Transposed(nn.Module):
    """A convolution upwards."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x):
        return self.up(x)


@of(4, 4, 4)
class Shuffled(nn.Module):
    """Channels into space, an adaptive pool, a larger picture."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2, bias=False)

    def forward(self, x):
        h = self.conv(F.pixel_shuffle(x, 2))
        return F.interpolate(F.adaptive_avg_pool2d(h, 2), scale_factor=2)
