"""What students minimise and are scored by: an error of each number, and that of the best constant predictor."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from archab.errors import ArchabError, explain
from archab.networks.streams import EVALUATION_SAMPLES

GOLDEN = (math.sqrt(5) - 1) / 2
AT_ONCE = 2**16  # numbers of the outputs whose constants are found together: they stay in the cache
SECTIONS = 40  # to 4e-9 of the range, and so, where the error is smooth, to 1e-17 of it


class Loss(Protocol):
    """An error that is learnt and scored by: of each number alone, convex in the prediction and 0 where it is right.

    One that has `of = "classes"` is of shares that lie on the last axis: its predictions are logits, its outputs are 1
    for the class that is right, 0 for others, and 0 for all where a position does not count. One of `odds` has a logit
    for each output of 0 or 1.

    Example:
        >>> SquaredError().each(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
        tensor([0., 4.])
    """

    @property
    def name(self) -> str:
        """What a verdict calls it."""

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """The error of every number that was predicted; its mean over a mini-batch is what a step descends."""

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """The mean error of the best constant predictor over the samples on `axis`, in float64, one a target."""


@dataclass(frozen=True)
class SquaredError:
    """The squared error; scores relative to the constant predictor are the NMSE."""

    name: ClassVar[str] = "squared error"

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        return (predictions - outputs).square()

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """Mean variance of the output coordinates."""
        numbers = _coordinates(outputs, axis)  # a third of the time of Tensor.var
        return (numbers - numbers.mean(axis, keepdim=True)).square_().mean((axis, -1))


@dataclass(frozen=True)
class AbsoluteError:
    """The absolute error.

    Example:
        >>> AbsoluteError().constant(torch.tensor([[0.0, 1.0, 5.0]]))
        tensor([1.6667], dtype=torch.float64)
    """

    name: ClassVar[str] = "absolute error"

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        return (predictions - outputs).abs()

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """Mean distance of the output coordinates from their median."""
        numbers = _coordinates(outputs, axis)
        return (numbers - numbers.median(axis, keepdim=True).values).abs().mean((axis, -1))


@dataclass(frozen=True)
class Huber:
    """Half the squared error up to `delta`, from there on the absolute one times delta (Huber 1964, equation 1.4).

    Targets have variance 1.

    Attributes:
        delta: the absolute error from which on it grows linearly, a positive number.

    Raises:
        ArchabError: if delta is not positive and finite.

    Example:
        >>> Huber(delta=1.0).each(torch.tensor([0.5, 3.0]), torch.zeros(2))
        tensor([0.1250, 2.5000])
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.delta, int | float) or not 0 < self.delta < math.inf:
            raise ArchabError(f"loss.delta={self.delta!r}: a positive number is needed")

    @property
    def name(self) -> str:
        """See `Loss`."""
        return f"Huber loss (delta {self.delta:g})"

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        off = (predictions - outputs).abs()
        near = off.clamp(max=self.delta)
        return near * (off - near / 2)

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """See `best_constant`."""
        return best_constant(self.each, outputs, axis)


@dataclass(frozen=True)
class Own:
    """A function of predictions and outputs that gives the error of each number, as a loss.

    Attributes:
        function: the same on numbers of any shape; convex in the predictions.
    """

    function: Callable[[Tensor, Tensor], Tensor]

    @property
    def name(self) -> str:
        """See `Loss`."""
        function = getattr(self.function, "func", self.function)
        return str(getattr(function, "__name__", type(function).__name__))

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        return self.function(predictions, outputs)

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """See `best_constant`."""
        return best_constant(self.each, outputs, axis)


