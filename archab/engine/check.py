"""Does an engine change this network? A few students against the plain loop, from a stream that is no run's."""

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archab.engine import batched, compiled, loop, population
from archab.engine.batching import batching
from archab.engine.cohort import Cohort
from archab.engine.compiled import Block, Compiled
from archab.engine.noise import Counter
from archab.engine.randomness import Stage, forked, generator, stream
from archab.engine.signature import signature
from archab.errors import ArchabError
from archab.space.examine import fitting
from archab.space.inputs import Inputs
from archab.space.routine import Descent, Routine
from archab.space.space import ArchitecturalSpace, explain

STEPS = 2
CONSTRUCTIONS = 8  # a choice of two attributes goes unnoticed in one family of 128, and is then found in the run
STUDENTS = 3


@dataclass(frozen=True)
class Sample:
    """Students and data to check an engine with: one member of one space, on one device."""

    space: ArchitecturalSpace
    member: int
    minibatch: int
    inputs: Inputs
    output: tuple[int, ...]
    device: torch.device

    @cached_property
    def networks(self) -> list[nn.Module]:
        """Some constructions."""
        with forked(self._stream):
            return [self.space.construct(self.member) for _ in range(CONSTRUCTIONS)]

    @property
    def routine(self) -> Routine:
        """How they train."""
        return self.space.routine_of(self.member)

    @property
    def alike(self) -> bool:
        """Whether they differ in their tensors alone."""
        return len({signature(network) for network in self.networks}) == 1

    @property
    def _stream(self) -> Any:
        return stream(0, Stage.CHECK, "a", "a", self.member, 0, 0)

    def cohort(self, steps: int) -> Cohort:
        """Their training, for one epoch of this many steps."""
        draws, samples = generator(self._stream), steps * self.minibatch
        with forked(self._stream):
            x = self.inputs((STUDENTS, samples, *self.space.input_shape), draws)
        y = torch.randn(STUDENTS, samples, *self.output, generator=draws)
        return Cohort(
            students=lambda: population.of(self.networks[:STUDENTS]),
            noise=[11, 12, 2**40 + 13],
            routine=self.routine,
            minibatch=self.minibatch,
            inputs=x,
            outputs=y,
            heldout_inputs=x,
            heldout_outputs=y,
            order=lambda _: torch.arange(samples).expand(STUDENTS, -1),
            restarts=1,
            device=self.device,
            advance=lambda _: None,
        )


def why_not_batched(sample: Sample) -> str | None:
    """Why the students must be trained one by one, or None where batching gives the loop's results.

    Loss, gradients, parameters, buffers and evaluation after two steps are compared, in float64 to 1e-9 where the
    network runs in it, else in its own precision to 1e-4. Of a routine that is not archab's, all is run, one student
    with outputs a hundred times larger: norms over all parameters, stops and plateaus couple students only late.
    """
    if not sample.alike:
        return "two constructions differ in more than their parameters"
    cohort = sample.cohort(STEPS)
    if isinstance(cohort.routine, Descent):
        cohort = replace(cohort, routine=replace(cohort.routine, epochs=1))
    else:
        cohort = replace(
            cohort, outputs=cohort.outputs * torch.tensor([1.0, 1.0, 100.0]).view(-1, *[1] * (cohort.outputs.dim() - 1))
        )
    students = sample.networks[:STUDENTS]
    try:
        why = _difference(cohort, [_in_double(copy.deepcopy(n)) for n in students], 1e-9)
    except (ArchabError, RuntimeError, TypeError):
        why = _difference(cohort, [copy.deepcopy(n) for n in students], 1e-4)
    if why is None or isinstance(cohort.routine, Descent):
        return why
    return f"its routine does not train students together as it does alone ({why})"


