"""How far two arrays are apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chainrule.verification import relative_error
from chainrule.verification.comparison import entry, greatest_index, magnitude, rounding_tolerance

finite = st.floats(-1e300, 1e300)
pairs = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4).flatmap(
    lambda shape: st.tuples(arrays(np.float64, shape, elements=finite), arrays(np.float64, shape, elements=finite))
)


@given(pairs)
def test_relative_error_is_symmetric_and_between_0_and_1(pair):
    x, y = pair
    assert relative_error(x, y) == relative_error(y, x)
    assert 0 <= relative_error(x, y) <= 1
    assert relative_error(x, x) == 0


def test_relative_error_is_the_one_of_cs231n():
    x, y = np.random.default_rng(0).standard_normal((2, 3, 4))
    assert relative_error(x, y) == pytest.approx(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))), rel=1e-15)


def test_relative_error_forgives_differences_below_1e_8_next_to_zero():
    assert relative_error(0.0, 1e-12) == pytest.approx(1e-4)


@pytest.mark.parametrize(("x", "y"), [(np.zeros((1, 3)), np.zeros(3)), (np.zeros((3, 1)), np.zeros((3, 3))), (np.zeros(3), 0.0)])
def test_relative_error_refuses_to_broadcast(x, y):
    with pytest.raises(ValueError, match="must be equal, nothing is broadcast"):
        relative_error(x, y)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([np.nan], [np.nan], np.inf),
        ([np.inf, 1.0], [np.inf, 1.0], 0.0),
        ([np.inf], [-np.inf], np.inf),
        ([np.inf], [1.0], np.inf),
        ([1e308], [-1e308], 1.0),
        ([], [], 0.0),
        (np.array([200], np.uint8), np.array([100], np.uint8), 1 / 3),
    ],
)
def test_relative_error_is_infinite_where_numbers_are_missing_and_never_overflows(x, y, expected):
    assert relative_error(x, y) == pytest.approx(expected)


def test_magnitude_of_nothing_is_zero():
    assert magnitude(np.zeros((0, 3))) == 0
    assert magnitude([-3.0, 2.0]) == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_tolerance_covers_the_error_of_a_long_sum(dtype):
    terms = np.random.default_rng(0).uniform(0.5, 1, 10_000)
    exact = np.cumsum(terms.astype(dtype).astype(np.longdouble))[-1]
    naive = dtype(0)
    for term in terms.astype(dtype):
        naive += term
    assert abs(naive / exact - 1) < rounding_tolerance(dtype, len(terms))


def test_entries_are_written_as_in_numpy():
    assert entry("dw", (2, 0)) == "dw[2, 0]"
    assert entry("loss", ()) == "loss"


def test_the_greatest_entry_is_the_nan_if_there_is_one():
    assert greatest_index(np.array([[1.0, 5.0], [3.0, 4.0]])) == (0, 1)
    assert greatest_index(np.array([9.0, np.nan])) == (1,)
