"""Batch normalization (Ioffe & Szegedy 2015) and layer normalization (Ba, Kiros & Hinton 2016) as modules."""

import math
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.nn.module import Module, Parameter

__all__ = ["BatchNorm1d", "LayerNorm"]


class BatchNorm1d(Module):
    """Normalize each feature over the batch, then scale and shift; in eval mode with running statistics.

    As PyTorch: `momentum` is the weight of the new batch (the functional contract's is that of the old average), and the running
    variance is the unbiased one.

    Parameters
    ----------
    num_features : C of x (N, C) or (N, C, L)
    eps : added to the variance (default 1e-5)
    momentum : weight of the new batch in the running statistics, in [0, 1]; None averages over all batches
    affine : learn weight and bias (default True)
    track_running_stats : keep running statistics (default True); without them eval mode normalizes by the batch, too
    bias : learn the bias, where affine (default True)
    dtype : float32 (default) or float64
    """

    buffer_names = ("running_mean", "running_var", "num_batches_tracked")
    running_mean: Any  # (C,), and None without running statistics
    running_var: Any
    num_batches_tracked: Any

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True, dtype=np.float32):
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}: num_features is {num_features}; it must be at least 1")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine and bias else None
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def reset_parameters(self, rng):
        if self.weight is not None:
            self.weight.data[...] = 1
        if self.bias is not None:
            self.bias.data[...] = 0
        if self.track_running_stats:
            self.running_mean[...], self.running_var[...], self.num_batches_tracked[...] = 0, 1, 0
        return self

    def forward(self, x):
        """x (N, C) or (N, C, L), like it out."""
        self.check_input(x)
        gamma, beta = self.scale_and_shift(x.dtype)
        bn_param = self.bn_param()
        rows = self._rows(x)
        out, self._cache = self.functions.batchnorm.forward(rows, gamma, beta, bn_param)
        if self.training:
            self.update_running_stats(bn_param["running_mean"], bn_param["running_var"], len(rows))
        return self._like_input(out, x.shape)

    def backward(self, dout):
        dx, dgamma, dbeta = self.functions.batchnorm.backward(self._rows(dout), self.cached())
        if self.weight is not None:
            self.weight.accumulate(dgamma)
        if self.bias is not None:
            self.bias.accumulate(dbeta)
        return self._like_input(dx, dout.shape)

    def check_input(self, x):
        name = type(self).__name__
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError(f"{name}: x has shape {x.shape}; expected (N, {self.num_features}) or (N, {self.num_features}, L)")
        if self.weight is not None and x.dtype != self.weight.dtype:
            raise TypeError(f"{name}: x is {x.dtype}, the parameters are {self.weight.dtype}; convert one of them")
        if (self.training or not self.track_running_stats) and x.size == self.num_features:
            raise ValueError(f"{name}: x has shape {x.shape}, one value a feature; a variance needs two: use a larger batch, or eval()")

    def scale_and_shift(self, dtype):
        """gamma and beta, (C,) each."""
        gamma = np.ones(self.num_features, dtype) if self.weight is None else self.weight.data
        beta = np.zeros(self.num_features, dtype) if self.bias is None else self.bias.data
        return gamma, beta

    def bn_param(self):
        """The functional contract's dictionary; momentum 0 makes it hand back the statistics of this batch alone."""
        if self.training or not self.track_running_stats:
            return {"mode": "train", "eps": self.eps, "momentum": 0.0}
        return {"mode": "test", "eps": self.eps, "running_mean": self.running_mean, "running_var": self.running_var}

    def update_running_stats(self, mean, var, count):
        """Move the running statistics towards a batch of `count` values a feature with this mean and biased variance, (C,) each."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        weight = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean += weight * (mean - self.running_mean)
        self.running_var += weight * (var * (count / (count - 1)) - self.running_var)

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    @staticmethod
    def _rows(x):
        return x if x.ndim == 2 else x.transpose(0, 2, 1).reshape(-1, x.shape[1])  # (N * L, C)

    @staticmethod
    def _like_input(rows, shape):
        return rows if len(shape) == 2 else rows.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)


class LayerNorm(Module):
    """Normalize each sample over its last axes, then scale and shift.

    Parameters
    ----------
    normalized_shape : int or tuple, the last axes of x
    eps : added to the variance (default 1e-5)
    elementwise_affine : learn weight and bias (default True)
    bias : learn the bias, too (default True)
    dtype : float32 (default) or float64
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=np.float32):
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, Integral) else tuple(normalized_shape)
        if not self.normalized_shape or min(self.normalized_shape) < 1:
            raise ValueError(f"LayerNorm: normalized_shape is {normalized_shape}; every axis must be at least 1")
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and bias else None

    def reset_parameters(self, rng):
        if self.weight is not None:
            self.weight.data[...] = 1
        if self.bias is not None:
            self.bias.data[...] = 0
        return self

    def forward(self, x):
        if x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            expected = ", ".join(map(str, self.normalized_shape))
            raise ValueError(f"LayerNorm: x has shape {x.shape}; its last axes must be ({expected})")
        if self.weight is not None and x.dtype != self.weight.dtype:
            raise TypeError(f"LayerNorm: x is {x.dtype}, the parameters are {self.weight.dtype}; convert one of them")
        size = math.prod(self.normalized_shape)
        gamma = np.ones(size, x.dtype) if self.weight is None else self.weight.data.reshape(-1)
        beta = np.zeros(size, x.dtype) if self.bias is None else self.bias.data.reshape(-1)
        out, self._cache = self.functions.layernorm.forward(x.reshape(-1, size), gamma, beta, {"eps": self.eps})
        return out.reshape(x.shape)

    def backward(self, dout):
        size = math.prod(self.normalized_shape)
        dx, dgamma, dbeta = self.functions.layernorm.backward(dout.reshape(-1, size), self.cached())
        if self.weight is not None:
            self.weight.accumulate(dgamma.reshape(self.normalized_shape))
        if self.bias is not None:
            self.bias.accumulate(dbeta.reshape(self.normalized_shape))
        return dx.reshape(dout.shape)

    def extra_repr(self):
        bias = self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"
