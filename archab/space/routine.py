"""Training routines: one function of a network, its mini-batches and a loss, in plain PyTorch.

A routine owns its loop and its optimiser. Each pass over `batches` is one epoch, in a fresh order. `loss` is the mean
squared error of each network, summed over the networks that train together: a routine must neither average over them
nor couple them. Those that come with archab act on each element of each parameter alone: R networks may train as one.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from archab.errors import ArchabError

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Routine(Protocol):
    """A training routine; a user's own is any callable with this signature.

    Its hyperparameters are its keyword arguments (or its fields). `minibatch`, 16 where there is none, is the number of
    samples that each item of `batches` holds.
    """

    def __call__(self, network: nn.Module, batches: Batches, loss: Loss) -> None:
        """Train the network in place."""


@dataclass(frozen=True)
class AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with gradient values clipped at `clip`, if not null."""

    lr: float = 1e-3
    epochs: int = 3
    minibatch: int = 16
    clip: float | None = 1.0
    weight_decay: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    elementwise: ClassVar[bool] = True

    def __call__(self, network: nn.Module, batches: Batches, loss: Loss) -> None:
        """Train for `epochs` passes over the mini-batches."""
        parameters = list(network.parameters())
        # Torch's one-kernel step; it knows no complex numbers.
        fused = all(p.is_floating_point() for p in parameters)
        betas = (self.beta1, self.beta2)
        descend = torch.optim.AdamW(parameters, self.lr, betas, self.eps, self.weight_decay, fused=fused)
        _descend(network, batches, loss, descend, self.epochs, self.clip)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with (Nesterov) momentum and gradient values clipped at `clip`, if not null."""

    lr: float = 1e-2
    epochs: int = 3
    minibatch: int = 16
    clip: float | None = 1.0
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    elementwise: ClassVar[bool] = True

    def __call__(self, network: nn.Module, batches: Batches, loss: Loss) -> None:
        """Train for `epochs` passes over the mini-batches."""
        descend = torch.optim.SGD(
            network.parameters(), self.lr, self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )
        _descend(network, batches, loss, descend, self.epochs, self.clip)


def _descend(
    network: nn.Module, batches: Batches, loss: Loss, optimiser: torch.optim.Optimizer, epochs: int, clip: float | None
) -> None:
    for _ in range(epochs):
        for inputs, outputs in batches:
            optimiser.zero_grad()
            loss(network(inputs), outputs).backward()
            if clip is not None:
                _clip(network, clip)
            optimiser.step()


def _clip(network: nn.Module, value: float) -> None:
    for parameter in network.parameters():
        if parameter.grad is not None:
            # A complex number is a pair of reals, as for torch's optimisers.
            gradient = torch.view_as_real(parameter.grad) if parameter.is_complex() else parameter.grad
            gradient.clamp_(-value, value)


def settings(routine: Any) -> dict[str, Any]:
    """The hyperparameters of a routine by name: the fields of a dataclass, else the keywords of a function."""
    if is_dataclass(routine):
        return {field.name: getattr(routine, field.name) for field in fields(routine)}
    signature = inspect.signature(routine).parameters.values()
    return {p.name: p.default for p in signature if p.default is not inspect.Parameter.empty}


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
    if chosen:
        bound = replace(routine, **chosen) if is_dataclass(routine) else partial(routine, **chosen)
        routine = bound
    for name, value in settings(routine).items():
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
    "lr": (lambda v: _number(v) and v >= 0, "a learning rate is a number of at least 0"),
    "epochs": (_count, "a whole number of at least 1 epoch is needed"),
    "minibatch": (_count, "a whole number of at least 1 sample a mini-batch is needed"),
    "clip": (lambda v: v is None or (_number(v) and v > 0), "a positive number, or null for no clipping, is needed"),
    "weight_decay": (lambda v: _number(v) and v >= 0, "a number of at least 0 is needed"),
    "beta1": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
    "beta2": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
    "eps": (lambda v: _number(v) and v >= 0, "a number of at least 0 is needed"),
    "momentum": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1 is needed"),
}
