import numpy as np
import pytest

from chainrule.kernels.arrays import deliver, fits, flat, room


def test_a_contiguous_array_is_seen_and_not_copied():
    array = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(flat(array), array)
    assert flat(array).shape == (6,)


@pytest.mark.parametrize("layout", ["F", "every second", "reversed", "read-only", "broadcast"])
def test_any_other_array_is_copied_in_c_order_to_where_a_kernel_may_work(layout, laid_out):
    array = laid_out(np.arange(6.0).reshape(2, 3), layout)
    copied = flat(array)
    np.testing.assert_array_equal(copied, array.reshape(-1))
    assert copied.flags.carray
    assert not np.shares_memory(copied, array)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([np.ones(2, np.float32), np.ones(3, np.float32)], True),
        ([np.ones(2), np.ones((3, 4))], True),
        ([np.ones(2), np.ones(2, np.float32)], False),
        ([np.ones(2, np.float16)], False),
        ([np.ones(2, int)], False),
        ([np.ones(2, ">f4")], False),
        ([np.ones(2, np.longdouble)], False),
        ([np.ones(2), np.ones((0, 2))], False),
    ],
)
def test_the_kernels_take_single_or_double_precision_and_no_empty_arrays(arrays, expected):
    assert bool(fits(*arrays)) is expected


def test_a_buffer_in_another_order_receives_its_result_in_the_end():
    buffer = np.zeros((2, 3)).T
    place = room(buffer, "dx", (3, 2), np.float64)
    place[...] = np.arange(6).reshape(3, 2)
    assert deliver(place, buffer) is buffer
    np.testing.assert_array_equal(buffer, np.arange(6).reshape(3, 2))


def test_a_buffer_in_c_order_is_the_place_itself():
    buffer = np.zeros((3, 2))
    assert room(buffer, "dx", (3, 2), np.float64) is buffer
    assert deliver(buffer, buffer) is buffer


@pytest.mark.parametrize("buffer", [np.zeros((2, 3)), np.zeros((3, 2), np.float32)])
def test_a_buffer_that_does_not_fit_is_refused(buffer):
    with pytest.raises(ValueError, match=r"dx: the buffer is .*; the result is float64 \(3, 2\)"):
        room(buffer, "dx", (3, 2), np.dtype(np.float64))
