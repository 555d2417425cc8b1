"""Networks as they are drawn, before training: what they answer to fresh inputs, and how the outputs of layers vary."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.random import SeedSequence
from torch import Tensor, nn

from archab.comparison.inspection import index_of
from archab.engine.loss import SquaredError
from archab.networks.noise import unfused
from archab.networks.probe import fitting
from archab.networks.streams import Stage, forked, generator, stream
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace
from archab.targets.base import sampled

DRAWS, SAMPLES = 6, 128  # networks of a member and side, and inputs of each
WHOLE = "the network"  # among its layers, of which none can have this name


@dataclass(frozen=True)
class Layer:
    """The outputs of a layer: the shape of one, and root mean variance over inputs and draws."""

    shape: tuple[int, ...]
    scale: float


def streams(side: str, member: int, purpose: int) -> list[SeedSequence]:
    """A stream for each draw of a member, the same in every run; purposes tell them apart."""
    return [stream(0, Stage.INITIAL, side, side, member, purpose, k) for k in range(DRAWS)]


def drawn(space: ArchitecturalSpace, member: int, source: SeedSequence) -> nn.Module:
    """The network that a stream gives, in evaluation mode."""
    with forked(source):
        return space.construct(index_of(space, member)).eval()


def fresh(inputs: Inputs, space: ArchitecturalSpace, source: SeedSequence) -> Tensor:
    """Inputs of a stream for each draw, shape (draws, samples, *input_shape)."""
    with forked(source):
        return sampled(inputs, (DRAWS, SAMPLES, *space.input_shape), generator(source))


def answer(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network gives for inputs (n, *input_shape)."""
    with torch.no_grad(), unfused():
        return network(fitting(network, inputs))


def layers_of(networks: Sequence[nn.Module], inputs: Tensor) -> dict[str, Layer]:
    """The modules with parameters of their own, in the order in which they answer, and the network as a whole.

    Args:
        networks: draws of one member.
        inputs: for each of them, shape (draws, n, *input_shape).
    """
    found = [_variances(network, x) for network, x in zip(networks, inputs, strict=True)]
    return {
        name: Layer(shape, math.sqrt(sum(one[name][1] for one in found) / len(found)))
        for name, (shape, _) in found[0].items()
    }


def corresponding(one: Mapping[str, Layer], other: Mapping[str, Layer]) -> list[tuple[str, str]]:
    """The layers of two networks by order, where both have equally many with outputs of equal shape, else the wholes."""
    names, others = ([name for name in found if name != WHOLE] for found in (one, other))
    if [one[name].shape for name in names] == [other[name].shape for name in others]:
        return list(zip(names, others, strict=True))
    return [(WHOLE, WHOLE)]


def owned(network: nn.Module) -> dict[str, list[str]]:
    """The names of the parameters that each module holds directly; a shared one is that of the first."""
    found: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return found


def _variances(network: nn.Module, inputs: Tensor) -> dict[str, tuple[tuple[int, ...], float]]:
    found: dict[str, tuple[tuple[int, ...], float]] = {}

    def keep(name: str, module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.dim():
            found[name] = tuple(output.shape[1:]), float(SquaredError().constant(output, axis=0))

    hooks = [network.get_submodule(name).register_forward_hook(partial(keep, name)) for name in owned(network)]
    try:
        keep(WHOLE, network, inputs, answer(network, inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return found
