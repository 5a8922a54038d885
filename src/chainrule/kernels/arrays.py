"""Arrays as the kernels want them: flat, C-contiguous, of one floating point dtype; and output buffers that the caller brings."""

import numpy as np

from chainrule.kernels.workspace import empty

__all__ = ["deliver", "fits", "flat", "room", "written"]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def fits(*arrays):
    """Whether the kernels can take these arrays: all float32 or all float64, none empty. `chainrule.functional` takes the others."""
    dtype = arrays[0].dtype
    return dtype in _DTYPES and all(array.dtype == dtype and array.size for array in arrays)


def flat(array):
    """The numbers of the array in C order, as one axis: a view where that can be (contiguous, aligned, writable), else a copy."""
    return (array if array.flags.carray else array.copy()).reshape(-1)


def room(buffer, name, shape, dtype, order=None):
    """Where a kernel writes its output: the caller's buffer if it lies in C order, else a fresh array, which `deliver` copies there.

    With `order`, the axes of the output in the order in which they lie in memory, that of what is returned.

    Raises
    ------
    ValueError
        If the buffer has another shape or dtype than the output.
    """
    if buffer is not None:
        _check_buffer(buffer, name, shape, dtype)
        rows = buffer if order is None else buffer.transpose(order)
        if rows.flags.carray:
            return rows
    return empty(shape if order is None else tuple(shape[axis] for axis in order), dtype)


def deliver(result, buffer, order=None):
    """The result, in the caller's buffer if there is one; with `order`, its axes put back from the order that `room` gave them."""
    if order is not None:
        result = result.transpose(sorted(range(len(order)), key=order.__getitem__))
    if buffer is None or buffer is result:
        return result
    if not np.may_share_memory(result, buffer):
        buffer[...] = result
    return buffer


def written(result, name, buffer):
    """A result that no kernel computed, in the caller's buffer if there is one, of the same shape and dtype."""
    if buffer is None:
        return result
    _check_buffer(buffer, name, result.shape, result.dtype)
    buffer[...] = result
    return buffer


def _check_buffer(buffer, name, shape, dtype):
    if buffer.shape != shape or buffer.dtype != dtype:
        raise ValueError(f"{name}: the buffer is {buffer.dtype} {buffer.shape}; the result is {dtype} {shape}")
