"""The exact GELU, compiled: the twin of `chainrule.functional.gelu_*`. For the other activations NumPy is fast enough.

Results differ from the twin's by rounding only. Memory of any layout is right; dtypes other than float32 and float64, and empty arrays, go
to the twin.
"""

import numpy as np

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room
from chainrule.kernels.compiler import load, threads

__all__ = ["gelu_backward", "gelu_forward"]

SERIAL = 1000  # numbers; fewer take one thread less time than it takes to wake a second one


def gelu_forward(x, *, out=None):
    """As `chainrule.functional.gelu_forward`: x * P(Z <= x), of any shape. The cache refers to x, which must not change."""
    if not fits(x):
        result, cache = functional.gelu_forward(x)
        return deliver(result, None if out is None else room(out, "out", result.shape, result.dtype)), cache
    target, cdf = room(out, "out", x.shape, x.dtype), np.empty(x.shape, x.dtype)
    kernels, parts = load("elementwise"), threads()
    if parts == 1 or x.size < SERIAL:
        kernels.gelu_forward_part(flat(x), flat(cdf), target.reshape(-1), 1, 0)
    else:
        kernels.gelu_forward(flat(x), flat(cdf), target.reshape(-1), parts)
    return deliver(target, out), (x, cdf)


def gelu_backward(dout, cache, *, dx=None):
    """Gradient of `gelu_forward`: dx like x."""
    x, cdf = cache
    if not fits(x, dout) or dout.shape != x.shape:
        result = functional.gelu_backward(dout, cache)
        return deliver(result, None if dx is None else room(dx, "dx", result.shape, result.dtype))
    target = room(dx, "dx", x.shape, x.dtype)
    kernels, parts = load("elementwise"), threads()
    if parts == 1 or x.size < SERIAL:
        kernels.gelu_backward_part(flat(dout), flat(x), flat(cdf), target.reshape(-1), 1, 0)
    else:
        kernels.gelu_backward(flat(dout), flat(x), flat(cdf), target.reshape(-1), parts)
    return deliver(target, dx)
