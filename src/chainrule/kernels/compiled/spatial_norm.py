"""Normalization of images, channels-last: sums over pixels, and passes that scale, shift, and rectify, as loops that become vector code.

An array is taken as flat memory: `samples` stretches of equal length, each normalized on its own (a batch: one; groups: one for each
image), in which the channel is the place modulo C. A stretch is cut into blocks that stay in the cache; the threads share the blocks. In a
block the loops go over rows of `width` numbers, a multiple of C, so that few channels fill the vectors as well as many do. Every block has
its own sums, which are added in the order of the blocks: no result depends on the number of threads.

`coefficients` (samples, 6, C) has a row for each of the names below. Arrays that are not wanted have no elements. `smooth` is None, and
then Numba leaves out what it is for, or True, for GELU.
"""

import numpy as np
from numba import njit

from chainrule.kernels.compiled.elementwise import INVERSE_ROOT_TWO_PI, gelu, gelu_slope

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

# out = (x - CENTRE) * SCALE + SHIFT, SCALE being gamma * INVERSE_STD; dx = g * SCALE - OFFSET - (x - CENTRE) * SLOPE
CENTRE, SCALE, SHIFT, OFFSET, SLOPE, INVERSE_STD = range(6)


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
    """Each of the rows (R, width) = the values (R, C) of the channels, again and again."""
    C = values.shape[1]
    for r in range(len(rows)):
        for start in range(0, rows.shape[1], C):
            piece = rows[r, start : start + C]
            for c in range(C):
                piece[c] = values[r, c]


@njit(**INNER)
def fold(row, divisor, totals):
    """The sums over a row of `width` numbers, channel by channel, divided."""
    fill(totals, 0)
    for start in range(0, row.size, totals.size):
        piece = row[start : start + totals.size]
        for c in range(totals.size):
            totals[c] += piece[c]
    for c in range(totals.size):
        totals[c] /= divisor


@njit(**OPTIONS)
def moments(x, samples, block, width, block_moments, parts, part):
    """For each block (blocks, 2, C): the mean, and the sum of the squared distances from it, in which nothing cancels."""
    blocks, C = len(block_moments), block_moments.shape[2]
    total, centre, one = np.empty(width, x.dtype), np.empty((1, width), x.dtype), x.dtype.type(1)
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, _ = block_of(x, samples, block, b)
        fill(total, 0)
        for i in range(start, stop, width):
            row = x[i : min(i + width, stop)]
            for k in range(row.size):
                total[k] += row[k]
        fold(total, x.dtype.type((stop - start) // C), block_moments[b, 0])
        repeat(block_moments[b], centre)
        fill(total, 0)
        for i in range(start, stop, width):
            row, middle = x[i : min(i + width, stop)], centre[0]
            for k in range(row.size):
                distance = row[k] - middle[k]
                total[k] += distance * distance
        fold(total, one, block_moments[b, 1])


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


@njit(**OPTIONS)
def normalize(x, skip, samples, block, width, coefficients, rectify, smooth, out, parts, part):
    """Blocks of out = activation((x - centre) * scale + shift [+ skip]), the activation being none, ReLU or GELU."""
    rows, zero, last = np.empty((SHIFT + 1, width), x.dtype), x.dtype.type(0), -1
    centre, scale, shift = rows[CENTRE], rows[SCALE], rows[SHIFT]
    blocks = -(-(x.size // samples) // block) * samples
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        for i in range(start, stop, width):
            row, out_row = x[i : min(i + width, stop)], out[i : min(i + width, stop)]
            for k in range(row.size):
                out_row[k] = (row[k] - centre[k]) * scale[k] + shift[k]
            # what follows finds the row in the innermost cache
            if skip.size:
                skip_row = skip[i : min(i + width, stop)]
                for k in range(row.size):
                    out_row[k] += skip_row[k]
            if rectify:
                for k in range(row.size):
                    out_row[k] = zero if out_row[k] < zero else out_row[k]
            if smooth is not None:
                for k in range(row.size):
                    out_row[k] = gelu(out_row[k])


@njit(**INNER)
def before_activation(dout, out, x, rows, smooth, g):
    """g = the gradient before the activation, in one row: dout where out is positive, or times the slope of GELU, or as it is."""
    zero = g.dtype.type(0)
    if smooth is not None:
        centre, scale, shift = rows[CENTRE], rows[SCALE], rows[SHIFT]
        highest, density = g.dtype.type(40), g.dtype.type(INVERSE_ROOT_TWO_PI)
        for k in range(g.size):
            g[k] = dout[k] * gelu_slope((x[k] - centre[k]) * scale[k] + shift[k], highest, density)
    elif out.size:
        for k in range(g.size):
            value, passed = dout[k], out[k] > zero
            g[k] = value if passed else zero
    else:
        for k in range(g.size):
            g[k] = dout[k]


@njit(**OPTIONS)
def sums(dout, out, x, samples, block, width, coefficients, smooth, block_sums, parts, part):
    """For each block (blocks, 2, C): the sums of g, which is dout before the activation, and of g * (x - centre)."""
    rows, last, one = np.empty((SHIFT + 1, width), x.dtype), -1, x.dtype.type(1)
    centre, g_row, total_g, total_gx = rows[CENTRE], np.empty(width, x.dtype), np.empty(width, x.dtype), np.empty(width, x.dtype)
    for b in range(len(block_sums) * part // parts, len(block_sums) * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        fill(total_g, 0)
        fill(total_gx, 0)
        for i in range(start, stop, width):
            end = min(i + width, stop)
            row, g = x[i:end], g_row[: end - i]
            before_activation(dout[i:end], out[i:end], row, rows, smooth, g)
            for k in range(row.size):
                total_g[k] += g[k]
                total_gx[k] += g[k] * (row[k] - centre[k])
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


@njit(**OPTIONS)
def gradients(dout, out, x, samples, block, width, coefficients, smooth, dskip, dx, parts, part):
    """Blocks of dx = (g * gamma - mean(g * gamma) - x_hat * mean(g * gamma * x_hat)) * inverse_std, and of dskip = g."""
    rows, g_row, last = np.empty((SLOPE + 1, width), x.dtype), np.empty(width, x.dtype), -1
    centre, scale, offset, slope = rows[CENTRE], rows[SCALE], rows[OFFSET], rows[SLOPE]
    blocks = -(-(x.size // samples) // block) * samples
    for b in range(blocks * part // parts, blocks * (part + 1) // parts):
        start, stop, sample = block_of(x, samples, block, b)
        if sample != last:
            repeat(coefficients[sample], rows)
            last = sample
        for i in range(start, stop, width):
            end = min(i + width, stop)
            row, dx_row, g = x[i:end], dx[i:end], dskip[i:end] if dskip.size else g_row[: end - i]
            before_activation(dout[i:end], out[i:end], row, rows, smooth, g)
            for k in range(row.size):
                dx_row[k] = g[k] * scale[k] - offset[k] - (row[k] - centre[k]) * slope[k]
