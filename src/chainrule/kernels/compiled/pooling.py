# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Pooling, channels-last: the pixels of a window are rows of channels, which are compared or added as vectors.

Where the windows lie comes in from outside, for rows and columns alike: `starts` and `stops` (OH,) or (OW,) within the image, and the step
from one point of the window to the next. The places of the points in a window are counted, row by row, among those within the image.

The threads share the rows of what is written; where it is added up window by window, and windows may overlap, the images.
"""

import numpy as np
from numba import njit

from chainrule.kernels.compiled.closures import closure
from chainrule.kernels.compiled.tile import VECTOR_BYTES, store, zeros
from chainrule.kernels.compiled.vectors import add_where, keep_greatest, lowest, store_greatest

__all__ = [
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool_2x2_backward",
    "max_pool_2x2_forward",
    "max_pool_backward",
    "max_pool_backward_narrow",
    "max_pool_forward",
    "max_pool_forward_narrow",
]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}


@njit(**INNER)
def beats(value, best):
    """Whether a later value takes the place of the best so far: the first of equals stays, and so does the first NaN."""
    return (value > best) | ((value != value) & (best == best))


@njit(**INNER)
def count_of(start, stop, step):
    """How many points a window has along an axis."""
    return (stop - start + step - 1) // step


def row_of_maxima_of(vectors):
    @closure(vectors)
    def row_of_maxima(x, i, rows, row_pitch, starts, stops, step, channels, out, winner, o):
        """A row of pixels of out and of winner, from o on: the maxima over windows of so many rows of x, the first of which begins at i."""
        width = vectors * VECTOR_BYTES // x.itemsize
        for j in range(len(starts)):
            columns, first = count_of(starts[j], stops[j], step), i + starts[j] * channels
            for channel in range(0, channels, width):
                c = min(channel, channels - width)  # the last vectors may overlap those before
                best, place = lowest(x, vectors), 0
                for a in range(rows):
                    for b in range(columns):
                        best = keep_greatest(best, x, first + a * row_pitch + b * step * channels + c, place)
                        place += 1
                store_greatest(best, out, winner, o + j * channels + c)

    return row_of_maxima


def row_of_shares_of(vectors):
    @closure(vectors)
    def row_of_shares(dout, winner, i, row_windows, row_places, edges, windows, places, widths, row_pitch, channels, dx, d):
        """A row of pixels of dx, from d on: the sums over windows, of dout where the pixel was their maximum; image from dout[i] on."""
        width = vectors * VECTOR_BYTES // dx.itemsize
        for w in range(len(edges) - 1):
            for channel in range(0, channels, width):
                c = min(channel, channels - width)
                total = zeros(dx, 1, vectors)
                for p in range(len(row_windows)):
                    for q in range(edges[w], edges[w + 1]):
                        place = row_places[p] * widths[windows[q]] + places[q]
                        total = add_where(total, dout, winner, i + row_windows[p] * row_pitch + windows[q] * channels + c, place)
                store(total, dx, d + w * channels + c, 0)

    return row_of_shares


row_of_maxima, row_of_maxima_by_four = row_of_maxima_of(1), row_of_maxima_of(4)
row_of_shares, row_of_shares_by_four = row_of_shares_of(1), row_of_shares_of(4)


@njit(**OPTIONS)
def max_pool_forward(x, row_starts, row_stops, row_step, column_starts, column_stops, column_step, out, winner, parts, part):
    """Rows of out (N, OH, OW, C), the maxima of the windows over x (N, H, W, C), and of winner, the places where they were.

    There are as many channels as a vector has numbers, or more.
    """
    (H, W), (OH, OW, C) = x.shape[1:3], out.shape[1:]
    rows, pitch, by_four = len(out) * OH, row_step * W * C, C * x.itemsize >= 4 * VECTOR_BYTES
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, i = r // OH, r % OH
        count, start = count_of(row_starts[i], row_stops[i], row_step), (n * H + row_starts[i]) * W * C
        if by_four:
            row_of_maxima_by_four(x, start, count, pitch, column_starts, column_stops, column_step, C, out, winner, r * OW * C)
        else:
            row_of_maxima(x, start, count, pitch, column_starts, column_stops, column_step, C, out, winner, r * OW * C)


@njit(**OPTIONS)
def max_pool_forward_narrow(x, row_starts, row_stops, row_step, column_starts, column_stops, column_step, out, winner, parts, part):
    """As `max_pool_forward`, for any number of channels, one by one."""
    OH, OW, C = out.shape[1:]
    rows = len(out) * OH
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, i = r // OH, r % OH
        for j in range(OW):
            for c in range(C):
                best, best_place, place = x[n, row_starts[i], column_starts[j], c], 0, 0
                for h in range(row_starts[i], row_stops[i], row_step):
                    for w in range(column_starts[j], column_stops[j], column_step):
                        value = x[n, h, w, c]
                        if beats(value, best):
                            best, best_place = value, place
                        place += 1
                out[n, i, j, c], winner[n, i, j, c] = best, best_place


@njit(**OPTIONS)
def max_pool_backward(
    dout, winner, row_edges, row_windows, row_places, column_edges, column_windows, column_places, widths, dx, parts, part
):
    """Rows of dx (N, H, W, C): for every pixel the sum over the windows that hold it, of dout where it was their maximum.

    Row h is in the windows row_windows[row_edges[h] : row_edges[h + 1]], and `row_places` says which of their rows it is; columns likewise.
    `widths` says how many columns a window has. As many channels as in `max_pool_forward`; places are bytes.
    """
    (OH, OW), (H, W, C) = dout.shape[1:3], dx.shape[1:]
    rows, pitch, by_four = len(dx) * H, OW * C, C * dx.itemsize >= 4 * VECTOR_BYTES
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, h = r // H, r % H
        windows, places = row_windows[row_edges[h] : row_edges[h + 1]], row_places[row_edges[h] : row_edges[h + 1]]
        columns = column_edges, column_windows, column_places, widths
        if by_four:
            row_of_shares_by_four(dout, winner, n * OH * pitch, windows, places, *columns, pitch, C, dx, r * W * C)
        else:
            row_of_shares(dout, winner, n * OH * pitch, windows, places, *columns, pitch, C, dx, r * W * C)


@njit(**OPTIONS)
def max_pool_backward_narrow(dout, winner, row_starts, row_step, column_starts, column_step, widths, dx, parts, part):
    """Images of dx (N, H, W, C): every number of dout, added where its window has its maximum."""
    N, OH, OW, C = dout.shape
    for n in range(N * part // parts, N * (part + 1) // parts):
        dx[n] = 0
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    place = np.int64(winner[n, i, j, c])
                    h, w = row_starts[i] + place // widths[j] * row_step, column_starts[j] + place % widths[j] * column_step
                    dx[n, h, w, c] += dout[n, i, j, c]


@njit(**OPTIONS)
def max_pool_2x2_forward(x, out, winner, parts, part):
    """As `max_pool_forward`, for windows of 2 x 2 side by side: four rows of x are read once, and out is written once."""
    OH, OW, C = out.shape[1:]
    rows = len(out) * OH
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, i = r // OH, r % OH
        for j in range(OW):
            values0, values1 = x[n, 2 * i, 2 * j], x[n, 2 * i, 2 * j + 1]
            values2, values3 = x[n, 2 * i + 1, 2 * j], x[n, 2 * i + 1, 2 * j + 1]
            best_row, place_row = out[n, i, j], winner[n, i, j]
            for c in range(C):
                best, place = values0[c], np.uint8(0)
                value = values1[c]
                better = beats(value, best)
                best, place = value if better else best, np.uint8(1) if better else place
                value = values2[c]
                better = beats(value, best)
                best, place = value if better else best, np.uint8(2) if better else place
                value = values3[c]
                better = beats(value, best)
                best_row[c] = value if better else best
                place_row[c] = np.uint8(3) if better else place


@njit(**OPTIONS)
def max_pool_2x2_backward(dout, winner, dx, parts, part):
    """As `max_pool_backward`, for windows of 2 x 2 side by side: every number of dx is written once."""
    N, OH, OW, C = dout.shape
    H, W = dx.shape[1:3]
    zero = dx.dtype.type(0)
    for r in range(N * OH * part // parts, N * OH * (part + 1) // parts):
        n, i = r // OH, r % OH
        for h in range(2):
            for j in range(OW):
                g, places = dout[n, i, j], winner[n, i, j]
                for w in range(2):
                    dx_row, here = dx[n, 2 * i + h, 2 * j + w], np.uint8(2 * h + w)
                    for c in range(C):
                        value, won = g[c], places[c] == here
                        dx_row[c] = value if won else zero
            if W % 2:
                dx[n, 2 * i + h, W - 1] = 0
        if H % 2 and i == OH - 1:
            dx[n, H - 1] = 0


@njit(**OPTIONS)
def avg_pool_forward(
    x, row_starts, row_stops, row_step, row_counts, column_starts, column_stops, column_step, column_counts, out, parts, part
):
    """Rows of out (N, OH, OW, C), the sums over the windows divided by row_counts[i] * column_counts[j]."""
    OH, OW, C = out.shape[1:]
    rows = len(out) * OH
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, i = r // OH, r % OH
        for j in range(OW):
            total = out[n, i, j]
            total[:] = 0
            for h in range(row_starts[i], row_stops[i], row_step):
                for w in range(column_starts[j], column_stops[j], column_step):
                    values = x[n, h, w]
                    for c in range(C):
                        total[c] += values[c]
            count = out.dtype.type(row_counts[i] * column_counts[j])
            for c in range(C):
                total[c] /= count


@njit(**OPTIONS)
def avg_pool_backward(
    dout, row_starts, row_stops, row_step, row_counts, column_starts, column_stops, column_step, column_counts, dx, parts, part
):
    """Images of dx (N, H, W, C): every number of dout, divided as in the forward pass, added to all of its window."""
    N, OH, OW, C = dout.shape
    share = np.empty(C, dx.dtype)
    for n in range(N * part // parts, N * (part + 1) // parts):
        dx[n] = 0
        for i in range(OH):
            for j in range(OW):
                g, count = dout[n, i, j], dx.dtype.type(row_counts[i] * column_counts[j])
                for c in range(C):
                    share[c] = g[c] / count
                for h in range(row_starts[i], row_stops[i], row_step):
                    for w in range(column_starts[j], column_stops[j], column_step):
                        dx_row = dx[n, h, w]
                        for c in range(C):
                            dx_row[c] += share[c]
