"""Pooling: every channel of an image, on its own, is reduced window by window to the maximum or the mean."""

import numpy as np

from chainrule.functional.checks import check_floating, check_images, check_shape
from chainrule.functional.geometry import pool_geometry
from chainrule.functional.windows import window

__all__ = [
    "adaptive_avg_pool_backward",
    "adaptive_avg_pool_forward",
    "avg_pool_backward_naive",
    "avg_pool_forward_naive",
    "global_avg_pool_backward",
    "global_avg_pool_forward",
    "max_pool_backward_naive",
    "max_pool_forward_naive",
]


def max_pool_forward_naive(x, pool_param):
    """The maximum of every window; padding is never it, and a NaN always is, as in PyTorch.

    Parameters
    ----------
    x : (N, C, H, W), floating point
    pool_param : dict with
        "pool_height", "pool_width" : sides of the window, required
        "stride" : steps of the window, int or (rows, columns), default: its sides
        "pad" : rows and columns around the image, int or (rows, columns), at most half of the window, default 0
        "dilation" : distance of the window's points, int or (rows, columns), default 1
        "ceil_mode" : let the last window hang over the edge, default False

    Returns
    -------
    out : (N, C, OH, OW), of x's dtype, with OH = (H + 2 * pad - dilation * (pool_height - 1) - 1) // stride + 1 (rounded up with
        "ceil_mode"), and OW likewise
    cache : (x, pool_param), for `max_pool_backward_naive`

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape or a setting is wrong, or the window does not fit into the padded image.
    """
    geometry = pool_geometry("max_pool_forward_naive", x.shape, pool_param)
    check_floating("max_pool_forward_naive", "x", x)
    out = np.empty((*x.shape[:2], *geometry.output), x.dtype)
    for i in range(geometry.output[0]):
        for j in range(geometry.output[1]):
            rows, columns = window(geometry, i, j, x.shape[2:], before=geometry.pad[::2])
            out[:, :, i, j] = x[:, :, rows, columns].max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    """Gradient of `max_pool_forward_naive`: dx like x, from dout (N, C, OH, OW).

    Of equal maxima in a window the first in reading order gets the gradient, as in PyTorch. Derivation: docs/derivations/pooling.md.
    """
    x, pool_param = cache
    geometry = pool_geometry("max_pool_backward_naive", x.shape, pool_param)
    N, C, H, W = x.shape
    check_shape("max_pool_backward_naive", "dout", dout, (N, C, *geometry.output), "the shape of the output")
    dx = np.zeros_like(x)
    samples, channels = np.ogrid[:N, :C]
    for i in range(geometry.output[0]):
        for j in range(geometry.output[1]):
            rows, columns = window(geometry, i, j, (H, W), before=geometry.pad[::2])
            inside = x[:, :, rows, columns]
            height, width = inside.shape[2:]
            row, column = np.divmod(inside.reshape(N, C, height * width).argmax(axis=2), width)  # (N, C) each
            # out[n, c, i, j] was that one element of x, with slope 1; windows that overlap may choose the same one
            dx[samples, channels, rows.start + row * rows.step, columns.start + column * columns.step] += dout[:, :, i, j]
    return dx


def avg_pool_forward_naive(x, pool_param):
    """The mean of every window.

    Parameters
    ----------
    x : (N, C, H, W), floating point
    pool_param : dict as for `max_pool_forward_naive`, and
        "count_include_pad" : whether padding counts as zeros in the mean, default True, as in PyTorch; the mean is over the pixels of the
            image alone otherwise. What hangs over the padding ("ceil_mode") never counts

    Returns
    -------
    out : (N, C, OH, OW), of x's dtype
    cache : (x, pool_param), for `avg_pool_backward_naive`

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape or a setting is wrong, or the window does not fit into the padded image.
    """
    geometry = pool_geometry("avg_pool_forward_naive", x.shape, pool_param)
    check_floating("avg_pool_forward_naive", "x", x)
    out = np.empty((*x.shape[:2], *geometry.output), x.dtype)
    for i in range(geometry.output[0]):
        for j in range(geometry.output[1]):
            rows, columns = window(geometry, i, j, x.shape[2:], before=geometry.pad[::2])
            out[:, :, i, j] = x[:, :, rows, columns].sum(axis=(2, 3)) / _count(geometry, i, j, x.shape[2:], pool_param)
    return out, (x, pool_param)


