"""Programs of what a network may call: each passes its check against the plain loop, to 1e-9, or is not used."""

import logging

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from archab import ArchitecturalSpace, Comparison
from archab.engine.compiled import write
from archab.engine.cpp import compiler
from archab.engine.cpp.record import Untraceable
from archab.engine.loss import SquaredError
from archab.engine.plan import Compiled
from archab.space.inputs import Tokens
from archab.space.routine import AdamW

pytestmark = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        [x] = ctx.saved_tensors
        return gradient * (x.abs() < 3)


def numbers(x: Tensor, layer: nn.Linear) -> Tensor:
    """Functions, orders, running extremes, distances, masks, places in a table."""
    h = layer(x)
    s = h.sigmoid() / 2 + 0.2
    unary = s.acos() + s.asin() + s.tan() + s.asinh() + s.atanh() + s.log2() + s.exp2() + s.erfc() + s.lgamma()
    ordered = h.sort(-1, descending=True).values + h.topk(2, -1).values.sum(-1, keepdim=True)
    ordered = ordered + h.kthvalue(2).values[:, None] + h.median(-1, keepdim=True).values
    running = h.cummax(-1).values + h.logcumsumexp(-1) + h.cumprod(-1) + s.erfinv() + F.hardshrink(h)
    places = torch.bucketize(h, torch.tensor([-1.0, 0.0, 1.0], dtype=x.dtype)).to(x.dtype)
    sent = torch.zeros_like(h).scatter_reduce(1, torch.tensor([0, 1, 1, 2]).expand(len(x), 4), h, "amax")
    masked = h.clone()
    masked[h > 0.5] = 0.0
    far = torch.cdist(h[..., None], layer.weight[:, :1]).sum(-1)
    return unary + ordered + running + places * h + sent + masked + far


def pictures(x: Tensor, conv: nn.Conv2d, up: nn.ConvTranspose2d) -> Tensor:
    """Pools, borders and sizes of all kinds."""
    h = F.pad(conv(x), (1, 0, 0, 1), mode="replicate")
    pools = F.adaptive_max_pool2d(h, 2) + F.adaptive_avg_pool2d(h, 2)
    pools = pools + F.avg_pool2d(h, 3, 2, 1, ceil_mode=True, count_include_pad=False)[..., :2, :2]
    pools = pools + F.max_pool3d(h[:, None], (1, 2, 2))[:, 0, :, :2, :2]
    larger = (
        F.interpolate(h, size=(5, 4), mode="bicubic") + F.interpolate(h, scale_factor=1.3, mode="bilinear")[..., :4]
    )
    turned = torch.eye(2, 3, dtype=x.dtype).expand(len(x), 2, 3) * conv.weight.mean()
    seen = F.grid_sample(h, F.affine_grid(turned, [len(x), 2, 2, 2], align_corners=False), align_corners=False)
    return torch.cat([t.flatten(1) for t in (pools, larger, seen, up(h), F.interpolate(h, scale_factor=2))], 1)


def waves(x: Tensor, layer: nn.Linear) -> Tensor:
    """Complex numbers, as pairs of real ones, and transforms."""
    z = torch.view_as_complex(layer(x).unflatten(-1, (2, 2)))
    turned = z * torch.polar(torch.ones(2, dtype=x.dtype), torch.arange(2, dtype=x.dtype)) + z.conj() / (1 + z.abs())
    through = torch.fft.ifft(torch.fft.fft(turned, norm="ortho") * torch.exp(0.1 * z)) @ torch.complex(
        layer.weight[:2, :2], layer.weight[2:, :2]
    )
    spectrum = torch.fft.irfft(torch.fft.rfft(layer(x)) * torch.tensor([1, 2j, 0.5], dtype=z.dtype), n=4)
    return torch.cat([torch.view_as_real(through).flatten(1), spectrum, turned.angle(), turned.real], 1)


def ways(x: Tensor, layer: nn.Linear, other: nn.Linear) -> Tensor:
    """Conditions on parameters, a derivative of one's own, a part that is computed again."""
    if not torch.isfinite(layer.weight).all():
        raise ValueError("weights without end")
    h = Straight.apply(3 * layer(x)) if layer.weight.norm() > other.weight.norm() else layer(x).tanh()
    return checkpoint(other, h, use_reentrant=False)


class Use(nn.Module):
    def __init__(self, function, *makes):
        super().__init__()
        self.parts, self.function, self.kept = nn.ModuleList(make() for make in makes), function, None

    def forward(self, x):
        self.kept = self.function(x, *self.parts)  # to be looked at
        return self.kept


def linear():
    return nn.Linear(4, 4, dtype=torch.float64)


NETWORKS = {
    "numbers": (lambda: Use(numbers, linear), [4]),
    "pictures": (
        lambda: Use(
            pictures,
            lambda: nn.Conv2d(2, 2, 1, dtype=torch.float64),
            lambda: nn.ConvTranspose2d(2, 2, 2, stride=2, padding=1, output_padding=1, dtype=torch.float64),
        ),
        [2, 3, 3],
    ),
    "waves": (lambda: Use(waves, linear), [4]),
    "ways": (lambda: Use(ways, linear, linear), [4]),
    "bags": (
        lambda: nn.Sequential(nn.EmbeddingBag(7, 3, dtype=torch.float64), nn.Linear(3, 2, dtype=torch.float64)),
        [5],
    ),
}


class Once(Compiled):
    """It decides once for both sides and the targets, which are of one family."""

    def methods(self, candidates):
        return super().methods(candidates[:1]) * len(candidates)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_torch_offers_is_compiled_and_gives_the_loops_results(name, caplog):
    make, shape = NETWORKS[name]
    routine = AdamW(epochs=1, minibatch=8, schedule="constant")
    space = ArchitecturalSpace(make, {}, shape, routine=routine, name=name)
    inputs = {"inputs": Tokens(7)} if name == "bags" else {}
    with caplog.at_level(logging.DEBUG, logger="archab"):
        asked = Comparison(space, space, targets=2, samples=8, heldout_samples=8, engine=Once(), **inputs)
        used = {method.engine for method in asked.plan.methods.values()}
    assert used == {"compiled"}, caplog.text


def test_more_ways_through_a_network_than_are_worth_a_program_are_named():
    def halved(x, layer):
        h = layer(x)
        for _ in range(30):
            if h.abs().max() < 1e-3:
                break
            h = h / 2
        return h

    x = torch.randn(8, 4, dtype=torch.float64)
    with pytest.raises(Untraceable, match="more than 16 conditions on data"):
        write(Use(halved, linear), AdamW(), x, x, SquaredError())


@pytest.mark.parametrize("show", [print, "{}".format, lambda t: f"{t}", repr, logging.getLogger("mine").warning])
def test_a_network_that_prints_is_told_so(show):
    def shown(x, layer):
        show(layer(x))
        return layer(x)

    x = torch.randn(8, 4, dtype=torch.float64)
    with pytest.raises(Untraceable, match="it prints a tensor, or puts one into a text"):
        write(Use(shown, linear), AdamW(), x, x, SquaredError())
    assert repr(torch.ones(2)) == "tensor([1., 1.])"


def test_a_reason_to_refuse_data_may_name_them():
    def bounded(x, layer):
        h = layer(x)
        assert (h.abs() < 100).all(), f"too large: {h}"
        return h

    x = torch.randn(8, 4, dtype=torch.float64)
    assert write(Use(bounded, linear), AdamW(), x, x, SquaredError()).ways == ([(True,)], [(True,)])
