"""Where the window of a convolution or a pooling lies at each of its places, as slices into the image."""

import numpy as np

__all__ = ["padded", "window"]


def padded(x, pad):
    """A copy of x (N, C, H, W) with pad = (top, bottom, left, right) rows and columns of zeros around every image."""
    top, bottom, left, right = pad
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def window(geometry, i, j, size, before=(0, 0)):
    """The rows and the columns that the window covers at place (i, j), as two slices.

    Parameters
    ----------
    geometry : Geometry
    i, j : place of the window, which gives the element (i, j) of the output
    size : (H, W) of the image that the slices are for; what lies outside is left out
    before : rows above and columns left of the image over which the window starts
    """
    return tuple(
        _covered(place * stride - start, kernel, dilation, length)
        for place, stride, start, kernel, dilation, length in zip(
            (i, j), geometry.stride, before, geometry.kernel, geometry.dilation, size, strict=True
        )
    )


def _covered(first, kernel, dilation, length):
    """Those of the points first, first + dilation, ... of the window that are in 0, ..., length - 1."""
    stop = min(first + dilation * (kernel - 1) + 1, length)
    return slice(first if first >= 0 else first % dilation, stop, dilation)
