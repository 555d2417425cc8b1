"""One student's training step and its evaluation as flat graphs of small operations, traced once a family."""

import copy
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx, nn
from torch._decomp import decomposition_table
from torch.func import functional_call, functionalize, grad, grad_and_value
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from archab.engine.cpp.rules import RULES
from archab.engine.loss import Loss, kind
from archab.errors import explain
from archab.networks.noise import Counter, Drawn


class Untraceable(Exception):
    """Why a network cannot be traced; another engine trains it."""


@dataclass(frozen=True)
class Traced:
    """Two graphs of one network.

    Attributes:
        learnable, fixed, buffers: names of its tensors, in the order of the graphs' first inputs; a parameter that no
            training step gives a gradient is fixed, as torch's optimisers neither move nor decay it.
        step: learnable, fixed, buffers, inputs, outputs, student and step to gradients, new buffers and the loss.
        predict: learnable, fixed, buffers and inputs to predictions in evaluation mode.
    """

    learnable: list[str]
    fixed: list[str]
    buffers: list[str]
    step: fx.GraphModule
    predict: fx.GraphModule


def trace(network: nn.Module, inputs: Tensor, outputs: Tensor, loss: Loss) -> Traced:
    """Trace a network on one mini-batch, inputs (n, …) and outputs (n, …), in the precision that they have.

    Raises:
        Untraceable: where torch cannot, or the network holds what no graph shows.
    """
    learnable = {name: _laid_out(network.get_parameter(name)) for name in _reached(network, inputs, outputs, loss)}
    fixed = {name: _laid_out(p) for name, p in network.named_parameters() if name not in learnable}
    buffers = {name: _laid_out(b) for name, b in network.named_buffers()}

    def step(
        learnable: dict[str, Tensor],
        fixed: dict[str, Tensor],
        buffers: dict[str, Tensor],
        inputs: Tensor,
        outputs: Tensor,
        student: Tensor,
        at: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        def descended(learnable: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
            after = {name: b.clone() for name, b in buffers.items()}
            predictions = functional_call(network, ({**learnable, **fixed}, after), (inputs,))
            return loss.each(predictions, outputs).mean(), list(after.values())

        with _Traced(student, at):
            gradients, (value, after) = grad_and_value(descended, has_aux=True)(learnable)
        return [gradients[name] for name in learnable], after, value

    def predict(
        learnable: dict[str, Tensor], fixed: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor
    ) -> Tensor:
        def predictions(zero: Tensor) -> tuple[Tensor, Tensor]:
            with quiet:
                return zero, functional_call(network, ({**learnable, **fixed}, buffers), (inputs,))

        # Under autograd, as in a step: recurrent layers are then opened before their writes are made functional.
        return grad(predictions, has_aux=True)(torch.zeros_like(inputs, dtype=torch.float32).sum())[1]

    word = torch.zeros((), dtype=torch.int64)
    quiet = Counter(None)
    network.train()
    stepping = _flat(step, learnable, fixed, buffers, inputs, outputs, word, torch.zeros_like(word))
    network.eval()
    predicting = _flat(predict, learnable, fixed, buffers, inputs)
    network.train()
    return Traced(list(learnable), list(fixed), list(buffers), stepping, predicting)


def _laid_out(tensor: Tensor) -> Tensor:
    """As a program holds it: in order, whatever its strides are."""
    return tensor.detach().contiguous()


def _reached(network: nn.Module, inputs: Tensor, outputs: Tensor, loss: Loss) -> list[str]:
    """The parameters that a training step gives a gradient, be it zero."""
    step = copy.deepcopy(network).train()
    with torch.random.fork_rng(devices=()), Counter(torch.zeros((), dtype=torch.int64)):
        value = loss.each(step(inputs), outputs).mean()
    named = {name: p for name, p in step.named_parameters() if p.requires_grad}
    slopes = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return [name for name, slope in zip(named, slopes, strict=True) if slope is not None]


def elementwise(update: Any, dtype: torch.dtype, moments: int, numbers: int) -> fx.GraphModule:
    """The graph of an optimiser's update of one element: parameter, gradient, moments and numbers to its new state."""
    # Each a tensor of its own, or they would be one input.
    p, g, *rest = (torch.zeros((), dtype=dtype) for _ in range(2 + moments + numbers))

    def of_four(p: Tensor, g: Tensor, moments: list[Tensor], numbers: list[Tensor]) -> list[Tensor]:
        return update(p, g, moments, numbers)

    return _flat(of_four, p, g, rest[:moments], rest[moments:])


def scored(loss: Loss, outputs: Tensor) -> list[fx.GraphModule]:
    """The graphs of the error, and of the hits of a loss that counts them, in float64: prediction and output to them.

    Of one number; of a mini-batch like `outputs` where the error of a number hangs on others of its sample.
    """
    shape = outputs.shape if kind(loss) == "classes" else ()
    prediction, output = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
    each = [loss.each, *([loss.hits] if hasattr(loss, "hits") else [])]
    return [_flat(one, prediction, output) for one in each]


def _flat(function: Any, *arguments: Any) -> fx.GraphModule:
    drawn = Drawn()

    def watched(*arguments: Any) -> Any:
        with drawn:
            return function(*arguments)

    try:
        with _plain_operations():
            traced = make_fx(
                functionalize(watched, remove="mutations"),
                decomposition_table=_table(),
                tracing_mode="fake",
                _allow_non_fake_inputs=True,
            )(*arguments)
    except Exception as error:
        raise Untraceable(explain(error)) from error
    if drawn.operations:
        raise Untraceable(f"{drawn.operations[0]} draws random numbers that no counter reaches")
    traced.graph.eliminate_dead_code()
    return traced


@cache
def _table() -> dict[Any, Any]:
    """Torch's decompositions into small operations, of those that have no rule and are no composites (of C++)."""

    def composite(op: Any) -> bool:
        return isinstance(op, torch._ops.OpOverload) and torch._C._dispatch_has_kernel_for_dispatch_key(
            op.name(), "CompositeImplicitAutograd"
        )

    return {op: rule for op, rule in decomposition_table.items() if op not in RULES and not composite(op)}


@contextmanager
def _plain_operations() -> Iterator[None]:
    """Convolutions as matrix products, and none of torch's library kernels, which no decomposition opens."""
    convolutions: Any = dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution)
    pools: Any = dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), _average_pool)
    with warnings.catch_warnings(), ExitStack() as entered:
        warnings.filterwarnings("ignore", message="TF32 acceleration")
        entered.enter_context(patch.multiple(F, one_hot=_one_hot, **convolutions, **pools))
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
    axes = 1 if isinstance(kernel_size, int) and inputs.dim() == 2 else inputs.dim() - 2
    kernel = _each(kernel_size, axes)
    if ceil_mode or not count_include_pad or inputs.dim() != axes + 2:
        raise NotImplementedError("pooling of whole windows, padding counted, of batches")
    padded = F.pad(inputs, [p for end in reversed(_each(padding, axes)) for p in (end, end)])
    strides = _each(kernel_size if stride is None else stride, axes)
    total: Any = sum(seen for _, seen in _windows(padded, kernel, strides, [1] * axes))
    return total / (divisor_override or math.prod(kernel))


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


class _Traced(Counter):
    """A counter whose numbers are one operation of the graph, `archab.uniform`."""

    def __init__(self, student: Tensor, at: Tensor) -> None:
        super().__init__(student)
        self._at = at

    def _hashed(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ops.archab.uniform(self._student, self._at, self.site, list(shape), dtype)
