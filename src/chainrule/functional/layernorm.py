"""Layer normalization: each sample is normalized over its own features (Ba, Kiros & Hinton 2016, eq. 3)."""

import numpy as np

from chainrule.functional.checks import check_floating, check_matrix, check_shape

__all__ = ["layernorm_backward", "layernorm_forward"]


def layernorm_forward(x, gamma, beta, ln_param):
    """Normalize every row of x to mean 0 and variance 1, then scale and shift.

    Parameters
    ----------
    x : (N, D), floating point, D >= 1; N = 0 is allowed
    gamma, beta : (D,), of any numeric dtype
    ln_param : dict with "eps", added to the (biased) variance, default 1e-5

    Returns
    -------
    out : (N, D), of x's dtype
    cache : what `layernorm_backward` needs

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape is wrong, or if the rows have no element to take statistics of.
    """
    eps = float(ln_param.get("eps", 1e-5))
    check_floating("layernorm_forward", "x", x)
    check_matrix("layernorm_forward", "x", x)
    D = x.shape[1]
    if D == 0:
        raise ValueError(f"layernorm_forward: x has shape {x.shape}; the statistics of a row need at least one column")
    check_shape("layernorm_forward", "gamma", gamma, (D,), f"one value for each column of x {x.shape}")
    check_shape("layernorm_forward", "beta", beta, (D,), f"one value for each column of x {x.shape}")
    gamma, beta = np.asarray(gamma, x.dtype), np.asarray(beta, x.dtype)

    x_centred = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((x_centred**2).mean(axis=1, keepdims=True) + eps)
    x_hat = x_centred / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def layernorm_backward(dout, cache):
    """Gradients of `layernorm_forward`: dx (N, D), dgamma (D,), dbeta (D,), from dout (N, D). Derivation: docs/derivations/layernorm.md."""
    x_hat, std, gamma = cache
    dx_hat = dout * gamma
    # dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / std, means over the row
    along_x_hat = (dx_hat * x_hat).mean(axis=1, keepdims=True)
    dx = (dx_hat - dx_hat.mean(axis=1, keepdims=True) - x_hat * along_x_hat) / std
    return dx, (dout * x_hat).sum(axis=0), dout.sum(axis=0)
