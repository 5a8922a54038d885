"""Normalization of images, channels-last: sums over pixels, and passes that scale, shift, and rectify, on registers.

An array is taken as flat memory: `samples` stretches of equal length, each normalized on its own (a batch: one; groups: one for each
image), in which the channel is the place modulo C. A stretch is cut into blocks that stay in the cache; the threads share the blocks. Every
block has its own sums, which are added in the order of the blocks: no result depends on the number of threads.

In a block, what belongs to a channel returns after `period` numbers, a multiple of C that fills whole vectors. So a strip of WIDE vectors
(or one) goes from period to period with the same channels in the same lanes, its sums and coefficients in registers. The end of a block
that fills no period goes through a scratch, `edge`.

`coefficients` (samples, 6, C) has a row for each of the names below. Arrays that are not wanted have no elements. `smooth` is None, and
then Numba leaves out what it is for, or True, for GELU.
"""

import numpy as np
from numba import njit

from chainrule.kernels.compiled.closures import closure
from chainrule.kernels.compiled.elementwise import INVERSE_ROOT_TWO_PI, gelu, gelu_slope
from chainrule.kernels.compiled.tile import VECTOR_BYTES, copy, load, relu, store, zeros
from chainrule.kernels.compiled.vectors import keep_where_positive, row_by_row

__all__ = [
    "CENTRE",
    "INVERSE_STD",
    "OFFSET",
    "SCALE",
    "SHIFT",
    "SLOPE",
    "gradients",
    "moments",
    "normalize",
    "statistics",
    "sums",
    "totals",
]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True, "fastmath": {"contract"}}
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy", "fastmath": {"contract"}}
WIDE = 4  # vectors of a strip: with its sums, coefficients and what it reads, 16 registers

# out = (x - CENTRE) * SCALE + SHIFT, SCALE being gamma * INVERSE_STD; dx = g * SCALE - OFFSET - (x - CENTRE) * SLOPE
CENTRE, SCALE, SHIFT, OFFSET, SLOPE, INVERSE_STD = range(6)

add = row_by_row(lambda a, b: a + b)
add_square = row_by_row(lambda total, x, centre: total + (x - centre) * (x - centre))
add_product = row_by_row(lambda total, g, x, centre: total + g * (x - centre))
scaled = row_by_row(lambda x, centre, scale, shift: (x - centre) * scale + shift)
gradient = row_by_row(lambda g, x, centre, scale, offset, slope: g * scale - offset - (x - centre) * slope)


