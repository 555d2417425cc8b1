"""Many students at once: R networks of one shape as one module with a replicate axis, by `torch.func.vmap`."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from archab.engine import loop
from archab.engine.cohort import EVALUATION_SAMPLES, Batches, Cohort, MeanSquaredError, Outcome, normalised_error
from archab.engine.noise import Counter
from archab.engine.signature import signature
from archab.errors import ArchabError
from archab.space.examine import fitting
from archab.space.space import explain


class Stack(nn.Module):
    """R networks as one: every parameter and buffer, the inputs and the outputs have a replicate axis first.

    Args:
        networks: R networks that differ in nothing but the values of their parameters and buffers.
        noise: what names the noise stream of each, 63 bits.
        counter: the dropout counter that is active while they train.
    """

    def __init__(self, networks: list[nn.Module], noise: Tensor, counter: Counter) -> None:
        super().__init__()
        states = [{**dict(n.named_parameters()), **dict(n.named_buffers())} for n in networks]
        stacked = {name: torch.stack([s[name].detach() for s in states]) for name in states[0]}
        self.names = [name for name, p in networks[0].named_parameters() if p.requires_grad]
        self.learnable = nn.ParameterList(stacked.pop(name) for name in self.names)
        self.fixed = stacked
        self.noise, self.counter = noise, counter
        self.one = [networks[0]]  # in a list, so that its own parameters are not registered here

    def train(self, mode: bool = True) -> "Stack":
        """Training or evaluation mode, of all R."""
        self.one[0].train(mode)
        return super().train(mode)

    def forward(self, inputs: Tensor, replicates: slice = slice(None)) -> Tensor:
        """Shape (R, n, …) to (R, n, …); with `replicates`, these alone."""

        def one(learnable: dict[str, Tensor], fixed: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
            self.counter.of_student(noise)
            return functional_call(self.one[0], (learnable, fixed), (x,))

        learnable = {name: p[replicates] for name, p in zip(self.names, self.learnable, strict=True)}
        fixed = {name: t[replicates] for name, t in self.fixed.items()}
        return vmap(one, randomness="error")(learnable, fixed, inputs, self.noise[replicates])


def trainer(evaluated: int) -> Callable[[Cohort], Outcome]:
    """A trainer of cohorts that scores at most `evaluated` students at once."""

    def train(cohort: Cohort) -> Outcome:
        networks = cohort.networks()
        if len({signature(network) for network in networks}) > 1:
            warnings.warn(
                f"students of {type(networks[0]).__name__} differ in more than their parameters; the loop trains them",
                stacklevel=2,
            )
            return loop.train(replace(cohort, networks=lambda: networks))
        stack, loss = fit(cohort, networks)
        with batching(), stack.counter:
            return _score(cohort, stack, loss, evaluated)

    return train


def fit(cohort: Cohort, networks: list[nn.Module]) -> tuple[Stack, MeanSquaredError]:
    """Train the networks together.

    Raises:
        ArchabError: where the routine or the networks fail, although they passed the engine's check.
    """
    device, restarts = cohort.device, cohort.restarts
    counter, loss = Counter(torch.tensor(0)), MeanSquaredError(axis=1)
    stack = Stack([n.to(device) for n in networks], torch.tensor(cohort.noise, device=device), counter)
    inputs, outputs = (fitting(networks[0], t).to(device) for t in (cohort.inputs, cohort.outputs))
    target = (torch.arange(len(networks), device=device) // restarts).unsqueeze(1)
    epochs = getattr(cohort.routine, "epochs", 1)
    batches = Batches(
        take=lambda at: (inputs[target, at], outputs[target, at]),
        order=lambda epoch: cohort.order(epoch).to(device).repeat_interleave(restarts, 0),
        minibatch=cohort.minibatch,
        counter=counter,
        epoch_done=lambda: cohort.advance(len(networks) / epochs),
    )
    with batching(), counter:
        stack.train()
        try:
            cohort.routine(stack, batches, loss)
        except Exception as error:
            raise ArchabError(
                f"{len(networks)} students of {type(networks[0]).__name__} could not be trained together, although two "
                f"could: {explain(error)}. engine=loop trains them one by one"
            ) from error
    return stack, loss


def _score(cohort: Cohort, stack: Stack, loss: MeanSquaredError, evaluated: int) -> Outcome:
    stack.eval()
    students = len(stack.noise)
    parts = []
    for first in range(0, students, evaluated):
        some = slice(first, min(first + evaluated, students))
        target = torch.arange(some.start, some.stop) // cohort.restarts

        def error(inputs: Tensor, outputs: Tensor, some: slice = some, target: Tensor = target) -> Tensor:
            moved = fitting(stack, inputs[target]).to(cohort.device), outputs[target].to(cohort.device)
            return normalised_error(lambda x: stack(x, some), *moved, axis=1)

        parts.append(
            torch.stack([error(cohort.heldout_inputs, cohort.heldout_outputs), error(cohort.inputs, cohort.outputs)])
        )
    errors = torch.cat(parts, 1)
    whole = errors.isfinite().all(0) & loss.finite()
    for parameter in stack.learnable:
        whole &= parameter.detach().flatten(1).isfinite().all(1)
    nmse, train_nmse = torch.where(whole, errors, torch.nan).cpu().numpy()
    return Outcome(nmse, train_nmse, ~whole.cpu().numpy())


def evaluated_at_once(memory: int, step_bytes: int, output_bytes: int, minibatch: int) -> int:
    """Students to score at once within `memory` bytes, if a pass over 512 samples needs what training needs."""
    one = (step_bytes * EVALUATION_SAMPLES) // minibatch + output_bytes * EVALUATION_SAMPLES
    return max(1, memory // max(1, one))


@contextmanager
def batching() -> Iterator[None]:
    """What a `Stack` runs under: torch's embedding put right, and no word about operations without a batching rule."""
    with warnings.catch_warnings(), patch.object(F, "embedding", _embedding):
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


_torchs_embedding = F.embedding


def _embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None, *rest: Any, **named: Any) -> Tensor:
    """`F.embedding`; torch 2.13's batching rule forgets that the padding row does not learn."""
    if padding_idx is not None:
        padding = torch.arange(len(weight), device=weight.device) == padding_idx % len(weight)
        weight = torch.where(padding.unsqueeze(1), weight.detach(), weight)
    return _torchs_embedding(input, weight, None, *rest, **named)
