"""Torch's larger functions in small operations, which stand in for them while a network is traced.

Each takes what torch's own takes; a use of it that is not opened raises NotImplementedError, and another engine trains
the network.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._C._functorch import TransformType
from torch._decomp import decompositions
from torch._functorch.autograd_function import custom_function_call
from torch.autograd import Function
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint


@contextmanager
def opened() -> Iterator[None]:
    """Within it, torch calls these, and none of its library kernels, which no decomposition opens."""
    axes = "1d", "2d", "3d"
    reductions: Any = {"scatter_reduce": _scatter_reduce}
    functions: Any = {
        **{f"conv{n}": _convolution for n in axes},
        **{f"conv_transpose{n}": _transposed_convolution for n in axes},
        **{f"avg_pool{n}": _average_pool for n in axes},
        **{f"adaptive_max_pool{n}d": partial(_adaptive_max_pool, n) for n in (1, 2, 3)},
        "max_pool3d": _max_pool,
        "pad": _pad,
        "grid_sample": _grid_sample,
        **{f"adaptive_avg_pool{n}d": partial(_adaptive_average_pool, n) for n in (1, 2, 3)},
        "one_hot": _one_hot,
        "interpolate": _interpolate,
        "bilinear": _bilinear,
        "embedding_bag": _embedding_bag,
    }
    checkpoints: Any = {"_checkpoint_without_reentrant_generator": _nothing}
    with warnings.catch_warnings(), ExitStack() as entered:
        warnings.filterwarnings("ignore", message="TF32 acceleration")
        entered.enter_context(patch.multiple(F, **functions))
        entered.enter_context(patch.multiple(torch, cdist=_distances, bilinear=_bilinear, **reductions))
        entered.enter_context(patch.multiple(Tensor, **reductions))
        entered.enter_context(patch.multiple(checkpoint, **checkpoints))
        entered.enter_context(patch.object(Function, "apply", classmethod(_applied)))
        entered.enter_context(patch.dict(custom_function_call.functorch_table, {_FUNCTIONALIZE: _forward}))
        entered.enter_context(torch.backends.mkldnn.flags(enabled=False))
        entered.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def _convolution(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution of any dimension, as a sum of matrix products over the positions of its kernel."""
    kernel = list(weight.shape[2:])
    axes = len(kernel)
    dilations = _each(dilation, axes)
    reach = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
    if padding == "same":
        ends = [(r // 2, r - r // 2) for r in reach]
    else:
        ends = [(p, p) for p in _each(0 if isinstance(padding, str) else padding, axes)]
    unbatched = inputs.dim() == axes + 1
    padded = F.pad(inputs[None] if unbatched else inputs, [p for end in reversed(ends) for p in end])
    samples, channels = padded.shape[:2]
    total: Any = 0
    for position, seen in _windows(padded, kernel, _each(stride, axes), dilations):
        place: Any = (..., *position)
        each = weight[place].reshape(groups, -1, channels // groups)
        total = total + each @ seen.reshape(samples, groups, channels // groups, -1)
    total = total.reshape(samples, len(weight), *seen.shape[2:])
    if bias is not None:
        total = total + bias.reshape(-1, *[1] * axes)
    return total[0] if unbatched else total


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """`F.one_hot`, without a look at the values."""
    if num_classes < 0:
        raise NotImplementedError("one_hot without a number of classes")
    return (tensor.unsqueeze(-1) == torch.arange(num_classes, device=tensor.device)).long()


def _average_pool(
    inputs: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling, as a sum over the positions of its kernel."""
    axes = inputs.dim() - 2
    kernel, strides, ends = (_each(v, axes) for v in (kernel_size, stride or kernel_size, padding))
    if ceil_mode or not count_include_pad:
        for dim, (size, step, end) in enumerate(zip(kernel, strides, ends, strict=True), 2):
            n = inputs.shape[dim]
            m = (math.ceil if ceil_mode else math.floor)((n + 2 * end - size) / step) + 1
            m -= (m - 1) * step >= n + end  # no window begins behind the border
            rows = []
            for i in range(m):
                low, high = i * step - end, min(i * step - end + size, n + end)
                count = high - low if count_include_pad else min(high, n) - max(low, 0)
                rows.append([(low <= k < high) / (1 if divisor_override else count) for k in range(n)])
            inputs = _weighted(inputs, dim, rows)
        return inputs / (divisor_override or 1)
    padded = F.pad(inputs, [p for end in reversed(ends) for p in (end, end)])
    total: Any = sum(seen for _, seen in _windows(padded, kernel, strides, [1] * axes))
    return total / (divisor_override or math.prod(kernel))


def _max_pool(
    inputs: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The first of the largest that each position of the kernel sees."""
    axes = inputs.dim() - 2
    if ceil_mode or return_indices:
        raise NotImplementedError("max pooling of incomplete windows, or with its indices")
    padded = F.pad(inputs, [p for end in reversed(_each(padding, axes)) for p in (end, end)], value=-math.inf)
    strides = _each(stride or kernel_size, axes)
    seen = [one for _, one in _windows(padded, _each(kernel_size, axes), strides, _each(dilation, axes))]
    return torch.stack(seen).max(0).values


def _adaptive_max_pool(axes: int, inputs: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
    if return_indices:
        raise NotImplementedError("adaptive max pooling with its indices")
    if not axes:
        return inputs
    dim, (size, *others) = inputs.dim() - axes, _each(output_size, axes)
    n, m = inputs.shape[dim], inputs.shape[dim] if size is None else size
    inputs = _adaptive_max_pool(axes - 1, inputs, others)
    windows = [inputs.narrow(dim, i * n // m, -(-(i + 1) * n // m) - i * n // m) for i in range(m)]
    return torch.stack([window.max(dim).values for window in windows], dim)


def _pad(inputs: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Padding; by the border's values it is a choice of places."""
    if mode != "replicate":
        return _PAD(inputs, pad, mode, value)
    for axis, (low, high) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        n = inputs.shape[-1 - axis]
        places = [min(max(k, 0), n - 1) for k in range(-low, n + high)]
        inputs = inputs.index_select(inputs.dim() - 1 - axis, torch.tensor(places, device=inputs.device))
    return inputs


def _grid_sample(
    inputs: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    if inputs.dim() != 4:
        raise NotImplementedError("grid_sample of volumes")
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    found: Tensor = decompositions.grid_sampler_2d(
        inputs, grid, modes.index(mode), paddings.index(padding_mode), bool(align_corners)
    )
    return found


def _scatter_reduce(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Sums, means and extremes of what is sent to each place; equal extremes share the gradient."""
    src = src[tuple(slice(n) for n in index.shape)]
    one = torch.ones_like(src)
    if not include_self:
        reached = torch.zeros_like(self).scatter_add(dim, index, one) > 0
        self = torch.where(reached, {"amax": -math.inf, "amin": math.inf, "prod": 1.0}.get(reduce, 0.0), self)
    if reduce in ("sum", "mean"):
        total = self.scatter_add(dim, index, src)
        counts = torch.full_like(self, float(include_self)).scatter_add(dim, index, one)
        return total / counts.clamp(min=1) if reduce == "mean" else total
    if reduce == "prod":
        raise NotImplementedError("products of what is sent to one place")
    with torch.no_grad():
        found = _SCATTER_REDUCE(self, dim, index, src, reduce)
        own, sent = (self == found).to(src.dtype), (src == found.gather(dim, index)).to(src.dtype)
        shared = own.scatter_add(dim, index, sent)
    kept = torch.where(own > 0, self, 0.0) / shared
    return kept.scatter_add(dim, index, src * sent / shared.gather(dim, index))


def _windows(
    padded: Tensor, kernel: list[int], strides: list[int], dilations: list[int]
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """What each position of a kernel sees, shape (n, channels, …), as the kernel moves over all places."""
    sizes = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(padded.shape[2:], kernel, strides, dilations, strict=True)
    ]
    for position in product(*map(range, kernel)):
        window: Any = tuple(
            slice(k * d, k * d + (n - 1) * s + 1, s)
            for k, d, n, s in zip(position, dilations, sizes, strides, strict=True)
        )
        yield position, padded[(slice(None), slice(None), *window)]


def _each(value: int | Sequence[int], axes: int) -> list[int]:
    return [value] * axes if isinstance(value, int) else list(value) * (axes // len(value))


def _transposed_convolution(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """A convolution of the inputs with zeros between them by the turned kernel."""
    kernel = list(weight.shape[2:])
    axes = len(kernel)
    spread = inputs[None] if inputs.dim() == axes + 1 else inputs
    for axis, step in enumerate(_each(stride, axes)):
        dim = axis + 2
        between = F.pad(spread.unsqueeze(dim + 1), [0, 0] * (axes - 1 - axis) + [0, step - 1])
        spread = between.flatten(dim, dim + 1).narrow(dim, 0, (spread.shape[dim] - 1) * step + 1)
    dilations, more = _each(dilation, axes), _each(output_padding, axes)
    ends = [d * (k - 1) - p for d, k, p in zip(dilations, kernel, _each(padding, axes), strict=True)]
    padded = F.pad(spread, [end for low, high in zip(ends[::-1], more[::-1], strict=True) for end in (low, low + high)])
    turned = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(list(range(2, axes + 2)))
    found = _convolution(padded, turned, bias, dilation=dilations, groups=groups)
    return found[0] if inputs.dim() == axes + 1 else found


def _interpolate(
    inputs: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizing, by a matrix for each axis."""
    axes = inputs.dim() - 2
    if mode not in _TAPS or antialias:
        raise NotImplementedError(f"interpolation by {mode}{' with antialias' if antialias else ''}")
    factors: Any = [scale_factor] * axes if isinstance(scale_factor, int | float) else scale_factor
    before = inputs.shape[2:]
    after = [math.floor(n * f) for n, f in zip(before, factors, strict=True)] if factors else _each(size or 1, axes)
    for axis, (n, m) in enumerate(zip(before, after, strict=True)):
        scale = 1 / factors[axis] if factors and not recompute_scale_factor else n / m
        rows = [[0.0] * n for _ in range(m)]
        for i, row in enumerate(rows):
            for at, weight in _TAPS[mode](i, (n - 1) / max(m - 1, 1) if align_corners else scale, bool(align_corners)):
                row[min(max(at, 0), n - 1)] += weight
        inputs = _weighted(inputs, axis + 2, rows)
    return inputs


def _weighted(inputs: Tensor, dim: int, rows: list[list[float]]) -> Tensor:
    """Sums along one axis, by these weights of each."""
    matrix = torch.tensor(rows, dtype=inputs.dtype, device=inputs.device)
    return (inputs.movedim(dim, -1) @ matrix.T).movedim(-1, dim)


def _adaptive_average_pool(axes: int, inputs: Tensor, output_size: Any) -> Tensor:
    """Means over windows that share each of the last axes between them as evenly as they can."""
    for dim, size in enumerate(_each(output_size, axes), inputs.dim() - axes):
        n, m = inputs.shape[dim], inputs.shape[dim] if size is None else size
        edges = [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
        inputs = _weighted(inputs, dim, [[(a <= k < b) / (b - a) for k in range(n)] for a, b in edges])
    return inputs


def _linear(i: int, scale: float, corners: bool) -> list[tuple[int, float]]:
    at = i * scale if corners else max((i + 0.5) * scale - 0.5, 0.0)
    low = math.floor(at)
    return [(low, low + 1 - at), (low + 1, at - low)]


def _cubic(i: int, scale: float, corners: bool) -> list[tuple[int, float]]:
    at = i * scale if corners else (i + 0.5) * scale - 0.5
    low, a = math.floor(at), -0.75

    def weight(x: float) -> float:
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((x - 5) * x + 8) * x * a - 4 * a

    return [(low + k, weight(abs(at - low - k))) for k in (-1, 0, 1, 2)]


_TAPS: dict[str, Callable[[int, float, bool], list[tuple[int, float]]]] = {
    "nearest": lambda i, scale, _: [(math.floor(i * scale), 1.0)],
    "nearest-exact": lambda i, scale, _: [(math.floor((i + 0.5) * scale), 1.0)],
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _linear),
    "bicubic": _cubic,
}


def _bilinear(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    found = torch.einsum("...i,oij,...j->...o", one, weight, other)
    return found if bias is None else found + bias


def _embedding_bag(
    words: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """A sum, a mean or the largest over bags of equal length."""
    if words.dim() != 2 or max_norm is not None or scale_grad_by_freq or (mode == "max" and padding_idx is not None):
        raise NotImplementedError("embedding_bag of bags of unequal length, bounded or padded rows")
    rows = F.embedding(words, weight)
    if mode == "max":
        return rows.max(1).values
    counts = (words != (-1 if padding_idx is None else padding_idx % len(weight))).to(rows.dtype)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    total = (rows * counts.unsqueeze(-1)).sum(1)
    return total if mode == "sum" else total / counts.sum(1, keepdim=True).clamp(min=1)


def _distances(one: Tensor, other: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """Of each row to each; where two are equal, its slope is 0."""
    apart = one.unsqueeze(-2) - other.unsqueeze(-3)
    if p == 1:
        return apart.abs().sum(-1)
    if p != 2:
        raise NotImplementedError(f"distances by the norm of p={p:g}")
    squares = apart.square().sum(-1)
    equal = squares == 0
    return torch.where(equal, 0.0, torch.where(equal, 1.0, squares).sqrt())


def _nothing(*_: Any, **__: Any) -> Iterator[None]:
    """What a checkpoint does around a part of a network: nothing, where all is kept."""
    yield


def _forward(interpreter: Any, function: Any, *given: Any, **_: Any) -> Any:
    """What a function of one's own is where nothing is differentiated: torch has no rule for it there."""
    return function.forward(*given)


_PAD, _SCATTER_REDUCE = F.pad, Tensor.scatter_reduce
_FUNCTIONALIZE = TransformType.Functionalize
_APPLY = Function.__dict__["apply"].__func__


def _applied(own: Any, *inputs: Any) -> Any:
    """An `autograd.Function` of the old style in the new one, the only one that torch's transforms take."""
    if own is checkpoint.CheckpointFunction:
        run, _, *given = inputs
        return run(*given)
    if own.setup_context is not Function.setup_context:
        return _APPLY(own, *inputs)
    context = _Context([isinstance(value, Tensor) and value.is_floating_point() for value in inputs])

    class Renewed(Function):
        @staticmethod
        def forward(*given: Any) -> Any:
            return own.forward(context, *given)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            outputs = output if isinstance(output, tuple) else (output,)
            ctx.mark_non_differentiable(*(o for o in outputs if any(o is fixed for fixed in context.fixed)))

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return own.backward(context, *gradients)

    return _APPLY(Renewed, *inputs)


class _Context:
    """What a function of the old style keeps for its way back."""

    saved_tensors: tuple[Any, ...] = ()
    fixed: tuple[Any, ...] = ()

    def __init__(self, needed: Sequence[bool]) -> None:
        self.needs_input_grad = tuple(needed)

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self.fixed = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Gradients of what was not used are zeros here, which is torch's default, too."""

    def mark_dirty(self, *tensors: Any) -> None:
        raise NotImplementedError("an autograd.Function that writes on its input")