@njit(**INNER)
def block_of(x, samples, block, index):
    """Where block number `index` of x begins and ends, and the sample that it belongs to."""
    length = x.size // samples
    blocks = -(-length // block)
    start = index // blocks * length + index % blocks * block
    return start, min(start + block, (index // blocks + 1) * length), index // blocks


@njit(**INNER)
def fill(row, value):
    for k in range(row.size):
        row[k] = value


@njit(**INNER)
def repeat(values, rows):
    """Each of the rows (R, period) = the values (R, C) of the channels, again and again."""
    C = values.shape[1]
    for r in range(len(rows)):
        for start in range(0, rows.shape[1], C):
            for c in range(C):
                rows[r, start + c] = values[r, c]


@njit(**INNER)
def fold(row, divisor, totals):
    """The sums over a period, channel by channel, divided."""
    fill(totals, 0)
    for start in range(0, row.size, totals.size):
        for c in range(totals.size):
            totals[c] += row[start + c]
    for c in range(totals.size):
        totals[c] /= divisor


def moment_of(vectors):
    """One strip of a block: the sums, or the sums of the squared distances from the centre."""

    @closure(vectors)
    def moment(x, start, stop, centre, squared, total, first):
        lanes, period = VECTOR_BYTES // x.itemsize, total.size
        sums, middle = load(zeros(x, vectors, 1), total, first, lanes), load(zeros(x, vectors, 1), centre, first, lanes)
        if squared:
            for i in range(start + first, stop, period):
                sums = add_square(sums, load(zeros(x, vectors, 1), x, i, lanes), middle)
        else:
            for i in range(start + first, stop, period):
                sums = add(sums, load(zeros(x, vectors, 1), x, i, lanes))
        store(sums, total, first, lanes)

    return moment


moment_wide, moment_single = moment_of(WIDE), moment_of(1)


@njit(**INNER)
def moment_of_block(x, start, stop, centre, squared, total):
    """total (period,) += what `moment_of` says, from whole periods of x."""
    lanes = VECTOR_BYTES // x.itemsize
    whole = total.size // (WIDE * lanes) * WIDE * lanes
    for first in range(0, whole, WIDE * lanes):
        moment_wide(x, start, stop, centre, squared, total, first)
    for first in range(whole, total.size, lanes):
        moment_single(x, start, stop, centre, squared, total, first)


@njit(**OPTIONS)
def moments(x, samples, block, period, block_moments, parts, part):
    """For each block (blocks, 2, C): the mean, and the sum of the squared distances from it, in which nothing cancels."""
    blocks, C = len(block_moments), block_moments.shape[2]
    total, edge, centre = np.empty(period, x.dtype), np.empty(period, x.dtype), np.zeros((1, period), x.dtype)
    one, beginning = x.dtype.type(1), np.int64(0)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, _ = block_of(x, samples, block, b)
        whole = start + (stop - start) // period * period
        for squared in (False, True):
            fill(total, 0)
            moment_of_block(x, start, whole, centre[0], squared, total)
            if whole < stop:
                copy(edge, 0, centre[0], 0, period) if squared else fill(edge, 0)  # adds nothing
                copy(edge, 0, x, whole, stop - whole)
                moment_of_block(edge, beginning, period, centre[0], squared, total)
            fold(total, one if squared else x.dtype.type((stop - start) // C), block_moments[b, int(squared)])
            repeat(block_moments[b], centre)


@njit(**OPTIONS)
def statistics(block_moments, length, block, groups, eps, gamma, beta, coefficients, var):
    """The coefficients of the forward pass, and the variances (samples, C), of groups of channels, from the blocks (Chan et al. 1979)."""
    samples, C = var.shape
    blocks, D = len(block_moments) // samples, C // groups
    pixels = length // C
    for sample in range(samples):
        for first in range(0, C, D):
            mean, square = 0.0, 0.0
            for b in range(blocks):
                share = (min(block * (b + 1), length) - block * b) / (length * D)
                for c in range(first, first + D):
                    mean += share * block_moments[sample * blocks + b, 0, c]
            for b in range(blocks):
                count = (min(block * (b + 1), length) - block * b) // C
                for c in range(first, first + D):
                    distance = block_moments[sample * blocks + b, 0, c] - mean
                    square += block_moments[sample * blocks + b, 1, c] + count * distance * distance
            inverse_std = 1 / np.sqrt(square / (pixels * D) + eps)
            for c in range(first, first + D):
                var[sample, c] = square / (pixels * D)
                coefficients[sample, CENTRE, c], coefficients[sample, INVERSE_STD, c] = mean, inverse_std
                coefficients[sample, SCALE, c], coefficients[sample, SHIFT, c] = inverse_std * gamma[c], beta[c]


def normalize_of(vectors):
    """One strip of max(0, (x - centre) * scale + shift + skip), or without the maximum, or without skip."""

    @closure(vectors)
    def normalize_strip(x, start, stop, skip, skip_start, rows, rectify, out, out_start, first):
        lanes, period, one = VECTOR_BYTES // x.itemsize, rows.shape[1], zeros(x, vectors, 1)
        centre, scale = load(one, rows, CENTRE * period + first, lanes), load(one, rows, SCALE * period + first, lanes)
        shift = load(one, rows, SHIFT * period + first, lanes)
        for i in range(first, stop - start, period):
            tile = scaled(load(one, x, start + i, lanes), centre, scale, shift)
            if skip.size:
                tile = add(tile, load(one, skip, skip_start + i, lanes))
            if rectify:
                tile = relu(tile)
            store(tile, out, out_start + i, lanes)

    return normalize_strip


normalize_wide, normalize_single = normalize_of(WIDE), normalize_of(1)


@njit(**INNER)
def normalize_periods(x, start, stop, skip, skip_start, rows, rectify, out, out_start):
    lanes, period = VECTOR_BYTES // x.itemsize, rows.shape[1]
    whole = period // (WIDE * lanes) * WIDE * lanes
    for first in range(0, whole, WIDE * lanes):
        normalize_wide(x, start, stop, skip, skip_start, rows, rectify, out, out_start, first)
    for first in range(whole, period, lanes):
        normalize_single(x, start, stop, skip, skip_start, rows, rectify, out, out_start, first)


@njit(**INNER)
def normalize_block(x, start, stop, skip, rows, rectify, out, out_start, edge):
    """A block of x (and of skip, at the same places), to out_start."""
    period = rows.shape[1]
    whole = start + (stop - start) // period * period
    normalize_periods(x, start, whole, skip, start, rows, rectify, out, out_start)
    if whole < stop:
        copy(edge[0], 0, x, whole, stop - whole)
        if skip.size:
            copy(edge[1], 0, skip, whole, stop - whole)
        beginning = np.int64(0)
        normalize_periods(edge[0], beginning, period, edge[1] if skip.size else skip, beginning, rows, rectify, edge[0], beginning)
        copy(out, out_start + whole - start, edge[0], 0, stop - whole)


@njit(**OPTIONS)
def normalize(x, skip, samples, block, period, coefficients, rectify, smooth, out, parts, part):
    """Blocks of out = activation((x - centre) * scale + shift [+ skip]), the activation being none, ReLU or GELU."""
    rows, edge, last = np.empty((SHIFT + 1, period), x.dtype), np.zeros((2, period), x.dtype), -1
    blocks = -(-(x.size // samples) // block) * samples
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        normalize_block(x, start, stop, skip, rows, rectify, out, start, edge)
        if smooth is not None:  # the block is still in the cache
            piece = out[start:stop]
            for k in range(piece.size):
                piece[k] = gelu(piece[k])


@njit(**INNER)
def before_gelu(dout, x, start, stop, rows, g, edge):
    """g = the gradient of a block before GELU, whose argument is computed again."""
    normalize_block(x, start, stop, x[:0], rows, np.bool_(False), g, start, edge)
    highest, density = g.dtype.type(40), g.dtype.type(INVERSE_ROOT_TWO_PI)
    above, here = dout[start:stop], g[start:stop]
    for k in range(here.size):
        here[k] = above[k] * gelu_slope(here[k], highest, density)


def before_relu_of(vectors):
    """The gradient before ReLU, of a tile: where out is positive, or, if there is no out, what out was computed from x."""

    @closure(vectors)
    def before_relu(g, out, i, x, centre, scale, shift):
        lanes = VECTOR_BYTES // out.itemsize
        passed = load(zeros(out, vectors, 1), out, i, lanes) if out.size else scaled(x, centre, scale, shift)
        return keep_where_positive(g, passed)

    return before_relu


before_relu_wide, before_relu_single = before_relu_of(WIDE), before_relu_of(1)


def sums_of(vectors, before_relu):
    """One strip of a block: the sums of g, which is dout before ReLU, and of g * (x - centre)."""

    @closure(vectors)
    def sums_strip(dout, out, x, start, stop, rows, rectified, total_g, total_gx, first):
        lanes, period, one = VECTOR_BYTES // x.itemsize, rows.shape[1], zeros(x, vectors, 1)
        centre, scale = load(one, rows, CENTRE * period + first, lanes), load(one, rows, SCALE * period + first, lanes)
        shift, sum_g, sum_gx = (
            load(one, rows, SHIFT * period + first, lanes),
            load(one, total_g, first, lanes),
            load(one, total_gx, first, lanes),
        )
        for i in range(start + first, stop, period):
            g, values = load(one, dout, i, lanes), load(one, x, i, lanes)
            if rectified:
                g = before_relu(g, out, i, values, centre, scale, shift)
            sum_g, sum_gx = add(sum_g, g), add_product(sum_gx, g, values, centre)
        store(sum_g, total_g, first, lanes)
        store(sum_gx, total_gx, first, lanes)

    return sums_strip


sums_wide, sums_single = sums_of(WIDE, before_relu_wide), sums_of(1, before_relu_single)


@njit(**INNER)
def sums_periods(dout, out, x, start, stop, rows, rectified, total_g, total_gx):
    lanes = VECTOR_BYTES // x.itemsize
    whole = total_g.size // (WIDE * lanes) * WIDE * lanes
    for first in range(0, whole, WIDE * lanes):
        sums_wide(dout, out, x, start, stop, rows, rectified, total_g, total_gx, first)
    for first in range(whole, total_g.size, lanes):
        sums_single(dout, out, x, start, stop, rows, rectified, total_g, total_gx, first)


@njit(**OPTIONS)
def sums(dout, out, x, samples, block, period, coefficients, rectified, smooth, slopes, block_sums, parts, part):
    """For each block (blocks, 2, C): the sums of g, which is dout before the activation, and of g * (x - centre).

    The gradient before GELU goes to `slopes`; that before ReLU is quickly computed again.
    """
    rows, edge, last, one = np.empty((SHIFT + 1, period), x.dtype), np.zeros((3, period), x.dtype), -1, x.dtype.type(1)
    total_g, total_gx = np.empty(period, x.dtype), np.empty(period, x.dtype)
    for b in range(len(block_sums) * part // parts, len(block_sums) * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        if smooth is not None:
            before_gelu(dout, x, start, stop, rows, slopes, edge)
        g, whole = dout if smooth is None else slopes, start + (stop - start) // period * period
        fill(total_g, 0)
        fill(total_gx, 0)
        sums_periods(g, out, x, start, whole, rows, rectified, total_g, total_gx)
        if whole < stop:
            fill(edge[0], 0)  # adds nothing
            copy(edge[0], 0, g, whole, stop - whole)
            copy(edge[1], 0, x, whole, stop - whole)
            if out.size:
                copy(edge[2], 0, out, whole, stop - whole)
            sums_periods(edge[0], edge[2] if out.size else out, edge[1], np.int64(0), period, rows, rectified, total_g, total_gx)
        fold(total_g, one, block_sums[b, 0])
        fold(total_gx, one, block_sums[b, 1])


@njit(**OPTIONS)
def totals(block_sums, length, groups, gamma, took_statistics, coefficients, dgamma, dbeta):
    """dgamma and dbeta (C,), and the coefficients of dx: OFFSET from the mean of dx_hat, SLOPE from that of dx_hat * x_hat."""
    samples, C = len(coefficients), dgamma.size
    blocks, D = len(block_sums) // samples, C // groups
    fill(dgamma, 0)
    fill(dbeta, 0)
    for sample in range(samples):
        for first in range(0, C, D):
            mean_g, mean_gx, inverse_std = 0.0, 0.0, coefficients[sample, INVERSE_STD, first]
            for c in range(first, first + D):
                sum_g, sum_gx = 0.0, 0.0
                for b in range(sample * blocks, (sample + 1) * blocks):
                    sum_g += block_sums[b, 0, c]
                    sum_gx += block_sums[b, 1, c]
                sum_gx *= inverse_std
                dbeta[c] += sum_g
                dgamma[c] += sum_gx
                mean_g += gamma[c] * sum_g
                mean_gx += gamma[c] * sum_gx
            factor = inverse_std / (length // groups) if took_statistics else 0.0
            for c in range(first, first + D):
                coefficients[sample, OFFSET, c], coefficients[sample, SLOPE, c] = mean_g * factor, mean_gx * factor * inverse_std


def gradients_of(vectors, before_relu):
    """One strip of dx, and of dskip, which is the gradient before ReLU."""

    @closure(vectors)
    def gradients_strip(dout, out, x, start, stop, rows, rectified, dskip, dx, first):
        lanes, period, one = VECTOR_BYTES // x.itemsize, rows.shape[1], zeros(x, vectors, 1)
        centre, scale = load(one, rows, CENTRE * period + first, lanes), load(one, rows, SCALE * period + first, lanes)
        shift, offset = load(one, rows, SHIFT * period + first, lanes), load(one, rows, OFFSET * period + first, lanes)
        slope = load(one, rows, SLOPE * period + first, lanes)
        for i in range(start + first, stop, period):
            g, values = load(one, dout, i, lanes), load(one, x, i, lanes)
            if rectified:
                g = before_relu(g, out, i, values, centre, scale, shift)
            if dskip.size:
                store(g, dskip, i, lanes)
            store(gradient(g, values, centre, scale, offset, slope), dx, i, lanes)

    return gradients_strip


gradients_wide, gradients_single = gradients_of(WIDE, before_relu_wide), gradients_of(1, before_relu_single)


@njit(**INNER)
def gradients_periods(dout, out, x, start, stop, rows, rectified, dskip, dx):
    lanes, period = VECTOR_BYTES // x.itemsize, rows.shape[1]
    whole = period // (WIDE * lanes) * WIDE * lanes
    for first in range(0, whole, WIDE * lanes):
        gradients_wide(dout, out, x, start, stop, rows, rectified, dskip, dx, first)
    for first in range(whole, period, lanes):
        gradients_single(dout, out, x, start, stop, rows, rectified, dskip, dx, first)


@njit(**OPTIONS)
def gradients(dout, out, x, samples, block, period, coefficients, rectified, dskip, dx, parts, part):
    """Blocks of dx = (g * gamma - mean(g * gamma) - x_hat * mean(g * gamma * x_hat)) * inverse_std, and of dskip = g."""
    rows, edge, last = np.empty((SLOPE + 1, period), x.dtype), np.zeros((4, period), x.dtype), -1
    blocks = -(-(x.size // samples) // block) * samples
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        whole = start + (stop - start) // period * period
        gradients_periods(dout, out, x, start, whole, rows, rectified, dskip, dx)
        if whole < stop:
            copy(edge[0], 0, dout, whole, stop - whole)
            copy(edge[1], 0, x, whole, stop - whole)
            if out.size:
                copy(edge[2], 0, out, whole, stop - whole)
            skip_edge = edge[3] if dskip.size else dskip
            gradients_periods(
                edge[0], edge[2] if out.size else out, edge[1], np.int64(0), period, rows, rectified, skip_edge, edge[0]
            )  # fmt: skip
            copy(dx, whole, edge[0], 0, stop - whole)
            if dskip.size:
                copy(dskip, whole, edge[3], 0, stop - whole)
