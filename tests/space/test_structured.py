"""Structured matrices are what they are called: against the full matrix that each stands for."""

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag, toeplitz

from archab.space.architectures.structured import BlockDiagonal, LowRankDiagonal, Monarch, Toeplitz, structured


def full(layer: torch.nn.Module, dim: int) -> np.ndarray:
    """The matrix of a layer, from what it makes of unit vectors."""
    layer = layer.double()
    with torch.no_grad():
        return (layer(torch.eye(dim, dtype=torch.float64)) - layer.bias).T.numpy()


def test_a_toeplitz_layer_is_the_matrix_of_its_first_column_and_row():
    layer = Toeplitz(6)
    matrix = full(layer, 6)
    t = layer.diagonals.detach().numpy()
    np.testing.assert_allclose(matrix, toeplitz(t[5:], t[5::-1]), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(matrix, layer.matrix().detach())


def test_a_block_diagonal_layer_has_its_blocks_and_zeros():
    layer = BlockDiagonal(12, 3)
    np.testing.assert_allclose(full(layer, 12), block_diag(*layer.blocks.detach().double().numpy()), atol=1e-15)


@pytest.mark.parametrize(("dim", "blocks"), [(12, 3), (12, 4), (9, 3), (8, 1), (8, 8)])
def test_a_monarch_layer_is_p_l_p_transposed_r(dim, blocks):
    layer = Monarch(dim, blocks)
    matrix = full(layer, dim)
    right, left = (block_diag(*part.blocks.detach().numpy()) for part in (layer.right, layer.left))
    size = dim // blocks
    p = np.eye(dim)[np.arange(dim).reshape(size, blocks).T.reshape(-1)]  # row-major to column-major
    np.testing.assert_allclose(matrix, p @ left @ p.T @ right, atol=1e-15)
    assert (matrix != 0).all(), "every output sees every input"
    assert sum(part.blocks.numel() for part in (layer.left, layer.right)) == dim * (size + blocks)


def test_low_rank_plus_diagonal_is_that_sum():
    layer = LowRankDiagonal(7, 2)
    matrix = full(layer, 7) - np.diag(layer.diagonal.detach().numpy())
    np.testing.assert_allclose(matrix, (layer.down @ layer.up).detach().numpy(), atol=1e-15)
    assert np.linalg.matrix_rank(matrix, tol=1e-9) == 2


def test_a_structure_that_there_is_not_or_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="matrix=circulant: one of dense, toeplitz"):
        structured(4, 4, 8, "circulant")
    with pytest.raises(ValueError, match="width of 10 cannot be split into blocks=4"):
        structured(4, 4, 10, "monarch")
    with pytest.raises(ValueError, match="rank=9: a matrix of width 8"):
        structured(4, 4, 8, "low_rank_diagonal", rank=9)
