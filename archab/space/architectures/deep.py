"""Residual deep networks whose square matrices are dense, n-diagonal or of low rank."""

import torch
from torch import Tensor, nn

from archab.space.architectures.activation import named
from archab.space.architectures.units import uniform


class Dense(nn.Module):
    """A full matrix: x W^T + b, with W of shape (dim, dim), entries uniform within ±1/sqrt(fan-in)."""

    def __init__(self, dim: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(uniform(dim, dim, fan_in=dim))
        self.bias = nn.Parameter(uniform(dim, fan_in=dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        return nn.functional.linear(x, self.weight, self.bias)


class NDiagonal(nn.Module):
    """A banded matrix of rank r: the main diagonal and r − 1 diagonals on either side, all learnable.

    The band is one vector: the diagonals of offset 1 − r … r − 1, one after another; the diagonal of offset k has
    dim − |k| entries W[i, i + k].
    """

    def __init__(self, dim: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        if not 1 <= rank <= dim:
            raise ValueError(f"rank={rank}: an n-diagonal matrix of dim {dim} has rank 1 to {dim}")
        # Row-major positions of the band's entries, the lowest diagonal first.
        places = [i * dim + i + k for k in range(1 - rank, rank) for i in range(dim) if 0 <= i + k < dim]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.places: Tensor
        self.dim = dim
        fan_in = min(2 * rank - 1, dim)
        self.band = nn.Parameter(uniform(len(self.places), fan_in=fan_in))
        self.bias = nn.Parameter(uniform(dim, fan_in=fan_in)) if bias else None

    def matrix(self) -> Tensor:
        """The matrix, shape (dim, dim)."""
        zeros = self.band.new_zeros(self.dim * self.dim)
        return zeros.index_put((self.places,), self.band).reshape(self.dim, self.dim)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        return nn.functional.linear(x, self.matrix(), self.bias)


class LoRA(nn.Module):
    """A matrix of low rank r, the product of two thin ones: down (dim, r) times up (r, dim); no frozen base.

    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685), where the product is added
    to a pretrained matrix; here it is the matrix, and both factors are drawn.
    """

    def __init__(self, dim: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        self.down = nn.Parameter(uniform(dim, rank, fan_in=rank))
        self.up = nn.Parameter(uniform(rank, dim, fan_in=dim))
        self.bias = nn.Parameter(uniform(dim, fan_in=dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape (…, dim) to (…, dim)."""
        return nn.functional.linear(x, self.down @ self.up, self.bias)


class Residual(nn.Module):
    """`depth` residual layers, each norm(x + activation(linear(x))).

    Args:
        linear: the square layers, in order.
        dim: width of every layer.
        activation: name of a function in `torch` or `torch.nn.functional`.
        norm: whether each layer ends in a LayerNorm.
    """

    def __init__(self, linear: list[nn.Module], dim: int, activation: str, norm: bool) -> None:
        super().__init__()
        self.linear = nn.ModuleList(linear)
        self.norm = nn.ModuleList(nn.LayerNorm(dim) if norm else nn.Identity() for _ in linear)
        self.activation = named(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, dim) to (n, dim)."""
        for linear, norm in zip(self.linear, self.norm, strict=True):
            x = norm(x + self.activation(linear(x)))
        return x


def dense(dim: int, depth: int, activation: str = "relu", norm: bool = True, bias: bool = True) -> Residual:
    """A residual network of full matrices.

    Args:
        dim: width of every layer.
        depth: how many layers.
        activation: a name in torch or torch.nn.functional, such as relu.
        norm: whether each layer ends in a LayerNorm.
        bias: whether each matrix has one.
    """
    return Residual([Dense(dim, bias) for _ in range(depth)], dim, activation, norm)


def n_diagonal(
    dim: int, depth: int, rank: int, activation: str = "relu", norm: bool = True, bias: bool = True
) -> Residual:
    """A residual network of n-diagonal matrices.

    Args:
        dim: width of every layer.
        depth: how many layers.
        rank: diagonals of each matrix from the main one on, to either side.
        activation: a name in torch or torch.nn.functional, such as relu.
        norm: whether each layer ends in a LayerNorm.
        bias: whether each matrix has one.
    """
    return Residual([NDiagonal(dim, rank, bias) for _ in range(depth)], dim, activation, norm)


def lora(dim: int, depth: int, rank: int, activation: str = "relu", norm: bool = True, bias: bool = True) -> Residual:
    """A residual network of products of two thin matrices.

    Args:
        dim: width of every layer.
        depth: how many layers.
        rank: of each product.
        activation: a name in torch or torch.nn.functional, such as relu.
        norm: whether each layer ends in a LayerNorm.
        bias: whether each matrix has one.
    """
    return Residual([LoRA(dim, rank, bias) for _ in range(depth)], dim, activation, norm)
