"""Random decision trees: constant on boxes, along the axes, as tables of measured columns often are."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from archab.errors import ArchabError


@dataclass(frozen=True)
class DecisionTree:
    """A full binary tree: each node asks one coordinate, at one of the inputs that reach it, each leaf has a value.

    Values are normal, or, with classes, the label of a class each.

    Attributes:
        depth: questions on the way to a leaf.
        outputs: coordinates of an output.
        classes: how many classes leaves are labelled with; None for numbers.

    Raises:
        ArchabError: if a number is out of range.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> values = DecisionTree(depth=2)(torch.randn(64, 3, generator=draw), draw)
        >>> values.shape, len(values.unique())
        (torch.Size([64, 1]), 4)
    """

    name: ClassVar[str] = "random decision trees"
    depth: int = 4
    outputs: int = 1
    classes: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= 20 or self.outputs < 1:
            raise ArchabError(f"target.depth={self.depth}, outputs={self.outputs}: 1 to 20, and at least 1, are needed")
        if self.classes is not None and self.classes < 2:
            raise ArchabError(f"target.classes={self.classes}: at least 2, or null for numbers")

    def __call__(self, x: Tensor, draw: Generator) -> Tensor:
        """Inputs (n, …) to outputs (n, outputs); to labels (n,) with classes."""
        flat = x.double().flatten(1)
        leaf = torch.zeros(len(flat), dtype=torch.int64)
        for level in range(self.depth):
            nodes = 2**level
            asked = torch.randint(flat.shape[1], (nodes,), generator=draw)
            ranks = torch.rand(nodes, generator=draw)
            thresholds = torch.zeros(nodes, dtype=flat.dtype)
            for node in leaf.unique().tolist():
                reached = flat[leaf == node, asked[node]]
                thresholds[node] = reached.quantile(0.2 + 0.6 * float(ranks[node]))
            leaf = 2 * leaf + (flat.gather(1, asked[leaf].unsqueeze(1)).squeeze(1) > thresholds[leaf])
        if self.classes is not None:
            return torch.randint(self.classes, (2**self.depth,), generator=draw)[leaf]
        return torch.randn(2**self.depth, self.outputs, generator=draw, dtype=flat.dtype)[leaf]
