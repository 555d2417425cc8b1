"""Networks of the targets' own family as students: their answers pass through the target's own location and scale."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from archab.networks.population import Population

LOCATION, SCALE = "archab_location", "archab_scale"


@dataclass(frozen=True)
class Standardised:
    """A prior after which a network answers (y − location) / scale in the place of y, at first with 0 and 1.

    Targets are standardised, so that a network of their own family could not give them without a free output layer.
    With the target's own location and scale one that equals the target has an error of 0. The map is the network's,
    not its outputs': the loss keeps the scale for which learning rate, clipping and SGD's steps were chosen, so that
    a family whose outputs are all ten times larger trains alike.

    Attributes:
        prior: what is called before.
        output: shape of one sample's output.
    """

    prior: Callable[[nn.Module], Any]
    output: tuple[int, ...]

    def __call__(self, network: nn.Module) -> Any:
        given = self.prior(network)
        dtype = next(network.parameters()).dtype.to_real()
        network.register_buffer(LOCATION, torch.zeros(self.output, dtype=dtype), persistent=False)
        network.register_buffer(SCALE, torch.ones((), dtype=dtype), persistent=False)
        network.register_forward_hook(_through)
        return given


def of_targets(students: Population, location: Tensor, scale: Tensor) -> Population:
    """Networks of a standardised family with the locations (T, *output) and scales (T,) of their targets."""
    if not students.modules:
        own = {LOCATION: location, SCALE: scale}
        tensors = {name: t.to(students.tensors[name].dtype) for name, t in own.items()}
        return Population(students.network, students.tensors | tensors)
    for network, mean, deviation in zip(students.modules, location, scale, strict=True):
        network.get_buffer(LOCATION).copy_(mean)
        network.get_buffer(SCALE).copy_(deviation)
    return students


def as_targets(answer: Callable[[Population, Tensor], Tensor]) -> Callable[[Population, Tensor], Tensor]:
    """What networks of the bare family answer, by a program of the standardised one."""

    def answers(networks: Population, inputs: Tensor) -> Tensor:
        dtype = next(networks.network.parameters()).dtype.to_real()
        tensors = networks.tensors | {SCALE: torch.ones(len(networks), dtype=dtype)}
        return answer(Population(networks.network, tensors), inputs)

    return answers


def _through(network: nn.Module, given: Any, output: Tensor) -> Tensor:
    return (output - network.get_buffer(LOCATION)) / network.get_buffer(SCALE)
