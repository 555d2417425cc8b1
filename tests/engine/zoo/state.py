"""What a network holds beside its parameters: counts, averages, tables, in buffers, attributes and objects."""

import functools
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(3, by="vmap")
class CountingCalls(nn.Module):
    """An attribute that changes as it trains."""

    def __init__(self):
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 3), 0

    def forward(self, x):
        self.calls += self.training
        return self.linear(x) * (1.0 if self.calls < 3 else 0.5)


@of(3, by="vmap")
class CountingElsewhere(nn.Module):
    """A count in an object that annihilates a part of the output, little by little."""

    def __init__(self):
        super().__init__()
        self.linear, self.state = nn.Linear(3, 3), SimpleNamespace(calls=0)

    def forward(self, x):
        self.state.calls += self.training
        return self.linear(x) + x * 0.9**self.state.calls


@of(3, by="vmap")
class LateMemory(nn.Module):
    """A list that grows as it trains, and is read only late."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(3, 3), []

    def forward(self, x):
        if self.training:
            self.seen.append(1)
        return self.linear(x) * (1.5 if len(self.seen) > 5 else 1.0)


@of(3)
class Annealed(nn.Module):
    """A temperature that falls by a count in a buffer."""

    def __init__(self):
        super().__init__()
        self.gate, self.values = nn.Linear(3, 4), nn.Parameter(torch.randn(4, 2))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        if self.training:
            self.step += 1
        return (self.gate(x) / torch.exp(-0.3 * self.step)).softmax(-1) @ self.values


@of(3, by="", alone="batching changes")
class MovingAverage(nn.Module):
    """A buffer that is replaced, not written, at each step, with an early one in single precision."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        h = self.linear(x)
        if self.training:
            self.mean = 0.7 * self.mean + 0.3 * h.detach().mean(0)
        return h - self.mean


@of(3)
class Teacher(nn.Module):
    """A slow copy of a layer, moved in the forward pass without gradients."""

    def __init__(self):
        super().__init__()
        self.fast, self.slow = nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                for p, q in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
                    p.mul_(0.8).add_(q, alpha=0.2)
        return self.fast(x) + self.slow(x).tanh()


@of(3, by="vmap")
class Projected(nn.Module):
    """Weights that are brought back to the unit sphere before they are used."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.linear.weight.copy_(F.normalize(self.linear.weight, dim=1))
        return self.linear(x)


@of(3, by="", alone="data-dependent control flow")
class FirstBatch(nn.Module):
    """Scale and shift set by the first mini-batch, as an activation norm does."""

    def __init__(self):
        super().__init__()
        self.linear, self.shift = nn.Linear(3, 3), nn.Parameter(torch.zeros(3))
        self.register_buffer("done", torch.tensor(False))

    def forward(self, x):
        h = self.linear(x)
        if self.training and not self.done:
            self.shift.data.copy_(-h.detach().mean(0))
            self.done.fill_(True)
        return h + self.shift


@of(4, 4)
class KeptTable(nn.Module):
    """Angles made when they are first asked for, and kept."""

    def __init__(self):
        super().__init__()
        self.linear, self.table = nn.Linear(4, 4), None

    def forward(self, x):
        if self.table is None:
            self.table = torch.arange(x.shape[1], dtype=x.dtype).unsqueeze(-1).sin()
        return self.linear(x) * self.table


@functools.cache
def positions(length, dtype):
    return torch.arange(length, dtype=dtype).unsqueeze(-1).cos()


@of(4, 4)
class GlobalTable(nn.Module):
    """Angles that a cached function makes once for all networks."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) * positions(x.shape[1], x.dtype)


@of(3)
class FrozenStatistics(nn.Module):
    """A batch norm that stays in evaluation mode, whatever the network is told."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
        self.norm.running_mean.normal_()

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x):
        return self.norm(self.linear(x))


@of(3, by="", alone="differ in more than their parameters")
class RandomList(nn.Module):
    """Random features in a plain list."""

    def __init__(self):
        super().__init__()
        self.linear, self.features = nn.Linear(3, 3), [torch.randn(3)]

    def forward(self, x):
        return self.linear(x) * self.features[0]


@of(3, 4)
class KeptMaps(nn.Module):
    """It keeps its last attention, graph and all, to be looked at."""

    def __init__(self):
        super().__init__()
        self.qkv, self.last = nn.Linear(4, 12), None

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        self.last = (q @ k.mT).softmax(-1)
        return self.last @ v


@of(3)
class OnlyInEvaluation(nn.Module):
    """A parameter that no training step sees, and that must not decay for that."""

    def __init__(self):
        super().__init__()
        self.linear, self.shift = nn.Linear(3, 3), nn.Parameter(torch.randn(3))

    def forward(self, x):
        return self.linear(x) if self.training else self.linear(x) + self.shift


@of(3)
class Detached(nn.Module):
    """A layer that is used without its gradient, though it could learn."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.second(F.linear(x, self.first.weight.detach()).tanh())


@of(3)
class BoundMethod(nn.Module):
    """A method chosen at construction."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(3, 3), nn.Parameter(torch.ones(3))
        self.run = self.gated

    def gated(self, x):
        return self.gain * self.linear(x).tanh()

    def forward(self, x):
        return self.run(x)


@of(3, by="", alone="differ in more than their parameters")
class ClosureInPartial(nn.Module):
    """A function of the network's own parameters inside another, as an attribute."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(3, 3), nn.Parameter(torch.ones(3))
        self.run = functools.partial(lambda scale, h: scale * self.gain * h.tanh(), 2.0)

    def forward(self, x):
        return self.run(self.linear(x))


class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parents = [parent]

    def forward(self, x):
        return self.parents[0].linear(x).tanh()


@of(3)
class KnowsParent(nn.Module):
    """A part that knows the whole."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.child = Child(self)

    def forward(self, x):
        return self.child(x) + self.linear(x)
