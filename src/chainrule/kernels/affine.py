"""Affine layers, compiled: the twins of `chainrule.functional.affine_*` and `affine_relu_*`.

Results differ from the twins' by the rounding of sums taken in another order, and not at all from run to run or between numbers of threads.
Memory of any layout is right; fast are C-contiguous x, dout and w (D, M), or w.T. Dtypes other than float32 and float64, mixed ones, and
empty arrays go to the twin. Output buffers are keyword-only, of the exact shape and dtype, and must not overlap the inputs.
"""

import numpy as np

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load, run, threads
from chainrule.kernels.workspace import empty

__all__ = [
    "affine_backward",
    "affine_backward_input",
    "affine_backward_parameters",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_backward_input",
    "affine_relu_backward_parameters",
    "affine_relu_forward",
]

SERIAL = 250_000  # multiplications; fewer take one thread less time (4 us) than it takes to wake a second one


def affine_forward(x, w, b, *, out=None):
    """As `chainrule.functional.affine_forward`.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) with d_1 * ... * d_k = D
    w : (D, M)
    b : (M,)
    out : (N, M), to write to; default: a new array

    Returns
    -------
    out : (N, M)
    cache : (x, w, b)
    """
    return _forward(x, w, b, out, False), (x, w, b)


def affine_backward(dout, cache, *, dx=None, dw=None, db=None):
    """Gradients of `affine_forward`: dx like x, dw (D, M), db (M,), written to the buffers that are given."""
    x, w, b = cache
    return _backward(dout, x, w, b, None, dx, dw, db)


def affine_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone: the first layer of a network needs no dx, which costs as much as dw."""
    x, w, b = cache
    return _backward(dout, x, w, b, None, None, dw, db, need_dx=False)[1:]


def affine_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    x, w, b = cache
    return _backward(dout, x, w, b, None, None, None, None, need_parameters=False)[0]


def affine_relu_forward(x, w, b, *, out=None):
    """As `chainrule.functional.affine_relu_forward`, in one pass: max(0, x @ w + b). Arguments as `affine_forward`.

    The cache refers to out, which must not change before the backward pass.
    """
    out = _forward(x, w, b, out, True)
    return out, (x, w, b, out)


def affine_relu_backward(dout, cache, *, dx=None, dw=None, db=None):
    """Gradients of `affine_relu_forward`: dx like x, dw (D, M), db (M,), written to the buffers that are given."""
    x, w, b, out = cache
    return _backward(dout, x, w, b, out, dx, dw, db)


def affine_relu_backward_parameters(dout, cache, *, dw=None, db=None):
    """dw and db alone, for the first layer of a network."""
    x, w, b, out = cache
    return _backward(dout, x, w, b, out, None, dw, db, need_dx=False)[1:]


def affine_relu_backward_input(dout, cache):
    """dx alone: of a layer whose parameters are frozen."""
    x, w, b, out = cache
    return _backward(dout, x, w, b, out, None, None, None, need_parameters=False)[0]


def _forward(x, w, b, out, rectify):
    N, D, M = len(x) if x.ndim else 0, w.shape[0], w.shape[-1]
    if not fits(x, w, b) or w.ndim != 2 or x.size != N * D or b.shape != (M,):
        result, _ = functional.affine_forward(x, w, b)  # which also says what is wrong with the shapes
        if rectify:
            np.maximum(result, 0, out=result)
        return written(result, "out", out)
    target = room(out, "out", (N, M), x.dtype)
    w_flat, row_stride, column_stride = _matrix(w)
    matmul = load("matmul")
    arguments = (flat(x), w_flat, row_stride, column_stride, flat(b), rectify, target.reshape(-1), N, D, M)
    run(matmul.affine_forward, arguments, 1 if N * D * M < SERIAL else threads())
    return deliver(target, out)


def _backward(dout, x, w, b, out, dx, dw, db, *, need_dx=True, need_parameters=True):
    """dx, dw, db, or None for those that are not needed; `out` is the rectified output, or None for a layer without ReLU."""
    D, M = w.shape
    N = len(x)
    if dout.shape != (N, M):
        raise ValueError(f"affine_backward: dout has shape {dout.shape}; expected ({N}, {M}), the shape of the output")
    if not fits(dout, x, w, b):
        results = functional.affine_backward(dout if out is None else dout * (out > 0), (x, w, b))
        return tuple(written(result, name, buffer) for name, result, buffer in zip(("dx", "dw", "db"), results, (dx, dw, db), strict=True))
    matmul = load("matmul")
    g = flat(dout)
    if out is not None:
        dout, g = g, empty((N * M,), x.dtype)
        matmul.keep_positive(dout, flat(out), g)
    nothing = np.empty(0, x.dtype)
    dw_target, db_target = (room(dw, "dw", (D, M), x.dtype), room(db, "db", (M,), x.dtype)) if need_parameters else (nothing, nothing)
    dx_target = room(dx, "dx", x.shape, x.dtype) if need_dx else nothing
    w_flat, row_stride, column_stride = _matrix(w)
    arguments = (flat(x), w_flat, row_stride, column_stride, g, dx_target.reshape(-1), dw_target.reshape(-1), db_target, N, D, M)
    run(matmul.affine_backward, arguments, 1 if N * D * M < SERIAL else threads())
    gradients = deliver(dw_target, dw), deliver(db_target, db)
    return deliver(dx_target, dx) if need_dx else None, *(gradients if need_parameters else (None, None))


def _matrix(w):
    """The numbers of w on one axis, and the distances between its rows and between its columns there."""
    if w.flags.c_contiguous or not w.flags.f_contiguous:
        return flat(w), w.shape[1], 1
    return flat(w.T), 1, w.shape[0]
