# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Convolution with 3x3 kernels at stride 1 by Winograd's algorithm F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.

Lavin & Gray, Fast algorithms for convolutional neural networks, 2015. With the small matrices A, B and G (the maps below), for every 4x4
tile y of the output, the 6x6 tile x of the input under it, and every pair of channels,

    y = A^T [(G w G^T) * (B^T x B)] A,    * elementwise,

so that the sum over input channels becomes, at each of the 36 places k, a product of matrices: M[k] = V[k] @ U[k], V (tiles, C), U (C, F),
M (tiles, F). The backward pass is the same maps transposed, in the opposite order: dM = A dy A^T; dU[k] = V[k]^T @ dM[k]; dw = G^T dU G;
dV[k] = dM[k] @ U[k]^T; dx = the sum of the overlapping 6x6 tiles B dV B^T.

The bias costs nothing: A^T E A is 1 everywhere for the matrix E that is 1 at row 1, column 1 and 0 elsewhere, so the bias is added to M at
that place alone, and its gradient is the sum of dM there.

One row of tiles of an image is a strip. A thread takes a group of strips through all steps while V and M are in its cache; all sums over
tiles are taken in the order of the strips, the threads' shares of dU added in the order of the threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from chainrule.kernels.compiled.tile import ROWS, VECTOR_BYTES, copy, load, multiply_add, relu, store, zeros
from chainrule.kernels.compiled.vectors import (
    add_rows,
    keep_where_positive,
    linear_map,
    pool_columns,
    unpool_left,
    unpool_right,
)

__all__ = [
    "Sizes",
    "backward",
    "forward",
    "pack_weights",
    "unpack_weights",
]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
BIAS = 7  # the place (1, 1) of 6 x 6


class Sizes(NamedTuple):
    """The sizes of one convolution, and how the scratch of a thread is laid out. Strides count numbers."""

    N: int  # images
    H: int
    W: int
    C: int  # channels of x, at least one vector
    F: int  # channels of the output, at least one vector
    OH: int
    OW: int
    TH: int  # rows of tiles
    TW: int  # columns of tiles
    top: int  # rows of zeros above the image
    left: int  # columns of zeros before it
    group: int  # strips that go through all steps together
    panel: int  # numbers in a panel of V or M: the tiles of a group, rounded up to ROWS, times two vectors
    V_stride: int  # between V[k] and V[k + 1]
    M_stride: int  # between M[k] and M[k + 1]
    C_packed: int  # C rounded up to two vectors
    F_packed: int  # F rounded up to two vectors
    C_rows: int  # rows of dU[k], as `add_outer_products` lays them out


@linear_map
def input_map(a, b, c, d, e, f):
    """B^T (6 x 6)."""
    p, q, r, s = e - 4 * c, d - 4 * b, e - c, 2 * (d - b)
    return 4 * a - 5 * c + e, p + q, p - q, r + s, r - s, 4 * b - 5 * d + f


@linear_map
def output_map(a, b, c, d, e, f):
    """A^T (4 x 6)."""
    p, q, r, s = b + c, b - c, d + e, d - e
    return a + p + r, q + 2 * s, p + 4 * r, q + 8 * s + f


@linear_map
def kernel_map(a, b, c):
    """G (6 x 3)."""
    p, q, r, s = (-1 / 6) * (a + c), (1 / 6) * b, (1 / 24) * a + (1 / 6) * c, (1 / 12) * b
    return 0.25 * a, p - q, p + q, r + s, r - s, c


@linear_map
def gradient_map(a, b, c, d):
    """A (6 x 4), the transpose of `output_map`."""
    p, q, r, s = a + c, b + d, a + 4 * c, 2 * b + 8 * d
    return a, p + q, p - q, r + s, r - s, d


@linear_map
def kernel_gradient_map(a, b, c, d, e, f):
    """G^T (3 x 6), the transpose of `kernel_map`."""
    p, q, r, s = b + c, c - b, d + e, d - e
    return 0.25 * a - (1 / 6) * p + (1 / 24) * r, (1 / 6) * q + (1 / 12) * s, (1 / 6) * (r - p) + f


@linear_map
def upper_map(a, b, c, d, e, f):
    """The first four rows of B, the transpose of `input_map`: what no later tile adds to."""
    p, q, r, s = b + c, b - c, d + e, d - e
    return 4 * a, 4 * f - 4 * q - 2 * s, -5 * a - 4 * p - r, q + 2 * s - 5 * f


@linear_map
def lower_map(a, b, c, d, e, f):
    """The last two rows of B: the part that lies on the next tile."""
    return a + (b + c) + (d + e), f


