"""Sums of plane waves up to a frequency (the spectral bias of networks: Rahaman et al. 2019, arXiv:1806.08734)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Sines:
    """Waves of random directions and phases, with amplitudes that are normal: Σ a sin(2π f u·x / √d + φ).

    Attributes:
        frequency: the largest f, in periods a unit of length; each wave's is uniform in (0, frequency].
        waves: how many are summed.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if a number is not positive.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> Sines(frequency=2, outputs=3)(torch.randn(8, 4, generator=draw), draw).shape
        torch.Size([8, 3])
    """

    name: ClassVar[str] = "sums of sines"
    frequency: float = 1.0
    waves: int = 8
    outputs: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.frequency < math.inf or self.waves < 1 or self.outputs < 1:
            raise ArchabError(
                f"target.frequency={self.frequency}, waves={self.waves}, outputs={self.outputs}: positive numbers are "
                "needed"
            )

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        flat = x.double().flatten(1)
        directions = torch.randn(self.waves, flat.shape[1], generator=draw, dtype=flat.dtype)
        directions = directions / directions.norm(dim=1, keepdim=True)
        frequencies = self.frequency * (1 - torch.rand(self.waves, generator=draw, dtype=flat.dtype))
        phases = 2 * math.pi * torch.rand(self.waves, self.outputs, generator=draw, dtype=flat.dtype)
        amplitudes = torch.randn(self.waves, self.outputs, generator=draw, dtype=flat.dtype)
        angles = 2 * math.pi * (flat @ directions.T) * frequencies / math.sqrt(flat.shape[1])
        return (amplitudes * (angles.unsqueeze(-1) + phases).sin()).sum(1)
