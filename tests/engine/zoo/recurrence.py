"""Recurrence and scans: by hand and torch's own."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(5, 3)
class SelectiveScan(nn.Module):
    """A state-space scan whose step size, input and output weights come from the data."""

    def __init__(self):
        super().__init__()
        self.rates = nn.Parameter(torch.arange(1.0, 5).log().repeat(3, 1))
        self.project, self.skip = nn.Linear(3, 3 + 8), nn.Parameter(torch.ones(3))

    def forward(self, x):
        step, write, read = self.project(x).split([3, 4, 4], -1)
        step = F.softplus(step)
        decay = torch.exp(-step.unsqueeze(-1) * self.rates.exp())
        state, seen = torch.zeros(len(x), 3, 4, dtype=x.dtype), []
        for t in range(x.shape[1]):
            state = decay[:, t] * state + (step[:, t] * x[:, t]).unsqueeze(-1) * write[:, t, None]
            seen.append((state * read[:, t, None]).sum(-1))
        return torch.stack(seen, 1) + self.skip * x


@of(8, 3)
class DiagonalStateSpace(nn.Module):
    """A long convolution whose kernel is a sum of complex exponentials, by Fourier transforms."""

    def __init__(self):
        super().__init__()
        self.log_decay = nn.Parameter(torch.log(0.5 * torch.ones(3, 2)))
        self.frequency = nn.Parameter(math.pi * torch.arange(2.0).repeat(3, 1))
        self.read = nn.Parameter(torch.randn(3, 2, 2))
        self.log_step, self.skip = nn.Parameter(torch.full((3,), -1.0)), nn.Parameter(torch.randn(3))

    def forward(self, x):
        poles = (-self.log_decay.exp() + 1j * self.frequency) * self.log_step.exp().unsqueeze(-1)
        powers = torch.exp(poles.unsqueeze(-1) * torch.arange(8))
        kernel = 2 * (torch.view_as_complex(self.read).unsqueeze(-1) * powers).sum(1).real
        spectrum = torch.fft.rfft(x.mT, n=16) * torch.fft.rfft(kernel, n=16)
        return torch.fft.irfft(spectrum, n=16)[..., :8].mT + self.skip * x


@of(4, 3)
class GatedRecurrence(nn.Module):
    """A gated recurrent unit by hand, over time."""

    def __init__(self):
        super().__init__()
        self.gates, self.new = nn.Linear(7, 8), nn.Linear(7, 4)

    def forward(self, x):
        h = x.new_zeros(len(x), 4)
        for word in x.unbind(1):
            reset, update = torch.sigmoid(self.gates(torch.cat([word, h], -1))).chunk(2, -1)
            h = (1 - update) * h + update * torch.tanh(self.new(torch.cat([word, reset * h], -1)))
        return h


@of(4, 3)
class MemoryCell(nn.Module):
    """A long short-term memory by hand, whose gates look into the cell."""

    def __init__(self):
        super().__init__()
        self.word, self.state = nn.Linear(3, 12), nn.Linear(3, 12, bias=False)
        self.peep = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        h = c = torch.zeros(len(x), 3, dtype=x.dtype)
        for t in range(4):
            i, f, o, g = (self.word(x[:, t]) + self.state(h)).chunk(4, 1)
            c = torch.sigmoid(f + self.peep[0] * c) * c + torch.sigmoid(i + self.peep[1] * c) * g.tanh()
            h = torch.sigmoid(o + self.peep[2] * c) * c.tanh()
        return h


@of(3, 3, by="compiled")
class TorchsGRU(nn.Module):
    """Torch's own, which vmap does not know."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 3, 2, batch_first=True)

    def forward(self, x):
        return self.gru(x)[0][:, -1]


@of(3, 3, by="compiled")
class TorchsLSTM(nn.Module):
    """Torch's own in both directions, with a projection to fewer outputs."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True, bidirectional=True, proj_size=2)

    def forward(self, x):
        return self.lstm(x)[0]


@of(3, 3)
class StepwiseCell(nn.Module):
    """Torch's cell, called once for each position."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = None
        for t in range(3):
            h = self.cell(x[:, t], h)
        return self.out(h)


@of(6)
class RunningProducts(nn.Module):
    """Running sums, products, maxima and log-sums along the features."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 6)

    def forward(self, x):
        h = self.mix(x)
        return torch.cat([h.cumsum(1), h.sigmoid().cumprod(1), h.cummax(1).values, h.logcumsumexp(1)], 1)
