"""GELU, and the softmax loss: what NumPy can only do number by number, or in many passes."""

import math

import numpy as np
from numba import njit, prange

__all__ = ["gelu_backward", "gelu_backward_part", "gelu_forward", "gelu_forward_part", "softmax_loss"]

OPTIONS = {"error_model": "numpy", "boundscheck": False, "nogil": True, "cache": True}
INVERSE_ROOT_TWO, INVERSE_ROOT_TWO_PI = 1 / math.sqrt(2), 1 / math.sqrt(2 * math.pi)


@njit(**OPTIONS)
def gelu_forward_part(x, cdf, out, parts, part):
    for i in range(x.size * part // parts, x.size * (part + 1) // parts):
        # erfc(-z) / 2 is (1 + erf(z)) / 2 without the cancellation that costs the latter its digits for negative z
        cdf[i] = math.erfc(-x[i] * x.dtype.type(INVERSE_ROOT_TWO)) * x.dtype.type(0.5)
        out[i] = x[i] * cdf[i]


@njit(parallel=True, **OPTIONS)
def gelu_forward(x, cdf, out, threads):
    for part in prange(threads):
        gelu_forward_part(x, cdf, out, threads, np.int64(part))


@njit(**OPTIONS)
def gelu_backward_part(dout, x, cdf, dx, parts, part):
    for i in range(x.size * part // parts, x.size * (part + 1) // parts):
        pdf = math.exp(x.dtype.type(-0.5) * x[i] * x[i]) * x.dtype.type(INVERSE_ROOT_TWO_PI)
        # x p(x) is 0 where p(x) is, also for infinite x
        dx[i] = dout[i] * (cdf[i] + (x[i] * pdf if pdf != 0 else pdf))


@njit(parallel=True, **OPTIONS)
def gelu_backward(dout, x, cdf, dx, threads):
    for part in prange(threads):
        gelu_backward_part(dout, x, cdf, dx, threads, np.int64(part))


@njit(**OPTIONS)
def softmax_loss(x, y, smoothing, dx):
    """The mean loss of scores x (N, C) and labels y (N,), its gradient in dx; and the place of a label out of range, or -1."""
    N, C = x.shape
    one, count = x.dtype.type(1), x.dtype.type(N)
    spread = x.dtype.type(smoothing / C)
    loss = 0.0
    for n in range(N):
        if not 0 <= y[n] < C:
            return loss, n
        highest = x[n, 0]
        for c in range(1, C):
            if x[n, c] > highest or x[n, c] != x[n, c]:
                highest = x[n, c]
        total = x.dtype.type(0)
        for c in range(C):
            dx[n, c] = math.exp(x[n, c] - highest)
            total += dx[n, c]
        log_total = math.log(total)
        loss += (1 - smoothing) * (log_total - (x[n, y[n]] - highest))
        if smoothing != 0:
            surprise = 0.0
            for c in range(C):
                surprise += log_total - (x[n, c] - highest)
            loss += smoothing / C * surprise
        factor = one / total
        for c in range(C):
            dx[n, c] = (dx[n, c] * factor - spread) / count
        dx[n, y[n]] -= x.dtype.type(1 - smoothing) / count
    return loss / N, -1
