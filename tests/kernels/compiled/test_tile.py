"""The operations on a tile, one by one; `tests/kernels/test_affine.py` has what they are for."""

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.compiler import load

tile_module = load("tile")
ROWS, VECTOR_BYTES = tile_module.ROWS, tile_module.VECTOR_BYTES
zeros, load_tile, multiply_add, relu, store = (getattr(tile_module, name) for name in ("zeros", "load", "multiply_add", "relu", "store"))


@njit
def rank_one_update(x, y, x_stride, w, out_stride):
    tile = load_tile(zeros(y, ROWS, 2), y, 0, out_stride)
    store(relu(multiply_add(tile, x, 1, x_stride, w, 2)), y, 0, out_stride)


@njit
def transposed(x, x_stride, y, y_stride):
    tile_module_transpose(x, 1, x_stride, y, 2, y_stride)


@njit
def copied(x, y):
    tile_module_copy(x, 3, y, 1, 5)


tile_module_transpose, tile_module_copy = tile_module.transpose, tile_module.copy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tile_adds_the_product_of_a_column_and_a_row(dtype):
    rng, width = np.random.default_rng(0), 2 * VECTOR_BYTES // np.dtype(dtype).itemsize
    x, w = rng.integers(-4, 5, 1 + 3 * ROWS).astype(dtype), rng.integers(-4, 5, 2 + width).astype(dtype)
    y = rng.integers(-4, 5, (ROWS, width + 3)).astype(dtype)
    expected = y.copy()
    expected[:, :width] = np.maximum(y[:, :width] + np.outer(x[1::3][:ROWS], w[2:]), 0)  # small integers: exact
    rank_one_update(x, y.reshape(-1), 3, w, width + 3)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_square_block_is_transposed(dtype):
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    x, y = np.arange(1 + lanes * (lanes + 3), dtype=dtype), np.zeros(2 + lanes * (lanes + 5), dtype)
    transposed(x, lanes + 3, y, lanes + 5)
    expected = np.zeros((lanes, lanes + 5), dtype)
    expected[:, :lanes] = x[1:].reshape(lanes, lanes + 3)[:, :lanes].T
    np.testing.assert_array_equal(y[2:], expected.reshape(-1))


def test_numbers_are_copied_from_place_to_place():
    x, y = np.zeros(10), np.arange(10.0)
    copied(x, y)
    np.testing.assert_array_equal(x, [0, 0, 0, 1, 2, 3, 4, 5, 0, 0])
