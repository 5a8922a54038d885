"""Memory that the steps of a training run use again: large arrays come from here, and return by themselves."""

import bisect
import itertools
import math
import sys
from contextvars import ContextVar
from operator import itemgetter

import numpy as np

__all__ = ["Workspace", "empty"]

SMALL = 1 << 16  # bytes; below, the allocator of the C library is faster and gives nothing back to the system
ALIGNMENT = 64  # bytes, a cache line: a vector that lies across two costs two accesses
FREE = 3  # references to a block that nobody uses: of the list, of the variable that looks at it, of the call that counts

_current: ContextVar["Workspace | None"] = ContextVar("workspace", default=None)


class Workspace:
    """Blocks of memory that are handed out as arrays and taken back when nobody holds the array, or a view of it, any more.

    A fresh array of 40 MB costs more page faults than a layer's arithmetic on it takes; a used one costs nothing. While the `with` block
    runs, all kernels take their outputs from here:

    >>> workspace = Workspace()
    >>> for images, labels in batches:
    ...     with workspace:
    ...         loss = criterion(model(images), labels)
    ...         model.backward(criterion.backward())

    What a person keeps is never written to again: a block is free only when its last reference is gone.
    """

    def __init__(self):
        self._blocks = []  # (bytes, offset of the first aligned one, block), smallest first

    @property
    def nbytes(self):
        """Bytes held, in use or not."""
        return sum(size for size, _, _ in self._blocks)

    def empty(self, shape, dtype):
        """An array in C order whose contents are undefined."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes < SMALL:
            return np.empty(shape, dtype)
        start = bisect.bisect_left(self._blocks, nbytes, key=itemgetter(0))
        for size, offset, block in itertools.islice(self._blocks, start, None):
            if size > 2 * nbytes:  # left for an array that needs it
                break
            if sys.getrefcount(block) == FREE:
                return np.ndarray(shape, dtype, block, offset)
        block = np.empty(nbytes + ALIGNMENT, np.uint8)
        offset = -block.ctypes.data % ALIGNMENT
        self._blocks.insert(start, (nbytes, offset, block))
        return np.ndarray(shape, dtype, block, offset)

    def __enter__(self):
        self._outer = _current.set(self)
        return self

    def __exit__(self, *error):
        _current.reset(self._outer)


def empty(shape, dtype):
    """An array in C order whose contents are undefined: from the workspace whose `with` block runs, else a fresh one."""
    workspace = _current.get()
    return np.empty(shape, dtype) if workspace is None else workspace.empty(shape, dtype)