@njit(**INNER)
def place_of(sizes, tile, channel, lanes):
    """Where in V[k] or M[k] a tile's numbers begin at a channel: panels of two vectors of channels, in each of them tile after tile."""
    width = 2 * lanes
    return channel // width * sizes.panel + tile * width + channel % width


@njit(**INNER)
def input_strip(x, sizes, strip, columns, edge, V, tile):
    """V[:, tile : tile + TW] = B^T x B of a strip of x."""
    row, first = sizes.W * sizes.C, 4 * (strip % sizes.TH) - sizes.top
    offset = (strip // sizes.TH * sizes.H + first) * row
    if first >= 0 and first + 6 <= sizes.H:
        input_columns(x, offset, sizes, columns, V, tile)
        return
    for i in range(6):
        if 0 <= first + i < sizes.H:
            copy(edge, i * row, x, offset + i * row, row)
        else:
            edge[i * row : (i + 1) * row] = 0
    input_columns(edge, np.int64(0), sizes, columns, V, tile)


@njit(**INNER)
def input_columns(x, offset, sizes, columns, V, tile):
    lanes, C, k = VECTOR_BYTES // x.itemsize, sizes.C, sizes.V_stride
    width = (4 * sizes.TW + 2) * lanes
    for channel in range(0, C, lanes):
        c = min(channel, C - lanes)  # the last vector may overlap the one before
        for w in range(sizes.W):
            six = load(zeros(x, 6, 1), x, offset + w * C + c, sizes.W * C)
            store(input_map(six), columns, (sizes.left + w) * lanes, width)
        for i in range(6):
            for t in range(sizes.TW):
                six = load(zeros(x, 6, 1), columns, i * width + 4 * t * lanes, lanes)
                store(input_map(six), V, 6 * i * k + place_of(sizes, tile + t, c, lanes), k)


@njit(**INNER)
def multiply(V, V_stride, U, bias, M, M_stride, panel, tiles, depth, columns):
    """M[k] (tiles, columns) = V[k] (tiles, depth) @ U[k] (depth, columns), plus the bias at its place."""
    width = 2 * VECTOR_BYTES // V.itemsize
    for k in range(36):
        for f in range(0, columns, width):
            for p in range(0, tiles * width, ROWS * width):
                tile, j = zeros(V, ROWS, 2), (k * columns + f) * depth
                if k == BIAS and bias.size:
                    tile = load(tile, bias, f, 0)
                for c in range(0, depth, width):
                    i = k * V_stride + c // width * panel + p
                    for channel in range(min(width, depth - c)):
                        tile = multiply_add(tile, V, i + channel, width, U, j)
                        j += width
                store(tile, M, k * M_stride + f // width * panel + p, width)


@njit(**INNER)
def output_strip(M, tile, sizes, strip, columns, edge, rectify, pool, y, winners):
    """A strip of y = A^T M[:, tile : tile + TW] A, and what follows."""
    lanes, F, k = VECTOR_BYTES // M.itemsize, sizes.F, sizes.M_stride
    n, first = strip // sizes.TH, 4 * (strip % sizes.TH)
    row, width, PW = sizes.OW * F, 4 * sizes.TW * lanes, sizes.OW // 2
    inside = min(4, sizes.OH - first)
    offset = (n * sizes.OH + first) * row
    if pool:
        row, inside = PW * F, inside // 2
        offset = (n * (sizes.OH // 2) + first // 2) * row
    whole = inside == (2 if pool else 4)
    target, target_offset = (y, offset) if whole else (edge, np.int64(0))
    winner_row = row if whole else np.int64(0)  # of two rows of windows only the first may be there: its winners are written last
    for channel in range(0, F, lanes):
        f = min(channel, F - lanes)
        for i in range(6):
            for t in range(sizes.TW):
                six = load(zeros(M, 6, 1), M, 6 * i * k + place_of(sizes, tile + t, f, lanes), k)
                store(output_map(six), columns, i * width + 4 * t * lanes, lanes)
        if pool:
            if inside:
                for w in range(PW):
                    left = output_map(load(zeros(M, 6, 1), columns, 2 * w * lanes, width))
                    right = output_map(load(zeros(M, 6, 1), columns, (2 * w + 1) * lanes, width))
                    two = pool_columns(left, right, rectify, winners, offset + w * F + f, winner_row)
                    if rectify:
                        two = relu(two)
                    store(two, target, target_offset + w * F + f, row)
        else:
            for w in range(sizes.OW):
                four = output_map(load(zeros(M, 6, 1), columns, w * lanes, width))
                if rectify:
                    four = relu(four)
                store(four, target, target_offset + w * F + f, row)
    if not whole:
        copy(y, offset, edge, 0, inside * row)


@njit(**OPTIONS)
def forward(x, U, bias, rectify, pool, y, winners, sizes, scratch, parts, part):
    """A part of y (N, OH, OW, F), or, with `pool`, of the pooled values (N, OH // 2, OW // 2, F) and the bytes of their winners.

    All arrays flat; U as `pack_weights` leaves it; bias (F_packed,), or empty.
    """
    lanes = VECTOR_BYTES // x.itemsize
    width = (4 * sizes.TW + 2) * lanes
    memory = scratch[part * (scratch.size // parts) : (part + 1) * (scratch.size // parts)]
    V, memory = memory[: 36 * sizes.V_stride], memory[36 * sizes.V_stride :]
    M, memory = memory[: 36 * sizes.M_stride], memory[36 * sizes.M_stride :]
    columns, strip_columns, edge = memory[: 6 * width], memory[6 * width : 12 * width], memory[12 * width :]
    columns[:] = 0
    strips = sizes.N * sizes.TH
    low, high = strips * part // parts, strips * (part + 1) // parts
    for start in range(low, high, sizes.group):
        count = min(sizes.group, high - start)
        tiles = (count * sizes.TW + ROWS - 1) // ROWS * ROWS
        for s in range(count):
            input_strip(x, sizes, start + s, columns, edge, V, s * sizes.TW)
        multiply(V, sizes.V_stride, U, bias, M, sizes.M_stride, sizes.panel, tiles, sizes.C, sizes.F_packed)
        for s in range(count):
            output_strip(M, s * sizes.TW, sizes, start + s, strip_columns, edge, rectify, pool, y, winners)


@njit(**INNER)
def gradient_strip(dout, out, winners, mode, sizes, strip, columns, edge, dM, tile):
    """dM[:, tile : tile + TW] = A dy A^T of a strip of dy, which is dout (mode 0), dout where out > 0 (1), or dout unpooled (2)."""
    F, n, first = sizes.F, strip // sizes.TH, 4 * (strip % sizes.TH)
    inside = min(4, sizes.OH - first)
    row, offset, rows = sizes.OW * F, (n * sizes.OH + first) * sizes.OW * F, 4
    if mode == 2:
        row, inside, rows = sizes.OW // 2 * F, inside // 2, 2
        offset = (n * (sizes.OH // 2) + first // 2) * row
    if inside == rows:
        gradient_columns(dout, offset, out, offset, row, winners, offset, row, mode, sizes, columns, dM, tile)
        return
    # what is below the image counts as zeros; the winners there as those above
    copy(edge, 0, dout, offset, inside * row)
    edge[inside * row : rows * row] = 0
    edge_out = edge[rows * row :]
    if mode == 1:
        copy(edge_out, 0, out, offset, inside * row)
        edge_out[inside * row : rows * row] = 0
    zero = np.int64(0)
    gradient_columns(edge, zero, edge_out, zero, row, winners, offset if inside else zero, zero, mode, sizes, columns, dM, tile)


@njit(**INNER)
def gradient_columns(dout, i, out, j, stride, winners, m, winner_stride, mode, sizes, columns, dM, tile):
    lanes, F, k = VECTOR_BYTES // dout.itemsize, sizes.F, sizes.M_stride
    width = 4 * sizes.TW * lanes
    for channel in range(0, F, lanes):
        f = min(channel, F - lanes)
        if mode == 2:
            for w in range(sizes.OW // 2):
                two, place = load(zeros(dout, 2, 1), dout, i + w * F + f, stride), m + w * F + f
                store(gradient_map(unpool_left(two, winners, place, winner_stride)), columns, 2 * w * lanes, width)
                store(gradient_map(unpool_right(two, winners, place, winner_stride)), columns, (2 * w + 1) * lanes, width)
        else:
            for w in range(sizes.OW):
                four = load(zeros(dout, 4, 1), dout, i + w * F + f, stride)
                if mode == 1:
                    four = keep_where_positive(four, load(zeros(dout, 4, 1), out, j + w * F + f, stride))
                store(gradient_map(four), columns, w * lanes, width)
        for row in range(6):
            for t in range(sizes.TW):
                four = load(zeros(dout, 4, 1), columns, row * width + 4 * t * lanes, lanes)
                store(gradient_map(four), dM, 6 * row * k + place_of(sizes, tile + t, f, lanes), k)


@njit(**INNER)
def add_outer_products(V, dM, sizes, tiles, first, dU):
    """dU[k] += V[k]^T @ dM[k], or = for the first group; dU (36, F_packed / width, C_rows, width), so that a tile is one piece of memory.

    Where ROWS does not divide a panel of channels, its last ROWS channels are computed, too; `row_of` knows where they are.
    """
    width = 2 * VECTOR_BYTES // V.itemsize
    for k in range(36):
        for f in range(0, sizes.F_packed, width):
            row = 0
            for c in range(0, sizes.C_packed, width):
                for channel in range(0, width, ROWS):
                    place = (k * sizes.F_packed + f) * sizes.C_rows + row * width
                    tile = zeros(V, ROWS, 2)
                    if not first:
                        tile = load(tile, dU, place, width)
                    i = k * sizes.V_stride + c // width * sizes.panel + max(0, min(channel, width - ROWS))
                    j = k * sizes.M_stride + f // width * sizes.panel
                    for p in range(0, tiles * width, width):
                        tile = multiply_add(tile, V, i + p, 1, dM, j + p)
                    store(tile, dU, place, width)
                    row += ROWS


@njit(**INNER)
def row_of(channel, width):
    """The row of dU[k] that belongs to a channel."""
    last = (width - 1) // ROWS  # of the tiles of a panel
    within = channel % width
    tile = min(within // ROWS, last)
    return (channel // width * (last + 1) + tile) * ROWS + within - max(0, min(tile * ROWS, width - ROWS))


@njit(**INNER)
def add_rows_of(dM, sizes, tiles, db):
    """db (F_packed,) += the sum of the rows of dM at the bias's place."""
    lanes = VECTOR_BYTES // dM.itemsize
    for f in range(0, sizes.F_packed, lanes):
        total = load(zeros(dM, 1, 1), db, f, 0)
        for p in range(tiles):
            total = add_rows(total, load(zeros(dM, 1, 1), dM, BIAS * sizes.M_stride + place_of(sizes, p, f, lanes), 0))
        store(total, db, f, 0)


@njit(**INNER)
def input_gradient_strip(dV, tile, sizes, strip, columns, carry, edge, dx):
    """A strip of dx: the tiles B dV[:, tile : tile + TW] B^T added where they overlap, and the last two rows of the strip above."""
    lanes, C, W, k = VECTOR_BYTES // dV.itemsize, sizes.C, sizes.W, sizes.V_stride
    n, place = strip // sizes.TH, strip % sizes.TH
    row, first, width = W * C, 4 * place - sizes.top, (4 * sizes.TW + 2) * lanes
    offset = (n * sizes.H + first) * row
    whole = first >= 0 and first + 4 <= sizes.H
    target, target_offset = (dx, offset) if whole else (edge, np.int64(0))
    above, below = place % 2 * 2 * row, (place + 1) % 2 * 2 * row  # two rows each, of the two halves of carry
    if place == 0:
        carry[above : above + 2 * row] = 0
    for channel in range(0, C, lanes):
        c = min(channel, C - lanes)
        for i in range(6):
            rest = zeros(dV, 2, 1)
            for t in range(sizes.TW):
                six = load(zeros(dV, 6, 1), dV, 6 * i * k + place_of(sizes, tile + t, c, lanes), k)
                store(add_rows(upper_map(six), rest), columns, i * width + 4 * t * lanes, lanes)
                rest = lower_map(six)
            store(rest, columns, i * width + 4 * sizes.TW * lanes, lanes)
        for w in range(W):
            six = load(zeros(dV, 6, 1), columns, (sizes.left + w) * lanes, width)
            upper = add_rows(upper_map(six), load(zeros(dV, 2, 1), carry, above + w * C + c, row))
            store(upper, target, target_offset + w * C + c, row)
            store(lower_map(six), carry, below + w * C + c, row)
    if not whole:
        for i in range(4):
            if 0 <= first + i < sizes.H:
                copy(dx, offset + i * row, edge, i * row, row)
    if place + 1 == sizes.TH:
        for i in range(2):
            if 0 <= first + 4 + i < sizes.H:
                copy(dx, offset + (4 + i) * row, carry, below + i * row, row)


@njit(**OPTIONS)
def backward(x, U, dout, out, winners, mode, dx, rest, dU, db, sizes, scratch, parts, part):
    """dx of a part of the strips; their share of dU (parts, 36, F_packed / width, C_rows, width) and db (parts, F_packed).

    What of dx, dU and db is not wanted is empty. `mode` as in `gradient_strip`; U packed from the transposed weights. Two rows of dx get
    something from the strips above and below: what a part has for the two below its last strip goes to its row of `rest`
    (parts, 2 * W * C), to be added to dx if that strip is not the last of its image. All arrays flat.
    """
    lanes, none = VECTOR_BYTES // x.itemsize, x[:0]
    width, row = (4 * sizes.TW + 2) * lanes, sizes.W * sizes.C
    memory = scratch[part * (scratch.size // parts) : (part + 1) * (scratch.size // parts)]
    V, memory = memory[: 36 * sizes.V_stride], memory[36 * sizes.V_stride :]
    M, memory = memory[: 36 * sizes.M_stride], memory[36 * sizes.M_stride :]
    columns, memory = memory[: 6 * width], memory[6 * width :]
    dy_columns, memory = memory[: 6 * width], memory[6 * width :]
    dx_columns, memory = memory[: 6 * width], memory[6 * width :]
    carry, edge = memory[: 4 * row], memory[4 * row :]
    sums = dU[part * (dU.size // parts) : (part + 1) * (dU.size // parts)]
    bias_sums = db[part * (db.size // parts) : (part + 1) * (db.size // parts)]
    bias_sums[:] = 0
    columns[:] = 0
    dy_columns[:] = 0
    carry[:] = 0
    strips = sizes.N * sizes.TH
    low, high = strips * part // parts, strips * (part + 1) // parts
    if low == high:
        sums[:] = 0
    for start in range(low, high, sizes.group):
        count = min(sizes.group, high - start)
        tiles = count * sizes.TW
        for s in range(count):
            if dU.size:
                input_strip(x, sizes, start + s, columns, edge, V, s * sizes.TW)
            gradient_strip(dout, out, winners, mode, sizes, start + s, dy_columns, edge, M, s * sizes.TW)
        if dU.size:
            add_outer_products(V, M, sizes, tiles, start == low, sums)
        if db.size:
            add_rows_of(M, sizes, tiles, bias_sums)
        if dx.size:
            rounded = (tiles + ROWS - 1) // ROWS * ROWS
            multiply(M, sizes.M_stride, U, none, V, sizes.V_stride, sizes.panel, rounded, sizes.F, sizes.C_packed)
            for s in range(count):
                input_gradient_strip(V, s * sizes.TW, sizes, start + s, dx_columns, carry, edge, dx)
    if dx.size:
        copy(rest, part * 2 * row, carry, high % sizes.TH % 2 * 2 * row, 2 * row)


@njit(**OPTIONS)
def pack_weights(w, U, depth, columns, parts, part):
    """U = G w G^T of w (3, 3, depth, columns), a part of its rows: (36, columns / width, depth, width), the order in which tiles read it.

    A width is two vectors; columns are a multiple of it.
    """
    lanes = VECTOR_BYTES // w.itemsize
    width, plane = 2 * lanes, depth * columns
    scratch = np.empty(18 * lanes, w.dtype)
    for c in range(depth * part // parts, depth * (part + 1) // parts):
        for f in range(0, columns, lanes):
            for b in range(3):
                three = load(zeros(w, 3, 1), w, b * plane + c * columns + f, 3 * plane)
                store(kernel_map(three), scratch, b * lanes, 3 * lanes)
            place = f // width * width * depth + c * width + f % width
            for i in range(6):
                three = load(zeros(w, 3, 1), scratch, 3 * i * lanes, lanes)
                store(kernel_map(three), U, 6 * i * plane + place, plane)


@njit(**OPTIONS)
def unpack_weights(dU, shares, dw, sizes, parts, part):
    """A part of the rows of dw (3, 3, C, F) = G^T dU G, dU (shares, 36, F_packed / width, C_rows, width) added up over the shares."""
    lanes, C, F = VECTOR_BYTES // dU.itemsize, sizes.C, sizes.F
    width, plane = 2 * lanes, sizes.C_rows * sizes.F_packed
    scratch = np.empty(18 * lanes, dU.dtype)
    for c in range(C * part // parts, C * (part + 1) // parts):
        for column in range(0, F, lanes):
            f = min(column, F - lanes)
            place = (f // width * sizes.C_rows + row_of(c, width)) * width + f % width
            for j in range(6):
                six = zeros(dU, 6, 1)
                for share in range(shares):
                    six = add_rows(six, load(zeros(dU, 6, 1), dU, (36 * share + j) * plane + place, 6 * plane))
                store(kernel_gradient_map(six), scratch, j * lanes, 6 * lanes)
            for a in range(3):
                six = load(zeros(dU, 6, 1), scratch, 6 * a * lanes, lanes)
                store(kernel_gradient_map(six), dw, 3 * a * C * F + c * F + f, C * F)
