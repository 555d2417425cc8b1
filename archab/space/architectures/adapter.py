"""A frozen network and what is learnt beside it: thin products (LoRA) or whole matrices of some layers."""

import math

import torch
from torch import Generator, Tensor, nn

from archab.space.architectures.units import Size, flat

BASE = 2106  # the seed of the frozen network, which is the same for every student and target


class Frozen(nn.Module):
    """W x with a matrix that is given and does not learn, shape (outputs, inputs)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        return nn.functional.linear(x, self.weight)


class LowRank(Frozen):
    """W + U V (Hu et al. 2021, arXiv:2106.09685, equation 3): U is zero at first, so that the base is the start."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__(weight)
        outputs, inputs = weight.shape
        self.down = nn.Parameter(torch.zeros(outputs, rank))
        self.up = nn.Parameter(torch.empty(rank, inputs).uniform_(-1, 1) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        return nn.functional.linear(x, self.weight + self.down @ self.up)


class Full(Frozen):
    """W + Δ: Δ is normal, its standard deviation `moved` over the root of the inputs; zero at first where that is 0."""

    def __init__(self, weight: Tensor, moved: float) -> None:
        super().__init__(weight)
        self.change = nn.Parameter(torch.randn(weight.shape) * (moved / math.sqrt(weight.shape[1])))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, inputs) to (…, outputs)."""
        return nn.functional.linear(x, self.weight + self.change)


def adapted(
    inputs: Size,
    outputs: Size,
    hidden: int = 32,
    depth: int = 4,
    rank: int | None = None,
    layers: int | None = None,
    moved: float = 0.0,
) -> nn.Sequential:
    """A frozen perceptron of ReLU, the same each time, of whose square matrices some change.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of all hidden layers.
        depth: how many square matrices stand between the first and the last, which stay frozen.
        rank: of the thin product that is added to each square matrix; or
        layers: how many of them change as a whole, the last ones.
        moved: how far these are drawn from the base, in standard deviations of torch's own weights; 0 starts there.

    Raises:
        ValueError: if not exactly one of `rank` and `layers` is given, or there are not so many layers.
    """
    if (rank is None) == (layers is None):
        raise ValueError(f"rank={rank}, layers={layers}: one of the two is needed")
    if layers is not None and not 1 <= layers <= depth:
        raise ValueError(f"layers={layers}: from 1 to depth={depth}")
    given, wanted = flat(inputs, outputs)
    draws = Generator(device="cpu").manual_seed(BASE)

    def weight(rows: int, columns: int) -> Tensor:
        drawn = torch.randn(rows, columns, generator=draws, device="cpu") * math.sqrt(2 / columns)
        return drawn.to(torch.get_default_device())

    def square(place: int) -> nn.Module:
        base = weight(hidden, hidden)
        if rank is not None:
            return LowRank(base, rank)
        return Full(base, moved) if place >= depth - (layers or 0) else Frozen(base)

    within = [module for place in range(depth) for module in (square(place), nn.ReLU())]
    return nn.Sequential(Frozen(weight(hidden, given)), nn.ReLU(), *within, Frozen(weight(wanted, hidden)))
