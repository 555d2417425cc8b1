"""Networks that an engine once trained as others: ties, hooks, states, masks, seeds and noise."""

from types import SimpleNamespace

import torch
from torch import manual_seed, nn
from torch.nn import functional as F

from zoo.kind import of

SHARED = nn.PReLU(dtype=torch.float64)


@of(5, 4)
class StrictlyCausal(nn.Module):
    """The first position sees nothing at all, and torch answers 0."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.register_buffer("seen", torch.ones(5, 5, dtype=torch.bool).tril(-1))

    def forward(self, x):
        return x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1), attn_mask=self.seen)


@of(4, 6, by="vmap")
class PaddedMultihead(nn.Module):
    """Torch's own attention; of the last sample of each mini-batch, no position is a word."""

    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        padding = torch.zeros(x.shape[:2], dtype=torch.bool)
        padding[:, 2:] = True
        padding[-1] = True
        return x + self.attend(x, x, x, key_padding_mask=padding, need_weights=False)[0]


@of(4, 6)
class RoutedAttention(nn.Module):
    """A mask that hangs on the data, and leaves some rows without anything to see."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(6, 18)

    def forward(self, x):
        seen = (x[:, :, :1] > 0) & (x[:, None, :, 1] > 0)
        return x + F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1), attn_mask=seen)


@of(3, by="", alone="share memory")
class SharedStorage(nn.Module):
    """Two parameters on one storage: each gradient moves both."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = nn.Parameter(self.first.weight.data)

    def forward(self, x):
        return self.second(self.first(x).tanh())


@of(3, by="", alone="share memory")
class TransposedStorage(nn.Module):
    """The way back is the transpose of the way there, on one storage."""

    def __init__(self):
        super().__init__()
        self.there, self.back = nn.Linear(3, 5), nn.Linear(5, 3)
        self.back.weight = nn.Parameter(self.there.weight.data.t())

    def forward(self, x):
        return self.back(self.there(x).tanh())


@of(3, by="", alone="share memory")
class ViewBuffer(nn.Module):
    """A buffer that is a view of a parameter: it follows without a gradient of its own."""

    def __init__(self):
        super().__init__()
        self.there = nn.Linear(3, 5)
        self.register_buffer("back", self.there.weight.data.t())

    def forward(self, x):
        return self.there(x).tanh() @ self.back.t()


@of(3, by="", alone="has a hook")
class SlowedWeight(nn.Module):
    """A hook that halves and masks a weight's gradient."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)
        self.first.weight.register_hook(lambda g: 0.1 * g * torch.ones_like(g).triu())

    def forward(self, x):
        return self.second(self.first(x).tanh())


@of(3, by="", alone="differ in more than their parameters")
class HookedOutput(nn.Module):
    """Hooks before and behind a layer that know the network around it."""

    def __init__(self):
        super().__init__()
        self.linear, self.gain, self.shift = nn.Linear(3, 3), nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
        self.linear.register_forward_pre_hook(lambda _, given: (given[0] + self.shift,))
        self.linear.register_forward_hook(lambda _, given, found: found.tanh() * self.gain)

    def forward(self, x):
        return self.linear(x)


@of(3, by="", alone="differ in more than their parameters")
class RandomObject(nn.Module):
    """Random features inside an object that no module knows of."""

    def __init__(self):
        super().__init__()
        self.linear, self.box = nn.Linear(3, 3), SimpleNamespace(features=torch.randn(3))

    def forward(self, x):
        return self.linear(x) * self.box.features


@of(3, by="", alone="differ in more than their parameters")
class RandomHalf(nn.Module):
    """Random features in a plain attribute of sixteen bits."""

    def __init__(self):
        super().__init__()
        self.linear, self.features = nn.Linear(3, 3), torch.randn(3).bfloat16()

    def forward(self, x):
        return self.linear(x) * self.features.to(x.dtype)


@of(3, refused="sets the seed of a generator")
class SeedsItself(nn.Module):
    """A constructor that seeds torch by a function imported by its name."""

    def __init__(self):
        super().__init__()
        manual_seed(7)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def forward(self, x):
        return self.layers(x)


@of(3, refused="one and the same tensor")
class SharedDefault(nn.Module):
    """An activation with a parameter, as a default argument that all networks share."""

    def __init__(self, activation=SHARED):
        super().__init__()
        self.linear, self.activation = nn.Linear(3, 3), activation

    def forward(self, x):
        return self.activation(self.linear(x))


@of(3, dtype=torch.float32, tolerance=2e-2)
class BrainFloat(nn.Module):
    """Sixteen bits throughout."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).bfloat16()

    def forward(self, x):
        return self.layers(x)


@of(3, dtype=torch.float32, tolerance=2e-2)
class HalfFloat(nn.Module):
    """The other sixteen bits."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).half()

    def forward(self, x):
        return self.layers(x)
