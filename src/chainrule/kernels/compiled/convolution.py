# pyright: reportCallIssue=false
# (the first parameter of an intrinsic is Numba's own; a caller does not pass it)
"""Direct convolution on the register tile, for images that lie channels-last.

A convolution is, for every output pixel, the product of the pixels under the window with the weights. Three walks make up a layer:

    out  rows of the tile: output pixels     sum over (tap, channel)            `correlate`
    dx   rows of the tile: input pixels      sum over (tap, filter)             `correlate`, with the turned weights
    dw   rows of the tile: (tap, channel)    sum over output pixels             `accumulate`

Where a tile reads is not computed but looked up: a place is the distance of a pixel, or of a tap, from the first number of an image, and
what stands at pixel p under tap t is image[pixels[p] + taps[t]]. So stride, dilation, padding and groups are matters of the tables
(`chainrule.kernels.direct` makes them), and rows of a tile need not be neighbours in the image. Tables, and where images lie, arrive as
that module's `Walk` and `Images`; every function does its `part` of the work (`chainrule.kernels.compiled.parallel`).

Padded images go through a small scratch of the thread's own that stays in its cache; ReLU's mask and the expansion of a pooled gradient
are applied as the gradient is copied there. The threads share the pixels evenly, so that a single image keeps them all busy: it may be the
work of several, each of which copies it.
"""

import numpy as np
from numba import njit

from chainrule.kernels.compiled.closures import closure
from chainrule.kernels.compiled.matmul import Matrix
from chainrule.kernels.compiled.matmul import pack as pack_matrix
from chainrule.kernels.compiled.tile import (
    ROWS,
    VECTOR_BYTES,
    copy,
    load,
    load_rows,
    multiply_add,
    multiply_add_lanes,
    multiply_add_rows,
    relu,
    rows_at,
    store,
    store_rows,
    zeros,
)
from chainrule.kernels.compiled.vectors import keep_where_positive, pool_columns, unpool_left, unpool_right

