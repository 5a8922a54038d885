"""Batch and group normalization of images, compiled, alone and with what follows them: the twins of `chainrule.functional.spatial_*`.

Results differ from the twins' by rounding only, and not at all from run to run or between numbers of threads. Shapes are (N, C, H, W);
memory of any layout is right; fast is channels-last, where nothing is copied. Results lie channels-last. Dtypes other than float32 and
float64, mixed ones, and empty arrays go to the twin. Output buffers are keyword-only; dx may be dout itself, and no other input.

The caches refer to x and, after a sum and a ReLU, to out, which must not change before the backward pass.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load, run, threads, vector_lanes
from chainrule.kernels.layout import LAST, channels_first, channels_last
from chainrule.kernels.workspace import empty

__all__ = [
    "spatial_batchnorm_add_relu_backward",
    "spatial_batchnorm_add_relu_forward",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_batchnorm_gelu_backward",
    "spatial_batchnorm_gelu_forward",
    "spatial_batchnorm_relu_backward",
    "spatial_batchnorm_relu_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
    "spatial_groupnorm_relu_backward",
    "spatial_groupnorm_relu_forward",
]

SERIAL = 50_000  # numbers; fewer take one thread less time than it takes to wake a second one
BLOCK = 16_384  # numbers; 64 KB of float32 stay in the second level of the cache between two passes over them


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    """As `chainrule.functional.spatial_batchnorm_forward`: x (N, C, H, W), gamma and beta (C,); statistics by way of `bn_param`."""
    return _batchnorm_forward(x, None, gamma, beta, bn_param, None)


def spatial_batchnorm_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_batchnorm_forward`: dx (N, C, H, W), dgamma (C,), dbeta (C,), written to the buffers that are given."""
    dx, _, dgamma, dbeta = _backward("spatial_batchnorm_backward", dout, cache, False, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def spatial_batchnorm_relu_forward(x, gamma, beta, bn_param):
    """max(0, spatial_batchnorm(x)), in one pass after the statistics."""
    return _batchnorm_forward(x, None, gamma, beta, bn_param, "relu")


def spatial_batchnorm_relu_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_batchnorm_relu_forward`: dx (N, C, H, W), dgamma (C,), dbeta (C,), written to the buffers that are given."""
    dx, _, dgamma, dbeta = _backward("spatial_batchnorm_relu_backward", dout, cache, False, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def spatial_batchnorm_gelu_forward(x, gamma, beta, bn_param):
    """The exact GELU of spatial_batchnorm(x), in one pass after the statistics. Its argument is not kept, but computed again from x."""
    return _batchnorm_forward(x, None, gamma, beta, bn_param, "gelu")


def spatial_batchnorm_gelu_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_batchnorm_gelu_forward`: dx (N, C, H, W), dgamma (C,), dbeta (C,), written to the buffers that are given."""
    dx, _, dgamma, dbeta = _backward("spatial_batchnorm_gelu_backward", dout, cache, False, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def spatial_batchnorm_add_relu_forward(x, skip, gamma, beta, bn_param):
    """max(0, spatial_batchnorm(x) + skip), in one pass after the statistics: the end of a residual block, skip being like x."""
    if skip.shape != x.shape:
        raise ValueError(f"spatial_batchnorm_add_relu_forward: skip has shape {skip.shape}; expected {x.shape}, the shape of x")
    return _batchnorm_forward(x, skip, gamma, beta, bn_param, "relu")


def spatial_batchnorm_add_relu_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_batchnorm_add_relu_forward`: dx and dskip (N, C, H, W), dgamma (C,), dbeta (C,)."""
    return _backward("spatial_batchnorm_add_relu_backward", dout, cache, True, dx, dgamma, dbeta)


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    """As `chainrule.functional.spatial_groupnorm_forward`: x (N, C, H, W), gamma and beta (1, C, 1, 1), G groups of channels."""
    return _groupnorm_forward(x, gamma, beta, G, gn_param, None)


def spatial_groupnorm_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_groupnorm_forward`: dx (N, C, H, W), dgamma and dbeta (1, C, 1, 1), written to the buffers that are given."""
    dx, _, dgamma, dbeta = _backward("spatial_groupnorm_backward", dout, cache, False, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def spatial_groupnorm_relu_forward(x, gamma, beta, G, gn_param):
    """max(0, spatial_groupnorm(x)), in one pass after the statistics."""
    return _groupnorm_forward(x, gamma, beta, G, gn_param, "relu")


def spatial_groupnorm_relu_backward(dout, cache, *, dx=None, dgamma=None, dbeta=None):
    """Gradients of `spatial_groupnorm_relu_forward`: as those of `spatial_groupnorm_forward`."""
    dx, _, dgamma, dbeta = _backward("spatial_groupnorm_relu_backward", dout, cache, False, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


class _Cache(NamedTuple):
    """What the backward pass needs: x and out in rows (N, H, W, C), statistics and what else is needed of each channel (samples, 6, C)."""

    x: np.ndarray
    gamma: np.ndarray
    coefficients: np.ndarray
    groups: int
    took_statistics: bool
    rectified: bool  # whether a ReLU made the output
    out: np.ndarray | None  # the output, if a ReLU made it of more than x
    smooth: bool | None  # True if GELU made the output


class _TwinCache(NamedTuple):
    """What the backward pass of the twin needs, and after it that of the activation."""

    backward: Callable
    cache: tuple
    rectified: np.ndarray | None
    gelu_cache: tuple | None


def _batchnorm_forward(x, skip, gamma, beta, bn_param, activation):
    mode, eps, momentum = bn_param.get("mode"), float(bn_param.get("eps", 1e-5)), float(bn_param.get("momentum", 0.9))
    C = x.shape[1] if x.ndim == 4 else -1
    running = [bn_param.get(name) for name in ("running_mean", "running_var")]
    usual = mode in ("train", "test") and gamma.shape == beta.shape == (C,) and fits(x, gamma, beta, *(() if skip is None else (skip,)))
    if not usual or not all(array is None or np.shape(array) == (C,) for array in running):
        twin = functional.spatial_batchnorm_forward(x, gamma, beta, bn_param)  # which also says what is wrong
        return _activate_twin(functional.spatial_batchnorm_backward, *twin, skip, activation)
    rows, kernels = channels_last(x), load("spatial_norm")
    if mode == "train":
        coefficients, var = _take_statistics(rows, 1, C, eps, gamma, beta)
        kept = [coefficients[0, kernels.CENTRE].copy(), var[0]]
        if momentum != 0:
            kept = [momentum * (0 if old is None else old) + (1 - momentum) * new for old, new in zip(running, kept, strict=True)]
    else:
        kept = [np.zeros(C, x.dtype) if array is None else array for array in running]
        coefficients = empty((1, 6, C), x.dtype)
        coefficients[0, kernels.CENTRE], coefficients[0, kernels.SHIFT] = kept[0], beta
        coefficients[0, kernels.INVERSE_STD] = 1 / np.sqrt(np.asarray(kept[1], x.dtype) + x.dtype.type(eps))
        coefficients[0, kernels.SCALE] = coefficients[0, kernels.INVERSE_STD] * gamma
    bn_param["running_mean"], bn_param["running_var"] = kept
    return _normalize(rows, skip, gamma, coefficients, C, mode == "train", activation)


def _groupnorm_forward(x, gamma, beta, G, gn_param, activation):
    C = x.shape[1] if x.ndim == 4 else -1
    if gamma.shape != (1, C, 1, 1) or beta.shape != gamma.shape or not fits(x, gamma, beta) or G < 1 or C % G:
        twin = functional.spatial_groupnorm_forward(x, gamma, beta, G, gn_param)  # which also says what is wrong
        return _activate_twin(functional.spatial_groupnorm_backward, *twin, None, activation)
    rows = channels_last(x)
    coefficients, _ = _take_statistics(rows, len(x), G, float(gn_param.get("eps", 1e-5)), gamma, beta)
    return _normalize(rows, None, gamma, coefficients, G, True, activation)


def _take_statistics(rows, samples, groups, eps, gamma, beta):
    """The coefficients (samples, 6, C) of the forward pass, and the variances (samples, C)."""
    block, period, blocks = _blocks(rows, samples)
    C, kernels = rows.shape[3], load("spatial_norm")
    block_moments, coefficients, var = (empty(shape, rows.dtype) for shape in ((blocks, 2, C), (samples, 6, C), (samples, C)))
    run(kernels.moments, (rows.reshape(-1), samples, block, period, block_moments), _parts(rows))
    kernels.statistics(block_moments, rows.size // samples, block, groups, eps, flat(gamma), flat(beta), coefficients, var)
    return coefficients, var


def _normalize(rows, skip, gamma, coefficients, groups, took_statistics, activation):
    out, samples = empty(rows.shape, rows.dtype), len(coefficients)
    block, period, _ = _blocks(rows, samples)
    flat_out = out.reshape(-1)
    added = skip is not None
    skip = channels_last(skip).reshape(-1) if added else flat_out[:0]
    rectify, smooth = activation == "relu", True if activation == "gelu" else None
    kernels = load("spatial_norm")
    arguments = (rows.reshape(-1), skip, samples, block, period, coefficients, rectify, smooth, flat_out)
    run(kernels.normalize, arguments, _parts(rows))
    cache = _Cache(rows, gamma, coefficients, groups, took_statistics, rectify, out if rectify and added else None, smooth)
    return channels_first(out), cache


def _backward(function, dout, cache, with_dskip, dx, dgamma, dbeta):
    """dx, dskip (None unless wanted), dgamma, dbeta."""
    if isinstance(cache, _TwinCache):
        return _twin_backward(dout, cache, (dx, dgamma, dbeta))
    x, gamma, coefficients, groups, took_statistics, rectified, out, smooth = cache
    (N, H, W, C), dtype, samples = x.shape, x.dtype, len(coefficients)
    if dout.shape != (N, C, H, W):
        raise ValueError(f"{function}: dout has shape {dout.shape}; expected {(N, C, H, W)}, the shape of the output")
    dout = channels_last(dout if dout.dtype == dtype else dout.astype(dtype))
    dx_target = room(dx, "dx", (N, C, H, W), dtype, LAST)
    dskip = empty(x.shape, dtype) if with_dskip else None
    dgamma_target, dbeta_target = room(dgamma, "dgamma", gamma.shape, dtype), room(dbeta, "dbeta", gamma.shape, dtype)
    block, period, blocks = _blocks(x, samples)
    block_sums, coefficients, kernels = empty((blocks, 2, C), dtype), coefficients.copy(), load("spatial_norm")
    flat_dout, flat_dx, none = dout.reshape(-1), dx_target.reshape(-1), x.reshape(-1)[:0]
    slopes = none if smooth is None else empty(flat_dx.shape, dtype) if np.may_share_memory(flat_dout, flat_dx) else flat_dx
    common = none if out is None else out.reshape(-1), x.reshape(-1), samples, block, period, coefficients, rectified
    run(kernels.sums, (flat_dout, *common, smooth, slopes, block_sums), _parts(x))
    kernels.totals(
        block_sums, x.size // samples, groups, flat(gamma), took_statistics, coefficients, dgamma_target.reshape(-1),
        dbeta_target.reshape(-1),
    )  # fmt: skip
    flat_dskip = none if dskip is None else dskip.reshape(-1)
    run(kernels.gradients, (flat_dout if smooth is None else slopes, *common, flat_dskip, flat_dx), _parts(x))
    dx = deliver(dx_target, dx, LAST)
    return dx, None if dskip is None else channels_first(dskip), deliver(dgamma_target, dgamma), deliver(dbeta_target, dbeta)


def _blocks(rows, samples):
    """The length of a block and of a period, and the number of blocks."""
    C, length, lanes = rows.shape[3], rows.size // samples, vector_lanes(rows.dtype)
    together, least = math.lcm(C, lanes), load("spatial_norm").WIDE * lanes
    period = together * -(-least // together)
    block = period * max(1, BLOCK // period)
    return block, period, samples * -(-length // block)


def _parts(rows):
    """On how many threads."""
    return 1 if rows.size < SERIAL else threads()


def _activate_twin(backward, out, cache, skip, activation):
    """The output of the twin, and its cache, after the sum and the activation."""
    if skip is not None:
        out = out + skip
    if activation == "gelu":
        out, gelu_cache = functional.gelu_forward(out)
        return out, _TwinCache(backward, cache, None, gelu_cache)
    if activation == "relu":
        out = np.maximum(out, 0)
    return out, _TwinCache(backward, cache, out if activation == "relu" else None, None)


def _twin_backward(dout, cache, buffers):
    backward, cache, rectified, gelu_cache = cache
    if rectified is not None:
        dout = dout * (rectified > 0)
    if gelu_cache is not None:
        dout = functional.gelu_backward(dout, gelu_cache)
    gradients = [
        written(gradient, name, buffer)
        for name, gradient, buffer in zip(("dx", "dgamma", "dbeta"), backward(dout, cache), buffers, strict=True)
    ]
    return gradients[0], dout, *gradients[1:]
