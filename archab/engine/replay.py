"""Is what stands in for torch's functions what they are? A step by them and one by torch's own, on equal noise."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from archab.engine.equivalence import Sample, in_double, largest
from archab.errors import explain
from archab.networks import stand_ins
from archab.networks.noise import Counter, draws, unfused
from archab.networks.probe import fitting
from archab.networks.streams import Stage, forked, stream
from archab.space.watching import Watching

STUDENT = 2**40 + 7  # whose noise it is: no student's of a run


class Replayed(Watching):
    """Gives what torch draws by itself, wherever it draws, the numbers of a counter, site by site."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        name = function.overloadpacket.__name__
        if draws(function, args, named) and named.get("generator") is None:
            given = {key: value for key, value in named.items() if value is not None}
            stand_in = _OPERATIONS.get(name)
            found = NotImplemented if stand_in is None else stand_in(self._counter, *args, **given)
            if found is not NotImplemented:
                return found
        return function(*args, **named)


def _native_dropout(counter: Counter, input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    if not train or not 0 < p < 1:
        return NotImplemented
    kept = counter.uniform(tuple(input.shape), input) >= p
    return input * kept / (1 - p), kept


def _rrelu(counter: Counter, input: Tensor, noise: Tensor, *bounds: Any) -> Tensor:
    slope = stand_ins.FUNCTIONS["rrelu"](counter, -torch.ones_like(input), *bounds)
    if slope is NotImplemented:
        return NotImplemented
    noise.copy_(torch.where(input <= 0, -slope, 1.0))
    return input * noise


def _rrelu_(counter: Counter, input: Tensor, noise: Tensor, *bounds: Any) -> Tensor:
    found = _rrelu(counter, input, noise, *bounds)
    return found if found is NotImplemented else input.copy_(found)


_OPERATIONS: dict[str, stand_ins.StandIn] = {
    **stand_ins.FUNCTIONS,
    **stand_ins.METHODS,
    "native_dropout": _native_dropout,
    "rrelu_with_noise": _rrelu,
    "rrelu_with_noise_": _rrelu_,
}


def why_torchs_own(sample: Sample) -> str | None:
    """Why torch's own functions must train students, one by one; None where those that stand in for them do the same.

    Predictions, loss, gradients and buffers of one step are compared, in float64 to 1e-9 where the network runs in it,
    else in its own precision to 1e-4. What draws in torch itself gets the same numbers in both.
    """
    if not _reached(sample):
        return None
    for double, tolerance in ((True, 1e-9), (False, 1e-4)):
        counter, found, failed = Counter(torch.tensor(STUDENT, device=sample.device)), {}, ""
        try:
            found = _step(sample, double, counter, replaced=True)
        except Exception as error:  # whatever a user's network raises
            failed = explain(error)
        try:
            wanted = _step(sample, double, counter, replaced=False)
        except Exception:  # in this precision, or in any: then training says so
            continue
        differing = [name for name in {**wanted, **found} if not _same(found.get(name), wanted.get(name), tolerance)]
        changed = f"fails: {failed}" if failed else f"changes {differing[0]}" if differing else None
        return changed and f"what stands in for torch's attention and random functions {changed}"
    return None


def _reached(sample: Sample) -> bool:
    """Whether a student calls anything that stands in for a function of torch's."""
    counter, inputs = Counter(torch.tensor(STUDENT, device=sample.device)), sample.cohort(1, 1).inputs[0]
    with forked(stream(0, Stage.CHECK, "a", "a", sample.member, 0, 0)):
        network = sample.space.construct(sample.member).to(sample.device).train()
        with counter:
            try:
                network(fitting(network, inputs).to(sample.device))
            except Exception:  # whatever a user's network raises
                return True
    return counter.reached


def _step(sample: Sample, double: bool, counter: Counter, replaced: bool) -> dict[str, Tensor]:
    """What one step of the same network on the same mini-batch finds."""
    cohort = sample.cohort(1, 1)
    counter.step, counter.site = 1, 0
    with forked(stream(0, Stage.CHECK, "a", "a", sample.member, 0, 0)):
        made = sample.space.construct(sample.member)
        network = (in_double(made) if double else made).to(sample.device).train()
        x, y = (fitting(network, t[0]).to(sample.device) for t in (cohort.inputs, cohort.outputs))
        with unfused(), _replayable(sample.device), Replayed(counter), counter if replaced else nullcontext():
            predictions = network(x)
            loss = cohort.loss.each(predictions, y).mean()
            loss.backward()
    slopes = {f"the gradient of {name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return {"its outputs": predictions.detach(), "the loss": loss.detach(), **slopes, **dict(network.named_buffers())}


def _replayable(device: torch.device) -> AbstractContextManager[None]:
    """The fused attention of a GPU draws in itself."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cuda" else nullcontext()


def _same(found: Tensor | None, wanted: Tensor | None, tolerance: float) -> bool:
    if found is None or wanted is None or found.shape != wanted.shape:
        return False
    one, other = (t.to(torch.complex128 if t.is_complex() else torch.float64) for t in (found, wanted))
    scale = max(largest(other), 1.0)
    return torch.allclose(one / scale, other / scale, rtol=tolerance, atol=tolerance, equal_nan=True)
