"""Gates, sorts, sums over indices, and what is written element by element."""

import torch
from torch import nn
from torch.nn import functional as F

from zoo.kind import of


@of(3)
class BilinearForm(nn.Module):
    """Products of two inputs, and a gated half."""

    def __init__(self):
        super().__init__()
        self.form, self.split = nn.Bilinear(3, 3, 4), nn.Linear(3, 8)

    def forward(self, x):
        return self.form(x, x.tanh()) + F.glu(self.split(x))


@of(3)
class Maxout(nn.Module):
    """The largest of several linear pieces, and a slope that is learnt."""

    def __init__(self):
        super().__init__()
        self.pieces, self.slope = nn.Linear(3, 12), nn.PReLU(4)

    def forward(self, x):
        return self.slope(self.pieces(x).unflatten(-1, (4, 3)).amax(-1))


@of(4)
class Sorted(nn.Module):
    """Weights on the order statistics, and a sparse softmax by sorting."""

    def __init__(self):
        super().__init__()
        self.mix, self.weights = nn.Linear(4, 4), nn.Parameter(torch.randn(4))

    def forward(self, x):
        h = self.mix(x)
        ordered = h.sort(-1, descending=True).values
        sums = ordered.cumsum(-1) - 1
        ranks = torch.arange(1, 5, dtype=x.dtype)
        support = (ranks * ordered > sums).sum(-1, keepdim=True)
        threshold = sums.gather(-1, support - 1) / support
        return torch.cat([(h - threshold).clamp(min=0), ordered * self.weights], -1)


@of(3)
class Highway(nn.Module):
    """Carried past a transform by a gate, in layers of one list."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleDict({"h": nn.Linear(3, 3), "t": nn.Linear(3, 3)}) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            t = torch.sigmoid(layer["t"](x))
            x = t * torch.relu(layer["h"](x)) + (1 - t) * x
        return x


@of(3)
class Dense(nn.Module):
    """Every layer sees all before it; the first piece of them is empty."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3 + 2 * i, 2) for i in range(3))

    def forward(self, x):
        new = x[:, :0]
        for layer in self.layers:
            new = torch.cat([new, layer(torch.cat([x, new], -1)).relu()], -1)
        return new


@of(4)
class Contracted(nn.Module):
    """A tensor train by sums over indices, and the Kronecker product of two factors."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Parameter(torch.randn(2, 2, 3)), nn.Parameter(torch.randn(3, 2, 2))
        self.one, self.other = nn.Parameter(torch.randn(2, 2)), nn.Parameter(torch.randn(2, 1))

    def forward(self, x):
        train = torch.einsum("bij,iar,rjc->bac", x.view(-1, 2, 2), self.left, self.right)
        return train.flatten(1) + x @ torch.kron(self.one, self.other).repeat(1, 2)


@of(3)
class Squared(nn.Module):
    """A scalar parameter before a power."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain = nn.Linear(3, 3), nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.gain * self.linear(x).square()


@of(3, by="compiled", alone="vmap")
class Written(nn.Module):
    """A band of parameters written into a matrix of zeros, element by element."""

    def __init__(self):
        super().__init__()
        self.diagonal = nn.Parameter(torch.randn(3))

    def forward(self, x):
        w = torch.zeros(3, 3, dtype=x.dtype)
        for i in range(3):
            w[i, i] = self.diagonal[i]
        return x @ w


@of(4, 3)
class GraphLayer(nn.Module):
    """Messages along edges that an integer buffer lists, summed at their ends."""

    def __init__(self):
        super().__init__()
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3, 3], [1, 2, 3, 0, 1]]))
        self.message, self.own = nn.Linear(6, 3), nn.Linear(3, 3)

    def forward(self, x):
        start, end = self.edges
        sent = self.message(torch.cat([x[:, start], x[:, end]], -1)).tanh()
        return self.own(x) + torch.zeros_like(x).index_add(1, end, sent)


@of(3)
class NearestCode(nn.Module):
    """The nearest row of a codebook, its gradient passed straight through."""

    def __init__(self):
        super().__init__()
        self.inside, self.codes, self.out = nn.Linear(3, 2), nn.Parameter(torch.randn(5, 2)), nn.Linear(2, 2)

    def forward(self, x):
        h = self.inside(x)
        nearest = self.codes[torch.cdist(h, self.codes).argmin(-1)]
        return self.out(h + (nearest - h).detach() + (nearest - nearest.detach()))


@of(3)
class BinaryWeights(nn.Module):
    """Signs of weights, the gradient of the weights themselves."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        signs = self.weight + (self.weight.sign() * self.weight.abs().mean() - self.weight).detach()
        return F.linear(x, signs)
