"""Torch's own layers, each in a small network, and what of them runs as a program."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from archab.benchmark.students import ROUTINE, Baseline, Race, interleaved
from archab.comparison.comparison import Comparison
from archab.engine.plan import Auto
from archab.space.inputs import Inputs, Normal, Tokens
from archab.space.space import ArchitecturalSpace

STEPS = 20
WORDS = 7
VECTOR, SEQUENCE, SIGNAL, IMAGE, VOLUME, SENTENCE = (4,), (6, 4), (2, 6), (2, 6, 6), (2, 4, 4, 4), (5,)
ACTIVATIONS = (
    "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish PReLU RReLU ReLU ReLU6 SELU "
    "SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"
)
MATRICES: dict[str, Callable[[Tensor], Tensor]] = {
    "matrix_exp": torch.matrix_exp,
    "linalg.solve": lambda w: torch.linalg.solve(w @ w.mT + torch.eye(4, dtype=w.dtype), w),
    "linalg.inv": lambda w: torch.linalg.inv(w @ w.mT + torch.eye(4, dtype=w.dtype)),
    "linalg.qr": lambda w: torch.linalg.qr(w + 3 * torch.eye(4, dtype=w.dtype))[0],
    "linalg.cholesky": lambda w: torch.linalg.cholesky(w @ w.mT + torch.eye(4, dtype=w.dtype)),
    "linalg.eigvalsh": lambda w: torch.linalg.eigvalsh(w @ w.mT).expand(4, 4),
    "linalg.svdvals": lambda w: torch.linalg.svdvals(w).expand(4, 4),
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "topk": lambda h: h.topk(2, -1).values,
    "sort": lambda h: h.sort(-1).values,
    "median": lambda h: h.median(-1, keepdim=True).values,
    "cummax": lambda h: h.cummax(-1).values,
    "logcumsumexp": lambda h: h.logcumsumexp(-1),
    "cdist": lambda h: torch.cdist(h[..., None], h[..., None]),
    "fft.rfft": lambda h: torch.fft.rfft(h).abs(),
    "view_as_complex": lambda h: torch.view_as_complex(h.unflatten(-1, (2, 2))).angle(),
    "nonzero": lambda h: h * len(h.detach().flatten().nonzero()) / h.numel(),
}


class Around(nn.Module):
    """Some modules, and what is done with the input and them."""

    def __init__(self, use: Callable[..., Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.parts, self.use = nn.ModuleList(modules), use

    def forward(self, x: Tensor) -> Tensor:
        """Of a mini-batch."""
        return self.use(x, *self.parts)


@dataclass(frozen=True)
class Layer:
    """How a layer is made and what its input looks like."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]

    @property
    def inputs(self) -> Inputs:
        """Words for what looks them up."""
        return Tokens(WORDS) if self.shape == SENTENCE else Normal()


def _behind(shape: tuple[int, ...], layer: Callable[..., nn.Module], *given: Any, channels: int = 2) -> Layer:
    """What need not have parameters, behind a linear layer or a convolution to so many channels."""
    learnt: Any = {1: nn.Linear, 2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}[len(shape)]
    size = (4, 4) if shape == VECTOR else (2, channels, 1)
    return Layer(lambda: nn.Sequential(learnt(*size), layer(*given)), shape)


def _around(shape: tuple[int, ...], use: Callable[..., Tensor], *makes: Callable[[], nn.Module]) -> Layer:
    return Layer(lambda: Around(use, *(make() for make in makes)), shape)


def _first(x: Tensor, layer: Any) -> Tensor:
    return layer(x)[0]


def _itself(x: Tensor, layer: Any) -> Tensor:
    return layer(x, x)


def _attended(x: Tensor, layer: Any) -> Tensor:
    return layer(x, x, x)[0]


def _alike(x: Tensor, linear: Any, like: Any) -> Tensor:
    return like(linear(x), x)


def _warped(x: Tensor, layer: Any) -> Tensor:
    turned = torch.eye(2, 3, dtype=x.dtype).expand(len(x), 2, 3) * layer.weight.mean()
    return F.grid_sample(layer(x), F.affine_grid(turned, [len(x), 2, 4, 4], align_corners=False), align_corners=False)


def _pooled(x: Tensor, layer: Any) -> Tensor:
    return torch.zeros_like(x).scatter_reduce(1, torch.tensor([0, 1, 1, 2]).expand(len(x), 4), layer(x), "amax")


def _by_matrix(function: Callable[[Tensor], Tensor], x: Tensor, linear: Any) -> Tensor:
    return x @ function(linear.weight)


def _behind_linear(function: Callable[[Tensor], Tensor], x: Tensor, linear: Any) -> Tensor:
    return function(linear(x))


def _by_axes(axes: int, shape: tuple[int, ...]) -> Iterator[tuple[str, Layer]]:
    """What torch has for signals, images and volumes alike."""

    def named(name: str) -> Any:
        return getattr(nn, f"{name}{axes}d")

    yield f"Conv{axes}d", Layer(lambda: named("Conv")(2, 3, 2, padding=1), shape)
    yield f"ConvTranspose{axes}d", Layer(lambda: named("ConvTranspose")(2, 3, 2, stride=2), shape)
    for pool in ("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool"):
        yield f"{pool}{axes}d", _behind(shape, named(pool), 2)
    yield f"LPPool{axes}d", _behind(shape, named("LPPool"), 2, 2)
    for pad in ("CircularPad", "ReflectionPad", "ReplicationPad", "ZeroPad"):
        yield f"{pad}{axes}d", _behind(shape, named(pad), 1)
    for norm in ("BatchNorm", "InstanceNorm"):
        yield f"{norm}{axes}d", _behind(shape, named(norm), 2)
    yield f"Dropout{axes}d", _behind(shape, named("Dropout"))


