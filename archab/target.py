"""Targets: functions to approximate, drawn as networks from a prior, with their training and held-out samples."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.random import SeedSequence
from torch import Tensor, nn

from archab.engine.cohort import EVALUATION_SAMPLES
from archab.engine.randomness import Stage, forked, generator, stream, tiles
from archab.errors import ArchabError
from archab.space.examine import fitting
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace, explain

ATTEMPTS = 20
SMALLEST_SCALE = 1e-6


@dataclass(frozen=True)
class Targets:
    """A run of T targets.

    Attributes:
        names: identity of each, a hash of its weights and inputs.
        inputs, outputs: training samples, shape (T, n, …); outputs have mean 0 in every coordinate and, over all
            coordinates together, variance 1.
        heldout_inputs, heldout_outputs: fresh samples, shape (T, h, …), standardised by the same map.
        redrawn: how many draws were refused since their outputs were constant or not finite.
    """

    names: tuple[str, ...]
    inputs: Tensor
    outputs: Tensor
    heldout_inputs: Tensor
    heldout_outputs: Tensor
    redrawn: int


@dataclass(frozen=True)
class Source:
    """Where the targets of one member come from.

    Attributes:
        space: the space whose prior is drawn from, and `index` its member.
        member: the member that the targets serve (a space of one member serves every one with draws of its own).
        side: `a`, `b` or `reference`.
        inputs: the distribution of inputs.
        samples, heldout: numbers of training and of held-out samples.
        tile: targets a tile.
        seed: the run's seed.
    """

    space: ArchitecturalSpace
    index: int
    member: int
    side: str
    inputs: Inputs
    samples: int
    heldout: int
    tile: int
    seed: int

    def draw(self, first: int, last: int) -> Targets:
        """The targets first … last − 1.

        Raises:
            ArchabError: if a target's outputs stay constant or non-finite in 20 draws.
        """
        drawn = [self._tile(tile, start, stop) for tile, start, stop in tiles(first, last, self.tile)]
        tensors = {name: torch.cat([getattr(t, name) for t in drawn]) for name in _TENSORS}
        return Targets(tuple(n for t in drawn for n in t.names), redrawn=sum(t.redrawn for t in drawn), **tensors)

    def order(self, first: int, last: int, epoch: int) -> Tensor:
        """The order in which students meet the training samples of these targets, shape (last − first, samples)."""
        return torch.cat(
            [
                torch.rand(self.tile, self.samples, generator=generator(self._stream(Stage.ORDER, tile, epoch)))[
                    start:stop
                ].argsort(1)
                for tile, start, stop in tiles(first, last, self.tile)
            ]
        )

    def _tile(self, tile: int, start: int, stop: int) -> Targets:
        """The positions start … stop − 1 of a tile; those that fail are taken from the tile's next attempt."""
        missing, redrawn = list(range(start, stop)), 0
        found: dict[int, tuple[str, dict[str, Tensor]]] = {}
        for attempt in range(ATTEMPTS):
            with forked(self._stream(Stage.TARGET, tile, attempt)):
                networks = [self.space.construct(self.index) for _ in range(missing[-1] + 1)]
            here = generator(self._stream(Stage.INPUTS, tile, attempt))
            shape = tuple(self.space.input_shape)
            with forked(self._stream(Stage.INPUTS, tile, attempt)):
                inputs = sampled(self.inputs, (self.tile, self.samples, *shape), here)
                heldout = sampled(self.inputs, (self.tile, self.heldout, *shape), here)
            for position in missing:
                # Copies, so that what is kept does not keep the whole tile.
                target = _target(networks[position], inputs[position].clone(), heldout[position].clone())
                if target is not None:
                    found[position] = target
            missing = [position for position in missing if position not in found]
            redrawn += len(missing)
            if not missing:
                break
        else:
            raise ArchabError(
                f"the prior of {self.space.name}, member {self.index}, gave no target whose outputs vary in {ATTEMPTS} "
                f"draws (a scale above {SMALLEST_SCALE:g} and finite is needed)"
            )
        chosen = [found[position] for position in range(start, stop)]
        tensors = {name: torch.stack([t[name] for _, t in chosen]) for name in _TENSORS}
        return Targets(tuple(name for name, _ in chosen), redrawn=redrawn, **tensors)

    def _stream(self, stage: Stage, tile: int, k: int) -> SeedSequence:
        return stream(self.seed, stage, self.side, self.side, self.member, tile, k)


_TENSORS = ("inputs", "outputs", "heldout_inputs", "heldout_outputs")


def _target(network: nn.Module, inputs: Tensor, heldout: Tensor) -> tuple[str, dict[str, Tensor]] | None:
    """Identity and samples of one target, None where its outputs do not vary."""
    outputs, heldout_outputs = answers(network, inputs), answers(network, heldout)
    mean = outputs.mean(0)
    scale = (outputs - mean).square().mean().sqrt()
    if not SMALLEST_SCALE <= float(scale) < float("inf") or not bool(heldout_outputs.isfinite().all()):
        return None
    samples = {
        "inputs": inputs,
        "outputs": fitting(network, (outputs - mean) / scale),
        "heldout_inputs": heldout,
        "heldout_outputs": fitting(network, (heldout_outputs - mean) / scale),
    }
    return _identity(network, inputs, heldout), samples


def answers(network: nn.Module, inputs: Tensor) -> Tensor:
    """A target's outputs in evaluation mode, in float64, computed in passes of 512 samples."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(chunk).double() for chunk in fitting(network, inputs).split(EVALUATION_SAMPLES)])


def _identity(network: nn.Module, *inputs: Tensor) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for tensor in (*network.parameters(), *network.buffers(), *inputs):
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def sampled(inputs: Inputs, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Inputs of this shape.

    Raises:
        ArchabError: if the distribution fails or gives anything else.
    """
    try:
        drawn = inputs(shape, generator)
    except Exception as error:
        raise ArchabError(f"inputs: the distribution failed on shape {tuple(shape)}: {explain(error)}") from error
    if not isinstance(drawn, Tensor) or tuple(drawn.shape) != tuple(shape):
        got = tuple(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
        raise ArchabError(f"inputs: the distribution gave {got} where a tensor of shape {tuple(shape)} was asked for")
    return drawn
