"""Construction, precision, memory and control that engines meet seldom."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from zoo.kind import of


@of(3, by="", alone="differ in more than their parameters")
class NumpysDraws(nn.Module):
    """Weights and a frozen gain drawn by numpy, and one of two activations by `random`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(np.random.randn(3, 3)))  # noqa: NPY002
        self.gain = nn.Parameter(torch.from_numpy(np.random.rand(3)), requires_grad=False)  # noqa: NPY002
        self.activation = random.choice([torch.tanh, torch.relu])

    def forward(self, x):
        return self.activation(x @ self.weight) * self.gain


@of(3, refused="linear.weight is lazy")
class Lazy(nn.Module):
    """A layer that learns its size from the first input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.LazyLinear(2)

    def forward(self, x):
        return self.linear(x)


@of(3, by="vmap", tolerance=3e-08)
class MixedPrecision(nn.Module):
    """A layer of 32 bits inside one of 64."""

    def __init__(self):
        super().__init__()
        self.outer, self.inner = nn.Linear(3, 3), nn.Linear(3, 3).float()

    def forward(self, x):
        return self.inner(self.outer(x).tanh().float()).double()


@of(3, 3)
class LaidOut(nn.Module):
    """Parameters that do not lie in memory as they are written."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3).t())
        self.conv = nn.Conv2d(2, 2, 2).to(memory_format=torch.channels_last)

    def forward(self, x):
        return self.conv((x @ self.weight).unsqueeze(1).expand(-1, 2, -1, -1)).flatten(1)


@of(3)
class NothingInIt(nn.Module):
    """A parameter without elements beside one that does not learn."""

    def __init__(self):
        super().__init__()
        self.linear, self.bias = nn.Linear(3, 3), nn.Parameter(torch.empty(0))
        self.frozen = nn.Parameter(torch.randn(3), requires_grad=False)

    def forward(self, x):
        return torch.cat([self.linear(x) * self.frozen, x.new_zeros(len(x), 2) + self.bias.sum()], 1)


@of(3, by="", alone="data-dependent control flow")
class Branching(nn.Module):
    """Control flow that depends on data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y if y.sum() > 0 else y * 2


@of(3, by="compiled", alone="data-dependent control flow")
class WarmingUp(nn.Module):
    """A gate that opens after some steps, and weights that must be finite."""

    def __init__(self):
        super().__init__()
        self.linear, self.gate = nn.Linear(3, 3), nn.Parameter(torch.randn(3))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        self.steps += self.training
        h = self.linear(x) * self.gate
        if not torch.isfinite(self.linear.weight).all():
            raise ValueError("weights without end")
        if self.steps > 2:
            h = h + h.tanh()
        return h


@of(3, 4, by="compiled", alone="dynamic shape")
class KeptBuffer(nn.Module):
    """A table that is registered at the first call, and one that is masked by an index of its values."""

    def __init__(self):
        super().__init__()
        self.linear, self.table = nn.Linear(4, 4), None

    def forward(self, x):
        if self.table is None:
            del self.table
            self.register_buffer("table", torch.arange(x.shape[1], dtype=x.dtype).unsqueeze(-1).cos(), persistent=False)
        h = self.linear(x) * self.table
        h[h > 1] = 1.0
        return h


@of(3, by="", alone="dynamic shape")
class Selecting(nn.Module):
    """What is positive is selected by a mask."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y + y[y > 0].mean()


@of(3, by="compiled")
class Checkpointed(nn.Module):
    """A layer that is computed again on the way back."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.second(checkpoint(lambda h: self.first(h).tanh(), x, use_reentrant=False))


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return 0.5 * gradient


@of(3, by="compiled")
class OwnBackward(nn.Module):
    """A rounding with a derivative of its own."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return Straight.apply(4 * self.linear(x))


@of(3, refused="not registered")
class ListedLayers(nn.Module):
    """Layers in a plain list, where torch does not find them."""

    def __init__(self):
        super().__init__()
        self.layers, self.out = [nn.Linear(3, 3)], nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.layers[0](x).tanh())


@of(3, refused="changes its input in place")
class ChangingInput(nn.Module):
    """It writes on its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        x += 1
        return self.linear(x)


@of(3, refused="drawn from a source that no seed sets")
class FreshEntropy(nn.Module):
    """Weights from a generator that nobody seeded."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(np.random.default_rng().normal(size=(3, 3))))

    def forward(self, x):
        return x @ self.weight


@of(3, refused="two answers to one input")
class AlwaysDropping(nn.Module):
    """Noise in evaluation, too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return F.dropout(self.linear(x), 0.5)
