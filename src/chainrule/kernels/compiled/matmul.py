# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Products of matrices on the register tile, and an affine layer made of three of them.

Blocks of an output are shared among the threads and never summed across them, and the order of the additions within an element depends on
the sizes alone: results are identical from run to run and for every number of threads.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from chainrule.kernels.compiled.closures import closure
from chainrule.kernels.compiled.tile import ROWS, VECTOR_BYTES, copy, load, multiply_add, relu, store, transpose, zeros

__all__ = ["affine_backward", "affine_forward", "keep_positive"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
DEPTH = 512  # length of the sums done in one go, between a tile's load and its store: shorter ones cost 5 % (256) or 12 % (128)
WIDTH = 256  # columns of the output done in one go: a block of b, DEPTH x WIDTH float32, takes half of an L2 cache of 1 MB
LINE = 64 // ROWS * ROWS  # rows of the output done in one go where a is transposed: so many numbers lie side by side
STRIDE = WIDTH + 16  # of packed rows; a multiple of 4 KB would put every row into the same few places of the L1 cache


class Matrix(NamedTuple):
    """A matrix in flat memory: element (r, c) is memory[offset + r * row_stride + c * column_stride]."""

    memory: Any
    offset: Any
    row_stride: Any
    column_stride: Any


@njit(**INNER)
def at(matrix, r, c):
    """The part of the matrix that begins at element (r, c)."""
    offset = matrix.offset + r * matrix.row_stride + c * matrix.column_stride
    return Matrix(matrix.memory, offset, matrix.row_stride, matrix.column_stride)


def sweep_of(vectors):
    """The loop over tiles of 1 or 2 vectors (a tile's size is part of its type)."""

    @closure(vectors)
    def sweep(a, b, initial, out, depth, columns, rectify):
        """out = initial + a @ b for ROWS rows and as many columns as fill whole tiles. The columns of all but `a` are side by side."""
        for c in range(0, columns, vectors * VECTOR_BYTES // out.memory.itemsize):
            tile = load(zeros(out.memory, ROWS, vectors), initial.memory, initial.offset + c, initial.row_stride)
            for k in range(depth):
                i, j = a.offset + k * a.column_stride, b.offset + k * b.row_stride + c
                tile = multiply_add(tile, a.memory, i, a.row_stride, b.memory, j)
            if rectify:
                tile = relu(tile)
            store(tile, out.memory, out.offset + c, out.row_stride)

    return sweep


sweep_two, sweep_one = sweep_of(2), sweep_of(1)


@njit(**INNER)
def move(target, source, rows, columns):
    """Copy a block; in both, columns are side by side."""
    for r in range(rows):
        copy(target.memory, target.offset + r * target.row_stride, source.memory, source.offset + r * source.row_stride, columns)


@njit(**INNER)
def block_product(a, b, tail, start, out, rows, depth, columns, first, rectify):
    """out = a @ b, added to what is there, or, `first`, to `start`. The columns of b that do not fill a tile of two vectors are in `tail`.

    The parts of a go through a small scratch, in which they lie as the tile wants them; the parts of out that do not fill a tile through
    another, `edge`.
    """
    lanes, zero, one = VECTOR_BYTES // out.memory.itemsize, np.int64(0), np.int64(1)
    full = columns // (2 * lanes) * (2 * lanes)
    along_rows = a.column_stride == 1
    line = ROWS if along_rows else LINE
    scratch = np.empty(DEPTH * LINE, out.memory.dtype)
    block = Matrix(scratch, zero, np.int64(DEPTH), one) if along_rows else Matrix(scratch, zero, one, np.int64(LINE))
    edge = Matrix(np.empty(ROWS * STRIDE, out.memory.dtype), zero, np.int64(STRIDE), one)
    for n in range(0, rows, line):
        high = min(line, rows - n)
        missing = -high % ROWS  # rows of the last strip are computed with and dropped: zeros, since what happens to be there may be slow
        if along_rows:
            move(block, at(a, n, zero), high, depth)
            scratch[high * DEPTH : (high + missing) * DEPTH] = 0
        else:
            # the transposes of both, in which the columns are side by side
            a_rows, block_rows = Matrix(a.memory, a.offset + n, a.column_stride, one), Matrix(scratch, zero, np.int64(LINE), one)
            move(block_rows, a_rows, depth, high)
            for k in range(depth if missing else 0):
                scratch[k * LINE + high : k * LINE + high + missing] = 0
        for r in range(0, high, ROWS):
            here, strip, target = min(ROWS, high - r), at(block, r, zero), at(out, n + r, zero)
            on_edge = full if here == ROWS else zero  # the first column that goes through the scratch
            initial, edge_initial = (start, start) if first else (target, edge)
            if not first:
                move(at(edge, zero, on_edge), at(target, zero, on_edge), here, columns - on_edge)
            if here == ROWS:
                sweep_two(strip, b, initial, target, depth, full, rectify)
            else:
                sweep_two(strip, b, edge_initial, edge, depth, full, rectify)
            if columns > full + lanes:
                sweep_two(strip, tail, at(edge_initial, zero, full), at(edge, zero, full), depth, 2 * lanes, rectify)
            elif columns > full:
                sweep_one(strip, tail, at(edge_initial, zero, full), at(edge, zero, full), depth, lanes, rectify)
            move(at(target, zero, on_edge), at(edge, zero, on_edge), here, columns - on_edge)


@njit(**INNER)
def pack(packed, b, depth, columns):
    """Copy a block (depth, columns) of b row after row."""
    stride = packed.row_stride
    if b.column_stride == 1:
        move(packed, b, depth, columns)
        return
    lanes = VECTOR_BYTES // b.memory.itemsize
    for c0 in range(0, columns, lanes):
        whole = depth // lanes * lanes if b.row_stride == 1 and c0 + lanes <= columns else 0
        for k in range(0, whole, lanes):
            transpose(b.memory, b.offset + c0 * b.column_stride + k, b.column_stride, packed.memory, k * stride + c0, stride)
        for c in range(c0, min(c0 + lanes, columns)):
            for k in range(whole, depth):
                packed.memory[k * stride + c] = b.memory[b.offset + c * b.column_stride + k * b.row_stride]


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


@njit(**INNER)
def product(a, b, bias, out, rows, depth, columns, rectify, parts, part):
    """One part of out (rows, columns) = a (rows, depth) @ b (depth, columns) + bias (flat; empty: none); then max(0, .) if `rectify`.

    One stride of a must be 1, and the column stride of out; b may have any.
    """
    dtype, lanes = out.memory.dtype, VECTOR_BYTES // out.memory.itemsize
    # b is read where it is, unless its columns are apart, or its rows so that they fall on each other in the cache
    direct = b.column_stride == 1 and b.row_stride * out.memory.itemsize % 4096 != 0
    row_tiles, column_tiles = (rows + ROWS - 1) // ROWS, (columns + lanes - 1) // lanes
    row_parts = shares(row_tiles, column_tiles, parts, 0 if direct else 4)
    column_parts = parts // row_parts
    row_part, column_part = part // column_parts, part % column_parts
    r0, r1 = row_tiles * row_part // row_parts * ROWS, min(row_tiles * (row_part + 1) // row_parts * ROWS, rows)
    c0, c1 = column_tiles * column_part // column_parts * lanes, min(column_tiles * (column_part + 1) // column_parts * lanes, columns)

    zero, one, deepest = np.int64(0), np.int64(1), min(DEPTH, depth)
    start = Matrix(np.zeros(STRIDE, dtype), zero, zero, one)  # the bias in every row
    packed = Matrix(np.empty(0 if direct else deepest * STRIDE, dtype), zero, np.int64(STRIDE), one)
    tail_memory = np.empty(deepest * 2 * lanes, dtype)
    for c in range(c0, c1, WIDTH):
        width = min(WIDTH, c1 - c)
        full = width // (2 * lanes) * (2 * lanes)
        tail = Matrix(tail_memory, zero, np.int64(lanes if width - full <= lanes else 2 * lanes), one)
        if bias.size:
            copy(start.memory, 0, bias, c, width)
        for k in range(0, depth, DEPTH):
            here, a_block, b_block, out_block = min(DEPTH, depth - k), at(a, r0, k), at(b, k, c), at(out, r0, c)
            first, last = k == 0, rectify and k + here == depth
            if full < width:
                tail_memory[:] = 0  # what of its vectors no column of b fills
                pack(tail, at(b_block, zero, full), here, width - full)
            if not direct:
                pack(packed, b_block, here, full)
                b_block = packed
            block_product(a_block, b_block, tail, start, out_block, r1 - r0, here, width, first, last)


@njit(**OPTIONS)
def affine_forward(x, w, w_row_stride, w_column_stride, bias, rectify, out, rows, depth, columns, parts, part):
    """One part of out (N, M) = x (N, D) @ w (D, M) + bias (M,), then max(0, .) if `rectify`. All arrays flat; w has any strides."""
    zero, one = np.int64(0), np.int64(1)  # as variables: for literal arguments Numba would compile what is called here once more
    x_rows, w_matrix, out_rows = (
        Matrix(x, zero, depth, one),
        Matrix(w, zero, w_row_stride, w_column_stride),
        Matrix(out, zero, columns, one),
    )
    product(x_rows, w_matrix, bias, out_rows, rows, depth, columns, rectify, parts, part)


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
def affine_backward(x, w, w_row_stride, w_column_stride, g, dx, dw, db, rows, depth, columns, parts, part):
    """One part of dx = g @ w.T, of dw = x.T @ g and of db, the sums of g's columns; dx, or dw and db, are empty if they are not wanted.

    All arrays flat.
    """
    zero, one, none, no = np.int64(0), np.int64(1), db[:0], np.bool_(False)
    g_rows, w_transposed = Matrix(g, zero, columns, one), Matrix(w, zero, w_column_stride, w_row_stride)
    if dw.size:
        product(Matrix(x, zero, one, depth), g_rows, none, Matrix(dw, zero, columns, one), depth, rows, columns, no, parts, part)
        column_sums(g, rows, columns, columns * part // parts, columns * (part + 1) // parts, db)
    if dx.size:
        product(g_rows, w_transposed, none, Matrix(dx, zero, depth, one), rows, columns, depth, no, parts, part)


@njit(**OPTIONS)
def keep_positive(dout, out, g):
    """g = dout where out > 0, else 0: the gradient before a ReLU whose output is `out`."""
    zero = g.dtype.type(0)
    for i in range(g.size):
        value = dout[i]
        g[i] = value if out[i] > zero else zero
