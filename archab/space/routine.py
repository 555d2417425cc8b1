"""Training routines: one function of a network, its mini-batches and a loss, in plain PyTorch.

A routine owns its loop and its optimiser. Each pass over `batches` is one epoch, in a fresh order. `loss` is the mean
squared error of each network, summed over the networks that train together: a routine must neither average over them
nor couple them. Those that come with archab also give their step in formulas, so that it can be compiled.
"""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from archab.errors import ArchabError
from archab.space.uncompiled import kept, uncompiled


class Batches(Protocol):
    """The mini-batches of an epoch, as pairs of inputs and outputs; a fresh order at each pass."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch."""

    def __len__(self) -> int:
        """Its number of steps."""


Loss = Callable[[Tensor, Tensor], Tensor]
_OPTIMISERS = kept([torch.optim.Optimizer.add_param_group])
STEPS = 1_000  # of a student whose routine says neither epochs nor steps


class Routine(Protocol):
    """A training routine; a user's own is any callable with this signature.

    Its hyperparameters are its keyword arguments (or its fields). `minibatch`, 16 where there is none, is the number of
    samples that each item of `batches` holds.

    Example:
        >>> import torch
        >>> def descend(network, batches, loss, lr=0.1, epochs=2):
        ...     optimiser = torch.optim.SGD(network.parameters(), lr)
        ...     for _ in range(epochs):
        ...         for inputs, outputs in batches:
        ...             optimiser.zero_grad()
        ...             loss(network(inputs), outputs).backward()
        ...             optimiser.step()
        >>> settings(descend)
        {'lr': 0.1, 'epochs': 2}
    """

    def __call__(self, network: nn.Module, batches: Batches, loss: Loss) -> None:
        """Train the network in place."""


@dataclass(frozen=True)
class Descent(ABC):
    """What the routines of archab share: gradients clipped by value or by norm, and a schedule of the learning rate.

    Attributes:
        lr: the learning rate, the highest where there is a schedule.
        epochs: passes over the training samples.
        steps: mini-batches to train on instead, rounded up to whole epochs; 1,000 where both are null.
        minibatch: samples a mini-batch.
        clip: bound of each gradient's absolute value; null for none.
        clip_norm: bound of the norm of a network's whole gradient; null for none.
        schedule: `constant`, or to 0 by `linear` or `cosine` (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5).
        warmup: share of the steps in which the learning rate grows linearly to `lr`.
        weight_decay: see the routine.
    """

    lr: float = 1e-3
    epochs: int | None = None
    steps: int | None = field(default=None, kw_only=True)
    minibatch: int = 16
    clip: float | None = 1.0
    clip_norm: float | None = None
    schedule: str = "cosine"
    warmup: float = 0.0
    weight_decay: float = 0.0

    def __call__(self, network: nn.Module, batches: Batches, loss: Loss) -> None:
        """Train for so many passes over the mini-batches."""
        with uncompiled(_OPTIMISERS):
            optimiser = self._optimiser(list(network.parameters()))
        step = inspect.unwrap(type(optimiser).step)  # around it, torch imports its compiler
        epochs = self.passes(len(batches))
        rates = iter(self.rates(epochs * len(batches)))
        for _ in range(epochs):
            for inputs, outputs in batches:
                network.zero_grad()
                loss(network(inputs), outputs).backward()
                _clip(network, self.clip, self.clip_norm)
                optimiser.param_groups[0]["lr"] = next(rates)
                with torch.no_grad():
                    step(optimiser)

    def passes(self, batches: int) -> int:
        """Epochs of so many mini-batches that it trains for."""
        return self.epochs or math.ceil((self.steps or STEPS) / batches)

    def rates(self, steps: int) -> list[float]:
        """The learning rate of each step."""
        up = round(self.warmup * steps)
        down = [(t - up) / (steps - up) for t in range(up, steps)]
        after = {
            "constant": [1.0 for _ in down],
            "linear": [1 - t for t in down],
            "cosine": [(1 + math.cos(math.pi * t)) / 2 for t in down],
        }
        return [self.lr * share for share in [*((t + 1) / up for t in range(up)), *after[self.schedule]]]

    @abstractmethod
    def _optimiser(self, parameters: list[Tensor]) -> torch.optim.Optimizer: ...

    @property
    @abstractmethod
    def moments(self) -> int:
        """How many numbers the optimiser keeps for each parameter, all 0 at first."""

    @abstractmethod
    def numbers(self, steps: int) -> Tensor:
        """What `update` takes at each step beside parameter, gradient and moments; float64, shape (steps, numbers)."""

    @abstractmethod
    def update(self, parameter: Tensor, gradient: Tensor, moments: list[Tensor], numbers: list[Tensor]) -> list[Tensor]:
        """One step of the optimiser in formulas: the new parameter, then the new moments.

        Each element is treated alone; by this a step is compiled, whatever the number of students and parameters. The
        last number is the bound of the gradient's absolute value.
        """

    @property
    def _bound(self) -> float:
        return math.inf if self.clip is None else self.clip


