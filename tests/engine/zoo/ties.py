"""Tensors that share storage, and hooks."""

import copy

import torch
from torch import nn
from torch.nn.utils import prune

from zoo.kind import of


@of(3)
class SameParameter(nn.Module):
    """Two layers with one weight, and one layer twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.first(self.second(self.first(x).tanh()).tanh())


@of(3, by="", alone="differ in more than their parameters")
class FlatViews(nn.Module):
    """Weights cut out of one flat parameter; a plain attribute looks at a part of it."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Parameter(torch.randn(15))
        self.gain = self.flat.data[12:]

    def forward(self, x):
        return (x @ self.flat[:9].view(3, 3)).tanh() * self.flat[9:12] + x * self.gain


@of(3)
class Cloned(nn.Module):
    """Layers that begin as copies of one, and go ways of their own."""

    def __init__(self):
        super().__init__()
        layer = nn.Linear(3, 3)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).tanh()
        return x


@of(3, by="", alone="differ in more than their parameters")
class SlowedBackward(nn.Module):
    """A hook on what flows back through a layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        self.second.register_full_backward_hook(lambda _, inner, outer: (0.1 * inner[0],))

    def forward(self, x):
        return self.second(self.first(x).tanh())


@of(3, by="compiled", alone="batching changes")
class ReversedGradient(nn.Module):
    """A hook on an activation, as domain adaptation turns gradients round."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = self.first(x)
        if h.requires_grad:
            h.register_hook(lambda g: -0.5 * g)
        return self.second(h.tanh())


@of(3, by="", alone="differ in more than their parameters")
class Pruned(nn.Module):
    """Half of the weights are pruned, by a mask in a buffer and a hook before the layer."""

    def __init__(self):
        super().__init__()
        self.linear = prune.l1_unstructured(nn.Linear(3, 4), "weight", amount=0.5)

    def forward(self, x):
        return self.linear(x)


@of(3, by="", alone="differ in more than their parameters")
class OldSpectral(nn.Module):
    """Spectral norm as torch did it once, by a hook before the layer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.spectral_norm(nn.Linear(3, 4))

    def forward(self, x):
        return self.linear(x)
