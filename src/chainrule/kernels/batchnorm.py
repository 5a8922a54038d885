"""Batch normalization, compiled, alone and with the ReLU behind it: the twins of `chainrule.functional.batchnorm_*`.

Results differ from the twins' by rounding only. Memory of any layout is right; fast is C-contiguous. Dtypes other than float32 and float64,
and empty arrays, go to the twin. Output buffers are keyword-only and must not overlap the inputs.
"""

import numpy as np

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load, run, threads
from chainrule.kernels.workspace import empty

__all__ = ["batchnorm_backward", "batchnorm_forward", "batchnorm_relu_backward", "batchnorm_relu_forward"]

SERIAL = 50_000  # numbers; fewer take one thread less time than it takes to wake a second one


def batchnorm_forward(x, gamma, beta, bn_param, *, out=None):
    """As `chainrule.functional.batchnorm_forward`: x (N, D), gamma and beta (D,); statistics and running averages by way of `bn_param`.

    The cache refers to x, which must not change before the backward pass.
    """
    return _forward(x, gamma, beta, bn_param, out, False)


def batchnorm_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `batchnorm_forward`: dx (N, D), dgamma (D,), dbeta (D,), written to the buffers that are given."""
    return _backward(dout, cache, dx, dgamma, dbeta)


def batchnorm_relu_forward(x, gamma, beta, bn_param, *, out=None):
    """max(0, batchnorm(x)), in one pass. The cache refers to x and to out, which must not change before the backward pass."""
    return _forward(x, gamma, beta, bn_param, out, True)


def batchnorm_relu_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `batchnorm_relu_forward`: dx (N, D), dgamma (D,), dbeta (D,), written to the buffers that are given."""
    return _backward(dout, cache, dx, dgamma, dbeta)


def _forward(x, gamma, beta, bn_param, out, rectify):
    mode, eps, momentum = bn_param.get("mode"), float(bn_param.get("eps", 1e-5)), float(bn_param.get("momentum", 0.9))
    D = x.shape[-1] if x.ndim == 2 else -1
    running_mean, running_var = bn_param.get("running_mean"), bn_param.get("running_var")
    usual = mode in ("train", "test") and D > 0 and gamma.shape == beta.shape == (D,) and fits(x, gamma, beta)
    if not usual or not all(array is None or np.shape(array) == (D,) for array in (running_mean, running_var)):
        result, cache = functional.batchnorm_forward(x, gamma, beta, bn_param)  # which also says what is wrong
        if rectify:
            np.maximum(result, 0, out=result)
        result = written(result, "out", out)
        return result, (cache, result if rectify else None)
    target, take_statistics = room(out, "out", x.shape, x.dtype), mode == "train"
    if take_statistics:
        mean, var = empty((D,), x.dtype), empty((D,), x.dtype)
    else:
        mean = np.zeros(D, x.dtype) if running_mean is None else np.array(running_mean, x.dtype)
        var = np.zeros(D, x.dtype) if running_var is None else np.array(running_var, x.dtype)
    inverse_std, rows = empty((D,), x.dtype), flat(x).reshape(x.shape)
    kernels = load("normalization")
    arguments = (rows, flat(gamma), flat(beta), eps, take_statistics, mean, var, inverse_std, rectify, target)
    run(kernels.batchnorm_forward, arguments, 1 if x.size < SERIAL else threads())
    if not take_statistics or momentum == 0:
        bn_param["running_mean"] = mean if take_statistics or running_mean is None else running_mean
        bn_param["running_var"] = var if take_statistics or running_var is None else running_var
    else:
        bn_param["running_mean"] = momentum * (0 if running_mean is None else running_mean) + (1 - momentum) * mean
        bn_param["running_var"] = momentum * (0 if running_var is None else running_var) + (1 - momentum) * var
    result = deliver(target, out)
    return result, (rows, gamma, mean, inverse_std, take_statistics, result if rectify else None)


def _backward(dout, cache, dx, dgamma, dbeta):
    if len(cache) == 2:
        cache, out = cache
        results = functional.batchnorm_backward(dout if out is None else dout * (out > 0), cache)
        return tuple(
            written(result, name, buffer)
            for name, result, buffer in zip(("dx", "dgamma", "dbeta"), results, (dx, dgamma, dbeta), strict=True)
        )
    x, gamma, mean, inverse_std, took_statistics, out = cache
    if dout.shape != x.shape:
        raise ValueError(f"batchnorm_backward: dout has shape {dout.shape}; expected {x.shape}, the shape of the output")
    shape, dtype = x.shape, x.dtype
    rows = flat(dout if dout.dtype == dtype else dout.astype(dtype)).reshape(shape)
    dx_target, dgamma_target = room(dx, "dx", shape, dtype), room(dgamma, "dgamma", mean.shape, dtype)
    dbeta_target = room(dbeta, "dbeta", mean.shape, dtype)
    rectified = out is not None
    passed = flat(out).reshape(shape) if rectified else rows
    kernels = load("normalization")
    arguments = (
        rows, passed, rectified, x, flat(gamma), mean, inverse_std, took_statistics, dx_target, dgamma_target, dbeta_target,
    )  # fmt: skip
    run(kernels.batchnorm_backward, arguments, 1 if x.size < SERIAL else threads())
    return deliver(dx_target, dx), deliver(dgamma_target, dgamma), deliver(dbeta_target, dbeta)