@dataclass(frozen=True)
class Adam(Descent):
    """Adam (Kingma and Ba 2015, arXiv:1412.6980); `weight_decay` is added to the gradient.

    Attributes:
        weight_decay: times a parameter it is added to the gradient.
        beta1: share of the mean of gradients that a step keeps.
        beta2: share of the mean of their squares that a step keeps.
        eps: added to the root of that mean, by which a step is divided.

    Example:
        >>> [round(rate, 4) for rate in Adam(lr=0.1, schedule="linear").rates(4)]
        [0.1, 0.075, 0.05, 0.025]
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decoupled: ClassVar[bool] = False

    moments = 2

    def _optimiser(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        # Torch's one-kernel step; it knows no complex numbers.
        fused = all(p.is_floating_point() for p in parameters)
        return kind(parameters, self.lr, (self.beta1, self.beta2), self.eps, self.weight_decay, fused=fused)

    def numbers(self, steps: int) -> Tensor:
        t, rates = torch.arange(1, steps + 1, dtype=torch.float64), torch.tensor(self.rates(steps), dtype=torch.float64)
        first, second = 1 - self.beta1**t, 1 - self.beta2**t
        decay = 1 - rates * self.weight_decay if self.decoupled else torch.full_like(rates, self.weight_decay)
        fixed = (self.eps, 1 - self.beta1, self.beta2, 1 - self.beta2, self._bound)
        return torch.stack([decay, rates / first, second.rsqrt(), *(torch.full_like(rates, n) for n in fixed)], 1)

    def update(self, parameter: Tensor, gradient: Tensor, moments: list[Tensor], numbers: list[Tensor]) -> list[Tensor]:
        decay, rate, scale, eps, new1, old2, new2, bound = numbers
        mean, square = moments
        gradient = torch.minimum(torch.maximum(gradient, -bound), bound)
        if not self.decoupled:
            gradient = gradient + decay * parameter
        mean = mean + (gradient - mean) * new1
        square = square * old2 + gradient * gradient * new2
        kept = parameter * decay if self.decoupled else parameter
        return [kept - rate * mean / (square.sqrt() * scale + eps), mean, square]


@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101): `weight_decay` shrinks the parameters themselves.

    Attributes:
        weight_decay: times the learning rate the share by which a step shrinks each parameter.

    Example:
        >>> AdamW(lr=3e-3, epochs=20).weight_decay
        0.01
    """

    weight_decay: float = 1e-2
    decoupled: ClassVar[bool] = True


