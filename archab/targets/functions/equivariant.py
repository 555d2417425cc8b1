"""Functions of sets: each element's output hangs on the element and, alike for all, on the whole set."""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class Equivariant:
    """tanh(A x_i + B mean_j tanh(C x_j)) D for each element x_i of a sequence: permuted inputs give permuted outputs.

    The form that every such function has in the limit of wide sums (Zaheer et al. 2017, arXiv:1703.06114, theorem 2).

    Attributes:
        hidden: width of the hidden layers.
        outputs: coordinates of an element's output, as many as of its input where None.

    Raises:
        ArchabError: if a number is not positive; when called, if inputs are no sequences (n, length, features).

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> Equivariant()(torch.randn(8, 5, 3, generator=draw), draw).shape
        torch.Size([8, 5, 3])
    """

    name: ClassVar[str] = "equivariant functions of sets"
    hidden: int = 32
    outputs: int | None = None

    def __post_init__(self) -> None:
        if self.hidden < 1 or (self.outputs is not None and self.outputs < 1):
            raise ArchabError(f"target.hidden={self.hidden}, outputs={self.outputs}: at least 1 is needed")

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, length, features) to outputs (n, length, outputs)."""
        if x.dim() != 3:
            raise ArchabError(f"input_shape={list(x.shape[1:])}: equivariant functions are of [length, features]")
        features, elements = x.shape[2], x.double()
        own, pooled, of_set, out = (
            torch.randn(n, m, generator=draw, dtype=torch.float64) * gain / sqrt(n)
            for n, m, gain in (
                (features, self.hidden, 1.5),
                (features, self.hidden, 1.5),
                (self.hidden, self.hidden, 3.0),
                (self.hidden, self.outputs or features, 1.0),
            )
        )
        whole = torch.tanh(elements @ pooled).mean(1, keepdim=True) @ of_set
        return torch.tanh(elements @ own + whole) @ out
