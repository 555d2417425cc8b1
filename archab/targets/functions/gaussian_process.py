"""Functions drawn from a Gaussian process (Rasmussen and Williams 2006, chapters 2 and 4)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError

JITTER = 1e-8


def _rbf(r: Tensor) -> Tensor:
    return (-r.square() / 2).exp()


def _matern12(r: Tensor) -> Tensor:
    return (-r).exp()


def _matern32(r: Tensor) -> Tensor:
    return (1 + math.sqrt(3) * r) * (-math.sqrt(3) * r).exp()


def _matern52(r: Tensor) -> Tensor:
    return (1 + math.sqrt(5) * r + 5 * r.square() / 3) * (-math.sqrt(5) * r).exp()


KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "rbf": _rbf,  # equation 4.9
    "matern12": _matern12,  # equations 4.17 and 4.18
    "matern32": _matern32,
    "matern52": _matern52,
}


@dataclass(frozen=True)
class GaussianProcess:
    """Independent outputs of mean 0 and variance 1, whose covariance falls with the distance of the inputs.

    Attributes:
        kernel: `rbf`, `matern12`, `matern32` or `matern52`.
        scale: the length over which they vary; times the root of the number of coordinates, so that it means the same
            for inputs of any dimension.
        outputs: coordinates of an output.

    Raises:
        ArchabError: if there is no such kernel, or a number is not positive.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> GaussianProcess(outputs=2)(torch.randn(8, 3, generator=draw), draw).shape
        torch.Size([8, 2])
    """

    name: ClassVar[str] = "a Gaussian process"
    kernel: str = "rbf"
    scale: float = 1.0
    outputs: int = 1

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise ArchabError(f"target.kernel={self.kernel}: one of {', '.join(KERNELS)}")
        if not 0 < self.scale < math.inf or self.outputs < 1:
            raise ArchabError(f"target.scale={self.scale}, outputs={self.outputs}: positive numbers are needed")

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs)."""
        flat = x.double().flatten(1)
        covariance = KERNELS[self.kernel](torch.cdist(flat, flat) / (self.scale * math.sqrt(flat.shape[1])))
        jitter = JITTER
        while True:  # equal inputs, and smooth kernels, leave it singular to rounding
            factor, failed = torch.linalg.cholesky_ex(covariance + jitter * torch.eye(len(flat), dtype=flat.dtype))
            if not failed:
                return factor @ torch.randn(len(flat), self.outputs, generator=draw, dtype=flat.dtype)
            jitter *= 10
