"""The parts of the compiled convolution one by one; `tests/kernels/test_direct.py` has what they are for."""

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.compiler import load

compiled, tile_module = load("convolution"), load("tile")
ROWS, VECTOR_BYTES = tile_module.ROWS, tile_module.VECTOR_BYTES
zeros, rows_at, load_rows, store_rows = tile_module.zeros, tile_module.rows_at, tile_module.load_rows, tile_module.store_rows
multiply_add_rows, multiply_add_lanes = tile_module.multiply_add_rows, tile_module.multiply_add_lanes


@njit
def update_by_a_scalar_of_each_row(x, y, w, inside, outside):
    rows = rows_at(y, 0, outside, 0, ROWS)
    store_rows(multiply_add_rows(load_rows(zeros(y, ROWS, 2), rows), rows_at(x, 1, inside, 0, ROWS), 2, w, 2), rows)


@njit
def update_by_a_vector_of_each_row(x, y, w, inside, outside):
    rows = rows_at(y, 0, outside, 0, ROWS)
    store_rows(multiply_add_lanes(load_rows(zeros(y, ROWS, 2), rows), rows_at(x, 1, inside, 0, ROWS), 2, w, 2), rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lanewise", [False, True])
def test_the_rows_of_a_tile_may_lie_anywhere(dtype, lanewise):
    rng, width = np.random.default_rng(0), 2 * VECTOR_BYTES // np.dtype(dtype).itemsize
    x, y = rng.integers(-4, 5, 9 * ROWS * width).astype(dtype), rng.integers(-4, 5, (2 * ROWS, width)).astype(dtype)
    w, inside = rng.integers(-4, 5, 2 + width).astype(dtype), rng.integers(0, 8 * ROWS * width, ROWS)
    rows = rng.permutation(2 * ROWS)[:ROWS]
    expected = y.copy()
    for place, row in zip(inside, rows, strict=True):
        expected[row] += (x[3 + place : 3 + place + width] if lanewise else x[3 + place]) * w[2:]  # small integers: exact
    update = update_by_a_vector_of_each_row if lanewise else update_by_a_scalar_of_each_row
    update(x, y.reshape(-1), w, inside, rows * width)
    np.testing.assert_array_equal(y, expected)


def test_weights_are_packed_by_vectors_of_columns_and_filled_up_with_zeros():
    lanes = VECTOR_BYTES // 4
    columns = 2 * lanes + 3
    w = np.arange(4 * 3 * columns, dtype=np.float32).reshape(4, 3, columns) + 1  # (tap, channel, column)
    packed = np.full(4 * 3 * 3 * lanes, np.nan, np.float32)
    walks = np.array([[0, 0, 0, 12]])
    compiled.pack_weights(packed, w.reshape(-1), (columns, 1, 0), np.arange(4) * 3 * columns, 3, columns, 1, walks, 1, 0)
    pairs, last = packed[: 12 * 2 * lanes].reshape(12, 2 * lanes), packed[12 * 2 * lanes :].reshape(12, lanes)
    np.testing.assert_array_equal(pairs, w.reshape(12, columns)[:, : 2 * lanes])
    np.testing.assert_array_equal(last[:, :3], w.reshape(12, columns)[:, 2 * lanes :])
    np.testing.assert_array_equal(last[:, 3:], 0)


def test_partial_sums_are_added_in_the_order_of_the_threads():
    lanes = VECTOR_BYTES // 4
    partial = np.zeros((3, 2 * lanes + lanes), np.float32)  # two taps of one vector, and the bias
    partial[:, 0], partial[:, lanes], partial[:, 2 * lanes] = (1e8, -1e8, 1), (1, 1e8, -1e8), (1, 2, 3)
    dw, db = np.zeros(2, np.float32), np.zeros(1, np.float32)
    compiled.add_partials(partial, dw, db, 2, 1, 1, True, 1, 0)
    np.testing.assert_array_equal(dw, [1, 0])  # 1e8 + 1 is 1e8 in float32
    np.testing.assert_array_equal(db, [6])
