"""Pooling, channels-last: the pixels of a window are rows of channels, which are compared or added as vectors.

Where the windows lie comes in from outside, for rows and columns alike: `starts` and `stops` (OH,) or (OW,) within the image, and the step
from one point of the window to the next. The places of the points in a window are counted, row by row, among those within the image.

Forward, the threads share the rows of the output; backward, the images, because windows may overlap.
"""

import numpy as np
from numba import njit

__all__ = [
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool_2x2_backward",
    "max_pool_2x2_forward",
    "max_pool_backward",
    "max_pool_forward",
]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}

FEW_POINTS = 32  # up to here, comparing all points with the one that won, channels as a vector, beats going to it channel by channel


@njit(**INNER)
def beats(value, best):
    """Whether a later value takes the place of the best so far: the first of equals stays, and so does the first NaN."""
    return (value > best) | ((value != value) & (best == best))


@njit(**OPTIONS)
def max_pool_forward(x, row_starts, row_stops, row_step, column_starts, column_stops, column_step, out, winner, parts, part):
    """Rows of out (N, OH, OW, C), the maxima of the windows over x (N, H, W, C), and of winner, the places where they were."""
    OH, OW, C = out.shape[1:]
    rows = len(out) * OH
    for r in range(rows * part // parts, rows * (part + 1) // parts):
        n, i = r // OH, r % OH
        for j in range(OW):
            best, best_place, first, place = out[n, i, j], winner[n, i, j], x[n, row_starts[i], column_starts[j]], 0
            for c in range(C):
                best[c], best_place[c] = first[c], 0
            for h in range(row_starts[i], row_stops[i], row_step):
                for w in range(column_starts[j], column_stops[j], column_step):
                    values, here = x[n, h, w], winner.dtype.type(place)
                    for c in range(C):
                        value, current, current_place = values[c], best[c], best_place[c]
                        better = beats(value, current)
                        best[c] = value if better else current
                        best_place[c] = here if better else current_place
                    place += 1


@njit(**OPTIONS)
def max_pool_backward(dout, winner, row_starts, row_stops, row_step, column_starts, column_stops, column_step, dx, parts, part):
    """Images of dx (N, H, W, C): every number of dout, added where its window has its maximum."""
    N, OH, OW, C = dout.shape
    zero = dx.dtype.type(0)
    for n in range(N * part // parts, N * (part + 1) // parts):
        dx[n] = 0
        for i in range(OH):
            for j in range(OW):
                g, places = dout[n, i, j], winner[n, i, j]
                columns = (column_stops[j] - column_starts[j] - 1) // column_step + 1
                rows = (row_stops[i] - row_starts[i] - 1) // row_step + 1
                if rows * columns <= FEW_POINTS:
                    for place in range(rows * columns):
                        here = winner.dtype.type(place)
                        dx_row = dx[n, row_starts[i] + place // columns * row_step, column_starts[j] + place % columns * column_step]
                        for c in range(C):
                            value, won = g[c], places[c] == here
                            dx_row[c] += value if won else zero
                else:
                    for c in range(C):
                        place = np.int64(places[c])
                        dx[n, row_starts[i] + place // columns * row_step, column_starts[j] + place % columns * column_step, c] += g[c]


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
