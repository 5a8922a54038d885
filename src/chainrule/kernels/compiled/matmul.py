"""Products of matrices on the register tile, and an affine layer made of three of them.

Blocks of an output are shared among the threads and never summed across them, and the order of the additions within an element depends on
the sizes alone: results are identical from run to run and for every number of threads.
"""

import numpy as np
from numba import njit, prange

from chainrule.kernels.compiled.tile import ROWS, VECTOR_BYTES, copy, load, multiply_add, relu, store, transpose, zeros

__all__ = ["affine_backward", "affine_backward_part", "affine_forward", "keep_positive", "product"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
DEPTH = (
    512  # length of the sums done in one go, between loading a tile of the output and storing it: shorter ones cost 5 % (256), 12 % (128)
)
WIDTH = 256  # columns of the output done in one go: a block of b, DEPTH x WIDTH float32, takes half of an L2 cache of 1 MB
LINE = 64  # rows of the output done in one go where a is transposed: 64 numbers lie side by side, then comes the next row
STRIDE = WIDTH + 16  # of packed rows; a multiple of 4 KB would put every row into the same few places of the L1 cache


def sweep_of(vectors):
    """The loop over tiles of 1 or 2 vectors (a tile's size is part of its type)."""

    @njit(**INNER)
    def sweep(block, i, row_stride, depth_stride, b, j, b_stride, depth, start, s, first, rectify, out, o, out_stride, columns):
        """A row of whole tiles, side by side: sums over k of block[i + r * row_stride + k * depth_stride] * b[j + k * b_stride + c]."""
        for c in range(0, columns, vectors * VECTOR_BYTES // out.itemsize):
            tile = zeros(b, ROWS, vectors)
            if first:
                tile = load(tile, start, s + c, 0)
            else:
                tile = load(tile, out, o + c, out_stride)
            for k in range(depth):
                tile = multiply_add(tile, block, i + k * depth_stride, row_stride, b, j + c + k * b_stride)
            if rectify:
                tile = relu(tile)
            store(tile, out, o + c, out_stride)

    return sweep


sweep_two, sweep_one = sweep_of(2), sweep_of(1)


@njit(**INNER)
def block_product(
    a, i, row_stride, depth_stride, b, j, b_stride, tail, tail_stride, depth, start, first, rectify, out, o, out_stride, rows, columns
):
    """Add (or, `first`, start with) the product of a block (rows, depth) of a and a block (depth, columns) of b to a block of out.

    The columns of b that do not fill a tile of two vectors are in `tail`. The parts of a go through a small scratch, in which they lie as
    the tile wants them; the parts of out that do not fill a tile through another.
    """
    lanes = VECTOR_BYTES // out.itemsize
    full, zero, edge_stride = columns // (2 * lanes) * (2 * lanes), np.int64(0), np.int64(STRIDE)
    block, edge = np.empty(LINE * DEPTH + ROWS, out.dtype), np.empty(ROWS * STRIDE, out.dtype)
    line, block_row, block_depth = (ROWS, DEPTH, 1) if depth_stride == 1 else (LINE, 1, LINE)
    for n in range(0, rows, line):
        high = min(line, rows - n)
        if depth_stride == 1:
            for r in range(high):
                copy(block, r * DEPTH, a, i + (n + r) * row_stride, depth)
            block[high * DEPTH : ROWS * DEPTH] = 0
        else:
            for k in range(depth):
                copy(block, k * LINE, a, i + k * depth_stride + n, high)
        for r in range(0, high, ROWS):
            m, here, to = r * block_row, min(ROWS, high - r), o + (n + r) * out_stride
            edge_start = full if here == ROWS else zero
            if not first:
                for e in range(here):
                    copy(edge, e * STRIDE + edge_start, out, to + e * out_stride + edge_start, columns - edge_start)
            if here == ROWS:
                sweep_two(block, m, block_row, block_depth, b, j, b_stride, depth, start, zero, first, rectify, out, to, out_stride, full)
            else:
                sweep_two(
                    block, m, block_row, block_depth, b, j, b_stride, depth, start, zero, first, rectify, edge, zero, edge_stride, full
                )
            if columns > full + lanes:
                sweep_two(
                    block,
                    m,
                    block_row,
                    block_depth,
                    tail,
                    zero,
                    tail_stride,
                    depth,
                    start,
                    full,
                    first,
                    rectify,
                    edge,
                    full,
                    edge_stride,
                    2 * lanes,
                )
            elif columns > full:
                sweep_one(
                    block,
                    m,
                    block_row,
                    block_depth,
                    tail,
                    zero,
                    tail_stride,
                    depth,
                    start,
                    full,
                    first,
                    rectify,
                    edge,
                    full,
                    edge_stride,
                    lanes,
                )
            if columns > edge_start:
                for e in range(here):
                    copy(out, to + e * out_stride + edge_start, edge, e * STRIDE + edge_start, columns - edge_start)


@njit(**INNER)
def pack(b, j, row_stride, column_stride, depth, columns, panel, stride):
    """Copy a block (depth, columns) of b row after row, filled up with zeros to `stride` columns."""
    if columns < stride:
        panel[: depth * stride] = 0
    if column_stride == 1:
        for k in range(depth):
            copy(panel, k * stride, b, j + k * row_stride, columns)
    else:
        lanes = VECTOR_BYTES // b.itemsize
        for c0 in range(0, columns, lanes):
            whole = depth // lanes * lanes if row_stride == 1 and c0 + lanes <= columns else 0
            for k in range(0, whole, lanes):
                transpose(b, j + c0 * column_stride + k, column_stride, panel, k * stride + c0, stride)
            for c in range(c0, min(c0 + lanes, columns)):
                for k in range(whole, depth):
                    panel[k * stride + c] = b[j + c * column_stride + k * row_stride]


@njit(**INNER)
def shares(rows, columns, threads, packing):
    """How to cut an output of rows x columns tiles among the threads: into so many parts of its rows that the largest share is smallest.

    Every thread packs the columns it uses, at `packing` times the cost of a row of tiles.
    """
    best, best_parts = -1, 1
    for parts in range(1, threads + 1):
        if threads % parts == 0:
            others = threads // parts
            largest = ((rows + parts - 1) // parts + packing) * ((columns + others - 1) // others)
            if best < 0 or largest <= best:
                best, best_parts = largest, parts
    return best_parts


@njit(**OPTIONS)
def product(a, row_stride, depth_stride, b, b_row_stride, b_column_stride, bias, rectify, out, rows, depth, columns, parts, part):
    """One part of out (rows, columns) = a (rows, depth) @ b (depth, columns) + bias; then max(0, .) if `rectify`.

    a, b, out and bias (empty: none) are flat arrays. a is walked along its rows if depth_stride is 1, else row_stride must be 1. b has any strides.
    """
    lanes = VECTOR_BYTES // out.itemsize
    # b is read where it is, unless its columns are apart or its rows so that they fall on each other in the cache
    direct = b_column_stride == 1 and b_row_stride * out.itemsize % 4096 != 0
    row_tiles, column_tiles = (rows + ROWS - 1) // ROWS, (columns + lanes - 1) // lanes
    row_parts = shares(row_tiles, column_tiles, parts, 0 if direct else 4)
    column_parts = parts // row_parts
    row_part, column_part = part // column_parts, part % column_parts
    r0, r1 = row_tiles * row_part // row_parts * ROWS, min(row_tiles * (row_part + 1) // row_parts * ROWS, rows)
    c0, c1 = column_tiles * column_part // column_parts * lanes, min(column_tiles * (column_part + 1) // column_parts * lanes, columns)

    zero, stride = np.int64(0), np.int64(STRIDE)
    start = np.zeros(STRIDE, out.dtype)
    deepest = min(DEPTH, depth)
    tail, packed = np.empty(deepest * 2 * lanes, out.dtype), np.empty(0 if direct else deepest * STRIDE, out.dtype)
    for c in range(c0, c1, WIDTH):
        width = min(WIDTH, c1 - c)
        full = width // (2 * lanes) * (2 * lanes)
        tail_stride = lanes if width - full <= lanes else 2 * lanes
        if bias.size:
            copy(start, 0, bias, c, width)
        for k in range(0, depth, DEPTH):
            here = min(DEPTH, depth - k)
            first, last = k == 0, rectify and k + here == depth
            i, j, o = r0 * row_stride + k * depth_stride, k * b_row_stride + c * b_column_stride, r0 * columns + c
            if full < width:
                pack(b, j + full * b_column_stride, b_row_stride, b_column_stride, here, width - full, tail, tail_stride)
            if direct:
                block_product(
                    a,
                    i,
                    row_stride,
                    depth_stride,
                    b,
                    j,
                    b_row_stride,
                    tail,
                    tail_stride,
                    here,
                    start,
                    first,
                    last,
                    out,
                    o,
                    columns,
                    r1 - r0,
                    width,
                )
            else:
                pack(b, j, b_row_stride, b_column_stride, here, full, packed, stride)
                block_product(
                    a,
                    i,
                    row_stride,
                    depth_stride,
                    packed,
                    zero,
                    stride,
                    tail,
                    tail_stride,
                    here,
                    start,
                    first,
                    last,
                    out,
                    o,
                    columns,
                    r1 - r0,
                    width,
                )


@njit(parallel=True, **OPTIONS)
def affine_forward(x, w, w_row_stride, w_column_stride, bias, rectify, out, rows, depth, columns, threads):
    """out (N, M) = x (N, D) @ w (D, M) + bias (M,), then max(0, .) if `rectify`. All arrays flat; w has any strides."""
    for part in prange(threads):
        product(x, depth, np.int64(1), w, w_row_stride, w_column_stride, bias, rectify, out, rows, depth, columns, threads, np.int64(part))


@njit(**INNER)
def column_sums(g, rows, columns, c0, c1, sums):
    """sums[c0:c1] = the sums of these columns of g (rows, columns)."""
    lanes = VECTOR_BYTES // g.itemsize
    one = np.ones(1, g.dtype)
    whole = (c1 - c0) // lanes * lanes
    for c in range(c0, c0 + whole, lanes):
        tile = zeros(g, 1, 1)
        for n in range(rows):
            tile = multiply_add(tile, one, 0, 0, g, n * columns + c)
        store(tile, sums, c, 0)
    if c0 + whole < c1:
        sums[c0 + whole : c1] = 0
        for n in range(rows):
            for c in range(c0 + whole, c1):
                sums[c] += g[n * columns + c]


@njit(**OPTIONS)
def affine_backward_part(x, w, w_row_stride, w_column_stride, g, dx, dw, db, rows, depth, columns, parts, part):
    """One part of dx = g @ w.T (skipped if dx is empty), of dw = x.T @ g and of db, the sums of g's columns."""
    one, none, no = np.int64(1), db[:0], np.bool_(False)  # as variables: for literal arguments Numba would compile `product` once more
    product(x, one, depth, g, columns, one, none, no, dw, depth, rows, columns, parts, part)
    if dx.size:
        product(g, columns, one, w, w_column_stride, w_row_stride, none, no, dx, rows, columns, depth, parts, part)
    column_sums(g, rows, columns, columns * part // parts, columns * (part + 1) // parts, db)


@njit(parallel=True, **OPTIONS)
def affine_backward(x, w, w_row_stride, w_column_stride, g, dx, dw, db, rows, depth, columns, threads):
    """Gradients of `affine_forward` for the gradient g (N, M) of its output (before the ReLU). All arrays flat; w has any strides."""
    for part in prange(threads):
        affine_backward_part(x, w, w_row_stride, w_column_stride, g, dx, dw, db, rows, depth, columns, threads, np.int64(part))


@njit(**OPTIONS)
def keep_positive(dout, out, g):
    """g = dout where out > 0, else 0: the gradient before a ReLU whose output is `out`."""
    zero = g.dtype.type(0)
    for i in range(g.size):
        value = dout[i]
        g[i] = value if out[i] > zero else zero
