"""Does batching change this network? Two replicates against the plain loop, from a stream that is no run's."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archab.engine import batched, loop
from archab.engine.cohort import Cohort
from archab.engine.noise import Counter
from archab.engine.randomness import Stage, forked, generator, stream
from archab.engine.signature import signature
from archab.errors import ArchabError
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace, explain

STEPS = 2
CONSTRUCTIONS = 8  # a choice of two attributes goes unnoticed in one family of 128, and is then found in the run


def why_not_batched(
    space: ArchitecturalSpace,
    member: int,
    minibatch: int,
    inputs: Inputs,
    output: tuple[int, ...],
    device: torch.device,
) -> str | None:
    """Why the students of this member must be trained one by one, or None where batching gives the loop's results.

    Loss, gradients, parameters, buffers and evaluation after two steps are compared, in float64 to 1e-9 where the
    network runs in it, else in its own precision to 1e-4.
    """
    routine = space.routine_of(member)
    if not getattr(routine, "elementwise", False):
        return "its routine is the user's own"
    here = stream(0, Stage.CHECK, "a", "a", member, 0, 0)
    draws, samples = generator(here), STEPS * minibatch
    with forked(here):
        networks = [space.construct(member) for _ in range(CONSTRUCTIONS)]
        x = inputs((2, samples, *space.input_shape), draws)
    if len({signature(network) for network in networks}) > 1:
        return "two constructions differ in more than their parameters"
    y = torch.randn(2, samples, *output, generator=draws)
    cohort = Cohort(
        networks=lambda: [],
        noise=[11, 12],
        routine=replace(routine, epochs=1),  # type: ignore[type-var]
        minibatch=minibatch,
        inputs=x,
        outputs=y,
        heldout_inputs=x,
        heldout_outputs=y,
        order=lambda _: torch.arange(samples).expand(2, -1),
        restarts=1,
        device=device,
        advance=lambda _: None,
    )
    pair = networks[:2]
    try:
        return _difference(cohort, [_in_double(copy.deepcopy(n)) for n in pair], 1e-9)
    except (ArchabError, RuntimeError, TypeError):
        return _difference(cohort, pair, 1e-4)


def _difference(cohort: Cohort, networks: list[nn.Module], tolerance: float) -> str | None:
    alone = [copy.deepcopy(n).to(cohort.device) for n in networks]
    with _Random() as random:
        losses = [loop.fit(cohort, i, network, cohort.order) for i, network in enumerate(alone)]
    if random.operations:
        return f"{random.operations[0]} draws random numbers that no counter reaches"
    try:
        stack, loss = batched.fit(cohort, networks)
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
    with torch.no_grad(), batched.batching(), stack.counter:
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
