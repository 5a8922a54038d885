"""A workspace hands the same memory out again, and never while anybody can still see it."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import kernels, nn
from chainrule.kernels.workspace import SMALL, Workspace, empty

SHAPE = (SMALL // 4, 2)  # of float32, twice as large as what comes from the workspace at least


@pytest.fixture(autouse=True)
def undefined_contents_are_huge():
    """Not here: the tests look at the memory that a block, or none, hands out."""


def place(array):
    return array.ctypes.data


def test_memory_is_used_again_when_the_array_is_gone():
    workspace = Workspace()
    array = workspace.empty(SHAPE, np.float32)
    before = place(array)
    del array
    assert place(workspace.empty(SHAPE, np.float32)) == before
    assert workspace.nbytes == 2 * SMALL


def test_memory_is_not_used_again_while_a_view_of_it_lives():
    workspace = Workspace()
    array = workspace.empty(SHAPE, np.float32)
    array[...] = 7
    view = array[3:4, 1]
    del array
    workspace.empty(SHAPE, np.float32)[...] = 8
    assert view[0] == 7


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(1, 5)), min_size=1, max_size=40))
def test_no_two_living_arrays_overlap(requests):
    """Each request replaces what lies in one of eight places by an array of another size."""
    workspace, living = Workspace(), {}
    for number, (key, size) in enumerate(requests):
        living.pop(key, None)
        array = workspace.empty((size, SMALL // 4), np.float32)
        array[...] = number
        living[key] = array, number
        assert all((array == number).all() for array, number in living.values())


def test_a_smaller_array_uses_a_larger_block_up_to_twice_its_size():
    workspace = Workspace()
    workspace.empty((2 * SMALL,), np.uint8)
    workspace.empty((SMALL,), np.uint8)
    assert workspace.nbytes == 2 * SMALL
    workspace.empty((4 * SMALL + 1,), np.uint8)
    workspace.empty((SMALL,), np.uint8)
    assert workspace.nbytes == 6 * SMALL + 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_arrays_have_the_shape_and_dtype_asked_for_and_begin_at_a_cache_line(dtype):
    array = Workspace().empty((3, SMALL), dtype)
    assert array.shape == (3, SMALL)
    assert array.dtype == dtype
    assert array.flags.carray
    assert place(array) % 64 == 0


def test_small_arrays_are_left_to_numpy():
    workspace = Workspace()
    workspace.empty((SMALL - 1,), np.uint8)
    assert workspace.nbytes == 0


def test_without_a_workspace_arrays_are_fresh():
    assert empty(SHAPE, np.float32).base is None


def test_a_block_within_a_block_has_its_own_memory():
    outer, inner = Workspace(), Workspace()
    with outer:
        empty(SHAPE, np.float32)
        with inner:
            empty(SHAPE, np.float64)
        empty(SHAPE, np.float32)
    assert (outer.nbytes, inner.nbytes) == (2 * SMALL, 4 * SMALL)
    assert empty(SHAPE, np.float32).base is None


def test_the_block_ends_with_an_error_too():
    with pytest.raises(KeyError), Workspace():
        raise KeyError
    assert empty(SHAPE, np.float32).base is None


def test_modules_without_a_plan_use_it_and_what_they_returned_stays():
    layer = nn.Linear(300, 400)
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 500, 300), np.float32)
    workspace = Workspace()
    with workspace:
        kept = layer(first)
        expected = kept.copy()
        for _ in range(3):
            layer(second)
            layer.backward(np.ones((500, 400), np.float32))
    np.testing.assert_array_equal(kept, expected)


def test_after_a_first_step_a_kernel_allocates_nothing_large():
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2000, 300), np.float32), rng.standard_normal((300, 300), np.float32), np.zeros(300, np.float32)
    workspace = Workspace()

    def step():
        with workspace:
            kernels.affine_relu_forward(x, w, b)

    step()
    tracemalloc.start()
    try:
        step()
        # an output of 2.4 MB, beside scratch of the product that lies outside of Python's view
        assert tracemalloc.get_traced_memory()[1] < 500_000  # the output has 2.4 MB
    finally:
        tracemalloc.stop()