@dataclass(frozen=True)
class SGD(Descent):
    """Stochastic gradient descent with (Nesterov) momentum; `weight_decay` is added to the gradient.

    Attributes:
        momentum: share of the last step's direction that is kept.
        nesterov: whether the gradient is taken as if that share had been stepped already.
        weight_decay: times a parameter it is added to the gradient.

    Example:
        >>> settings(SGD(momentum=0.9, nesterov=True))["momentum"]
        0.9
    """

    lr: float = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def moments(self) -> int:
        return int(self.momentum > 0)

    def _optimiser(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters, self.lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )

    def numbers(self, steps: int) -> Tensor:
        rates = torch.tensor(self.rates(steps), dtype=torch.float64)
        fixed = (self.weight_decay, self.momentum, self._bound)
        return torch.stack([rates, *(torch.full_like(rates, n) for n in fixed)], 1)

    def update(self, parameter: Tensor, gradient: Tensor, moments: list[Tensor], numbers: list[Tensor]) -> list[Tensor]:
        rate, decay, momentum, bound = numbers
        gradient = torch.minimum(torch.maximum(gradient, -bound), bound) + decay * parameter
        if not moments:
            return [parameter - rate * gradient]
        run = moments[0] * momentum + gradient
        return [parameter - rate * (gradient + run * momentum if self.nesterov else run), run]


def descend(routines: Sequence[Descent], network: nn.Module, batches: Batches, loss: Loss) -> None:
    """Train a network with a replicate axis, each replicate by a routine of its own; they are of one `kind`."""
    first, epochs = routines[0], routines[0].passes(len(batches))
    steps = epochs * len(batches)
    numbers = torch.stack([routine.numbers(steps) for routine in routines]).unbind(1)
    norms = None if first.clip_norm is None else torch.tensor([routine.clip_norm for routine in routines])
    parameters = [torch.view_as_real(p) if p.is_complex() else p for p in network.parameters()]
    state = [[torch.zeros_like(p) for _ in range(first.moments)] for p in parameters]
    here = iter(numbers)
    for _ in range(epochs):
        for inputs, outputs in batches:
            network.zero_grad()
            loss(network(inputs), outputs).backward()
            _clip(network, None, norms)
            row = next(here)
            with torch.no_grad():
                for p, view, moments in zip(network.parameters(), parameters, state, strict=True):
                    if p.grad is not None:
                        _stepped(first, view, torch.view_as_real(p.grad) if p.is_complex() else p.grad, moments, row)


def _stepped(routine: Descent, parameter: Tensor, gradient: Tensor, moments: list[Tensor], numbers: Tensor) -> None:
    """One step in place; half precision is rounded once, after it, as torch's own optimisers do."""
    dtype = torch.promote_types(parameter.dtype, torch.float32)
    each = [n.to(parameter.device, dtype).view(-1, *[1] * (parameter.dim() - 1)) for n in numbers.unbind(1)]
    before, slope, *run = (t.to(dtype) for t in (parameter, gradient, *moments))
    for old, new in zip((parameter, *moments), routine.update(before, slope, run, each), strict=True):
        old.copy_(new)


def _clip(network: nn.Module, value: float | None, norm: float | Tensor | None) -> None:
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and parameter.grad.layout != torch.strided:
            raise ArchabError(
                f"{type(network).__name__}: the gradient of {name} is sparse, which this routine does not take; "
                "sparse=False gives the same numbers"
            )
    # A complex number is a pair of reals, as for torch's optimisers.
    gradients = [
        torch.view_as_real(p.grad) if p.is_complex() else p.grad for p in network.parameters() if p.grad is not None
    ]
    if norm is not None:
        replicated = getattr(network, "replicated", False)
        # Float16 ends at 65,504.
        each = [g.to(torch.promote_types(g.dtype, torch.float32)).square() for g in gradients]
        squares = sum(g.reshape(len(g), -1).sum(1) if replicated else g.sum() for g in each)
        norms = torch.as_tensor(squares).sqrt()
        scale = (torch.as_tensor(norm).to(norms) / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)) if replicated else scale)
    if value is not None:
        for gradient in gradients:
            gradient.clamp_(-value, value)


def kind(routine: Routine) -> tuple[Any, ...]:
    """What routines have in common whose students can train together, each by numbers of its own.

    Those that come with archab may differ in all but epochs, mini-batches and the terms of a step; others in nothing.
    """
    if not isinstance(routine, Descent):
        return (id(routine),)
    rest = sorted((name, value) for name, value in settings(routine).items() if name not in _NUMBERS)
    return type(routine).__qualname__, routine.moments, routine.clip_norm is None, *rest


