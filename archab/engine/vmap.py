"""Many students at once: R networks of one shape as one module with a replicate axis, by `torch.func.vmap`."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from archab.engine import loop
from archab.engine.cohort import Batches, Cohort, Outcome, watched
from archab.engine.loss import Objective, scores
from archab.errors import ArchabError, explain
from archab.networks.batching import batching
from archab.networks.noise import Counter
from archab.networks.population import Population
from archab.networks.probe import fitting, learnt
from archab.networks.streams import EVALUATION_SAMPLES
from archab.space.routine import Descent, descend, epochs_of


class Stack(nn.Module):
    """R networks as one: every parameter and buffer, the inputs and the outputs have a replicate axis first.

    Args:
        population: R networks that differ in nothing but the values of their parameters and buffers.
        device: where they train.
        noise: what names the noise stream of each, 63 bits.
        counter: the dropout counter that is active while they train.
    """

    replicated = True  # its parameters have a replicate axis: a norm is each replicate's own

    def __init__(self, population: Population, device: torch.device, noise: list[int], counter: Counter) -> None:
        super().__init__()
        stacked = {name: tensor.to(device, copy=True) for name, tensor in population.tensors.items()}
        network = population.network.to(device)
        self.names = [name for name, p in network.named_parameters() if p.requires_grad]
        self.learnable = nn.ParameterList(stacked.pop(name) for name in self.names)
        originals = dict(network.named_parameters())
        for name, parameter in zip(self.names, self.learnable, strict=True):
            vars(parameter).update(vars(originals[name]))  # such as a learning rate of its own
        self.fixed = stacked
        self.noise, self.counter = torch.tensor(noise, device=device), counter
        self.one = [network]  # in a list, so that its own parameters are not registered here

    def train(self, mode: bool = True) -> "Stack":
        """Training or evaluation mode, of all R."""
        self.one[0].train(mode)
        return super().train(mode)

    def forward(self, inputs: Tensor, replicates: slice = slice(None)) -> Tensor:
        """Shape (R, n, …) to (R, n, …); with `replicates`, these alone."""

        def one(learnable: dict[str, Tensor], fixed: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
            self.counter.of_student(noise if self.training else None)
            try:
                return functional_call(self.one[0], (learnable, fixed), (x,))
            finally:
                self.counter.of_student(None)

        learnable = {name: p[replicates] for name, p in zip(self.names, self.learnable, strict=True)}
        fixed = {name: t[replicates] for name, t in self.fixed.items()}
        return vmap(one, randomness="error")(learnable, fixed, inputs, self.noise[replicates])


def trainer(evaluated: int) -> Callable[[Cohort], Outcome]:
    """A trainer of cohorts that scores at most `evaluated` students at once."""

    def train(cohort: Cohort) -> Outcome:
        students = cohort.students()
        if students.modules:
            warnings.warn(
                f"students of {type(students.network).__name__} differ in more than their parameters; "
                "the loop trains them",
                stacklevel=2,
            )
            return loop.train(replace(cohort, students=lambda: students))
        stack, loss = fit(cohort, students)
        with batching(), stack.counter:
            return _score(cohort, stack, loss, evaluated)

    return train


def fit(cohort: Cohort, students: Population) -> tuple[Stack, Objective]:
    """Train the students together.

    Raises:
        ArchabError: where the routine or the networks fail, although they passed the engine's check.
    """
    device, restarts = cohort.device, cohort.restarts
    counter, loss = Counter(None), Objective(cohort.loss, axis=1)
    stack = Stack(students, device, cohort.noise, counter)
    inputs = fitting(students.network, cohort.inputs).to(device)
    outputs = learnt(students.network, cohort.outputs).to(device)
    target = (torch.arange(len(students), device=device) // restarts).unsqueeze(1)
    epochs = epochs_of(cohort.routine, -(-inputs.shape[1] // cohort.minibatch)) or 1
    batches = Batches(
        take=lambda at: (inputs[target, at], outputs[target, at]),
        order=lambda epoch: cohort.order(epoch).to(device).repeat_interleave(restarts, 0),
        minibatch=cohort.minibatch,
        samples=inputs.shape[1],
        counter=counter,
        epoch_done=lambda: cohort.advance(len(students) / epochs),
        step_done=watched(cohort, loss),
    )
    with batching(), counter:
        stack.train()
        try:
            if all(routine == cohort.routine for routine in cohort.routines):
                cohort.routine(stack, batches, loss)
            else:
                descend(cast(Sequence[Descent], cohort.routines), stack, batches, loss)
        except Exception as error:
            raise ArchabError(
                f"{len(students)} students of {type(students.network).__name__} could not be trained together, "
                f"although a few could: {explain(error)}. engine=loop trains them one by one"
            ) from error
    return stack, loss


def _score(cohort: Cohort, stack: Stack, loss: Objective, evaluated: int) -> Outcome:
    stack.eval()
    students = len(stack.noise)
    parts = []
    for first in range(0, students, evaluated):
        some = slice(first, min(first + evaluated, students))
        target = torch.arange(some.start, some.stop) // cohort.restarts

        def found(given: tuple[Tensor, Tensor, Tensor], some: slice = some, target: Tensor = target) -> Tensor:
            inputs, outputs, constant = (t[target] for t in given)
            x, y, constant = (t.to(cohort.device) for t in (fitting(stack, inputs), outputs, constant))
            return scores(cohort.loss, lambda x: stack(x, some), x, y, 1, constant)

        heldout = found((cohort.heldout_inputs, cohort.heldout_outputs, cohort.heldout_constant))
        parts.append(torch.cat([heldout, found((cohort.inputs, cohort.outputs, cohort.constant))[:1]]))
    nmse, right, train_nmse = torch.cat(parts, 1)
    whole = nmse.isfinite() & train_nmse.isfinite() & loss.finite()
    for parameter in stack.learnable:
        whole &= parameter.detach().reshape(students, -1).isfinite().all(1)
    kept = [torch.where(whole, each, torch.nan).cpu().numpy() for each in (nmse, train_nmse, right)]
    return Outcome(kept[0], kept[1], ~whole.cpu().numpy(), kept[2], steps=loss.calls or np.nan)


def evaluated_at_once(memory: int, step_bytes: int, output_bytes: int, minibatch: int) -> int:
    """Students to score at once within `memory` bytes, if a pass over 512 samples needs what training needs."""
    one = (step_bytes * EVALUATION_SAMPLES) // minibatch + output_bytes * EVALUATION_SAMPLES
    return max(1, memory // max(1, one))
