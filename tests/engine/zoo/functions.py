"""Splines, experts, spectra, networks that write networks, fixed points and equations."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(3)
class SplineEdges(nn.Module):
    """A function for each edge, in B-splines of degree 3 on a grid in a buffer, beside a smooth base."""

    def __init__(self):
        super().__init__()
        self.register_buffer("grid", torch.linspace(-3, 3, 11).repeat(3, 1))
        self.spline, self.base = nn.Parameter(0.3 * torch.randn(2, 3, 7)), nn.Linear(3, 2, bias=False)

    def forward(self, x):
        x, t = x.clamp(-2.9, 2.9).unsqueeze(-1), self.grid
        bases = ((x >= t[:, :-1]) & (x < t[:, 1:])).to(x.dtype)
        for k in range(1, 4):
            rising = (x - t[:, : -k - 1]) / (t[:, k:-1] - t[:, : -k - 1])
            falling = (t[:, k + 1 :] - x) / (t[:, k + 1 :] - t[:, 1:-k])
            bases = rising * bases[..., :-1] + falling * bases[..., 1:]
        return torch.einsum("bik,oik->bo", bases, self.spline) + self.base(F.silu(x.squeeze(-1)))


@of(3)
class ChebyshevEdges(nn.Module):
    """A polynomial for each edge, through angles."""

    def __init__(self):
        super().__init__()
        self.coefficients = nn.Parameter(torch.randn(3, 2, 4))
        self.register_buffer("order", torch.arange(4))

    def forward(self, x):
        return torch.einsum("bik,iok->bo", (self.order * torch.tanh(x).unsqueeze(-1).acos()).cos(), self.coefficients)


@of(3)
class RadialBasis(nn.Module):
    """Distances to learnable centres."""

    def __init__(self):
        super().__init__()
        self.centres, self.widths, self.out = (
            nn.Parameter(torch.randn(5, 3)),
            nn.Parameter(torch.ones(5)),
            nn.Linear(5, 2),
        )

    def forward(self, x):
        return self.out(torch.exp(-self.widths * (x.unsqueeze(1) - self.centres).square().sum(-1)))


@of(4)
class MixtureOfExperts(nn.Module):
    """The two best of four experts, weighted by a softmax over these."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 4)
        self.weight, self.bias = nn.Parameter(0.5 * torch.randn(4, 4, 3)), nn.Parameter(torch.zeros(4, 3))

    def forward(self, x):
        best, which = self.gate(x).topk(2, dim=-1)
        gates = torch.zeros(len(x), 4, dtype=x.dtype).scatter(1, which, best.softmax(-1))
        return torch.einsum("be,beo->bo", gates, torch.einsum("bi,eio->beo", x, self.weight) + self.bias)


@of(4, by="", alone="dynamic shape")
class DispatchingExperts(nn.Module):
    """Each expert runs on the samples that chose it alone."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(4, 3), nn.ModuleList(nn.Linear(4, 2) for _ in range(3))

    def forward(self, x):
        gates = self.gate(x).softmax(-1)
        out = torch.zeros(len(x), 2, dtype=x.dtype)
        for i, expert in enumerate(self.experts):
            chosen = (gates.argmax(-1) == i).nonzero().squeeze(-1)
            out = out.index_add(0, chosen, gates[chosen, i, None] * expert(x[chosen]))
        return out


@of(4, 4)
class FourierMixing(nn.Module):
    """The real part of a transform over positions and features instead of attention."""

    def __init__(self):
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4))

    def forward(self, x):
        h = self.norm(x + torch.fft.fft2(x).real)
        return h + self.mlp(h)


@of(8)
class SpectralConvolution(nn.Module):
    """Complex weights on the lowest frequencies."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, dtype=torch.complex128))
        self.skip = nn.Conv1d(1, 1, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        low = torch.cat([spectrum[:, :3] * self.weight, torch.zeros_like(spectrum[:, 3:])], 1)
        return torch.fft.irfft(low, n=8) + self.skip(x.unsqueeze(1)).squeeze(1)


@of(3, dtype=torch.float32, tolerance=1e-4)
class ComplexLayer(nn.Module):
    """Complex weights in single precision, and their absolute values out."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))

    def forward(self, x):
        return (x.to(self.weight.dtype) @ self.weight).abs()


@of(3)
class FourierFeatures(nn.Module):
    """Random frequencies in a buffer, each network its own."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(3, 4))
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        h = x @ self.frequencies
        return self.out(torch.cat([h.sin(), h.cos()], -1))


@of(3)
class SineLayers(nn.Module):
    """Sines throughout, with an initialisation of their own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)])
        for layer in self.layers:
            nn.init.uniform_(layer.weight, -1, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sin(2 * layer(x))
        return x


@of(4)
class Hypernetwork(nn.Module):
    """A network writes the weights of another, sample by sample."""

    def __init__(self):
        super().__init__()
        self.writer = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4 * 3 + 3))

    def forward(self, x):
        weight, bias = self.writer(x).split([12, 3], -1)
        return torch.baddbmm(bias.unsqueeze(1), x.unsqueeze(1), weight.view(-1, 4, 3)).squeeze(1)


@of(3)
class FixedPoint(nn.Module):
    """An equilibrium by iteration without gradients, and one step with them."""

    def __init__(self):
        super().__init__()
        self.state, self.input = nn.Linear(4, 4), nn.Linear(3, 4)

    def step(self, z, x):
        return torch.tanh(0.5 * self.state(z) + self.input(x))

    def forward(self, x):
        with torch.no_grad():
            z = torch.zeros(len(x), 4, dtype=x.dtype)
            for _ in range(6):
                z = self.step(z, x)
        return self.step(z, x)


@of(3, by="", alone=".item()")
class UntilSettled(nn.Module):
    """An equilibrium that is iterated until it moves no more."""

    def __init__(self):
        super().__init__()
        self.state, self.input = nn.Linear(4, 4), nn.Linear(3, 4)

    def forward(self, x):
        z, last = torch.zeros(len(x), 4, dtype=x.dtype), math.inf
        while last > 1e-3:
            new = torch.tanh(0.4 * self.state(z) + self.input(x))
            last, z = (new - z).abs().max().item(), new
        return z


@of(2)
class RungeKutta(nn.Module):
    """An ordinary differential equation, three steps of fourth order."""

    def __init__(self):
        super().__init__()
        self.field = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    def slope(self, t, h):
        return self.field(torch.cat([h, torch.full_like(h[:, :1], t)], 1))

    def forward(self, x):
        for i in range(3):
            t, d = i / 3, 1 / 3
            a = self.slope(t, x)
            b = self.slope(t + d / 2, x + d / 2 * a)
            c = self.slope(t + d / 2, x + d / 2 * b)
            x = x + d / 6 * (a + 2 * b + 2 * c + self.slope(t + d, x + d * c))
        return x


@of(4, by="", alone="requires_grad_")
class Hamiltonian(nn.Module):
    """A field that is the turned gradient of a learnt energy, taken in the forward pass."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            [slope] = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
        q, p = slope.chunk(2, -1)
        return torch.cat([p, -q], -1)


@of(3)
class Cayley(nn.Module):
    """An orthogonal matrix by solving with a skew one."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        skew, one = self.weight - self.weight.mT, torch.eye(3, dtype=x.dtype)
        return x @ torch.linalg.solve(one + skew, one - skew)