@dataclass(frozen=True)
class CrossEntropy:
    """Minus the logarithm of the share that the softmax of the last axis gives to the right class, in nats.

    The constant predictor gives each class its own share: its error is the entropy of the classes at each position.

    Example:
        >>> classes = torch.eye(2)[torch.tensor([[0, 0, 1, 1]])]
        >>> CrossEntropy().constant(classes) * 2 == torch.tensor(2.0, dtype=torch.float64).log()  # of 2 numbers each
        tensor([True])
    """

    name: ClassVar[str] = "cross-entropy"
    of: ClassVar[str] = "classes"

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`; of the numbers of a position, the one of the right class holds its error."""
        return -outputs * predictions.log_softmax(-1)

    def hits(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """1 at the right class where its logit is the largest; where several are, their share. Their sum is counted."""
        top = (predictions >= predictions.amax(-1, keepdim=True)).to(predictions.dtype)
        return outputs * top / top.sum(-1, keepdim=True)

    def asked(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """How many positions count, one a target."""
        return outputs.double().flatten(axis).sum(-1)

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """See `Loss`."""
        counts = outputs.double().sum(axis)
        of_all = counts.sum(-1, keepdim=True).clamp(min=1)
        entropy = -torch.special.xlogy(counts, counts / of_all).flatten(axis).sum(-1)
        return entropy / (outputs.shape[axis] * counts[(0,) * axis].numel())


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """Minus the logarithm of the probability that the logistic function of a prediction gives to an output of 0 or 1.

    Example:
        >>> BinaryCrossEntropy().each(torch.zeros(2), torch.tensor([0.0, 1.0])) == torch.tensor(2.0).log()
        tensor([True, True])
    """

    name: ClassVar[str] = "binary cross-entropy"
    of: ClassVar[str] = "odds"

    def each(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """See `Loss`."""
        return predictions.clamp(min=0) - predictions * outputs + (-predictions.abs()).exp().log1p()

    def hits(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """1 where the likelier of 0 and 1 is right."""
        return ((predictions > 0) == (outputs > 0.5)).to(predictions.dtype)

    def asked(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """How many outputs there are, one a target."""
        return torch.full(outputs.shape[:axis], outputs[(0,) * axis].numel(), dtype=torch.float64)

    def constant(self, outputs: Tensor, axis: int = 1) -> Tensor:
        """See `Loss`."""
        shares = _coordinates(outputs, axis).mean(axis)
        return -(torch.special.xlogy(shares, shares) + torch.special.xlogy(1 - shares, 1 - shares)).mean(-1)


def kind(loss: Loss) -> str:
    """What a loss is of: `numbers`, `classes` or `odds`."""
    return getattr(loss, "of", "numbers")


def plausible(loss: Loss, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Outputs of this shape that such a loss is of."""
    if kind(loss) == "classes":
        return torch.eye(shape[-1])[torch.randint(shape[-1], tuple(shape[:-1]), generator=generator)]
    if kind(loss) == "odds":
        return torch.randint(2, tuple(shape), generator=generator).float()
    return torch.randn(*shape, generator=generator)


def constants(loss: Loss, outputs: Tensor) -> Tensor:
    """The mean error of the best constant predictor of each of T targets with outputs (T, n, …), shape (T,)."""
    at_once = max(2, AT_ONCE // outputs[0].numel())  # one alone may be rounded otherwise
    return torch.cat([loss.constant(some) for some in outputs.tensor_split(max(1, len(outputs) // at_once))])


def best_constant(each: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, axis: int) -> Tensor:
    """The mean error of the best constant of each coordinate, found by golden sections (Kiefer 1953); see `Loss`."""
    numbers = _coordinates(outputs, axis)
    low, high = numbers.amin(axis, keepdim=True), numbers.amax(axis, keepdim=True)

    def at(constant: Tensor) -> Tensor:
        return each(constant.expand_as(numbers), numbers).mean(axis, keepdim=True)

    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = at(left), at(right)
    for _ in range(SECTIONS):
        lower = at_left < at_right
        low, high = torch.where(lower, low, left), torch.where(lower, right, high)
        new = torch.where(lower, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = at(new)
        left, right = torch.where(lower, new, right), torch.where(lower, left, new)
        at_left, at_right = torch.where(lower, at_new, at_right), torch.where(lower, at_left, at_new)
    return torch.minimum(at_left, at_right).mean((axis, -1))


def named(loss: Any) -> Any:
    """A loss by its name in `NAMED`, of a function of predictions and outputs, or as it is."""
    if isinstance(loss, str) and loss in NAMED:
        return NAMED[loss]
    return loss if hasattr(loss, "each") or not callable(loss) else Own(loss)


def check(loss: object) -> None:
    """Raise an ArchabError where something is no loss: see `Loss`.

    Asked are errors from a thousandth to a thousand, of which each must be the same alone and among the others. Of
    classes and odds each sample must.
    """
    if not (hasattr(loss, "each") and hasattr(loss, "constant")):
        raise ArchabError(
            f"loss={loss!r}: {', '.join(NAMED)}, an object such as archab.engine.loss.Huber(0.5), or a function of "
            "predictions and outputs is needed"
        )
    name = getattr(loss, "name", type(loss).__name__)
    if (of := getattr(loss, "of", "numbers")) != "numbers":
        _check_logits(name, of, loss)
        return
    scales = torch.tensor([1e-3, 0.03, 0.3, 1.5, 40.0, 1e3], dtype=torch.float64)
    off = torch.cat([scales, -scales]).view(2, 3, 2)
    outputs = torch.linspace(-2, 2, 12, dtype=torch.float64).view(2, 3, 2)
    predictions = (outputs + off).requires_grad_()
    found = _asked(name, loss.each, predictions, outputs)
    if found.shape != outputs.shape:
        raise ArchabError(
            f"loss: {name} gave {tuple(found.shape)} for numbers of shape (2, 3, 2); an error of each number is "
            "needed, not their mean"
        )
    right = _asked(name, loss.each, outputs, outputs)
    if not found.isfinite().all() or (found < 0).any() or not (right.abs() <= 1e-12).all():
        raise ArchabError(f"loss: {name} must be finite, at least 0, and 0 where the prediction is right")
    pairs = zip(predictions.flatten(), outputs.flatten(), strict=True)
    alone = torch.stack([_asked(name, loss.each, p.view(1), y.view(1)) for p, y in pairs]).view_as(found)
    if not torch.allclose(found, alone, rtol=1e-9, atol=1e-12):
        raise ArchabError(f"loss: {name} mixes numbers: the error of one hangs on others, which may be other students'")
    if not found.requires_grad:
        raise ArchabError(f"loss: {name} gives the predictions no gradient")
    further = off.flatten().roll(1).view_as(off)
    ends = found.detach(), _asked(name, loss.each, outputs + further, outputs)
    for share in (0.25, 0.5, 0.75):
        between = _asked(name, loss.each, outputs + share * off + (1 - share) * further, outputs)
        if (between > (share * ends[0] + (1 - share) * ends[1]) * (1 + 1e-9) + 1e-9).any():
            raise ArchabError(f"loss: {name} is not convex in the predictions, so that its best constant is not known")
    constant = _asked(name, loss.constant, outputs)
    if constant.shape != (2,) or not (constant > 0).all():
        raise ArchabError(f"loss: the constant of {name} is {constant.tolist()} of 2 targets, not 2 positive numbers")


def _check_logits(name: str, of: str, loss: Any) -> None:
    if of not in ("classes", "odds"):
        raise ArchabError(f"loss: {name} is of={of!r}; numbers, classes or odds is needed")
    predictions = torch.linspace(-3, 3, 12, dtype=torch.float64).view(2, 2, 3).requires_grad_()
    outputs = plausible(loss, (2, 2, 3), torch.Generator().manual_seed(0)).double()
    found = _asked(name, loss.each, predictions, outputs)
    if found.shape != outputs.shape:
        raise ArchabError(f"loss: {name} gave {tuple(found.shape)} for logits of shape (2, 2, 3), not one for each")
    if not found.isfinite().all() or (found.sum(-1) < 0).any() or not found.requires_grad:
        raise ArchabError(f"loss: {name} must be finite and at least 0, with a gradient")
    alone = torch.stack([loss.each(p[None], y[None])[0] for p, y in zip(predictions, outputs, strict=True)])
    if not torch.allclose(found, alone, rtol=1e-9, atol=1e-12):
        raise ArchabError(f"loss: {name} mixes samples: the error of one hangs on others, which may be other students'")
    constant = _asked(name, loss.constant, torch.stack([outputs[0], outputs[1].roll(1, -1)])[:, [0, 1]])
    if constant.shape != (2,) or not (constant >= 0).all():
        raise ArchabError(f"loss: the constant of {name} is {constant.tolist()} of 2 targets, not 2 positive numbers")


def _asked(name: str, function: Callable[..., Any], *numbers: Tensor) -> Tensor:
    try:
        found = function(*numbers)
    except Exception as error:
        raise ArchabError(f"loss: {name} failed on numbers of shape (2, 3, 2): {explain(error)}") from error
    if not isinstance(found, Tensor) or not found.is_floating_point():
        kind = found.dtype if isinstance(found, Tensor) else type(found).__name__
        raise ArchabError(f"loss: {name} gave {kind}; a tensor of floating-point numbers is needed")
    return found


NAMED: dict[str, Loss] = {
    "mse": SquaredError(),
    "mae": AbsoluteError(),
    "huber": Huber(),
    "cross_entropy": CrossEntropy(),
    "binary_cross_entropy": BinaryCrossEntropy(),
}


def _coordinates(outputs: Tensor, axis: int) -> Tensor:
    """Outputs in float64 with their coordinates, one at least, on one axis behind that of the samples."""
    numbers = outputs.double()
    return numbers.flatten(axis + 1) if outputs.dim() > axis + 1 else numbers.unsqueeze(-1)


class Objective:
    """The mean loss of each replicate, summed over replicates; it remembers whose became NaN or infinite.

    Args:
        loss: of each number.
        axis: the first axis of the samples: 0 for one network, 1 behind a replicate axis.
    """

    def __init__(self, loss: Loss, axis: int) -> None:
        self._loss, self._axis = loss, axis
        self.total: Tensor | float = 0.0
        self.calls = 0

    def __call__(self, predictions: Tensor, outputs: Tensor) -> Tensor:
        """Predictions and outputs of one mini-batch to a scalar to call `backward` on."""
        each = self._loss.each(predictions, outputs).flatten(self._axis).mean(self._axis)
        self.total = self.total + each.detach().double()  # half precision could not hold a sum
        self.calls += 1
        return each.sum()

    def finite(self) -> Tensor:
        """Whether every loss so far was finite, one entry a replicate."""
        return torch.as_tensor(self.total).isfinite()


def relative_error(
    loss: Loss, predict: Callable[[Tensor], Tensor], inputs: Tensor, outputs: Tensor, axis: int
) -> Tensor:
    """The mean error over that of the best constant predictor, in float64, one entry a replicate; see `scores`."""
    return scores(loss, predict, inputs, outputs, axis, loss.constant(outputs, axis))[0]


def scores(
    loss: Loss,
    predict: Callable[[Tensor], Tensor],
    inputs: Tensor,
    outputs: Tensor,
    axis: int,
    constant: Tensor,
) -> Tensor:
    """The mean error over that of the best constant predictor, and the accuracy, NaN where the loss knows none.

    In float64, shape (2,) or (2, replicates). `inputs` and `outputs` have their samples on `axis`, as in `Objective`.
    """
    total, hits = (torch.zeros((), dtype=torch.float64, device=outputs.device) for _ in range(2))
    counts = getattr(loss, "hits", None)
    with torch.no_grad():
        for start in range(0, inputs.shape[axis], EVALUATION_SAMPLES):
            length = min(EVALUATION_SAMPLES, inputs.shape[axis] - start)
            wanted = outputs.narrow(axis, start, length).double()
            predicted = predict(inputs.narrow(axis, start, length)).double()
            total = total + loss.each(predicted, wanted).flatten(axis).sum(axis)
            if counts is not None:
                hits = hits + counts(predicted, wanted).flatten(axis).sum(axis)
        asked = getattr(loss, "asked", None)
        right = hits / asked(outputs, axis) if asked else torch.full_like(total, math.nan)
        return torch.stack([total / outputs[(0,) * axis].numel() / constant, right])
