"""The operations on the rows of a tile, one by one."""

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.compiler import load

tile, vectors = load("tile"), load("vectors")
load_tile, store, zeros = tile.load, tile.store, tile.zeros
add_rows, keep_where_positive, pool_columns = vectors.add_rows, vectors.keep_where_positive, vectors.pool_columns
unpool_left, unpool_right = vectors.unpool_left, vectors.unpool_right
blend = vectors.linear_map(lambda a, b, c: (a - 2 * b + c, 0.5 * a))


def lanes(dtype):
    return tile.VECTOR_BYTES // np.dtype(dtype).itemsize


@njit
def blended(x, y, width):
    store(blend(load_tile(zeros(x, 3, 1), x, 0, width)), y, 0, width)


@njit
def added(x, y, width):
    store(add_rows(load_tile(zeros(x, 4, 1), x, 0, width), load_tile(zeros(x, 2, 1), y, 0, width)), x, 0, width)


@njit
def kept(x, y, width):
    store(keep_where_positive(load_tile(zeros(x, 4, 1), x, 0, width), load_tile(zeros(x, 4, 1), y, 0, width)), x, 0, width)


@njit
def pooled(x, y, winners, rectify, width):
    left, right = load_tile(zeros(x, 4, 1), x, 0, 2 * width), load_tile(zeros(x, 4, 1), x, width, 2 * width)
    store(pool_columns(left, right, rectify, winners, 0, width), y, 0, width)


@njit
def unpooled(y, winners, x, width):
    two = load_tile(zeros(y, 2, 1), y, 0, width)
    store(unpool_left(two, winners, 0, width), x, 0, 2 * width)
    store(unpool_right(two, winners, 0, width), x, width, 2 * width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_formula_becomes_an_operation_on_rows(dtype):
    width = lanes(dtype)
    x, y = np.arange(3 * width, dtype=dtype).reshape(3, width) ** 2, np.zeros((2, width), dtype)
    blended(x, y, width)
    np.testing.assert_array_equal(y, [x[0] - 2 * x[1] + x[2], x[0] / 2])


def test_the_rows_of_a_smaller_tile_are_added_to_the_first_ones():
    width = lanes(np.float32)
    x, y = np.ones((4, width), np.float32), np.arange(2 * width, dtype=np.float32).reshape(2, width)
    added(x, y, width)
    np.testing.assert_array_equal(x, np.concatenate([1 + y, np.ones((2, width))]))


def test_what_a_relu_cut_off_gets_no_gradient():
    width = lanes(np.float64)
    x, y = np.full((4, width), 3.0), np.zeros((4, width))
    y[0], y[1], y[2] = 1, -1, np.nan
    kept(x, y, width)
    np.testing.assert_array_equal(x[:, 0], [3, 0, 0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rectify", [False, True])
def test_pooling_writes_the_first_of_the_largest_and_unpooling_goes_back_there(dtype, rectify):
    width = lanes(dtype)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.integers(-3, 2, (4, 2, width)).astype(dtype)  # many ties
        y, winners = np.zeros((2, width), dtype), np.full((2, width), 9, np.uint8)
        pooled(x, y, winners, rectify, width)
        windows = x.reshape(2, 4, width)
        np.testing.assert_array_equal(y, windows.max(axis=1))
        expected = windows.argmax(axis=1)
        np.testing.assert_array_equal(winners, np.where(y > 0, expected, 4) if rectify else expected)
        back = np.full_like(x, 7)
        unpooled(y, winners, back, width)
        kept_places = np.arange(4)[:, np.newaxis] == winners[:, np.newaxis]
        np.testing.assert_array_equal(back.reshape(2, 4, width), np.where(kept_places, y[:, np.newaxis], 0))


def test_a_nan_wins_over_numbers():
    width = lanes(np.float32)
    for place in range(4):
        x = np.ones((4, 2, width), np.float32)
        x.reshape(2, 4, width)[:, place] = np.nan
        y, winners = np.zeros((2, width), np.float32), np.zeros((2, width), np.uint8)
        pooled(x, y, winners, False, width)
        assert np.isnan(y).all()
        assert np.all(winners == place)
