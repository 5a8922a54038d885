"""Pooling, compiled: the twins of `chainrule.functional.max_pool_*_naive`, `avg_pool_*_naive` and `adaptive_avg_pool_*`.

Maxima are those of the twins, and means differ by rounding only; nothing differs from run to run or between numbers of threads. Shapes are
(N, C, H, W); memory of any layout is right; fast is channels-last, where nothing is copied. Results lie channels-last. Dtypes other than
float32 and float64, and empty arrays, go to the twin. No cache refers to x.
"""

import functools

import numpy as np

from chainrule import functional
from chainrule.functional.geometry import pool_geometry
from chainrule.kernels.arrays import fits
from chainrule.kernels.compiler import load, run, threads, vector_lanes
from chainrule.kernels.layout import channels_first, channels_last
from chainrule.kernels.workspace import empty

__all__ = [
    "adaptive_avg_pool_backward",
    "adaptive_avg_pool_forward",
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool_backward",
    "max_pool_forward",
]

SERIAL = 50_000  # numbers; fewer take one thread less time than it takes to wake a second one
FEW_POINTS = 64  # of a window; with more, going to the one that won, channel by channel, beats asking each for all channels at once


def max_pool_forward(x, pool_param):
    """As `chainrule.functional.max_pool_forward_naive`: the maximum of every window of x (N, C, H, W).

    The cache holds the place of every maximum in its window: one byte each, four for windows of more than 256 points.
    """
    geometry = pool_geometry("max_pool_forward", x.shape, pool_param)
    if not fits(x):
        out, cache = functional.max_pool_forward_naive(x, pool_param)
        return out, (cache,)
    rows, kernels = channels_last(x), load("pooling")
    (N, C, H, W), (OH, OW) = x.shape, geometry.output
    out = empty((N, OH, OW, C), x.dtype)
    winner = empty(out.shape, np.uint8 if geometry.kernel[0] * geometry.kernel[1] <= 256 else np.int32)
    if _side_by_side(geometry, H, W):
        run(kernels.max_pool_2x2_forward, (rows, out, winner), _parts(x))
    else:
        forward = kernels.max_pool_forward if _is_wide(x) else kernels.max_pool_forward_narrow
        run(forward, (rows, *_windows(geometry, 0, H), *_windows(geometry, 1, W), out, winner), _parts(x))
    return channels_first(out), (x.shape, winner, geometry)