def avg_pool_backward_naive(dout, cache):
    """Gradient of `avg_pool_forward_naive`: dx like x, from dout (N, C, OH, OW). Derivation: docs/derivations/pooling.md."""
    x, pool_param = cache
    geometry = pool_geometry("avg_pool_backward_naive", x.shape, pool_param)
    check_shape("avg_pool_backward_naive", "dout", dout, (*x.shape[:2], *geometry.output), "the shape of the output")
    dx = np.zeros_like(x)
    for i in range(geometry.output[0]):
        for j in range(geometry.output[1]):
            rows, columns = window(geometry, i, j, x.shape[2:], before=geometry.pad[::2])
            # every element of the window has entered out[n, c, i, j] with the factor 1 / count
            dx[:, :, rows, columns] += dout[:, :, i : i + 1, j : j + 1] / _count(geometry, i, j, x.shape[2:], pool_param)
    return dx


def adaptive_avg_pool_forward(x, output_size):
    """The means of OH x OW windows that cover the image evenly, whatever its size, as in PyTorch.

    Window i spans the rows from floor(i * H / OH) to below ceil((i + 1) * H / OH): they overlap where OH does not divide H.

    Parameters
    ----------
    x : (N, C, H, W), floating point, H and W at least 1
    output_size : (OH, OW), or one number for both; at least 1

    Returns
    -------
    out : (N, C, OH, OW), of x's dtype
    cache : what `adaptive_avg_pool_backward` needs

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If x has other axes or no pixel, or an output size is less than 1.
    """
    check_images("adaptive_avg_pool_forward", "x", x.shape)
    check_floating("adaptive_avg_pool_forward", "x", x)
    OH, OW = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    if OH < 1 or OW < 1:
        raise ValueError(f"adaptive_avg_pool_forward: output_size is {output_size}; it must be at least 1")
    _check_pixels("adaptive_avg_pool_forward", x)
    out = np.empty((*x.shape[:2], OH, OW), x.dtype)
    for i, rows in enumerate(_even_parts(x.shape[2], OH)):
        for j, columns in enumerate(_even_parts(x.shape[3], OW)):
            out[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return out, (x.shape, (OH, OW))


def adaptive_avg_pool_backward(dout, cache):
    """Gradient of `adaptive_avg_pool_forward`: dx like x, from dout (N, C, OH, OW). Derivation: docs/derivations/pooling.md."""
    x_shape, output_size = cache
    check_shape("adaptive_avg_pool_backward", "dout", dout, (*x_shape[:2], *output_size), "the shape of the output")
    dx = np.zeros(x_shape, dout.dtype)
    for i, rows in enumerate(_even_parts(x_shape[2], output_size[0])):
        for j, columns in enumerate(_even_parts(x_shape[3], output_size[1])):
            count = (rows.stop - rows.start) * (columns.stop - columns.start)
            dx[:, :, rows, columns] += dout[:, :, i : i + 1, j : j + 1] / count
    return dx


def global_avg_pool_forward(x):
    """The mean of every channel over the whole image (Lin, Chen & Yan 2013, section 3.2).

    Parameters
    ----------
    x : (N, C, H, W), floating point, H and W at least 1

    Returns
    -------
    out : (N, C), of x's dtype
    cache : the shape of x

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If x has other axes or no pixel.
    """
    check_images("global_avg_pool_forward", "x", x.shape)
    check_floating("global_avg_pool_forward", "x", x)
    _check_pixels("global_avg_pool_forward", x)
    return x.mean(axis=(2, 3)), x.shape


def global_avg_pool_backward(dout, cache):
    """Gradient of `global_avg_pool_forward`: dx (N, C, H, W), from dout (N, C). Derivation: docs/derivations/pooling.md."""
    N, C, H, W = cache
    check_shape("global_avg_pool_backward", "dout", dout, (N, C), "the shape of the output")
    return np.broadcast_to(dout[:, :, None, None] / (H * W), cache).copy()


def _count(geometry, i, j, size, pool_param):
    """How many points the mean of the window at place (i, j) is over."""
    top, bottom, left, right = geometry.pad
    if pool_param.get("count_include_pad", True):
        covered = window(geometry, i, j, (size[0] + top + bottom, size[1] + left + right))
    else:
        covered = window(geometry, i, j, size, before=(top, left))
    rows, columns = (len(range(part.start, part.stop, part.step)) for part in covered)
    return rows * columns


def _even_parts(length, parts):
    """0, ..., length - 1 in slices of nearly equal length that overlap where parts does not divide length."""
    return [slice(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def _check_pixels(function, x):
    if x.shape[2] == 0 or x.shape[3] == 0:
        raise ValueError(f"{function}: x has shape {x.shape}; the mean of an image needs at least one pixel")
