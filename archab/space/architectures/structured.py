"""Residual networks of square matrices with structure: Toeplitz, block-diagonal, Monarch, or low rank plus diagonal."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from archab.space.architectures.deep import Dense, LoRA, Residual
from archab.space.architectures.units import Size, flat, uniform


class Toeplitz(nn.Module):
    """W[i, j] = t[i − j]: 2 n − 1 numbers, uniform within ±1/sqrt(n), from the upper right corner to the lower left."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.diagonals = nn.Parameter(uniform(2 * dim - 1, fan_in=dim))
        places = torch.arange(dim)[:, None] - torch.arange(dim) + dim - 1
        self.register_buffer("places", places, persistent=False)
        self.places: Tensor
        self.bias = nn.Parameter(uniform(dim, fan_in=dim))

    def matrix(self) -> Tensor:
        """The matrix, shape (dim, dim)."""
        return self.diagonals[self.places]

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        return nn.functional.linear(x, self.matrix(), self.bias)


class BlockDiagonal(nn.Module):
    """Square blocks along the diagonal and zeros elsewhere: each group of coordinates is mapped by itself.

    Args:
        dim: width, a multiple of `blocks`.
        blocks: how many.
        bias: whether one is added.

    Raises:
        ValueError: if the width cannot be split so.
    """

    def __init__(self, dim: int, blocks: int, bias: bool = True) -> None:
        super().__init__()
        if dim % blocks:
            raise ValueError(f"a width of {dim} cannot be split into blocks={blocks} of equal size")
        size = dim // blocks
        self.blocks = nn.Parameter(uniform(blocks, size, size, fan_in=size))
        self.bias = nn.Parameter(uniform(dim, fan_in=size)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        grouped = x.unflatten(-1, self.blocks.shape[:2])
        mapped = torch.einsum("...bj,bij->...bi", grouped, self.blocks).flatten(-2)
        return mapped if self.bias is None else mapped + self.bias


class Monarch(nn.Module):
    """P L Pᵀ R with L and R block-diagonal (Dao et al. 2022, arXiv:2204.00595, section 3.1).

    R has `blocks` blocks; P takes one coordinate of each of them together, so that every output sees every input, and L
    has as many blocks as one of R has coordinates.
    """

    def __init__(self, dim: int, blocks: int) -> None:
        super().__init__()
        self.right = BlockDiagonal(dim, blocks, bias=False)
        self.left = BlockDiagonal(dim, dim // blocks, bias=False)
        self.bias = nn.Parameter(uniform(dim, fan_in=dim))
        self.split = (blocks, dim // blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        grouped = self.right(x).unflatten(-1, self.split).transpose(-1, -2)
        mixed = self.left(grouped.flatten(-2)).unflatten(-1, self.split[::-1])
        return mixed.transpose(-1, -2).flatten(-2) + self.bias


class LowRankDiagonal(LoRA):
    """diag(d) + U V, with U of shape (dim, rank) and V of shape (rank, dim).

    Raises:
        ValueError: if the rank is not from 1 to the width.
    """

    def __init__(self, dim: int, rank: int) -> None:
        if not 1 <= rank <= dim:
            raise ValueError(f"rank={rank}: a matrix of width {dim} has rank 1 to {dim}")
        diagonal = uniform(dim, fan_in=1)
        super().__init__(dim, rank)
        self.diagonal = nn.Parameter(diagonal)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        return x * self.diagonal + super().forward(x)


MATRICES: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "dense": lambda dim, blocks, rank: Dense(dim),
    "toeplitz": lambda dim, blocks, rank: Toeplitz(dim),
    "block_diagonal": lambda dim, blocks, rank: BlockDiagonal(dim, blocks),
    "monarch": lambda dim, blocks, rank: Monarch(dim, blocks),
    "low_rank_diagonal": lambda dim, blocks, rank: LowRankDiagonal(dim, rank),
}


def structured(
    inputs: Size,
    outputs: Size,
    hidden: int,
    matrix: str = "dense",
    depth: int = 4,
    blocks: int = 4,
    rank: int = 4,
    activation: str = "relu",
) -> nn.Sequential:
    """A full matrix from the inputs to `hidden` units, residual layers of one structure, and a full one to the outputs.

    At equal size a network of sparser matrices is wider.

    Args:
        inputs, outputs: the shape of one input and of one output, of one axis.
        hidden: width of the residual layers.
        matrix: a name in `MATRICES`.
        depth: how many residual layers.
        blocks: of `block_diagonal` and `monarch`.
        rank: of `low_rank_diagonal`.
        activation: a name in torch or torch.nn.functional.

    Raises:
        ValueError: if there is no such structure, or the width cannot be split into so many blocks.
    """
    if matrix not in MATRICES:
        raise ValueError(f"matrix={matrix}: one of {', '.join(MATRICES)}")
    given, wanted = flat(inputs, outputs)
    square = [MATRICES[matrix](hidden, blocks, rank) for _ in range(depth)]
    within = Residual(square, hidden, activation, norm=True)
    return nn.Sequential(nn.Linear(given, hidden), within, nn.Linear(hidden, wanted))