_NUMBERS = {"lr", "clip", "clip_norm", "schedule", "warmup", "weight_decay", "beta1", "beta2", "eps", "momentum"}
SCHEDULES = ("constant", "linear", "cosine")


def settings(routine: Any) -> dict[str, Any]:
    """The hyperparameters of a routine by name: the fields of a dataclass, else the keywords of a function."""
    if is_dataclass(routine):
        return {field.name: getattr(routine, field.name) for field in fields(routine)}
    signature = inspect.signature(routine).parameters.values()
    return {p.name: p.default for p in signature if p.default is not inspect.Parameter.empty}


def epochs_of(routine: Routine, batches: int) -> int | None:
    """Epochs of so many mini-batches that a routine trains for; None where one that is not archab's says nothing."""
    if isinstance(routine, Descent):
        return routine.passes(batches)
    epochs = settings(routine).get("epochs")
    return epochs if _count(epochs) else None


def given(routine: Routine, values: Mapping[str, Any]) -> Routine:
    """The routine with these hyperparameters."""
    if not values:
        return routine
    fixed: Routine = replace(routine, **values) if is_dataclass(routine) else partial(routine, **values)
    return fixed


def of_member(routine: Routine, member: int, members: int) -> Routine:
    """The routine of one member: a hyperparameter that is a list holds one value a member.

    Raises:
        ArchabError: if a list has another length than there are members, or a value is out of range.
    """
    if missing := _unset(routine):
        raise ArchabError(f"routine: {', '.join(missing)} has no value and no default; give routine.{missing[0]}=")
    chosen = {}
    for name, value in settings(routine).items():
        if isinstance(value, list):
            if len(value) != members:
                raise ArchabError(
                    f"routine.{name}={value}: a list holds one value a member; there are {members} members, "
                    f"got {len(value)} values"
                )
            chosen[name] = value[member]
    routine = given(routine, chosen)
    chosen = settings(routine)
    if isinstance(routine, Descent) and routine.epochs is not None and routine.steps is not None:
        raise ArchabError(
            f"routine.steps={routine.steps}: routine.epochs={routine.epochs} says how long, too; one of them is "
            f"given, the other null: routine.epochs=null routine.steps={routine.steps}"
        )
    if chosen.get("nesterov") is True and chosen.get("momentum") == 0:
        raise ArchabError("routine.nesterov=true: a routine.momentum above 0 is needed, such as 0.9")
    for name, value in chosen.items():
        if name in _VALID:
            valid, wanted = _VALID[name]
            if not valid(value):
                raise ArchabError(f"routine.{name}={value!r}: {wanted}")
    return routine


def _unset(routine: Any) -> list[str]:
    """The hyperparameters of a function, behind network, batches and loss, that have no value.

    Raises:
        ArchabError: if it was given a value that it does not take.
    """
    try:
        parameters = list(inspect.signature(routine).parameters.values())[3:]
    except ValueError as error:
        raise ArchabError(f"routine: {routine} was given arguments that it does not take") from error
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in variadic]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_VALID: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (lambda v: _number(v) and 0 <= v < math.inf, "a learning rate is a finite number of at least 0"),
    "nesterov": (lambda v: isinstance(v, bool), "true or false"),
    "epochs": (lambda v: v is None or _count(v), "a whole number of at least 1 epoch is needed"),
    "steps": (lambda v: v is None or _count(v), "a whole number of at least 1 step is needed"),
    "minibatch": (_count, "a whole number of at least 1 sample a mini-batch is needed"),
    "clip": (lambda v: v is None or (_number(v) and v > 0), "a positive number, or null for no clipping, is needed"),
    "clip_norm": (lambda v: v is None or (_number(v) and v > 0), "a positive number, or null for none, is needed"),
    "schedule": (lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    "warmup": (lambda v: _number(v) and 0 <= v < 1, "a share of the steps from 0 to below 1 is needed"),
    "weight_decay": (lambda v: _number(v) and v >= 0, "a number of at least 0 is needed"),
    "beta1": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
    "beta2": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
    "eps": (lambda v: _number(v) and v >= 0, "a number of at least 0 is needed"),
    "momentum": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
}
