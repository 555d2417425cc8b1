"""Targets that are networks, drawn from the prior of a space."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from numpy.random import SeedSequence
from torch import Tensor

from archab.errors import ArchabError
from archab.networks.population import Draws, Population, answers, draw
from archab.networks.probe import learnt
from archab.networks.streams import Stage, forked, generator, stream, tiles
from archab.space.inputs import Inputs
from archab.space.space import ArchitecturalSpace
from archab.targets.base import SMALLEST_SCALE, Targets, joined, orders, sampled

ATTEMPTS = 20


@dataclass(frozen=True)
class NetworkSource:
    """Networks of one member of a space, drawn from its prior; see `TargetSource`.

    Attributes:
        space: the space whose prior is drawn from, and `index` its member.
        member: the member that the targets serve (a space of one member serves every one with draws of its own).
        side: `a`, `b` or `reference`.
        inputs: the distribution of inputs.
        samples, heldout: numbers of training and of held-out samples.
        tile: targets a tile.
        seed: the run's seed.
        draws: how its networks are drawn and answer.
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
    draws: Draws

    def tiled(self, tile: int) -> "NetworkSource":
        """See `TargetSource`."""
        return replace(self, tile=tile)

    def draw(self, first: int, last: int) -> Targets:
        """The targets first … last − 1.

        Raises:
            ArchabError: if a target's outputs stay constant or non-finite in 20 draws.
        """
        return joined([self._tile(tile, start, stop) for tile, start, stop in tiles(first, last, self.tile)])

    def order(self, first: int, last: int, epoch: int) -> Tensor:
        """The order in which students meet the training samples of these targets, shape (last − first, samples)."""
        return orders(lambda tile: self._stream(Stage.ORDER, tile, epoch), first, last, self.tile, self.samples)

    def _tile(self, tile: int, start: int, stop: int) -> Targets:
        """The positions start … stop − 1 of a tile; those that fail are taken from the tile's next attempt."""
        missing, at = torch.arange(start, stop), list[Tensor]()
        found: list[Targets] = []
        for attempt in range(ATTEMPTS):
            drawn, whole = self._attempt(tile, attempt, missing)
            found.append(drawn)
            at.append(missing[whole])
            missing = missing[~whole]
            if not len(missing):
                return joined(found, torch.cat(at).argsort() if attempt else None)
        raise ArchabError(
            f"the prior of {self.space.name}, member {self.index}, gave no target whose outputs vary in {ATTEMPTS} "
            f"draws (a scale above {SMALLEST_SCALE:g} and finite is needed)"
        )

    def _attempt(self, tile: int, attempt: int, positions: Tensor) -> tuple[Targets, Tensor]:
        """One draw of these positions of a tile: those whose outputs vary, and which of the positions they are."""
        make, here = partial(self.space.drawn, self.index), self._stream(Stage.TARGET, tile, attempt)
        first, stop = int(positions[0]), int(positions[-1]) + 1
        drawn = draw(make, self.draws, self.tile, stop, here)
        networks = drawn.converted(self.space.converted).take(positions)
        chosen = slice(first, stop) if len(positions) == stop - first else positions  # the first attempt's, uncopied
        inputs, heldout = (x[chosen] for x in self._inputs(tile, attempt))
        together = self.draws.answering
        answer = self.draws.answer or (lambda networks, x: answers(networks, x, together))
        outputs, heldout_outputs = (answer(networks, x) for x in (inputs, heldout))
        mean = outputs.mean(1, keepdim=True)
        centred, heldout_centred = (y - mean for y in (outputs, heldout_outputs))
        scale = centred.square().flatten(1).mean(1).sqrt()
        whole = (scale >= SMALLEST_SCALE) & scale.isfinite() & heldout_centred.flatten(1).sum(1).isfinite()
        outputs, heldout_outputs = (
            learnt(networks.network, y.div_(scale.view(-1, *[1] * (y.dim() - 1)))) for y in (centred, heldout_centred)
        )
        made = [inputs, outputs, heldout, heldout_outputs, mean.squeeze(1), scale]
        if not whole.all():
            networks = networks.take(whole.nonzero().flatten())
            made = [t[whole] for t in made]
        names = tuple(_identities(networks, made[0], made[2]))
        return Targets(names, int((~whole).sum()), *made), whole

    def _inputs(self, tile: int, attempt: int) -> tuple[Tensor, Tensor]:
        """Those of training and held-out ones of a whole tile."""
        stream, shape = self._stream(Stage.INPUTS, tile, attempt), tuple(self.space.input_shape)
        draws = generator(stream)
        with forked(stream):
            inputs = sampled(self.inputs, (self.tile, self.samples, *shape), draws)
            return inputs, sampled(self.inputs, (self.tile, self.heldout, *shape), draws)

    def _stream(self, stage: Stage, tile: int, k: int) -> SeedSequence:
        return stream(self.seed, stage, self.side, self.side, self.member, tile, k)


def _identities(networks: Population, *inputs: Tensor) -> Iterator[str]:
    """A hash of each target's weights and inputs."""
    if networks.modules:
        for network, *given in zip(networks.modules, *inputs, strict=True):
            held = (*network.parameters(), *network.buffers(), *given)
            yield from _hashes([(t if t.layout == torch.strided else t.to_dense()).unsqueeze(0) for t in held])
    elif len(inputs[0]):
        yield from _hashes([*networks.tensors.values(), *inputs])


def _hashes(tensors: list[Tensor]) -> Iterator[str]:
    """One for each index of their first axis."""
    rows = [t.detach().reshape(len(t), -1).contiguous().view(torch.uint8) for t in tensors]
    for row in torch.cat(rows, 1).numpy():
        yield hashlib.blake2b(row, digest_size=8).hexdigest()
