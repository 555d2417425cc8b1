"""Networks as they are drawn, before training: what they answer to fresh inputs, and how the outputs of layers vary."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from archab.engine.loss import SquaredError
from archab.networks.noise import unfused
from archab.networks.probe import fitting
from archab.networks.streams import Stage, forked, generator, stream
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace
from archab.targets.base import sampled

DRAWS, SAMPLES = 6, 128
WHOLE = "the network"  # among its layers, of which none can have this name


@dataclass(frozen=True)
class Initial:
    """A few draws of a member, in evaluation mode, and inputs for each, shape (draws, n, *input_shape)."""

    networks: list[nn.Module]
    inputs: Tensor

    def outputs(self) -> list[Tensor]:
        """What each network gives for its inputs."""
        return [answer(network, x) for network, x in zip(self.networks, self.inputs, strict=True)]


@dataclass(frozen=True)
class Layer:
    """The outputs of a layer: the shape of one, and their root mean variance over inputs and draws."""

    shape: tuple[int, ...]
    scale: float


def initial(
    space: ArchitecturalSpace, side: str, member: int, inputs: Inputs, purpose: int, draws: int = DRAWS
) -> Initial:
    """Draws by the streams of a side and purpose, the same in every run."""
    streams = [stream(0, Stage.INITIAL, side, side, member, purpose, k) for k in range(draws)]
    networks = []
    for one in streams:
        with forked(one):
            networks.append(space.construct(member).eval())
    with forked(streams[0]):
        drawn = sampled(inputs, (draws, SAMPLES, *space.input_shape), generator(streams[0]))
    return Initial(networks, drawn)


def answer(network: nn.Module, inputs: Tensor) -> Tensor:
    """What a network in evaluation mode gives for inputs (n, *input_shape)."""
    with torch.no_grad(), unfused():
        return network(fitting(network, inputs))


def owned(network: nn.Module) -> dict[str, list[str]]:
    """By module the names of the parameters that it holds, also in a list; one that several share is the first's."""
    found: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        holder = name.rpartition(".")[0]
        while isinstance(network.get_submodule(holder), nn.ParameterList | nn.ParameterDict):
            holder = holder.rpartition(".")[0]
        found.setdefault(holder, []).append(name)
    return found


def layers_of(drawn: Initial, inside: Initial | None = None) -> dict[str, Layer]:
    """The modules with parameters of their own, in the order in which they answer, and then the whole network.

    Args:
        drawn: the networks.
        inside: others of the same family, for what each layer alone does in their place: it is given their layer's
            inputs.
    """
    hosts = (inside or drawn).networks
    found = [_variances(*one) for one in zip(drawn.networks, hosts, drawn.inputs, strict=True)]
    return {
        name: Layer(shape, math.sqrt(sum(one[name][1] for one in found) / len(found)))
        for name, (shape, _) in found[0].items()
    }


def corresponding(one: Mapping[str, Layer], other: Mapping[str, Layer]) -> list[tuple[str, str]]:
    """The layers of two networks by order, where they are equally many with outputs of equal shape, else the wholes."""
    names, others = ([name for name in found if name != WHOLE] for found in (one, other))
    if [one[name].shape for name in names] == [other[name].shape for name in others]:
        return list(zip(names, others, strict=True))
    return [(WHOLE, WHOLE)]


def _variances(network: nn.Module, host: nn.Module, inputs: Tensor) -> dict[str, tuple[tuple[int, ...], float]]:
    found: dict[str, tuple[tuple[int, ...], float]] = {}

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.dim():
            found[name] = tuple(output.shape[1:]), float(SquaredError().constant(output, axis=0))

    def hook(name: str, module: nn.Module, given: Any, named: Any, output: Any) -> None:
        keep(name, output if host is network else network.get_submodule(name)(*given, **named))

    hooks = [
        host.get_submodule(name).register_forward_hook(partial(hook, name), with_kwargs=True) for name in owned(host)
    ]
    try:
        whole = answer(host, inputs)
    finally:
        for one in hooks:
            one.remove()
    keep(WHOLE, whole if host is network else answer(network, inputs))
    return found
