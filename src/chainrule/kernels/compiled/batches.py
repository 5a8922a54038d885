"""Images of a data set, gathered, normalized and augmented in one pass over a batch."""

import numpy as np
from numba import njit

__all__ = ["prepare"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
BLANK = -1  # in place of a row or column of the image


@njit(**INNER)
def trace(places, first, flipped, reflect):
    """The row (or column) of the image that each place shows, the first of them row `first` of the image (flipped or not); or BLANK."""
    size = places.size
    for i in range(size):
        j = i + first
        if j < 0 or j >= size:
            j = (-j if j < 0 else 2 * (size - 1) - j) if reflect else BLANK
        places[i] = size - 1 - j if flipped and j != BLANK else j


@njit(**OPTIONS)
def prepare(images, size, rows, factor, offset, flipped, top, left, centre_y, centre_x, pad, reflect, cutout, out, strides):
    """out = images[rows] * factor - offset, each with its changes.

    `images` is flat, an image of `size` = (channels, height, width) after another; so is `out`, with `strides` of (n, c, y, x).
    """
    (channels, height, width), (image, plane, line, pixel) = size, strides
    zero = out.dtype.type(0)
    lines, columns = np.empty(height, np.int64), np.empty(width, np.int64)
    for n in range(rows.size):
        trace(lines, top[n] - pad, False, reflect)
        trace(columns, left[n] - pad, flipped[n], reflect)
        for y in range(height):
            for c in range(channels):
                target, source = n * image + c * plane + y * line, ((rows[n] * channels + c) * height + lines[y]) * width
                scale, shift, shown = factor[c], offset[c], lines[y] != BLANK
                for x in range(width):
                    j = columns[x]
                    # nothing is computed for a blank pixel, not even from a wrong place
                    out[target + x * pixel] = out.dtype.type(images[source + j]) * scale - shift if shown and j != BLANK else zero
        if cutout:
            first_y, first_x = centre_y[n] - cutout // 2, centre_x[n] - cutout // 2
            for y in range(max(0, first_y), min(height, first_y + cutout)):
                for x in range(max(0, first_x), min(width, first_x + cutout)):
                    for c in range(channels):
                        out[n * image + c * plane + y * line + x * pixel] = zero
