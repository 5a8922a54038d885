"""Layer normalization, compiled: the twin of `chainrule.functional.layernorm_*`.

Results differ from the twin's by rounding only. Memory of any layout is right; fast is C-contiguous. Dtypes other than float32 and float64,
and empty arrays, go to the twin. Output buffers are keyword-only and must not overlap the inputs.
"""

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load, run, threads
from chainrule.kernels.workspace import empty

__all__ = ["layernorm_backward", "layernorm_forward"]

SERIAL = 50_000  # numbers; fewer take one thread less time than it takes to wake a second one


def layernorm_forward(x, gamma, beta, ln_param, *, out=None):
    """As `chainrule.functional.layernorm_forward`: x (N, D), gamma and beta (D,). The cache refers to x, which must not change."""
    D = x.shape[-1] if x.ndim == 2 else -1
    if gamma.shape != (D,) or beta.shape != (D,) or not fits(x, gamma, beta):
        result, cache = functional.layernorm_forward(x, gamma, beta, ln_param)  # which also says what is wrong
        return written(result, "out", out), (cache,)
    target, rows = room(out, "out", x.shape, x.dtype), flat(x).reshape(x.shape)
    mean, inverse_std = empty((len(x),), x.dtype), empty((len(x),), x.dtype)
    kernels = load("normalization")
    arguments = (rows, flat(gamma), flat(beta), float(ln_param.get("eps", 1e-5)), mean, inverse_std, target)
    run(kernels.layernorm_forward, arguments, 1 if x.size < SERIAL else threads())
    return deliver(target, out), (rows, gamma, mean, inverse_std)


def layernorm_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `layernorm_forward`: dx (N, D), dgamma (D,), dbeta (D,), written to the buffers that are given."""
    if len(cache) == 1:
        results = functional.layernorm_backward(dout, *cache)
        return tuple(
            written(result, name, buffer)
            for name, result, buffer in zip(("dx", "dgamma", "dbeta"), results, (dx, dgamma, dbeta), strict=True)
        )
    x, gamma, mean, inverse_std = cache
    if dout.shape != x.shape:
        raise ValueError(f"layernorm_backward: dout has shape {dout.shape}; expected {x.shape}, the shape of the output")
    rows = flat(dout if dout.dtype == x.dtype else dout.astype(x.dtype)).reshape(x.shape)
    dx_target, dgamma_target = room(dx, "dx", x.shape, x.dtype), room(dgamma, "dgamma", gamma.shape, x.dtype)
    dbeta_target = room(dbeta, "dbeta", gamma.shape, x.dtype)
    kernels = load("normalization")
    arguments = (rows, x, flat(gamma), mean, inverse_std, dx_target, dgamma_target, dbeta_target)
    run(kernels.layernorm_backward, arguments, 1 if x.size < SERIAL else threads())
    return deliver(dx_target, dx), deliver(dgamma_target, dgamma), deliver(dbeta_target, dbeta)