def _layers() -> Iterator[tuple[str, Layer]]:
    linear = partial(nn.Linear, 4, 4)
    in_order: dict[str, Any] = {"batch_first": True}
    for name in ACTIVATIONS.split():
        yield name, _behind(VECTOR, getattr(nn, name))
    for name in ("Softmin", "Softmax", "LogSoftmax"):
        yield name, _behind(VECTOR, getattr(nn, name), -1)
    for axes, shape in enumerate((SIGNAL, IMAGE, VOLUME), 1):
        yield from _by_axes(axes, shape)
    yield "FractionalMaxPool2d", _behind(IMAGE, partial(nn.FractionalMaxPool2d, 2, output_size=3))
    yield "Unfold, Fold", _behind(IMAGE, lambda: nn.Sequential(nn.Unfold(2), nn.Fold((6, 6), 2)))
    yield "GroupNorm", _behind(IMAGE, nn.GroupNorm, 2, 2)
    yield "LocalResponseNorm", _behind(IMAGE, nn.LocalResponseNorm, 2)
    for norm in (nn.LayerNorm, nn.RMSNorm):
        yield norm.__name__, _behind(VECTOR, norm, 4)
    for parametrised in ("weight_norm", "spectral_norm", "orthogonal"):
        wrap: Any = getattr(parametrizations, parametrised)
        yield parametrised, Layer(partial(lambda wrap: wrap(linear()), wrap), VECTOR)
    for recurrent in (nn.RNN, nn.LSTM, nn.GRU):
        yield recurrent.__name__, _around(SEQUENCE, _first, partial(recurrent, 4, 3, batch_first=True))
    yield "RNNCell", Layer(partial(nn.RNNCell, 4, 3), VECTOR)
    yield "GRUCell", Layer(partial(nn.GRUCell, 4, 3), VECTOR)
    yield "LSTMCell", _around(VECTOR, _first, partial(nn.LSTMCell, 4, 3))
    yield "MultiheadAttention", _around(SEQUENCE, _attended, partial(nn.MultiheadAttention, 4, 2, batch_first=True))
    yield "TransformerEncoderLayer", Layer(partial(nn.TransformerEncoderLayer, 4, 2, 8, **in_order), SEQUENCE)
    yield (
        "TransformerDecoderLayer",
        _around(SEQUENCE, _itself, partial(nn.TransformerDecoderLayer, 4, 2, 8, **in_order)),
    )
    yield "Transformer", _around(SEQUENCE, _itself, partial(nn.Transformer, 4, 2, 1, 1, 8, **in_order))
    yield "Linear", Layer(linear, VECTOR)
    yield "Bilinear", _around(VECTOR, _itself, partial(nn.Bilinear, 4, 4, 3))
    for dropout in (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout):
        yield dropout.__name__, _behind(VECTOR, dropout)
    yield "Embedding", Layer(partial(nn.Embedding, WORDS, 3), SENTENCE)
    yield "Embedding, max_norm", Layer(partial(nn.Embedding, WORDS, 3, max_norm=1.0), SENTENCE)
    for mode in ("sum", "mean", "max"):
        yield f"EmbeddingBag, {mode}", Layer(partial(nn.EmbeddingBag, WORDS, 3, mode=mode), SENTENCE)
    for like in (nn.CosineSimilarity, nn.PairwiseDistance):
        yield like.__name__, _around(VECTOR, _alike, linear, like)
    yield "PixelShuffle", _behind(IMAGE, nn.PixelShuffle, 2, channels=4)
    yield "PixelUnshuffle", _behind(IMAGE, nn.PixelUnshuffle, 2)
    yield "ChannelShuffle", _behind(IMAGE, nn.ChannelShuffle, 2, channels=4)
    for mode in ("nearest", "bilinear", "bicubic"):
        yield f"Upsample, {mode}", _behind(IMAGE, partial(nn.Upsample, scale_factor=2, mode=mode))
    yield "grid_sample", _around(IMAGE, _warped, partial(nn.Conv2d, 2, 2, 1))
    yield "scatter_reduce", _around(VECTOR, _pooled, linear)
    for name, matrix in MATRICES.items():
        yield name, _around(VECTOR, partial(_by_matrix, matrix), linear)
    for name, function in FUNCTIONS.items():
        yield name, _around(VECTOR, partial(_behind_linear, function), linear)


LAYERS = dict(_layers())


def found(layer: Layer, name: str, students: int, repeats: int) -> tuple[str, float]:
    """The engine that `auto` takes for so many students of 1,000 steps, and how many times the loop's speed it has."""
    space = ArchitecturalSpace(layer.make, {}, list(layer.shape), routine=replace(ROUTINE, epochs=50), name=name)
    asked = Comparison(space, space, targets=students // 2 * 2, samples=320, inputs=layer.inputs)
    [method] = Auto().methods([asked.candidates["a", 0]])
    race = Race(space, students, STEPS, inputs=layer.inputs)
    ways: dict[str, Baseline] = {"loop": race.loop}
    if method.engine != "loop":
        ways[method.engine] = race.program(1) if method.engine == "compiled" else race.vmap
    rates = interleaved(ways, repeats)
    over = [mine.rate / plain.rate for mine, plain in zip(rates[method.engine], rates["loop"], strict=True)]
    return method.engine, statistics.median(over)