def why_not_compiled(sample: Sample, program: Compiled) -> str | None:
    """Why a program must not be used, or None where it gives the loop's results.

    Compared are, in the network's own precision, predictions, the gradients of a step, and buffers and losses of four.
    """
    double = program.source.dtype == torch.float64
    exact, near = (1e-9, 1e-7) if double else (1e-4, 1e-3)
    for steps in (1, 4):
        cohort = sample.cohort(steps)
        ours = replace(cohort, routine=replace(cohort.routine, epochs=1))  # type: ignore[type-var]
        unclipped = replace(ours.routine, clip=None, clip_norm=None)  # type: ignore[type-var]
        networks = [copy.deepcopy(n) for n in sample.networks[:STUDENTS]]
        theirs = replace(ours, routine=unclipped) if steps == 1 else ours
        losses = [torch.as_tensor(loop.fit(theirs, i, n, cohort.order).total) for i, n in enumerate(networks)]
        block = compiled.fit(ours, program, cohort.students())
        found: dict[str, tuple[Any, Tensor]] = {"the loss": (block.get("total")[:, 0], torch.stack(losses))}
        if steps == 1:
            largest = max(float(p.grad.abs().max()) for n in networks for p in n.parameters() if p.grad is not None)
            for name in program.source.learnable:
                alone = [dict(n.named_parameters())[name] for n in networks]
                slopes = torch.stack([torch.zeros_like(p) if p.grad is None else p.grad for p in alone])
                found[f"the gradient of {name}"] = block.gradient(name), slopes.flatten(1)
            untouched = Block(program, cohort.students(), cohort.noise)
            with torch.no_grad(), Counter(torch.tensor(0)):
                again = [copy.deepcopy(n).eval() for n in sample.networks[:STUDENTS]]
                wanted = torch.stack([n(fitting(n, x)) for n, x in zip(again, cohort.inputs, strict=True)])
            found["its outputs in evaluation mode"] = untouched.answers(cohort.inputs, wanted), wanted
        for name, _ in networks[0].named_buffers():
            kept = [dict(n.named_buffers())[name] for n in networks]
            found[name] = block.get(name), torch.stack(kept).view(STUDENTS, -1)
        for name, (values, wanted) in found.items():
            least = 1e-3 * largest if name.startswith("the gradient") else 1e-3
            scale = max(float(wanted.double().abs().nan_to_num(0).max()) if wanted.numel() else 1.0, least)
            difference = torch.as_tensor(values).double() - wanted.detach().double()
            if not bool((difference.abs() <= (exact if steps == 1 else near) * scale).all()):
                return f"compiling changes {name}"
    return None


def _difference(cohort: Cohort, networks: list[nn.Module], tolerance: float) -> str | None:
    alone = [copy.deepcopy(n).to(cohort.device) for n in networks]
    with _Random() as random:
        losses = [loop.fit(cohort, i, network, cohort.order) for i, network in enumerate(alone)]
    if random.operations:
        return f"{random.operations[0]} draws random numbers that no counter reaches"
    try:
        stack, loss = batched.fit(cohort, population.of(networks))
        together = _found(stack, loss.total, cohort)
    except ArchabError as error:
        return explain(error.__cause__ or error)
    except RuntimeError as error:
        return explain(error)
    one_by_one = [_found_alone(network, losses[i].total, cohort, i) for i, network in enumerate(alone)]
    for name, values in together.items():
        wanted = torch.stack([found[name] for found in one_by_one])
        scale = wanted.abs().nan_to_num(0).max().clamp(min=1.0) if wanted.numel() else 1.0
        if not torch.allclose(values / scale, wanted / scale, rtol=tolerance, atol=tolerance, equal_nan=True):
            return f"batching changes {name}"
    return None


def _in_double(network: nn.Module) -> nn.Module:
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point() or tensor.is_complex():
            tensor.data = tensor.data.to(torch.complex128 if tensor.is_complex() else torch.float64)
    return network


def _found(stack: batched.Stack, loss: Any, cohort: Cohort) -> dict[str, Tensor]:
    named = dict(zip(stack.names, stack.learnable, strict=True))
    stack.eval()
    with torch.no_grad(), batching(), stack.counter:
        x = cohort.inputs.to(cohort.device)
        outputs = stack(x.to(_dtype(named)) if x.is_floating_point() else x)
    return _table(named, stack.fixed, loss, outputs)


def _found_alone(network: nn.Module, loss: Any, cohort: Cohort, i: int) -> dict[str, Tensor]:
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    fixed = {name: p for name, p in network.named_parameters() if not p.requires_grad} | dict(network.named_buffers())
    network.eval()
    with torch.no_grad(), Counter(torch.tensor(0)):
        x = cohort.inputs[i].to(cohort.device)
        outputs = network(x.to(_dtype(named)) if x.is_floating_point() else x)
    return _table(named, fixed, loss, outputs)


def _table(named: dict[str, nn.Parameter], fixed: dict[str, Tensor], loss: Any, outputs: Tensor) -> dict[str, Tensor]:
    gradients = {f"the gradient of {n}": torch.zeros_like(p) if p.grad is None else p.grad for n, p in named.items()}
    state = {name: p.detach() for name, p in named.items()} | fixed
    found = {"the loss": loss, **gradients, **state, "its outputs in evaluation mode": outputs}
    return {name: t.to(torch.complex128 if t.is_complex() else torch.float64) for name, t in found.items()}


def _dtype(named: dict[str, nn.Parameter]) -> torch.dtype:
    return next(iter(named.values())).dtype.to_real()


class _Random(TorchDispatchMode):
    """Names the random operations that run under it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in function.tags:
            self.operations.append(str(function.overloadpacket))
        return function(*args, **(kwargs or {}))
