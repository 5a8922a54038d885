"""Batch (Ioffe & Szegedy 2015), layer (Ba, Kiros & Hinton 2016) and group normalization (Wu & He 2018) as modules."""

import math
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.nn.images import check_image
from chainrule.nn.module import Module, Parameter, check_sizes
from chainrule.nn.parameters import check_dtype

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm"]


class _Normalization(Module):
    """A scale and a shift of what was normalized, learned or not."""

    def __init__(self, shape, eps, affine, bias, dtype):
        name = type(self).__name__
        if not isinstance(eps, int | float | np.number) or not eps >= 0:
            raise ValueError(f"{name}: eps is {eps!r}; it is added to a variance under a root: expected a number, at least 0")
        check_dtype(name, dtype)
        self._shape, self.eps = shape, eps
        self.weight = Parameter(np.ones(shape, dtype)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if affine and bias else None

    def reset_parameters(self, rng):
        if self.weight is not None:
            self.weight.data[...] = 1
        if self.bias is not None:
            self.bias.data[...] = 0
        return self

    def scale_and_shift(self, dtype) -> tuple[np.ndarray, np.ndarray]:
        """gamma and beta, of the parameters' shape."""
        gamma = np.ones(self._shape, dtype) if self.weight is None else self.weight.data
        beta = np.zeros(self._shape, dtype) if self.bias is None else self.bias.data
        return gamma, beta

    def accumulate(self, dgamma, dbeta):
        """Add the gradients to those of the parameters that are learned."""
        if self.weight is not None:
            self.weight.accumulate(dgamma.reshape(self._shape))
        if self.bias is not None:
            self.bias.accumulate(dbeta.reshape(self._shape))


class _BatchNorm(_Normalization):
    """Running statistics; a subclass says over which axes of its input they are taken."""

    buffer_names = ("running_mean", "running_var", "num_batches_tracked")
    running_mean: Any  # (C,), and None without running statistics
    running_var: Any
    num_batches_tracked: Any

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True, dtype=np.float32):
        check_sizes(type(self).__name__, num_features=num_features)
        if momentum is not None and not (isinstance(momentum, int | float | np.number) and 0 <= momentum <= 1):
            raise ValueError(f"{type(self).__name__}: momentum is {momentum!r}; expected a number in [0, 1], or None")
        super().__init__((num_features,), eps, affine, bias, dtype)
        self.num_features, self.momentum = num_features, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.running_mean = np.zeros(num_features, dtype) if track_running_stats else None
        self.running_var = np.ones(num_features, dtype) if track_running_stats else None
        self.num_batches_tracked = np.zeros((), np.int64) if track_running_stats else None

    def reset_parameters(self, rng):
        super().reset_parameters(rng)
        if self.track_running_stats:
            self.running_mean[...], self.running_var[...], self.num_batches_tracked[...] = 0, 1, 0
        return self

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

    def check_count(self, x):
        if (self.training or not self.track_running_stats) and x.size == self.num_features:
            raise ValueError(
                f"{type(self).__name__}: x has shape {x.shape}, one value a feature; a variance needs two: use a larger batch, or eval()"
            )


class BatchNorm1d(_BatchNorm):
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

    def forward(self, x):
        """x (N, C) or (N, C, L), like it out."""
        self.check_input(x)
        gamma, beta = self.scale_and_shift(x.dtype)
        bn_param = self.bn_param()
        rows = self._rows(x)
        out, cache = self.functions.batchnorm.forward(rows, gamma, beta, bn_param)
        self._cache = cache, x.shape, x.dtype
        if self.training:
            self.update_running_stats(bn_param["running_mean"], bn_param["running_var"], len(rows))
        return self._like_input(out, x.shape)

    def backward(self, dout):
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        dx, dgamma, dbeta = self.functions.batchnorm.backward(self._rows(dout), cache)
        self.accumulate(dgamma, dbeta)
        return self._like_input(dx, dout.shape)

    def check_input(self, x):
        if x.ndim not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError(f"BatchNorm1d: x has shape {x.shape}; expected (N, {self.num_features}) or (N, {self.num_features}, L)")
        if self.weight is not None and x.dtype != self.weight.dtype:
            raise TypeError(f"BatchNorm1d: x is {x.dtype}, the parameters are {self.weight.dtype}; convert one of them")
        self.check_count(x)

    @staticmethod
    def _rows(x):
        return x if x.ndim == 2 else x.transpose(0, 2, 1).reshape(-1, x.shape[1])  # (N * L, C)

    @staticmethod
    def _like_input(rows, shape):
        return rows if len(shape) == 2 else rows.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)


