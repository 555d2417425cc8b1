"""Networks that fool a batched engine which does not look closely."""

import random
from types import SimpleNamespace

import torch
from torch import nn


class Shared(nn.Module):
    """Random constants in a plain list: a batched engine would give every student those of the first."""

    def __init__(self):
        super().__init__()
        self.linear, self.constants = nn.Linear(3, 3), [torch.randn(3)]

    def forward(self, x):
        return self.linear(x) * self.constants[0]


class Boxed(nn.Module):
    """Random constants inside an object that no comparison of attributes looks into."""

    def __init__(self):
        super().__init__()
        self.linear, self.box = nn.Linear(3, 3), SimpleNamespace(constant=torch.randn(3))

    def forward(self, x):
        return self.linear(x) * self.box.constant


class Buffered(nn.Module):
    """Random constants as a buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("constant", torch.randn(3))

    def forward(self, x):
        return self.linear(x) * self.constant


class Chosen(nn.Module):
    """One of two activations, drawn."""

    def __init__(self):
        super().__init__()
        self.linear, self.activation = nn.Linear(3, 3), random.choice([torch.tanh, torch.relu])

    def forward(self, x):
        return self.activation(self.linear(x))


class Padded(nn.Module):
    """An embedding whose row 0 must not learn."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(4, 3, padding_idx=0), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.embedding(x).mean(1))


class Branching(nn.Module):
    """Control flow that depends on data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y if y.sum() > 0 else y * 2


class Masked(nn.Module):
    """A boolean mask."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y + y[y > 0].mean()


class Writing(nn.Module):
    """Parameters written into a fresh tensor."""

    def __init__(self):
        super().__init__()
        self.diagonal = nn.Parameter(torch.randn(3))

    def forward(self, x):
        w = torch.zeros(3, 3, dtype=x.dtype)
        for i in range(3):
            w[i, i] = self.diagonal[i]
        return x @ w


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x).tanh())


class Normed(nn.Module):
    """Running statistics."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm, self.out = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.norm(self.linear(x)).tanh())


class Recurrent(nn.Module):
    """A GRU, which vmap does not know."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 3, batch_first=True)

    def forward(self, x):
        return self.gru(x[:, None].expand(-1, 2, -1))[0][:, -1]


class Noisy(nn.Module):
    """Noise from torch's own function."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y + 0.1 * torch.randn_like(y) if self.training else y


class Counting(nn.Module):
    """An attribute that changes as it trains."""

    def __init__(self):
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 3), 0

    def forward(self, x):
        self.calls += self.training
        return self.linear(x) * (1.0 if self.calls < 3 else 0.5)


class Normalised(nn.Module):
    """Weight normalisation, by parametrisation."""

    def __init__(self):
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))

    def forward(self, x):
        return self.linear(x)


class Complex(nn.Module):
    """Complex parameters, real outputs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(self.weight.dtype) @ self.weight).abs()


class InPlace(nn.Module):
    """It changes its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        x += 1
        return self.linear(x)


class Frozen(nn.Module):
    """A parameter that is not learnable, different in each student."""

    def __init__(self):
        super().__init__()
        self.linear, self.frozen = nn.Linear(3, 3), nn.Parameter(torch.randn(3), requires_grad=False)

    def forward(self, x):
        return self.linear(x) * self.frozen


class Scalar(nn.Module):
    """A parameter without axes."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(3, 3), nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.gain * self.linear(x)


class Mixing(nn.Module):
    """It mixes the samples of a batch, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        y = self.linear(x)
        return y - y.mean(0)


class Remembering(nn.Module):
    """A list that grows as it trains, and is read only late."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(3, 3), []

    def forward(self, x):
        if self.training:
            self.seen.append(1)
        return self.linear(x) * (1.5 if len(self.seen) > 5 else 1.0)


class Skipping(nn.Module):
    """A layer that is left out now and then, by Python's own generator."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        if not (self.training and random.random() < 0.05):
            x = x + torch.tanh(self.first(x))
        return self.second(x)


class Hiding(nn.Module):
    """A boolean buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("seen", torch.ones(3, 3, dtype=torch.bool).tril())

    def forward(self, x):
        return x @ self.linear.weight.masked_fill(~self.seen, 0.0)


class Strided(nn.Module):
    """A parameter and a buffer that do not lie in memory as they are read."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3).t())
        self.register_buffer("scale", torch.randn(4)[::2])

    def forward(self, x):
        return x @ self.weight * self.scale


class Gathering(nn.Module):
    """Pieces put together, some of them empty."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return torch.cat([torch.empty(0, dtype=x.dtype), self.linear(x), x[:, :0]], 1)


class Evaluated(nn.Module):
    """A parameter that no step of training reaches, and no weight decay of torch's either."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(3, 3), nn.Parameter(torch.randn(3))

    def forward(self, x):
        return self.linear(x) if self.training else self.linear(x) * self.gain
