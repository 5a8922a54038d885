"""Both orders of memory, back and forth, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import kernels
from chainrule.kernels.layout import channels_first, channels_last, contiguous

SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20))


@settings(deadline=None)
@given(shape=SHAPES, dtype=st.sampled_from([np.float32, np.float64, np.int32]), wide=st.booleans())
def test_the_values_stay_where_they_are_in_shape(shape, dtype, wide):
    x = (np.random.default_rng(0).standard_normal(shape) * 100).astype(dtype)
    x = np.repeat(x, 2, axis=2)[:, :, ::2] if wide else x  # not contiguous
    rows = channels_last(x)
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, x.transpose(0, 2, 3, 1), strict=True)
    images = channels_first(rows)
    np.testing.assert_array_equal(images, x, strict=True)
    again = contiguous(images)
    assert again.flags.c_contiguous
    np.testing.assert_array_equal(again, x, strict=True)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_images_on_one_thread_and_on_two(threads):
    before = kernels.threads()
    x = np.random.default_rng(0).standard_normal((33, 17, 19, 21), np.float32)
    try:
        kernels.set_threads(min(threads, before))
        np.testing.assert_array_equal(contiguous(channels_first(channels_last(x))), x)
    finally:
        kernels.set_threads(before)


def test_what_lies_in_the_right_order_is_not_copied():
    x = np.zeros((2, 3, 4, 5), np.float32)
    assert contiguous(x) is x
    rows = channels_last(x)
    assert np.shares_memory(channels_last(channels_first(rows)), rows)
    table = np.zeros((4, 6))
    assert contiguous(table) is table
    np.testing.assert_array_equal(contiguous(table.T), table.T)
