"""Group normalization: the channels of each sample are normalized in groups, over their pixels (Wu & He 2018, eqs. 1 to 7)."""

import numpy as np

from chainrule.functional.checks import check_floating, check_images, check_shape
from chainrule.functional.layernorm import layernorm_backward, layernorm_forward

__all__ = ["spatial_groupnorm_backward", "spatial_groupnorm_forward"]


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    """Normalize each of G groups of neighbouring channels of every sample to mean 0 and variance 1, then scale and shift every channel.

    G = 1 normalizes over all of a sample, as layer normalization does; G = C every channel on its own (instance normalization).
    PyTorch's `GroupNorm` keeps gamma and beta as (C,).

    Parameters
    ----------
    x : (N, C, H, W), floating point, H and W at least 1; N = 0 is allowed
    gamma, beta : (1, C, 1, 1), of any numeric dtype
    G : number of groups, a divisor of C
    gn_param : dict with "eps", added to the (biased) variance, default 1e-5

    Returns
    -------
    out : (N, C, H, W), of x's dtype
    cache : what `spatial_groupnorm_backward` needs

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape is wrong, G does not divide C, or there is no pixel to take statistics of.
    """
    check_images("spatial_groupnorm_forward", "x", x.shape)
    check_floating("spatial_groupnorm_forward", "x", x)
    N, C, H, W = x.shape
    if C * H * W == 0:
        raise ValueError(f"spatial_groupnorm_forward: x has shape {x.shape}; the statistics of a group need at least one pixel")
    if G < 1 or C % G:
        raise ValueError(f"spatial_groupnorm_forward: G is {G}; it must divide the {C} channels of x {x.shape}")
    for name, array in (("gamma", gamma), ("beta", beta)):
        check_shape("spatial_groupnorm_forward", name, array, (1, C, 1, 1), f"one value for each channel of x {x.shape}")
    gamma, beta = np.asarray(gamma, x.dtype), np.asarray(beta, x.dtype)

    groups = x.reshape(N * G, C // G * H * W)  # one row for each group of each sample
    # gamma differs from channel to channel, not from column to column of the rows: scale 1 and shift 0 here, its own below
    x_hat, ln_cache = layernorm_forward(groups, np.ones(groups.shape[1]), np.zeros(groups.shape[1]), gn_param)
    x_hat = x_hat.reshape(x.shape)
    return gamma * x_hat + beta, (x_hat, gamma, ln_cache)


def spatial_groupnorm_backward(dout, cache):
    """Gradients of `spatial_groupnorm_forward`: dx (N, C, H, W), dgamma, dbeta (1, C, 1, 1), from dout (N, C, H, W).

    Derivation: docs/derivations/spatial_groupnorm.md.
    """
    x_hat, gamma, ln_cache = cache
    check_shape("spatial_groupnorm_backward", "dout", dout, x_hat.shape, "the shape of the output")
    dgamma, dbeta = (dout * x_hat).sum(axis=(0, 2, 3), keepdims=True), dout.sum(axis=(0, 2, 3), keepdims=True)
    ln_x_hat, _, _ = ln_cache
    dgroups, _, _ = layernorm_backward((dout * gamma).reshape(ln_x_hat.shape), ln_cache)
    return dgroups.reshape(dout.shape), dgamma, dbeta
