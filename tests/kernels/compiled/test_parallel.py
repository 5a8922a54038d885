"""Functions called by their address, on one thread and on several."""

from typing import NamedTuple

import numpy as np
import pytest
from numba import njit

from chainrule.kernels.compiler import load

parallel = load("parallel")


class Twice(NamedTuple):
    number: int
    values: np.ndarray


@njit
def mark(values, more, parts, part):
    step, twice = more
    for i in range(values.size * part // parts, values.size * (part + 1) // parts):
        twice.values[i] += step * (part + 1)


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_part_runs_once_with_its_number(parts, dtype):
    values = np.zeros(21, dtype)
    parallel.start(mark, (values, (10, Twice(1, values))), parts)
    expected = np.zeros(21)
    for part in range(parts):
        expected[21 * part // parts : 21 * (part + 1) // parts] = 10 * (part + 1)
    np.testing.assert_array_equal(values, expected)
