"""Arrays as the kernels want them: flat, C-contiguous, of one floating point dtype; and output buffers that the caller brings."""

import numpy as np

from chainrule.kernels.workspace import empty

__all__ = ["deliver", "fits", "flat", "room"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def fits(*arrays):
    """Whether the kernels can take these arrays: all float32 or all float64, none empty. `chainrule.functional` takes the others."""
    dtype = arrays[0].dtype
    return dtype in _DTYPES and all(array.dtype == dtype and array.size for array in arrays)


def flat(array):
    """The numbers of the array in C order, as one axis: a view where that can be (contiguous, aligned, writable), else a copy."""
    return (array if array.flags.carray else array.copy()).reshape(-1)


def room(buffer, name, shape, dtype):
    """Where a kernel writes its output: the caller's buffer if it lies in C order, else a fresh array, which `deliver` copies there.

    Raises
    ------
    ValueError
        If the buffer has another shape or dtype than the output.
    """
    if buffer is None:
        return empty(shape, dtype)
    if buffer.shape != shape or buffer.dtype != dtype:
        raise ValueError(f"{name}: the buffer is {buffer.dtype} {buffer.shape}; the result is {dtype} {shape}")
    return buffer if buffer.flags.carray else empty(shape, dtype)


def deliver(result, buffer):
    """The result, in the caller's buffer if there is one."""
    if buffer is None or buffer is result:
        return result
    buffer[...] = result
    return buffer