class BatchNorm2d(_BatchNorm):
    """Normalize each channel over all pixels of the batch, then scale and shift; otherwise as `BatchNorm1d`, which explains the arguments.

    Parameters
    ----------
    num_features : C of x (N, C, H, W)
    """

    def forward(self, x):
        """x (N, C, H, W), like it out."""
        self.check_input(x)
        gamma, beta = self.scale_and_shift(x.dtype)
        bn_param = self.bn_param()
        out, cache = self.functions.spatial_batchnorm.forward(x, gamma, beta, bn_param)
        self._cache = cache, x.shape, x.dtype
        if self.training:
            self.update_running_stats(bn_param["running_mean"], bn_param["running_var"], x.size // self.num_features)
        return out

    def backward(self, dout):
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        dx, dgamma, dbeta = self.functions.spatial_batchnorm.backward(dout, cache)
        self.accumulate(dgamma, dbeta)
        return dx

    def check_input(self, x):
        check_image("BatchNorm2d", x, self.num_features, None if self.weight is None else self.weight.dtype)
        self.check_count(x)


class LayerNorm(_Normalization):
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
        super().__init__(self.normalized_shape, eps, elementwise_affine, bias, dtype)
        self.elementwise_affine = elementwise_affine

    def forward(self, x):
        if x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            expected = ", ".join(map(str, self.normalized_shape))
            raise ValueError(f"LayerNorm: x has shape {x.shape}; its last axes must be ({expected})")
        if self.weight is not None and x.dtype != self.weight.dtype:
            raise TypeError(f"LayerNorm: x is {x.dtype}, the parameters are {self.weight.dtype}; convert one of them")
        gamma, beta = self.scale_and_shift(x.dtype)
        rows = x.reshape(-1, gamma.size)
        out, cache = self.functions.layernorm.forward(rows, gamma.reshape(-1), beta.reshape(-1), {"eps": self.eps})
        self._cache = cache, x.shape, x.dtype
        return out.reshape(x.shape)

    def backward(self, dout):
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        dx, dgamma, dbeta = self.functions.layernorm.backward(dout.reshape(-1, math.prod(self.normalized_shape)), cache)
        self.accumulate(dgamma, dbeta)
        return dx.reshape(dout.shape)

    def extra_repr(self):
        bias = self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class GroupNorm(_Normalization):
    """Normalize each image over groups of its channels, then scale and shift each channel; the same in training and in eval mode.

    Parameters
    ----------
    num_groups : into how many groups of neighbours the channels are divided: 1 normalizes over all of them, C each by itself
    num_channels : C of x (N, C, H, W), a multiple of num_groups
    eps : added to the variance (default 1e-5)
    affine : learn weight and bias (default True)
    bias : learn the bias, where affine (default True)
    dtype : float32 (default) or float64
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, *, bias=True, dtype=np.float32):
        check_sizes("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels is {num_channels} and num_groups {num_groups}; the groups must divide the channels evenly"
            )
        super().__init__((num_channels,), eps, affine, bias, dtype)
        self.num_groups, self.num_channels, self.affine = num_groups, num_channels, affine

    def forward(self, x):
        """x (N, C, H, W), like it out."""
        self.check_input(x)
        gamma, beta = self.scale_and_shift(x.dtype)
        out, cache = self.functions.spatial_groupnorm.forward(x, gamma, beta, self.num_groups, self.gn_param())
        self._cache = cache, x.shape, x.dtype
        return out

    def backward(self, dout):
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        dx, dgamma, dbeta = self.functions.spatial_groupnorm.backward(dout, cache)
        self.accumulate(dgamma, dbeta)
        return dx

    def check_input(self, x):
        check_image("GroupNorm", x, self.num_channels, None if self.weight is None else self.weight.dtype)

    def scale_and_shift(self, dtype) -> tuple[np.ndarray, np.ndarray]:
        """gamma and beta as the functional contract takes them, (1, C, 1, 1) each."""
        gamma, beta = super().scale_and_shift(dtype)
        return gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)

    def gn_param(self):
        """The functional contract's dictionary."""
        return {"eps": self.eps}

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"
