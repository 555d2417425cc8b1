"""Noise on what students learn: on outputs that are numbers, on labels; what they are scored by stays clean."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archab.networks.streams import Stage, generator, stream
from archab.targets.base import Targets, TargetSource


@dataclass(frozen=True)
class Noisy:
    """A source whose training outputs have noise; see `TargetSource`.

    Attributes:
        source: of the clean targets.
        noise: the standard deviation of normal noise, where the outputs' own is 1; of labels the share that is wrong.
        of: what outputs are: `numbers`, `classes` (1 for the right one, 0 for others) or `odds` (0 or 1).
        member, side: whose targets they are.
        seed: the run's seed.
    """

    source: TargetSource
    noise: float
    of: str
    member: int
    side: str
    seed: int

    @property
    def samples(self) -> int:
        """See `TargetSource`."""
        return self.source.samples

    @property
    def tile(self) -> int:
        """See `TargetSource`."""
        return self.source.tile

    def tiled(self, tile: int) -> "Noisy":
        """See `TargetSource`."""
        return replace(self, source=self.source.tiled(tile))

    def draw(self, first: int, last: int) -> Targets:
        """See `TargetSource`."""
        clean = self.source.draw(first, last)
        streams = (
            stream(self.seed, Stage.DISTURBANCE, self.side, self.side, self.member, i, 0) for i in range(first, last)
        )
        disturbed = [self._with(y, generator(here)) for y, here in zip(clean.outputs, streams, strict=True)]
        return replace(clean, outputs=torch.stack(disturbed))

    def order(self, first: int, last: int, epoch: int) -> Tensor:
        """See `TargetSource`."""
        return self.source.order(first, last, epoch)

    def _with(self, y: Tensor, draws: torch.Generator) -> Tensor:
        """The outputs of one target's training samples, with noise."""
        if self.of == "numbers":
            return y + self.noise * torch.randn(y.shape, generator=draws).to(y.dtype)
        places = y.shape[:-1] if self.of == "classes" else y.shape
        wrong = torch.rand(places, generator=draws) < self.noise
        if self.of == "odds":
            return torch.where(wrong, 1 - y, y)
        shift = torch.randint(1, y.shape[-1], places, generator=draws)
        at = (torch.arange(y.shape[-1]) - shift.unsqueeze(-1)) % y.shape[-1]
        return torch.where(wrong.unsqueeze(-1), y.gather(-1, at), y)
