"""What a source of targets gives, whatever they are: runs of targets with samples, and one order of these for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.random import SeedSequence
from torch import Tensor

from archab.errors import ArchabError, explain
from archab.networks.streams import tiles
from archab.space.inputs import Inputs

SMALLEST_SCALE = 1e-6  # of outputs that vary


@dataclass(frozen=True)
class Targets:
    """A run of T targets.

    Attributes:
        names: identity of each, a hash of its weights and inputs.
        redrawn: how many draws were refused since their outputs were constant or not finite.
        inputs, outputs: training samples, shape (T, n, …); outputs have mean 0 in every coordinate and, over all
            coordinates together, variance 1.
        heldout_inputs, heldout_outputs: fresh samples, shape (T, h, …), standardised by the same map.
        location, scale: that map, (y − location) / scale, shapes (T, …) and (T,).
    """

    names: tuple[str, ...]
    redrawn: int
    inputs: Tensor
    outputs: Tensor
    heldout_inputs: Tensor
    heldout_outputs: Tensor
    location: Tensor
    scale: Tensor


class TargetSource(Protocol):
    """Where the targets of one member come from.

    Targets are drawn in tiles, so that more of them extend the same ones; the same call gives the same targets.
    """

    @property
    def samples(self) -> int:
        """Training samples a target."""

    @property
    def tile(self) -> int:
        """Targets that are drawn from one stream."""

    def tiled(self, tile: int) -> "TargetSource":
        """The same source with so many targets drawn from one stream: other targets, unless the number is the same."""

    def draw(self, first: int, last: int) -> Targets:
        """The targets first … last − 1.

        Raises:
            ArchabError: if there is no such target, as where outputs stay constant in many draws.
        """

    def order(self, first: int, last: int, epoch: int) -> Tensor:
        """The order in which students meet the training samples of these targets, shape (last − first, samples)."""


def joined(parts: list[Targets], order: Tensor | None = None) -> Targets:
    """Several runs of targets as one, rearranged."""
    if len(parts) == 1 and order is None:
        return parts[0]
    names = [name for part in parts for name in part.names]
    whole = [torch.cat([getattr(part, key) for part in parts]) for key in _TENSORS]
    if order is not None:
        names, whole = [names[i] for i in order.tolist()], [tensor[order] for tensor in whole]
    return Targets(tuple(names), sum(part.redrawn for part in parts), *whole)


_TENSORS = ("inputs", "outputs", "heldout_inputs", "heldout_outputs", "location", "scale")


def orders(draws: Callable[[int], SeedSequence], first: int, last: int, tile: int, samples: int) -> Tensor:
    """An order of the samples for each of the targets first … last − 1, shape (last − first, samples).

    Args:
        draws: the stream of a tile.
        first, last: which targets.
        tile: how many are drawn from one stream.
        samples: how many there are to be ordered.
    """
    drawn = [
        # Row after row, so that those of more targets extend these.
        np.random.default_rng(draws(k)).permuted(np.tile(np.arange(samples), (stop, 1)), axis=1)[start:]
        for k, start, stop in tiles(first, last, tile)
    ]
    return torch.from_numpy(np.concatenate(drawn))


def sampled(inputs: Inputs, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Inputs of this shape.

    Raises:
        ArchabError: if the distribution fails or gives anything else.
    """
    try:
        drawn = inputs(shape, generator)
    except ArchabError:
        raise
    except Exception as error:
        raise ArchabError(f"inputs: the distribution failed on shape {tuple(shape)}: {explain(error)}") from error
    if not isinstance(drawn, Tensor) or tuple(drawn.shape) != tuple(shape):
        got = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise ArchabError(f"inputs: the distribution gave {got} where a tensor of shape {tuple(shape)} was asked for")
    return drawn
