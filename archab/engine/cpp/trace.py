"""One student's training step and its evaluation as flat graphs of small operations, traced once a family."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, grad, grad_and_value

from archab.engine.cpp.branches import Way, every, on
from archab.engine.cpp.record import Untraceable, flat
from archab.engine.loss import Loss, kind
from archab.networks.noise import Counter
from archab.space.watching import Watching

REFUSALS = AssertionError, ValueError  # what a network raises where it does not like its data


@dataclass(frozen=True)
class Traced:
    """Two graphs of one network.

    Attributes:
        learnable, fixed, buffers: names of its tensors, in the order of the graphs' first inputs; a parameter that no
            training step gives a gradient is fixed, as torch's optimisers neither move nor decay it.
        step: learnable, fixed, buffers, inputs, outputs, student and step to gradients, the new fixed and buffers, and
            the loss.
        predict: learnable, fixed, buffers and inputs to predictions in evaluation mode.
        ways: through conditions on data, of a step and of an evaluation, but those on which it refuses its data.
    """

    learnable: list[str]
    fixed: list[str]
    buffers: list[str]
    step: fx.GraphModule
    predict: fx.GraphModule
    ways: tuple[list[Way], list[Way]]


def trace(network: nn.Module, inputs: Tensor, outputs: Tensor, loss: Loss) -> Traced:
    """Trace a network on one mini-batch, inputs (n, …) and outputs (n, …), in the precision that they have.

    Raises:
        Untraceable: where torch cannot, or the network holds what no graph shows.
    """
    reached = _reached(network, inputs, outputs, loss)
    learnable = {name: _laid_out(network.get_parameter(name)) for name in reached}
    held = {name: _laid_out(p) for name, p in network.named_parameters() if name not in learnable}
    fixed = list(held)
    held |= {name: _laid_out(b) for name, b in network.named_buffers()}
    of_complex = {name for name, t in (*network.named_parameters(), *network.named_buffers()) if t.is_complex()}
    ways: list[Way] = []
    refused: set[Way] = set()

    def answered(tensors: dict[str, Tensor], inputs: Tensor, training: bool) -> Tensor:
        own = {name: torch.view_as_complex(t) if name in of_complex else t for name, t in tensors.items()}
        with _as_before(network.train(training)):
            return functional_call(network, own, (inputs,))

    def step(
        learnable: dict[str, Tensor],
        held: dict[str, Tensor],
        inputs: Tensor,
        outputs: Tensor,
        student: Tensor,
        at: Tensor,
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        def on_way(way: Way) -> tuple[Any, list[Tensor]]:
            def descended(learnable: dict[str, Tensor]) -> tuple[Tensor, tuple[list[Tensor], list[Tensor]]]:
                after = {name: b.clone() for name, b in held.items()}
                with on(way) as asked:
                    try:
                        predictions = answered({**learnable, **after}, inputs, True)
                        value = loss.each(predictions, outputs).mean()
                    except REFUSALS:
                        if not asked:
                            raise
                        refused.add(asked.whole)
                        asked.shown = False  # the reason that it gives
                        value = torch.stack([p.sum() for p in learnable.values()]).sum() * torch.nan
                return value, (list(after.values()), list(asked))

            with _Traced(student, at):
                gradients, (value, (after, asked)) = grad_and_value(descended, has_aux=True)(learnable)
            return ([gradients[name] for name in learnable], after, value), asked

        found, ways[:] = every(on_way)
        return found

    def predict(learnable: dict[str, Tensor], held: dict[str, Tensor], inputs: Tensor) -> Tensor:
        def on_way(way: Way) -> tuple[Any, list[Tensor]]:
            def predictions(zero: Tensor) -> tuple[Tensor, tuple[Tensor, list[Tensor]]]:
                buffers = {name: held[name].clone() for name in held if name not in fixed}
                with quiet, on(way) as asked:
                    try:
                        found = answered({**learnable, **held, **buffers}, inputs, False)
                    except REFUSALS:
                        if not asked:
                            raise
                        refused.add(asked.whole)
                        asked.shown = False  # the reason that it gives
                        found = torch.full_like(outputs, torch.nan)
                return zero, (found, list(asked))

            # Under autograd, as in a step: recurrent layers are then opened before their writes are made functional.
            return grad(predictions, has_aux=True)(torch.zeros_like(inputs, dtype=torch.float32).sum())[1]

        found, ways[:] = every(on_way)
        return found

    word = torch.zeros((), dtype=torch.int64)
    quiet = Counter(None)
    stepping = flat(step, learnable, held, inputs, outputs, word, torch.zeros_like(word))
    stepped = [way for way in ways if way not in refused]
    refused.clear()
    if len(ways) > 1 and any(_reached(network, inputs, outputs, loss, way) not in (reached, []) for way in ways):
        raise Untraceable("which parameters learn depends on data")
    predicting = flat(predict, learnable, held, inputs)
    network.train()
    answered_ = [way for way in ways if way not in refused]
    return Traced(list(learnable), fixed, list(held)[len(fixed) :], stepping, predicting, (stepped, answered_))


@contextmanager
def _as_before(network: nn.Module) -> Iterator[None]:
    """Afterwards its attributes are what they were: what it keeps of one trace must not be seen by the next."""
    before = [(here, dict(here)) for module in network.modules() for here in (vars(module), module._buffers)]
    try:
        yield
    finally:
        for here, attributes in before:
            here.clear()
            here.update(attributes)


def _laid_out(tensor: Tensor) -> Tensor:
    """As a program holds it: in order, whatever its strides are, and complex numbers as two real ones."""
    tensor = tensor.detach().resolve_conj().contiguous()
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _reached(network: nn.Module, inputs: Tensor, outputs: Tensor, loss: Loss, way: Way | None = None) -> list[str]:
    """The parameters that a training step gives a gradient, be it zero; on a way that is refused, none."""
    step = copy.deepcopy(network).train()
    with torch.random.fork_rng(devices=()), Counter(torch.zeros((), dtype=torch.int64)), ExitStack() as taken:
        asked = None if way is None else taken.enter_context(on(way))
        held = dict(step.named_buffers())
        writing = taken.enter_context(_Writing(dict(step.named_parameters())))
        try:
            value = loss.each(step(inputs), outputs).mean()
        except REFUSALS:
            if asked is None:
                raise
            asked.shown = False
            return []
        now = dict(step.named_buffers())
        if replaced := [name for name, buffer in held.items() if now.get(name) is not buffer]:
            raise Untraceable(f"its forward pass puts another tensor in the place of {replaced[0]}")
    if writing.written:
        raise Untraceable(f"its forward pass writes on {writing.written[0]}, which it learns")
    value.backward()
    return [name for name, p in step.named_parameters() if p.grad is not None]


class _Writing(Watching):
    """Sees which of these tensors that learn are written on, also through `.data`."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self._names = {t.untyped_storage().data_ptr(): name for name, t in tensors.items() if t.requires_grad}
        self.written: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for argument, given in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(given, Tensor):
                name = self._names.get(given.untyped_storage().data_ptr())
                self.written += [name] if name else []
        return func(*args, **(kwargs or {}))