__all__ = ["add_partials", "backward", "forward", "forward_pool", "pack_weights"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INNER = {"error_model": "numpy", "boundscheck": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
BLOCK = 192  # pixels whose gradients are multiplied with all taps before the next ones: they stay in the L1 cache


@njit(**OPTIONS)
def pack_weights(packed, w, strides, taps, each, columns, groups, walks, parts, part):
    """The weights in the order in which the tiles read them: for each walk, group and pair of vectors of columns its rows.

    The row of tap t and channel e begins at w[taps[t] + e * strides[0]]; columns are strides[1] apart, groups strides[2]. What of the last
    vector no column fills is zero.
    """
    lanes = VECTOR_BYTES // packed.itemsize
    vectors = (columns + lanes - 1) // lanes
    for s in range(len(walks)):
        depth = walks[s, 3]
        first_tap, last_tap = depth // each * part // parts, depth // each * (part + 1) // parts
        for g in range(groups):
            for v in range(0, vectors, 2):
                width = min(2, vectors - v) * lanes
                start = (groups * vectors * walks[s, 2] + (g * vectors + v) * depth) * lanes
                here = min(width, columns - v * lanes)
                if here < width:
                    packed[start + first_tap * each * width : start + last_tap * each * width] = 0
                for t in range(first_tap, last_tap):
                    target = Matrix(packed[start + t * each * width :], np.int64(0), np.int64(width), np.int64(1))
                    first = taps[walks[s, 2] // each + t] + g * strides[2] + v * lanes * strides[1]
                    pack_matrix(target, Matrix(w, first, strides[0], strides[1]), each, here)


@njit(**INNER)
def copy_image(target, base, frame, image, offset, strides):
    """One image into its frame, which has room for padding; what does not fit into the frame is left out (no window reaches it)."""
    H, W, C, top, left, height, width = frame
    _, channel, row, column = strides
    columns = max(0, min(W, width - left))
    for h in range(min(H, height - top)):
        start, source = base + ((h + top) * width + left) * C, offset + h * row
        if channel == 1:
            copy(target, start, image, source, columns * C)
        else:
            for i in range(columns):
                for c in range(C):
                    target[start + i * C + c] = image[source + i * column + c * channel]


@njit(**INNER)
def copy_rectified(target, base, frame, dout, out, n, edge):
    """The gradient of image n into its frame where `out`, the output of the ReLU, is positive; 0 elsewhere."""
    H, W, C, top, left, _, width = frame
    lanes = VECTOR_BYTES // dout.itemsize
    for h in range(H):
        start, source = base + ((h + top) * width + left) * C, (n * H + h) * W * C
        for i in range(0, W * C, lanes):
            here = W * C - i
            if here >= lanes:
                tile = keep_where_positive(load(zeros(dout, 1, 1), dout, source + i, 0), load(zeros(dout, 1, 1), out, source + i, 0))
                store(tile, target, start + i, 0)
            else:
                copy(edge, 0, dout, source + i, here)
                copy(edge, lanes, out, source + i, here)
                tile = keep_where_positive(load(zeros(dout, 1, 1), edge, 0, 0), load(zeros(dout, 1, 1), edge, lanes, 0))
                store(tile, edge, 0, 0)
                copy(target, start + i, edge, 0, here)


@njit(**INNER)
def copy_pooled(target, base, frame, dout, winners, n, edge):
    """The gradient of a pooled image n into its frame: each value goes to the one of four pixels that won, the other three get 0."""
    H, W, C, top, left, _, width = frame
    lanes, line = VECTOR_BYTES // dout.itemsize, width * C
    edge_winners = np.empty(lanes, np.uint8)
    for h in range(H // 2):
        for i in range(W // 2):
            start, source = base + ((2 * h + top) * width + 2 * i + left) * C, ((n * (H // 2) + h) * (W // 2) + i) * C
            for c in range(0, C, lanes):
                here = C - c
                if here >= lanes:
                    tile = load(zeros(dout, 1, 1), dout, source + c, 0)
                    store(unpool_left(tile, winners, source + c, 0), target, start + c, line)
                    store(unpool_right(tile, winners, source + c, 0), target, start + C + c, line)
                else:
                    copy(edge, 0, dout, source + c, here)
                    copy(edge_winners, 0, winners, source + c, here)
                    tile = load(zeros(dout, 1, 1), edge, 0, 0)
                    store(unpool_left(tile, edge_winners, 0, 0), edge, 0, lanes)
                    store(unpool_right(tile, edge_winners, 0, 0), edge, 2 * lanes, lanes)
                    for k in range(4):
                        copy(target, start + c + k // 2 * C + k % 2 * line, edge, k * lanes, here)


@njit(**INNER)
def copy_gradient(target, base, frame, dout, out, winners, n, edge):
    """The gradient before ReLU and pooling of image n into its frame; `out` and `winners` are empty where there is none of them."""
    H, W, C, top, left, _, width = frame
    if winners.size:
        copy_pooled(target, base, frame, dout, winners, n, edge)
    elif out.size:
        copy_rectified(target, base, frame, dout, out, n, edge)
    else:
        for h in range(H):
            copy(target, base + ((h + top) * width + left) * C, dout, (n * H + h) * W * C, W * C)


@njit(**INNER)
def share_of(N, n, images, parts, part):
    """What of the images n to n + images is this part's: the (first, last, in all) of every image's pixels, if `in all` is those of one."""
    return max(0, N * part - n * parts), min(images * parts, N * (part + 1) - n * parts), parts


@njit(**INNER)
def filled_up(pixels, places, first, count, at):
    """Pixels first to first + count and their places; if they are too few for any tile, the last one again and again."""
    if count >= 2 * ROWS:
        return pixels[first : first + count], places[first : first + count]
    for r in range(2 * ROWS):
        q = first + min(r, count - 1)
        at[r], at[2 * ROWS + r] = pixels[q], places[q]
    return at[: 2 * ROWS], at[2 * ROWS :]


def sweep_of(multiply, rows, vectors):
    """The loop over tiles of rows x vectors (a tile's size is part of its type)."""

    @closure(multiply, rows, vectors)
    def sweep(image, base, pixels, steps, weights, j, bias, b, out, out_base, places, columns, rectify, edge):
        """Some pixels of one block of columns: bias + the sum over the steps of image * weights, then max(0, .)."""
        width = vectors * VECTOR_BYTES // out.itemsize
        for start in range(0, len(pixels), rows):
            p = min(start, len(pixels) - rows)  # the last tile may do some pixels of the one before again
            inside = rows_at(image, base, pixels, p, rows)
            tile = load(zeros(out, rows, vectors), bias, b, 0)
            for k in range(len(steps)):
                tile = multiply(tile, inside, steps[k], weights, j + k * width)
            if rectify:
                tile = relu(tile)
            if columns >= width:
                store_rows(tile, rows_at(out, out_base, places, p, rows))
            else:
                store(tile, edge, 0, width)
                for r in range(rows):
                    copy(out, out_base + places[p + r], edge, r * width, columns)

    return sweep


def gather_of(multiply, rows, vectors):
    """The loop over tiles of rows x vectors of dw."""

    @closure(multiply, rows, vectors)
    def gather(image, base, pixels, steps, gradient, gradient_base, places, partial, j, pitch, at):
        """Adds to partial, a row of pitch numbers for every step, the products of image (a column) and gradient (a row) at each pixel."""
        depth = len(steps)
        for q in range(0, depth, rows):
            for r in range(rows):  # of the last tile some rows may be the last step, computed again
                k = min(q + r, depth - 1)
                at[r], at[2 * ROWS + r] = steps[k], k * pitch
            inside, sums = rows_at(image, base, at, 0, rows), rows_at(partial, j, at, 2 * ROWS, rows)
            tile = load_rows(zeros(partial, rows, vectors), sums)
            for p in range(len(pixels)):
                tile = multiply(tile, inside, pixels[p], gradient, gradient_base + places[p])
            store_rows(tile, sums)

    return gather


def correlate_of(sweep_two, sweep_one, slide):
    """A walk over the pixels; the columns of the output see all channels of their group (slide 0), or each its own (slide 1)."""

    @closure(slide)
    def correlate(image, base, each, walk, weights, bias, out, out_base, columns, groups, share, rectify, edge, at):
        lanes = VECTOR_BYTES // out.itemsize
        vectors = (columns + lanes - 1) // lanes
        for s in range(len(walk.walks)):
            first, count, step, depth = walk.walks[s]
            begin, end = share[0] * count // share[2], share[1] * count // share[2]
            if begin == end:
                continue
            pixels, places = filled_up(walk.pixels, walk.places, first + begin, end - begin, at)
            steps = walk.steps[step : step + depth]
            for g in range(groups):
                for v in range(0, vectors, 2):
                    i, b, o = base + g * each + v * lanes * slide, (g * vectors + v) * lanes, out_base + g * columns + v * lanes
                    j, here = groups * vectors * lanes * step + b * depth, columns - v * lanes
                    if v + 1 < vectors:
                        sweep_two(image, i, pixels, steps, weights, j, bias, b, out, o, places, here, rectify, edge)
                    else:
                        sweep_one(image, i, pixels, steps, weights, j, bias, b, out, o, places, here, rectify, edge)

    return correlate


def accumulate_of(multiply, slide):
    """A walk over the taps, as `correlate_of`."""
    gather_two, gather_one = gather_of(multiply, ROWS, 2), gather_of(multiply, 2 * ROWS, 1)

    @closure(slide)
    def accumulate(image, base, each, pixels, steps, gradient, gradient_base, places, partial, columns, groups, at):
        lanes = VECTOR_BYTES // partial.itemsize
        vectors = (columns + lanes - 1) // lanes
        pitch = vectors * lanes
        for first in range(0, len(pixels), BLOCK):
            sources, targets = pixels[first : first + BLOCK], places[first : first + BLOCK]
            for g in range(groups):
                for v in range(0, vectors, 2):
                    i, d = base + g * each + v * lanes * slide, gradient_base + g * columns + v * lanes
                    j = g * len(steps) * pitch + v * lanes
                    if v + 1 < vectors:
                        gather_two(image, i, sources, steps, gradient, d, targets, partial, j, pitch, at)
                    else:
                        gather_one(image, i, sources, steps, gradient, d, targets, partial, j, pitch, at)

    return accumulate


@njit(**INNER)
def add_pixels(sums, start, gradient, base, places, F, edge):
    """sums[start : start + F] += the sum of the gradient's pixels; each row of a tile adds up every so manyth, lest additions wait."""
    lanes = VECTOR_BYTES // sums.itemsize
    count = len(places)
    ones, whole = np.ones(lanes, sums.dtype), count // ROWS * ROWS
    for c in range(0, F, lanes):
        tile = zeros(sums, ROWS, 1)
        for p in range(0, whole, ROWS):
            tile = multiply_add_lanes(tile, rows_at(gradient, base, places, p, ROWS), c, ones, 0)
        store(tile, edge, 0, lanes)
        total = load(zeros(sums, 1, 1), sums, start + c, 0)
        for r in range(ROWS):
            total = multiply_add(total, ones, 0, 0, edge, r * lanes)
        for p in range(whole, count):
            total = multiply_add(total, ones, 0, 0, gradient, base + places[p] + c)
        store(total, sums, start + c, 0)


@njit(**INNER)
def pool_line(values, size, width, columns, rectify, out, winners, base, pitch, count, edge, edge_winners):
    """2 x 2 max pooling of two lines of `width` pixels of `size` numbers, one after the other, into `count` pixels, `pitch` apart."""
    lanes = VECTOR_BYTES // out.itemsize
    for i in range(count):
        for c in range(0, columns, lanes):
            start, place, here = 2 * i * size + c, base + i * pitch + c, columns - c
            left = load(zeros(out, 2, 1), values, start, width * size)
            right = load(zeros(out, 2, 1), values, start + size, width * size)
            if here >= lanes:
                highest = pool_columns(left, right, rectify, winners, place, 0)
                store(relu(highest) if rectify else highest, out, place, 0)
            else:
                highest = pool_columns(left, right, rectify, edge_winners, 0, 0)
                store(relu(highest) if rectify else highest, edge, 0, 0)
                copy(out, place, edge, 0, here)
                copy(winners, place, edge_winners, 0, here)


sweep_two, sweep_one = sweep_of(multiply_add_rows, ROWS, 2), sweep_of(multiply_add_rows, 2 * ROWS, 1)
correlate_groups, accumulate_groups = correlate_of(sweep_two, sweep_one, 0), accumulate_of(multiply_add_rows, 0)
correlate_channels = correlate_of(sweep_of(multiply_add_lanes, ROWS, 2), sweep_of(multiply_add_lanes, 2 * ROWS, 1), 1)
accumulate_channels = accumulate_of(multiply_add_lanes, 1)


@njit(**OPTIONS)
def forward(x, walk, weights, bias, rectify, out, filters, groups, batch, scratch, depthwise, parts, part):
    """A part of out; batch: how many images there are, and how many go through the scratch together.

    `depthwise` is None or True.
    """
    N, together = batch
    C = x.frame[2]
    image, size, out_size = x.numbers if x.in_place else scratch[part], x.frame[5] * x.frame[6] * C, out.size // N
    edge, at = np.empty(2 * ROWS * VECTOR_BYTES // out.itemsize, out.dtype), np.empty(4 * ROWS, np.int64)
    if not x.in_place:
        image[:] = 0  # the padding; the rest is written over by every image
    end = (N * (part + 1) + parts - 1) // parts
    for n in range(N * part // parts, end, together):
        images = min(together, end - n)
        share = share_of(N, n, images, parts, part)
        for m in range(0 if x.in_place else images):
            copy_image(image, m * size, x.frame, x.numbers, (n + m) * x.strides[0], x.strides)
        base = n * x.strides[0] if x.in_place else 0
        to, columns = n * out_size, filters // groups
        if depthwise is None:
            correlate_groups(image, base, C // groups, walk, weights, bias, out, to, columns, groups, share, rectify, edge, at)
        else:
            correlate_channels(image, base, C // groups, walk, weights, bias, out, to, columns, groups, share, rectify, edge, at)


@njit(**OPTIONS)
def backward(
    x, pixels, steps, dout, places, out, winners, partial, with_db, dx, dx_walk, dx_weights, groups, batch, scratch, depthwise, parts, part
):  # fmt: skip
    """A part of dx, and this part's share of the sums dw and db, which it leaves in its row of `partial`.

    dx or `partial` is empty if it is not wanted.
    """
    N, together = batch
    C, F, lanes = x.frame[2], dout.frame[2], VECTOR_BYTES // dx.itemsize
    size, dout_size, dx_size = x.frame[5] * x.frame[6] * C, dout.frame[5] * dout.frame[6] * F, dx.size // N
    sums, own = partial[part], scratch[part]
    sums[:], own[:] = 0, 0
    image = x.numbers if x.in_place else own
    gradient = dout.numbers if dout.in_place else own[0 if x.in_place else together * size :]
    edge, at = np.empty(2 * ROWS * VECTOR_BYTES // dx.itemsize, dx.dtype), np.empty(4 * ROWS, np.int64)
    no_bias = np.zeros(C + 2 * groups * VECTOR_BYTES, dx.dtype)
    end = (N * (part + 1) + parts - 1) // parts
    for n in range(N * part // parts, end, together):
        images = min(together, end - n)
        share = share_of(N, n, images, parts, part)
        for m in range(images):
            if sums.size and not x.in_place:
                copy_image(image, m * size, x.frame, x.numbers, (n + m) * x.strides[0], x.strides)
            if not dout.in_place:
                copy_gradient(gradient, m * dout_size, dout.frame, dout.numbers, out, winners, n + m, edge)
        base, dout_base = n * x.strides[0] if x.in_place else 0, n * dout_size if dout.in_place else 0
        each, columns, pixels_each = C // groups, F // groups, len(pixels) // together
        first, last = share[0] * pixels_each // parts, share[1] * pixels_each // parts
        sources, targets = pixels[first:last], places[first:last]
        if sums.size and depthwise is None:
            accumulate_groups(image, base, each, sources, steps, gradient, dout_base, targets, sums, columns, groups, at)
        elif sums.size:
            accumulate_channels(image, base, each, sources, steps, gradient, dout_base, targets, sums, columns, groups, at)
        if with_db:
            add_pixels(sums, sums.size - (F + lanes - 1) // lanes * lanes, gradient, dout_base, targets, F, edge)
        if dx.size:
            to, no = n * dx_size, np.bool_(False)
            if depthwise is None:
                correlate_groups(gradient, dout_base, columns, dx_walk, dx_weights, no_bias, dx, to, each, groups, share, no, edge, at)
            else:
                correlate_channels(gradient, dout_base, columns, dx_walk, dx_weights, no_bias, dx, to, each, groups, share, no, edge, at)


@njit(**OPTIONS)
def forward_pool(x, walk, weights, bias, rectify, out, winners, output, filters, groups, batch, scratch, parts, part):
    """As `forward`, pooled: some pairs of rows of the convolution's output at a time go into a scratch of `walk.places`, and from there."""
    N, together = batch
    C, columns, OH, OW = x.frame[2], filters // groups, output[0], output[1]
    image, size, out_size = x.numbers if x.in_place else scratch[part], x.frame[5] * x.frame[6] * C, out.size // N
    lanes = VECTOR_BYTES // out.itemsize
    vectors, pitch, pairs = (columns + lanes - 1) // lanes, 2 * lanes, max(1, 32 // OW)
    lines, at = np.empty(pairs * 2 * OW * pitch, out.dtype), np.empty(4 * ROWS, np.int64)
    edge, edge_winners = np.empty(lanes, out.dtype), np.empty(lanes, np.uint8)
    if not x.in_place:
        image[:] = 0
    for n in range(N * part // parts, N * (part + 1) // parts, together):
        images = min(together, N * (part + 1) // parts - n)
        for m in range(0 if x.in_place else images):
            copy_image(image, m * size, x.frame, x.numbers, (n + m) * x.strides[0], x.strides)
        base = n * x.strides[0] if x.in_place else 0
        for g in range(groups):
            for v in range(0, vectors, 2):
                i, b = base + g * (C // groups), (g * vectors + v) * lanes
                j, here = b * len(walk.steps), min(columns - v * lanes, pitch)
                for m in range(images):
                    for h in range(0, OH // 2, pairs):
                        first, last = (m * OH + 2 * h) * OW, (m * OH + 2 * min(h + pairs, OH // 2)) * OW
                        pixels, places = filled_up(walk.pixels, walk.places, first, last - first, at)
                        o = -first * pitch
                        if v + 1 < vectors:
                            sweep_two(image, i, pixels, walk.steps, weights, j, bias, b, lines, o, places, pitch, rectify, lines)
                        else:
                            sweep_one(image, i, pixels, walk.steps, weights, j, bias, b, lines, o, places, pitch, rectify, lines)
                        for pair in range((last - first) // (2 * OW)):
                            place = (n + m) * out_size + (h + pair) * (OW // 2) * filters + g * columns + v * lanes
                            values = lines[pair * 2 * OW * pitch : (pair + 1) * 2 * OW * pitch]
                            pool_line(values, pitch, OW, here, rectify, out, winners, place, filters, OW // 2, edge, edge_winners)


@njit(**OPTIONS)
def add_partials(partial, dw, db, depth, columns, groups, with_db, parts, part):
    """dw (depth, groups * columns) and db: the partial sums, added in the order of the threads that made them."""
    lanes = VECTOR_BYTES // dw.itemsize
    pitch, F = (columns + lanes - 1) // lanes * lanes, groups * columns
    for row in range(depth * groups * part // parts, depth * groups * (part + 1) // parts):
        k, g = row // groups, row % groups
        start = (g * depth + k) * pitch
        total = dw[k * F + g * columns : k * F + (g + 1) * columns]
        copy(total, 0, partial[0], start, columns)
        for t in range(1, len(partial)):
            for f in range(columns):
                total[f] += partial[t, start + f]
    if with_db and part == 0:
        start = partial.shape[1] - (F + lanes - 1) // lanes * lanes
        copy(db, 0, partial[0], start, F)
        for t in range(1, len(partial)):
            for f in range(F):
                db[f] += partial[t, start + f]
