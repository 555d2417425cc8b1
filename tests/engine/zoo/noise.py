"""Random numbers that are drawn as a network trains."""

import random

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(3, noisy=True)
class Dropouts(nn.Module):
    """Elements, their alpha form, and the weights of a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.plain, self.alpha = nn.Dropout(0.3), nn.AlphaDropout(0.2)

    def forward(self, x):
        h = self.alpha(F.selu(self.second(self.plain(self.first(x)))))
        return F.linear(h, F.dropout(self.third.weight, 0.1, self.training), self.third.bias)


@of(4, 3, noisy=True)
class ChannelDropouts(nn.Module):
    """Whole channels of sequences and pictures, and their alpha form."""

    def __init__(self):
        super().__init__()
        self.mix, self.out = nn.Conv1d(4, 4, 3, padding=1), nn.Linear(12, 3)
        self.one, self.two, self.alpha = nn.Dropout1d(0.3), nn.Dropout2d(0.2), nn.FeatureAlphaDropout(0.3)

    def forward(self, x):
        h = self.two(self.one(self.mix(x)).tanh().unsqueeze(-1)).squeeze(-1)
        return self.out(self.alpha(h).flatten(1))


@of(3, noisy=True)
class DroppedInPlace(nn.Module):
    """Dropout called for its effect on what it is given."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.second = nn.Linear(3, 6), nn.Dropout(0.5, inplace=True), nn.Linear(6, 2)

    def forward(self, x):
        h = self.first(x)
        self.drop(h)
        return self.second(h + self.drop(2 * h.tanh()))


@of(3, by="compiled", alone="inplace arithmetic", noisy=True)
class StochasticDepth(nn.Module):
    """A layer is left out of some samples, by a draw into an empty tensor."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            kept = torch.empty(len(x), 1, dtype=x.dtype).bernoulli_(0.7) / 0.7 if self.training else 1.0
            x = x + kept * layer(x).tanh()
        return x


@of(3, by="compiled", alone="inplace arithmetic", noisy=True)
class RandomScale(nn.Module):
    """One number for the whole mini-batch, from nothing but a shape."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        h = self.linear(x)
        return h * torch.empty(1).bernoulli_(0.9).to(h) + 0.1 * torch.rand(()).to(h) if self.training else h


@of(3, noisy=True)
class NoisyLayer(nn.Module):
    """Normal noise on what comes in and on the weights, and slopes drawn anew."""

    def __init__(self):
        super().__init__()
        self.linear, self.spread = nn.Linear(3, 3), nn.Parameter(torch.full((3, 3), 0.1))

    def forward(self, x):
        if not self.training:
            return self.linear(x).relu()
        weight = self.linear.weight + self.spread * torch.randn(3, 3, dtype=x.dtype)
        return F.rrelu(F.linear(x + 0.1 * torch.randn_like(x), weight, self.linear.bias), training=True)


@of(3, noisy=True)
class GumbelChoice(nn.Module):
    """A soft choice with Gumbel noise."""

    def __init__(self):
        super().__init__()
        self.gate, self.values = nn.Linear(3, 4), nn.Parameter(torch.randn(4, 2))

    def forward(self, x):
        logits = self.gate(x)
        return (F.gumbel_softmax(logits) if self.training else logits.softmax(-1)) @ self.values


@of(4, noisy=True)
class ShuffledFeatures(nn.Module):
    """The features in a random order as it trains."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x[:, torch.randperm(4)] if self.training else x)


@of(3, by="", alone="draws from numpy or from random", noisy=True)
class SkippedLayer(nn.Module):
    """A layer that is left out now and then, by Python's own generator."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        if not (self.training and random.random() < 0.05):
            x = x + torch.tanh(self.first(x))
        return self.second(x)


@of(3, 3, by="compiled", alone="Batching rule", noisy=True)
class DroppingLSTM(nn.Module):
    """Torch's own with dropout between its layers, that no counter reaches."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3, 2, batch_first=True, dropout=0.3)

    def forward(self, x):
        return self.lstm(x)[0][:, -1]


@of(3, by="", alone="no counter reaches")
class SameNoise(nn.Module):
    """Random numbers from a generator of the forward pass's own: the same in every pass, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        noise = torch.randn(3, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
        return self.linear(x) * noise


@of(3, by="", alone="no counter reaches")
class SeededPass(nn.Module):
    """Random numbers from torch's generator, seeded for the length of the pass."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            noise = torch.randn(3, dtype=x.dtype)
        return self.linear(x) * noise