def max_pool_backward(dout, cache):
    """Gradient of `max_pool_forward`: dx (N, C, H, W), from dout (N, C, OH, OW)."""
    if len(cache) == 1:
        return functional.max_pool_backward_naive(dout, *cache)
    x_shape, winner, geometry = cache
    dout, dx, kernels = _gradients("max_pool_backward", dout, channels_first(winner).shape, x_shape)
    H, W = x_shape[2:]
    if _side_by_side(geometry, H, W):
        run(kernels.max_pool_2x2_backward, (dout, winner, dx), _parts(dx))
    elif not _is_wide(channels_first(dx)) or geometry.kernel[0] * geometry.kernel[1] > FEW_POINTS:
        (row_starts, _, row_step), (column_starts, column_stops, column_step) = _windows(geometry, 0, H), _windows(geometry, 1, W)
        widths = -(-(column_stops - column_starts) // column_step)
        run(kernels.max_pool_backward_narrow, (dout, winner, row_starts, row_step, column_starts, column_step, widths, dx), _parts(dx))
    else:
        run(kernels.max_pool_backward, (dout, winner, *_windows_of_points(geometry, H, W), dx), _parts(dx))
    return channels_first(dx)


def avg_pool_forward(x, pool_param):
    """As `chainrule.functional.avg_pool_forward_naive`: the mean of every window of x (N, C, H, W)."""
    geometry = pool_geometry("avg_pool_forward", x.shape, pool_param)
    if not fits(x):
        out, cache = functional.avg_pool_forward_naive(x, pool_param)
        return out, (functional.avg_pool_backward_naive, cache)
    windows = []
    for axis, size in enumerate(x.shape[2:]):
        starts, stops, step = _windows(geometry, axis, size)
        counts = -(-(stops - starts) // step)
        if pool_param.get("count_include_pad", True):
            before, after = geometry.pad[2 * axis : 2 * axis + 2]
            first = np.arange(len(starts)) * geometry.stride[axis]  # in the padded image
            reach = np.minimum(first + step * (geometry.kernel[axis] - 1) + 1, size + before + after)
            counts = -(-(reach - first) // step)
        windows += [starts, stops, step, counts]
    return _avg_pool(x, geometry.output, windows)


def avg_pool_backward(dout, cache):
    """Gradient of `avg_pool_forward`: dx (N, C, H, W), from dout (N, C, OH, OW)."""
    return _avg_pool_backward("avg_pool_backward", dout, cache)


def adaptive_avg_pool_forward(x, output_size):
    """As `chainrule.functional.adaptive_avg_pool_forward`: OH x OW means of windows that cover x (N, C, H, W) evenly."""
    sizes = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    if not fits(x) or x.ndim != 4 or min(sizes) < 1:
        out, cache = functional.adaptive_avg_pool_forward(x, output_size)  # which also says what is wrong
        return out, (functional.adaptive_avg_pool_backward, cache)
    windows = []
    for size, places in zip(x.shape[2:], sizes, strict=True):
        starts, stops = np.arange(places) * size // places, -(-np.arange(1, places + 1) * size // places)
        windows += [starts, stops, 1, stops - starts]
    return _avg_pool(x, sizes, windows)


def adaptive_avg_pool_backward(dout, cache):
    """Gradient of `adaptive_avg_pool_forward`: dx (N, C, H, W), from dout (N, C, OH, OW)."""
    return _avg_pool_backward("adaptive_avg_pool_backward", dout, cache)


def _is_wide(x):
    """Whether the channels of x (N, C, H, W) fill a vector."""
    return x.shape[1] >= vector_lanes(x.dtype)


def _side_by_side(geometry, H, W):
    """Whether the windows are 2 x 2 and lie side by side within the image."""
    OH, OW = geometry.output
    two_by_two = geometry.kernel == geometry.stride == (2, 2) and geometry.dilation == (1, 1)
    return two_by_two and not any(geometry.pad) and 2 * OH <= H and 2 * OW <= W


@functools.lru_cache(maxsize=512)
def _windows_of_points(geometry, H, W):
    """For rows, then columns, what `max_pool_backward` asks: which windows hold a point, as which of theirs; last, the windows' widths."""
    tables, counts = [], None
    for axis, size in enumerate((H, W)):
        starts, stops, step = _windows(geometry, axis, size)
        counts = -(-(stops - starts) // step)
        windows = np.repeat(np.arange(len(starts)), counts)
        places = np.arange(len(windows)) - np.repeat(np.cumsum(counts) - counts, counts)
        points = starts[windows] + places * step
        order = np.argsort(points, kind="stable")  # a point's windows one after the other
        tables += [np.searchsorted(points[order], np.arange(size + 1)), windows[order], places[order]]
    return (*tables, counts)


@functools.lru_cache(maxsize=512)
def _windows(geometry, axis, size):
    """Where the windows begin and end within the image, along one axis, and the step from point to point."""
    step = geometry.dilation[axis]
    first = np.arange(geometry.output[axis]) * geometry.stride[axis] - geometry.pad[2 * axis]
    stops = np.minimum(first + step * (geometry.kernel[axis] - 1) + 1, size)
    return np.where(first < 0, first % step, first), stops, step


def _avg_pool(x, output, windows):
    rows, kernels = channels_last(x), load("pooling")
    out = empty((x.shape[0], *output, x.shape[1]), x.dtype)
    run(kernels.avg_pool_forward, (rows, *windows, out), _parts(x))
    return channels_first(out), (x.shape, output, windows)


def _avg_pool_backward(function, dout, cache):
    if len(cache) == 2:
        backward, cache = cache
        return backward(dout, cache)
    x_shape, output, windows = cache
    dout, dx, kernels = _gradients(function, dout, (*x_shape[:2], *output), x_shape)
    run(kernels.avg_pool_backward, (dout, *windows, dx), _parts(dx))
    return channels_first(dx)


def _gradients(function, dout, out_shape, x_shape):
    """dout, channels-last, room for dx, and the kernels."""
    if dout.shape != out_shape:
        raise ValueError(f"{function}: dout has shape {dout.shape}; expected {out_shape}, the shape of the output")
    N, C, H, W = x_shape
    return channels_last(dout), empty((N, H, W, C), dout.dtype), load("pooling")


def _parts(x):
    """On how many threads."""
    return 1 if x.size < SERIAL else threads()
