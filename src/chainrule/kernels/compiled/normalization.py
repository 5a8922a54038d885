"""Batch normalization and layer normalization, forward and backward, as loops that the compiler turns into vector code.

Columns (of a batch) or rows (of a layer) are shared among the threads; every sum is taken by one thread, in one order.
"""

import numpy as np
from numba import njit

__all__ = ["batchnorm_backward", "batchnorm_forward", "layernorm_backward", "layernorm_forward"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
# sums along a row may be taken in the order that suits the vectors, which depends on the length alone
ROW_SUMS = {**OPTIONS, "fastmath": {"reassoc", "nsz", "contract"}}


@njit(**OPTIONS)
def batchnorm_forward(x, gamma, beta, eps, take_statistics, mean, var, inverse_std, rectify, out, parts, part):
    """Columns of out = gamma * (x - mean) * inverse_std + beta, rectified on demand; mean and var (D,) are taken here, or given."""
    N, D = x.shape
    # slices, here and below, and not loops from c0 to c1: where an index might be negative for all Numba knows, it does without vectors
    here = slice(D * part // parts, D * (part + 1) // parts)
    gamma, beta, mean, var, inverse_std = gamma[here], beta[here], mean[here], var[here], inverse_std[here]
    zero, count = x.dtype.type(0), x.dtype.type(N)
    if take_statistics:
        mean[:] = 0
        for n in range(N):
            row = x[n, here]
            for c in range(mean.size):
                mean[c] += row[c]
        mean /= count
        var[:] = 0
        for n in range(N):
            row = x[n, here]
            for c in range(var.size):
                centred = row[c] - mean[c]
                var[c] += centred * centred
        var /= count
    for c in range(var.size):
        inverse_std[c] = 1 / np.sqrt(var[c] + x.dtype.type(eps))
    for n in range(N):
        row, out_row = x[n, here], out[n, here]
        for c in range(mean.size):
            value = (row[c] - mean[c]) * inverse_std[c] * gamma[c] + beta[c]
            out_row[c] = zero if rectify and value < zero else value


@njit(**OPTIONS)
def batchnorm_backward(dout, out, rectified, x, gamma, mean, inverse_std, took_statistics, dx, dgamma, dbeta, parts, part):
    """Columns of dx = gamma * inverse_std * (g - mean(g) - x_hat * mean(g * x_hat)), g being dout where the ReLU let out pass."""
    N, D = x.shape
    here = slice(D * part // parts, D * (part + 1) // parts)
    gamma, mean, inverse_std, dgamma, dbeta = gamma[here], mean[here], inverse_std[here], dgamma[here], dbeta[here]
    zero, count = x.dtype.type(0), x.dtype.type(N)
    dgamma[:] = 0
    dbeta[:] = 0
    for n in range(N):
        row, dout_row, out_row = x[n, here], dout[n, here], out[n, here]
        for c in range(mean.size):
            g, passed = dout_row[c], out_row[c] > zero
            g = g if passed or not rectified else zero
            dbeta[c] += g
            dgamma[c] += g * ((row[c] - mean[c]) * inverse_std[c])
    scale, slope, shift = gamma * inverse_std, np.zeros_like(mean), np.zeros_like(mean)
    for c in range(mean.size if took_statistics else 0):
        slope[c], shift[c] = dgamma[c] * inverse_std[c] / count, dbeta[c] / count
    for n in range(N):
        row, dout_row, out_row, dx_row = x[n, here], dout[n, here], out[n, here], dx[n, here]
        for c in range(mean.size):
            g, passed = dout_row[c], out_row[c] > zero
            g = g if passed or not rectified else zero
            dx_row[c] = scale[c] * (g - shift[c] - (row[c] - mean[c]) * slope[c])


@njit(**ROW_SUMS)
def layernorm_forward(x, gamma, beta, eps, mean, inverse_std, out, parts, part):
    """Rows of out = gamma * (x - mean) * inverse_std + beta, with the mean and the standard deviation (N,) of each row."""
    N, D = x.shape
    for n in range(N * part // parts, N * (part + 1) // parts):
        row, out_row = x[n], out[n]
        total = x.dtype.type(0)
        for c in range(D):
            total += row[c]
        centre = total / x.dtype.type(D)
        total = x.dtype.type(0)
        for c in range(D):
            total += (row[c] - centre) * (row[c] - centre)
        inverse = 1 / np.sqrt(total / x.dtype.type(D) + x.dtype.type(eps))
        for c in range(D):
            out_row[c] = (row[c] - centre) * inverse * gamma[c] + beta[c]
        mean[n], inverse_std[n] = centre, inverse


@njit(**ROW_SUMS)
def layernorm_backward(dout, x, gamma, mean, inverse_std, dx, dgamma, dbeta, parts, part):
    """Rows of dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) * inverse_std, and columns of dgamma and dbeta."""
    N, D = x.shape
    for n in range(N * part // parts, N * (part + 1) // parts):
        row, dout_row, dx_row, centre, inverse = x[n], dout[n], dx[n], mean[n], inverse_std[n]
        sum_g, sum_gx = x.dtype.type(0), x.dtype.type(0)
        for c in range(D):
            g = dout_row[c] * gamma[c]
            sum_g += g
            sum_gx += g * (row[c] - centre) * inverse
        shift, slope = sum_g / x.dtype.type(D), sum_gx / x.dtype.type(D)
        for c in range(D):
            dx_row[c] = (dout_row[c] * gamma[c] - shift - (row[c] - centre) * inverse * slope) * inverse
    here = slice(D * part // parts, D * (part + 1) // parts)
    dgamma, dbeta = dgamma[here], dbeta[here]
    dgamma[:] = 0
    dbeta[:] = 0
    for n in range(N):
        row, dout_row, centre, inverse = x[n, here], dout[n, here], mean[n], inverse_std[n]
        for c in range(dbeta.size):
            dbeta[c] += dout_row[c]
            dgamma[c] += dout_row[c] * ((row[c] - centre) * inverse)
