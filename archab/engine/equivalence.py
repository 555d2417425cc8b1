"""Does an engine change this network? A few students against the plain loop, from a stream that is no run's."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from numpy.random import SeedSequence
from torch import Tensor, nn
from torch.nn.functional import one_hot

from archab.engine import compiled, loop
from archab.engine import vmap as batched
from archab.engine.cohort import Cohort
from archab.engine.compiled import Block, Compiled
from archab.engine.cpp.branches import watched
from archab.engine.cpp.halves import HALVES
from archab.engine.loss import Loss, SquaredError, constants, kind, plausible
from archab.errors import ArchabError, explain
from archab.networks import population
from archab.networks.batching import batching
from archab.networks.noise import Counter, Drawn, unfused
from archab.networks.population import copied, other_generators
from archab.networks.probe import fitting, learnt
from archab.networks.signature import signature
from archab.networks.streams import Stage, forked, generator, stream
from archab.space.inputs import Inputs
from archab.space.routine import Descent, Routine
from archab.space.space import ArchitecturalSpace

STEPS = 2
CONSTRUCTIONS = 8  # a choice of two attributes goes unnoticed in one family of 128, and is then found in the run
STUDENTS = 3


@dataclass(frozen=True)
class Sample:
    """Students and data to check an engine with: one member of one space, on one device.

    Attributes:
        whole: why each of its networks must be kept as it was constructed, if it must.
        loss: what they minimise.
    """

    space: ArchitecturalSpace
    member: int
    minibatch: int
    inputs: Inputs
    output: tuple[int, ...]
    device: torch.device
    whole: str | None = None
    loss: Loss = SquaredError()

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
    def why_not_alike(self) -> str | None:
        """Why they are more than their tensors, None where they are not."""
        if self.whole is None and len({signature(network) for network in self.networks}) > 1:
            return "two constructions differ in more than their parameters"
        return self.whole

    @cached_property
    def why_alone(self) -> str | None:
        """Why neither a batch nor a trace stands for all of them, None where both may."""
        drawing = "it draws from numpy or from random as it trains"
        return self.why_not_alike or (drawing if self.draws_elsewhere else None)

    @cached_property
    def one_function(self) -> bool:
        """Whether all of them answer the same."""
        inputs = self.cohort(1).inputs[:1]
        answers = _answers(self.networks, inputs.expand(CONSTRUCTIONS, *inputs.shape[1:]))
        return bool((answers == answers[:1]).all())

    @cached_property
    def draws_elsewhere(self) -> bool:
        """Whether a training step draws from numpy or `random`: a batch, or a trace, would draw once for all."""
        network, inputs = copied(self.networks[0]).train(), self.cohort(1).inputs[0]
        with forked(self._stream), Counter(torch.tensor(0)):
            before = other_generators()
            network(fitting(network, inputs))
            return other_generators() != before

    @property
    def _stream(self) -> Any:
        return stream(0, Stage.CHECK, "a", "a", self.member, 0, 0)

    def cohort(self, steps: int, students: int = STUDENTS) -> Cohort:
        """The training of some of them, or of copies, for one epoch of this many steps."""
        draws, samples = generator(self._stream), steps * self.minibatch
        with forked(self._stream):
            x = self.inputs((students, samples, *self.space.input_shape), draws)
        y = plausible(self.loss, (students, samples, *self.output), draws)
        return Cohort(
            students=lambda: population.of(self.networks).take(torch.arange(students) % CONSTRUCTIONS),
            noise=[11, 12, 2**40 + 13, *range(14, 11 + students)][:students],
            routines=[self.routine] * students,
            minibatch=self.minibatch,
            inputs=x,
            outputs=y,
            heldout_inputs=x,
            heldout_outputs=y,
            constant=(constant := constants(self.loss, y)),
            heldout_constant=constant,
            order=lambda _: torch.arange(samples).expand(students, -1),
            restarts=1,
            device=self.device,
            advance=lambda _: None,
            loss=self.loss,
        )


def why_not_batched(sample: Sample) -> str | None:
    """Why the students must be trained one by one, or None where batching gives the loop's results.

    Loss, gradients, parameters, buffers and evaluation after two steps are compared, in float64 to 1e-9 where the
    network runs in it, else in its own precision to 1e-4. Of a routine that is not archab's, all is run, one student
    with outputs a hundred times larger, and one that knows its target: norms over all parameters, stops and plateaus
    couple students only late.
    """
    if (why := sample.why_alone) is not None:
        return why
    cohort = sample.cohort(STEPS).for_one_epoch()
    if not isinstance(cohort.routine, Descent):
        cohort = replace(cohort, outputs=_extreme(sample, cohort))
    students = sample.networks[:STUDENTS]
    try:
        why = _difference(cohort, [in_double(copied(n)) for n in students], 1e-9)
    except (ArchabError, RuntimeError, TypeError):
        why = _difference(cohort, [copied(n) for n in students], 1e-4)
    if why is None or isinstance(cohort.routine, Descent):
        return why
    return f"its routine does not train students together as it does alone ({why})"


def _extreme(sample: Sample, cohort: Cohort) -> Tensor:
    """Outputs of which one student knows its own, and one has those that are a hundred times larger."""
    known = _answers(sample.networks[1:2], cohort.inputs[1:2])[0]
    noise = cohort.outputs
    if kind(sample.loss) == "classes":
        return torch.stack([noise[0], one_hot(known.argmax(-1), known.shape[-1]).to(noise.dtype), noise[2]])
    if kind(sample.loss) == "odds":
        return torch.stack([noise[0], (known > 0).to(noise.dtype), noise[2]])
    return torch.stack([noise[0], known.to(noise.dtype) + 0.01 * noise[1], 100 * noise[2]])


# How near a step, and four, must be; and of the steepest gradient the share at which others are rounding alone, as that
# of a bias before a norm is. In half precision sums that are taken in another order are soon another number.
_NEAR = {torch.float64: (1e-9, 1e-7, 1e-3), torch.float32: (1e-4, 1e-3, 0.1)}
_NEAR |= {half: (8 * torch.finfo(half).eps, 32 * torch.finfo(half).eps, 1.0) for half in HALVES}


def why_not_compiled(sample: Sample, program: Compiled, known: bool = False) -> str | None:
    """Why a program must not be used, or None where it gives the loop's results.

    Compared are, in the network's own precision, predictions, gradients and buffers of a step and, where the program is
    not `known` to have passed before, the losses of four.
    """
    exact, near, share = _NEAR[sample.networks[0].get_parameter(program.source.learnable[0]).dtype.to_real()]
    gradients, buffers = _first_step(sample, program)
    negligible = share * max(largest(wanted) for _, wanted in gradients.values())
    return (
        _wrong(_predictions(sample, program), exact)
        or _wrong(gradients, exact, max(negligible, 1e-3))
        or _wrong({name: both for name, both in buffers.items() if both[1].dtype not in HALVES}, exact)
        or _wrong({name: both for name, both in buffers.items() if both[1].dtype in HALVES}, 0)  # it adds up
        or (None if known else _wrong_later(sample, program, near))
    )


def _wrong(found: "Found", tolerance: float, least: float = 1e-3, doing: str = "compiling") -> str | None:
    """The first of what an engine gave that is not what was wanted: to a share of the largest number, or of `least`."""
    for name, (values, wanted) in found.items():
        exact = torch.complex128 if wanted.is_complex() else torch.float64
        same, near = torch.as_tensor(values).to(exact).view(wanted.shape), tolerance * max(largest(wanted), least)
        if not torch.allclose(same, wanted.to(exact), rtol=0, atol=near, equal_nan=True):
            return f"{doing} changes {name}"
    return None


def _wrong_later(sample: Sample, program: Compiled, tolerance: float) -> str | None:
    """The sum of the losses of four steps, and whether training changes more than tensors."""
    cohort = sample.cohort(4).for_one_epoch()
    networks = [copied(n) for n in sample.networks[:STUDENTS]]
    before = [signature(n) for n in networks]
    new = [copied(n) for n in networks]  # since an evaluation may count, too
    with watched(new) as answered:
        _answered(new, cohort.inputs)
    with watched(networks) as stepped:
        losses = [torch.as_tensor(loop.fit(cohort, i, n, cohort.order).total) for i, n in enumerate(networks)]
    if [signature(n) for n in networks] != before and _remembers(sample):
        return "its attributes change as it trains"
    with watched(networks) as later:
        _answered(networks, cohort.inputs)
    for traced, taken in zip(program.source.ways, (stepped, answered | later), strict=True):
        if not {tuple(way) for way in traced} <= taken:
            return "a condition on data has a way that the check does not take"
    block = compiled.fit(cohort, program, cohort.students())
    return _wrong({"the loss": (block.get("total")[:, 0], torch.stack(losses))}, tolerance)


def _answered(networks: list[nn.Module], inputs: Tensor) -> None:
    """Let these very networks answer in evaluation mode, each on inputs of its own."""
    with torch.no_grad(), unfused():
        for network, x in zip(networks, inputs, strict=True):
            network.eval()(fitting(network, x))
            network.train()


def _remembers(sample: Sample) -> bool:
    """Whether what a network keeps in attributes hangs on, or changes, more than the step at which it is kept.

    A map kept to be looked at, or a table made at the first call, is the same in a network that has made no step yet; a
    count is not.
    """
    network, inputs = copied(sample.networks[0]).train(), fitting(sample.networks[0], sample.cohort(3).inputs[0])
    for mode in (True, False):
        for x in inputs.split(sample.minibatch):
            new = copied(sample.networks[0]).train(mode)
            with torch.no_grad():
                known = dict(_tensors(network.train(mode)))
                for name, tensor in _tensors(new):
                    tensor.copy_(known[name])
            with Counter(torch.tensor(0)), torch.no_grad():
                one = network(x)
            with Counter(torch.tensor(0)), torch.no_grad():
                other = new(x)
            if not torch.equal(one, other) or signature(network) != signature(new):
                return True
    return False


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


Found = dict[str, tuple[Any, Tensor]]


def _predictions(sample: Sample, program: Compiled) -> Found:
    """Outputs in evaluation mode, of no whole number of mini-batches: the loop sees all at once, and could mix them."""
    cohort = sample.cohort(4)
    inputs = cohort.inputs[:, 1:]
    wanted = _answers(sample.networks[:STUDENTS], inputs)
    block = Block(program, cohort.students(), cohort.noise)
    return {"its outputs in evaluation mode": (block.answers(inputs, wanted), wanted)}


def _first_step(sample: Sample, program: Compiled) -> tuple[Found, Found]:
    """The gradients of the first step, before they are clipped; buffers after it: later ones hang on rounding."""
    cohort = sample.cohort(1).for_one_epoch()
    networks = [copied(n).train() for n in sample.networks[:STUDENTS]]
    for network, noise, x, y in zip(networks, cohort.noise, cohort.inputs, cohort.outputs, strict=True):
        counter = Counter(torch.tensor(noise))
        counter.next_step()
        with forked(SeedSequence(noise)), counter:
            cohort.loss.each(network(fitting(network, x)), learnt(network, y)).mean().backward()
    block = compiled.fit(cohort, replace(program, threads=STUDENTS), cohort.students())
    parameters = [dict(n.named_parameters()) for n in networks]
    held = set(program.source.slots) - set(program.source.learnable)
    rest = [{name: tensor for name, tensor in _tensors(n) if name in held} for n in networks]
    learnable = [name for name in program.source.learnable if parameters[0][name].numel()]
    slopes = {name: torch.stack([_slope(t[name]) for t in parameters]) for name in learnable}
    kept = {name: torch.stack([t[name].detach() for t in rest]) for name in rest[0]}
    return (
        {f"the gradient of {name}": (block.gradient(name), _flat(g)) for name, g in slopes.items()},
        {name: (block.get(name), _flat(wanted)) for name, wanted in kept.items() if wanted.numel()},
    )


def _flat(values: Tensor) -> Tensor:
    """As a program holds them, shape (R, elements): complex numbers as two real ones."""
    real = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return real.reshape(len(values), -1)


def _slope(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def largest(values: Tensor) -> float:
    """The largest of the finite absolute values, 0 where there are none."""
    finite = (values if values.is_complex() else values.double()).abs().nan_to_num(0, posinf=0)
    return float(finite.max()) if finite.numel() else 0.0


def _answers(networks: list[nn.Module], inputs: Tensor) -> Tensor:
    """What each answers in evaluation mode to inputs of its own."""
    with torch.no_grad(), unfused():
        alone = [copied(n).eval() for n in networks]
        return torch.stack(
            [n(fitting(n, x.to(next(n.parameters()).device))) for n, x in zip(alone, inputs, strict=True)]
        )


def _difference(cohort: Cohort, networks: list[nn.Module], tolerance: float) -> str | None:
    alone = [copied(n).to(cohort.device) for n in networks]
    with Drawn() as drawn:
        losses = [loop.fit(cohort, i, network, cohort.order) for i, network in enumerate(alone)]
    if drawn.operations:
        return f"{drawn.operations[0]} draws random numbers that no counter reaches"
    try:
        with Drawn() as drawn:
            stack, loss = batched.fit(cohort, population.of(networks))
        if drawn.operations:
            return f"{drawn.operations[0]} draws random numbers outside of the network, for all students at once"
        together = _found(stack, loss.total, cohort)
    except ArchabError as error:
        return explain(error.__cause__ or error)
    except RuntimeError as error:
        return explain(error)
    one_by_one = [_found_alone(network, losses[i].total, cohort, i) for i, network in enumerate(alone)]
    if len({signature(network, values=False) for network in (*alone, stack.one[0])}) > 1:
        return "its attributes change as it trains, and not alike in all students"
    both = {name: (values, torch.stack([found[name] for found in one_by_one])) for name, values in together.items()}
    return _wrong(both, 2 * tolerance, least=1.0, doing="batching")


def in_double(network: nn.Module) -> nn.Module:
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
    with torch.no_grad(), unfused():
        x = cohort.inputs[i].to(cohort.device)
        outputs = network(x.to(_dtype(named)) if x.is_floating_point() else x)
    return _table(named, fixed, loss, outputs)


def _table(named: dict[str, nn.Parameter], fixed: dict[str, Tensor], loss: Any, outputs: Tensor) -> dict[str, Tensor]:
    gradients = {f"the gradient of {n}": torch.zeros_like(p) if p.grad is None else p.grad for n, p in named.items()}
    state = {name: p.detach() for name, p in named.items()} | fixed
    return {"the loss": loss, **gradients, **state, "its outputs in evaluation mode": outputs}


def _dtype(named: dict[str, nn.Parameter]) -> torch.dtype:
    return next(iter(named.values())).dtype.to_real()
