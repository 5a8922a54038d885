"""Batch normalization: each feature is normalized over the batch (Ioffe & Szegedy 2015, algorithms 1 and 2)."""

import numpy as np

from chainrule.functional.checks import check_floating, check_matrix, check_mode, check_shape

__all__ = ["batchnorm_backward", "batchnorm_backward_alt", "batchnorm_forward"]


def batchnorm_forward(x, gamma, beta, bn_param):
    """Normalize every column of x to mean 0 and variance 1, then scale and shift.

    In mode 'train' with the mean and the (biased) variance of the batch, which also enter the running averages; in mode 'test' with the
    running averages. Those are CS231n's, running = momentum * running + (1 - momentum) * batch. PyTorch's momentum is 1 minus this one, and
    its running variance is averaged from the unbiased variance of the batches.

    Parameters
    ----------
    x : (N, D), floating point; N >= 1 in mode 'train'
    gamma, beta : (D,), of any numeric dtype
    bn_param : dict with
        "mode" : 'train' or 'test', required
        "eps" : added to the variance, default 1e-5
        "momentum" : weight of the past in the running averages, in [0, 1], default 0.9; 0 leaves the statistics of this batch there
        "running_mean", "running_var" : (D,), default zeros; written back into the dict, as new arrays in mode 'train'

    Returns
    -------
    out : (N, D), of x's dtype
    cache : what `batchnorm_backward` and `batchnorm_backward_alt` need

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If the mode is unknown, a shape is wrong, or there is no sample to take statistics of.
    """
    mode, eps, momentum = bn_param.get("mode"), float(bn_param.get("eps", 1e-5)), float(bn_param.get("momentum", 0.9))
    check_mode("batchnorm_forward", "bn_param", mode)
    check_floating("batchnorm_forward", "x", x)
    check_matrix("batchnorm_forward", "x", x)
    N, D = x.shape
    running_mean = bn_param.get("running_mean", np.zeros(D, x.dtype))
    running_var = bn_param.get("running_var", np.zeros(D, x.dtype))
    for name, array in (("gamma", gamma), ("beta", beta), ("running_mean", running_mean), ("running_var", running_var)):
        check_shape("batchnorm_forward", name, array, (D,), f"one value for each column of x {x.shape}")
    gamma, beta = np.asarray(gamma, x.dtype), np.asarray(beta, x.dtype)

    if mode == "train":
        if N == 0:
            raise ValueError(f"batchnorm_forward: x has shape {x.shape}; the statistics of a batch need at least one sample")
        mean, var = x.mean(axis=0), x.var(axis=0)
        running_mean = momentum * running_mean + (1 - momentum) * mean
        running_var = momentum * running_var + (1 - momentum) * var
    else:
        mean, var = np.asarray(running_mean, x.dtype), np.asarray(running_var, x.dtype)
    bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var

    std = np.sqrt(var + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (mode, x_hat, std, gamma)


def batchnorm_backward(dout, cache):
    """Gradients of `batchnorm_forward`: dx (N, D), dgamma (D,), dbeta (D,), from dout (N, D), step by step through the graph.

    After a forward pass in mode 'test' the statistics are constants. Derivation: docs/derivations/batchnorm.md.
    """
    mode, x_hat, std, gamma = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    dx_hat = dout * gamma
    if mode == "test":
        return dx_hat / std, dgamma, dbeta

    # x_hat = x_centred / std
    dx_centred = dx_hat / std
    dstd = -(dx_hat * x_hat).sum(axis=0) / std
    # std = sqrt(var + eps)
    dvar = dstd / (2 * std)
    # var = mean(x_centred**2); x_centred itself is x_hat * std
    dx_centred += 2 / len(dout) * (x_hat * std) * dvar
    # x_centred = x - mean(x)
    return dx_centred - dx_centred.mean(axis=0), dgamma, dbeta


def batchnorm_backward_alt(dout, cache):
    """Gradients of `batchnorm_forward` by the simplified formula, from the same cache as `batchnorm_backward` and equal to its results.

    Derivation: docs/derivations/batchnorm.md.
    """
    mode, x_hat, std, gamma = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    if mode == "test":
        return dout * (gamma / std), dgamma, dbeta

    # dx = gamma / std * (dout - mean(dout) - x_hat * mean(dout * x_hat)), means over the batch: dbeta / N and dgamma / N
    N = len(dout)
    return gamma / std * (dout - dbeta / N - x_hat * (dgamma / N)), dgamma, dbeta
