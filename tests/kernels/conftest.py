"""Arrays of every memory layout, and settings that the tests of the kernels share."""

import numpy as np
import pytest

from chainrule import kernels
from chainrule.kernels.workspace import Workspace


def _laid_out(values, layout):
    if layout == "F":
        return np.asfortranarray(values)
    if layout == "every second":
        memory = np.full([2 * size for size in values.shape], np.nan, values.dtype)
        view = memory[tuple(slice(None, None, 2) for _ in values.shape)]
        view[...] = values
        return view
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1, ...])[::-1, ...]
    if layout == "read-only":
        values.flags.writeable = False
        return values
    if layout == "broadcast":
        return np.broadcast_to(values[:1, ...], values.shape)
    return values


@pytest.fixture(scope="session")
def laid_out():
    """laid_out(values, layout): the same numbers in another memory layout (the first row repeated, for "broadcast")."""
    return _laid_out


class _Full(Workspace):
    """Memory in which every number is so large that a few dozen of them overflow, and every index out of bounds."""

    def empty(self, shape, dtype):
        array = super().empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = 0x7D
        return array


@pytest.fixture(autouse=True)
def undefined_contents_are_huge():
    """What a kernel never wrote shows in its results, or as a warning, which is an error here."""
    with _Full():
        yield


@pytest.fixture(params=[1, 2])
def threads(request):
    """Runs the test with one thread and with two, and sets their number back."""
    before = kernels.threads()
    try:
        kernels.set_threads(request.param)
    except ValueError:
        pytest.skip("this process may use one processor only")
    yield request.param
    kernels.set_threads(before)
