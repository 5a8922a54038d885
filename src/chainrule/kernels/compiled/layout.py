# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Images from one order of memory to the other: a transpose of each, whole vectors at a time; and some of their channels elsewhere."""

from numba import njit

from chainrule.kernels.compiled.tile import VECTOR_BYTES, copy, transpose

__all__ = ["copy_channels", "transpose_images"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}


@njit(**OPTIONS)
def transpose_images(x, out, images, rows, columns, parts, part):
    """Some images of out (images, columns, rows) = those of x (images, rows, columns), transposed. Both arrays are flat."""
    lanes = VECTOR_BYTES // x.itemsize
    whole_rows, whole_columns = rows // lanes * lanes, columns // lanes * lanes
    for n in range(images * part // parts, images * (part + 1) // parts):
        start = n * rows * columns
        for c in range(0, whole_columns, lanes):
            for r in range(0, whole_rows, lanes):
                transpose(x, start + r * columns + c, columns, out, start + c * rows + r, rows)
        for c in range(columns):
            for r in range(whole_rows if c < whole_columns else 0, rows):
                out[start + c * rows + r] = x[start + r * columns + c]


@njit(**OPTIONS)
def copy_channels(target, target_width, first, source, source_width, start, count, parts, part):
    """Channels first to first + count of every pixel of the target = those of the source from start on; a part of the pixels. Flat arrays.

    A width is how many channels a pixel has.
    """
    pixels = target.size // target_width
    for p in range(pixels * part // parts, pixels * (part + 1) // parts):
        copy(target, p * target_width + first, source, p * source_width + start, count)
