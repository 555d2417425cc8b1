"""Many networks of one family as tensors: drawn by one call of their constructor where that draws the same thing."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import SeedSequence
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from archab.errors import explain
from archab.networks.batching import batching
from archab.networks.noise import Counter, unfused
from archab.networks.probe import fitting, nearly
from archab.networks.signature import not_in_tensors, signature
from archab.networks.streams import EVALUATION_SAMPLES, forked
from archab.space.measure import registered

Make = Callable[[], nn.Module]


@dataclass(frozen=True)
class Population:
    """Networks that differ in their tensors alone, or, where `modules` holds them, in more.

    Attributes:
        network: one of them, for all but its tensors.
        tensors: parameters and buffers by name, each of shape (networks, …).
        modules: the networks themselves, where no stack of tensors tells all about them.
    """

    network: nn.Module
    tensors: dict[str, Tensor]
    modules: tuple[nn.Module, ...] = ()

    def __len__(self) -> int:
        return len(self.modules) or len(next(iter(self.tensors.values())))

    def take(self, chosen: slice | Tensor) -> "Population":
        """Some of them."""
        if self.modules:
            numbers = range(len(self))[chosen] if isinstance(chosen, slice) else chosen.tolist()
            return Population(self.network, {}, tuple(self.modules[i] for i in numbers))
        return Population(self.network, {name: t[chosen] for name, t in self.tensors.items()})

    def converted(self, convert: Callable[[nn.Module], nn.Module]) -> "Population":
        """Each in the precision that this gives a network, in place."""
        if self.modules:
            modules = tuple(map(convert, self.modules))
            return Population(modules[0], {}, modules)
        network = convert(self.network)
        found = _state(network)
        return Population(network, {name: t.to(found[name].dtype) for name, t in self.tensors.items()})

    def networks(self) -> Iterator[nn.Module]:
        """Each as a module of its own."""
        if self.modules:
            yield from self.modules
            return
        for i in range(len(self)):
            network = copied(self.network)
            with torch.no_grad():
                for name, tensor in _state(network).items():
                    tensor.copy_(self.tensors[name][i])
            yield network


@dataclass(frozen=True)
class Draws:
    """How networks of one family are drawn and run: one by one, or many by one call.

    Attributes:
        together: whether one call of the constructor draws many: see `why_not_together`.
        answering: whether `vmap` runs many in evaluation mode.
        whole: why each must be kept as it was constructed, if it must: see `why_whole`.
        answer: a program that runs them, if there is one.
    """

    together: bool
    answering: bool
    whole: str | None = None
    answer: Callable[[Population, Tensor], Tensor] | None = None


def of(networks: Sequence[nn.Module]) -> Population:
    """Networks as a population: stacked, if they differ in their tensors alone."""
    if len({signature(network) for network in networks}) > 1:
        return Population(networks[0], {}, tuple(networks))
    states = [_state(network) for network in networks]
    return Population(networks[0], {name: torch.stack([s[name] for s in states]) for name in states[0]})


def joined(populations: Sequence[Population]) -> Population:
    """Several populations of one family as one."""
    first = populations[0]
    if len(populations) == 1:
        return first
    if any(p.modules for p in populations):
        return Population(first.network, {}, tuple(n for p in populations for n in p.networks()))
    tensors = {name: torch.cat([p.tensors[name] for p in populations]) for name in first.tensors}
    return Population(first.network, tensors)


def interleaved(populations: Sequence[Population]) -> Population:
    """Several populations of equal length as one: the first of each, the second of each, …"""
    whole, each = joined(populations), len(populations[0])
    order = torch.arange(len(whole)).view(len(populations), each).t().flatten()
    return whole if len(populations) == 1 else whole.take(order)


def draw(make: Make, how: Draws, count: int, needed: int, sequence: SeedSequence) -> Population:
    """The first `needed` networks of a tile of `count`, from the start of a stream.

    Args:
        make: the constructor and the prior.
        how: whether one call of them may draw the whole tile, and whether they are kept as they were constructed.
    """
    if not how.together:
        with forked(sequence):
            networks = [make() for _ in range(needed)]
        return of(networks) if how.whole is None else Population(networks[0], {}, tuple(networks))
    with forked(sequence):
        network = make()
    with forked(sequence):
        tensors = _at_once(make, count)
    return Population(network, {name: t[:needed] for name, t in tensors.items()})


def copied(network: nn.Module) -> nn.Module:
    """A deep copy whose parameters keep what was written on them, such as a learning rate of their own."""
    copy_ = copy.deepcopy(network)
    for parameter, original in zip(copy_.parameters(), network.parameters(), strict=True):
        vars(parameter).update(vars(original))
    return copy_


def why_whole(one: nn.Module, other: nn.Module, inputs: Tensor) -> str | None:
    """Why networks of a family must be kept as they were constructed; None where tensors tell all about each.

    What is constructed is compared with what is made of its tensors: outputs in evaluation mode and in training, and
    the gradients of these. Both networks are used up.

    Args:
        one, other: two constructions.
        inputs: shape (n, *input_shape).
    """
    if (why := not_in_tensors(one)) is not None:
        return why
    if signature(one) != signature(other):
        return "two constructions differ in more than their parameters"
    _, made = of([one, other]).networks()
    inputs = fitting(other, inputs)
    found, wanted = _behaviour(made, inputs), _behaviour(other, inputs)
    for name, values in wanted.items():
        if name not in found or not nearly(found[name], values):
            return f"a copy of it is another network: {name} differs"
    return None


def _behaviour(network: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """Outputs in evaluation mode and in training, gradients and buffers after a step."""
    with forked(SeedSequence(0)), Counter(torch.tensor(0)):
        with torch.no_grad():
            evaluated = network.eval()(inputs)
        trained = network.train()(inputs)
        trained.square().mean().backward()
    slopes = {f"the gradient of {n}": p.grad for n, p in network.named_parameters() if p.grad is not None}
    outputs = {"its output in evaluation": evaluated, "its output in training": trained.detach()}
    found = {**outputs, **slopes, **dict(network.named_buffers())}
    return {name: t.to_dense() if t.layout != torch.strided else t for name, t in found.items()}


def why_not_together(make: Make, sequence: SeedSequence) -> str | None:
    """Why networks must be constructed one by one; None where one call under `vmap` draws what as many calls would.

    Two plain constructions are compared with a vectorised one: what is equal in the former must be equal there, what
    differs must differ, no random call may have a generator of its own, and nothing but tensors may differ.
    """
    with forked(sequence):
        before = other_generators()
        one, other = make(), make()
        if other_generators() != before:
            return "it draws from numpy or from `random`"
    try:
        with forked(sequence):
            drawn = _at_once(make, 2)
    except Exception as error:
        return f"its constructor is not vectorised: {explain(error.__cause__ or error)}"
    for name, tensor in _state(one).items():
        found = drawn[name]
        if found.shape[1:] != tensor.shape or found.dtype != tensor.dtype:
            return f"{name} has another shape or type when it is constructed once for all"
        same = torch.equal(found[0], found[1])
        if torch.equal(tensor, _state(other)[name]) != same or (same and not nearly(found[0], tensor)):
            return f"{name} would be {'the same in' if same else 'different in'} all networks"
    return None


def answers(population: Population, inputs: Tensor, together: bool) -> Tensor:
    """What networks answer in evaluation mode, in float64, in passes of 512 samples.

    Args:
        population: T networks.
        inputs: shape (T, n, …).
        together: whether `vmap` may run them at once.
    """
    inputs = fitting(population.network, inputs)
    together = together and not population.modules
    with torch.no_grad(), batching(), Counter(None) if together else unfused():
        if not together:
            each = zip(population.networks(), inputs, strict=True)
            rows = [[n.eval()(some).double() for some in x.split(EVALUATION_SAMPLES)] for n, x in each]
            return torch.stack([torch.cat(row) for row in rows])
        network = population.network.eval()
        run = vmap(lambda tensors, x: functional_call(network, tensors, (x,)).double())
        return torch.cat([run(population.tensors, some) for some in inputs.split(EVALUATION_SAMPLES, 1)], 1)


def answer_together(networks: Sequence[nn.Module], inputs: Tensor) -> bool:
    """Whether `vmap` gives what networks of one family answer alone, inputs (networks, n, …)."""
    population = of(networks)
    if population.modules:  # each is asked for itself, so that nothing would be compared
        return False
    try:
        alone, together = (answers(population, inputs, batched) for batched in (False, True))
    except (RuntimeError, TypeError, ValueError):
        return False
    return torch.allclose(alone, together, rtol=1e-4, atol=1e-5, equal_nan=True)


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in registered(network).items()}


def other_generators() -> tuple[Any, ...]:
    """The states of the generators that are not torch's."""
    state: Any = np.random.get_state()  # noqa: NPY002 (constructors may use it)
    return state[0], state[1].tobytes(), *state[2:], random.getstate()


def _at_once(make: Make, count: int) -> dict[str, Tensor]:
    """The tensors of `count` networks by one call, random numbers different in each."""

    def construct(zero: Tensor) -> dict[str, Tensor]:
        with _Factories(zero):
            return _state(make())

    return vmap(construct, randomness="different")(torch.zeros(count))


class _Factories(TorchFunctionMode):
    """Makes the tensors that constructors fill in place one for every network.

    Raises:
        RuntimeError: on a random call with a generator of its own, which would draw other values for every network.
    """

    def __init__(self, zero: Tensor) -> None:
        super().__init__()
        self._zero = zero

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is not None:
            raise RuntimeError("a random call has a generator of its own")
        made = function(*args, **kwargs)
        if function in (torch.empty, torch.zeros, torch.ones, torch.full) and made.is_floating_point():
            return made.detach() + self._zero.to(made.dtype)
        return made
