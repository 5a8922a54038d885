"""The small linear maps of Winograd's algorithm: together they are a convolution, and in pairs each other's transpose."""

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.compiler import load

tile = load("tile")
winograd = load("winograd")
LANES = tile.VECTOR_BYTES // 8


def matrix(operation, inputs, outputs):
    """The matrix of a linear map, column by column; every lane must hold the same."""
    load_tile, store, zeros = tile.load, tile.store, tile.zeros
    take = {3: njit(lambda x: load_tile(zeros(x, 3, 1), x, 0, LANES)), 4: njit(lambda x: load_tile(zeros(x, 4, 1), x, 0, LANES))}
    take[6] = njit(lambda x: load_tile(zeros(x, 6, 1), x, 0, LANES))
    taken = take[inputs]

    @njit
    def apply(x, y):
        store(operation(taken(x)), y, 0, LANES)

    columns = []
    for column in range(inputs):
        x, y = np.zeros((inputs, LANES)), np.full((outputs + 1, LANES), 7.0)
        x[column] = 1
        apply(x, y)
        assert np.all(y == y[:, :1])
        assert np.all(y[outputs] == 7)
        columns.append(y[:outputs, 0])
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module")
def maps():
    shapes = {
        "input_map": (6, 6), "output_map": (6, 4), "kernel_map": (3, 6), "gradient_map": (4, 6), "kernel_gradient_map": (6, 3),
        "upper_map": (6, 4), "lower_map": (6, 2),
    }  # fmt: skip
    return {name: matrix(getattr(winograd, name), *shape) for name, shape in shapes.items()}


def test_the_maps_compute_a_correlation(maps):
    x, w = np.random.default_rng(0).standard_normal(6), np.random.default_rng(1).standard_normal(3)
    y = maps["output_map"] @ ((maps["kernel_map"] @ w) * (maps["input_map"] @ x))
    # sums of six products with factors of up to 8: 50 roundoffs of 1e-16
    np.testing.assert_allclose(y, np.correlate(x, w, "valid"), rtol=0, atol=1e-13)


def test_the_maps_of_the_backward_pass_are_the_transposes(maps):
    np.testing.assert_array_equal(maps["gradient_map"], maps["output_map"].T)
    np.testing.assert_array_equal(maps["kernel_gradient_map"], maps["kernel_map"].T)
    np.testing.assert_array_equal(np.concatenate([maps["upper_map"], maps["lower_map"]]), maps["input_map"].T)


def test_a_one_at_the_place_of_the_bias_becomes_ones_everywhere(maps):
    place = np.zeros((6, 6))
    place[divmod(winograd.BIAS, 6)] = 1
    np.testing.assert_array_equal(maps["output_map"] @ place @ maps["output_map"].T, np.ones((4, 4)))
