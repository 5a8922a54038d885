"""Both orders of memory, back and forth, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import kernels
from chainrule.kernels.layout import channels_first, channels_last, concatenate, contiguous, split

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


@settings(deadline=None)
@given(
    shape=SHAPES,
    widths=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    axis=st.sampled_from([0, 1, 2, -1]),
    dtype=st.sampled_from([np.float32, np.float64, np.int32]),
    last=st.booleans(),
)
def test_arrays_are_joined_and_split_as_numpy_does(shape, widths, axis, dtype, last):
    rng, arrays = np.random.default_rng(0), []
    for width in widths:
        sizes = list(shape)
        sizes[axis] = width
        x = (rng.standard_normal(sizes) * 100).astype(dtype)
        arrays.append(channels_first(channels_last(x)) if last else x)
    joined = concatenate(arrays, axis)
    np.testing.assert_array_equal(joined, np.concatenate(arrays, axis), strict=True)
    bounds = np.cumsum(widths)[:-1]
    kept = joined.copy()
    parts = split(joined, bounds, axis)
    assert len(parts) == len(arrays)
    for part, array in zip(parts, arrays, strict=True):
        np.testing.assert_array_equal(part, array, strict=True)
        if last and axis == 1 and dtype is not np.int32 and joined.size:
            assert not np.shares_memory(part, joined)
            assert part.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(joined, kept)


@pytest.mark.parametrize("threads", [1, 2])
def test_large_images_that_lie_channels_last_stay_so_when_they_are_joined(threads):
    before, rng = kernels.threads(), np.random.default_rng(0)
    left, right = (channels_first(rng.standard_normal((3, 33, 41, width), np.float32)) for width in (17, 48))
    try:
        kernels.set_threads(min(threads, before))
        joined = concatenate([left, right], 1)
        assert joined.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_array_equal(joined, np.concatenate([left, right], 1))
        for part, array in zip(split(joined, [17], 1), (left, right), strict=True):
            np.testing.assert_array_equal(part, array)
    finally:
        kernels.set_threads(before)


def test_images_of_different_sizes_are_not_joined():
    left, right = (channels_first(np.zeros((2, side, side, 3), np.float32)) for side in (4, 5))
    with pytest.raises(ValueError, match="all the input array dimensions except for the concatenation axis must match exactly"):
        concatenate([left, right], 1)