def elementwise(update: Any, dtype: torch.dtype, moments: int, numbers: int) -> fx.GraphModule:
    """The graph of an optimiser's update of one element: parameter, gradient, moments and numbers to its new state."""
    # Each a tensor of its own, or they would be one input.
    p, g, *rest = (torch.zeros((), dtype=dtype) for _ in range(2 + moments + numbers))

    def of_four(p: Tensor, g: Tensor, moments: list[Tensor], numbers: list[Tensor]) -> list[Tensor]:
        return update(p, g, moments, numbers)

    return flat(of_four, p, g, rest[:moments], rest[moments:])


def scored(loss: Loss, outputs: Tensor) -> list[fx.GraphModule]:
    """The graphs of the error, and of the hits of a loss that counts them, in float64: prediction and output to them.

    Of one number; of a mini-batch like `outputs` where the error of a number hangs on others of its sample.
    """
    shape = outputs.shape if kind(loss) == "classes" else ()
    prediction, output = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
    each = [loss.each, *([loss.hits] if hasattr(loss, "hits") else [])]
    return [flat(one, prediction, output) for one in each]


class _Traced(Counter):
    """A counter whose numbers are one operation of the graph, `archab.uniform`."""

    def __init__(self, student: Tensor, at: Tensor) -> None:
        super().__init__(student)
        self._at = at

    def _hashed(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.ops.archab.uniform(self._student, self._at, self.site, list(shape), dtype)
