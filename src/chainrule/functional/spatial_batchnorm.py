"""Spatial batch normalization: each channel is normalized over the batch and all pixels (Ioffe & Szegedy 2015, section 3.2)."""

from chainrule.functional.batchnorm import batchnorm_backward_alt, batchnorm_forward
from chainrule.functional.checks import check_floating, check_images, check_mode, check_shape

__all__ = ["spatial_batchnorm_backward", "spatial_batchnorm_forward"]


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    """Normalize every channel of x to mean 0 and variance 1, then scale and shift: `batchnorm_forward` with pixels as the samples.

    Parameters
    ----------
    x : (N, C, H, W), floating point; at least one pixel in mode 'train'
    gamma, beta : (C,), of any numeric dtype
    bn_param : dict, see `batchnorm_forward`; "running_mean" and "running_var" (C,) are written into it

    Returns
    -------
    out : (N, C, H, W), of x's dtype
    cache : what `spatial_batchnorm_backward` needs

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If the mode is unknown, a shape is wrong, or there is no pixel to take statistics of.
    """
    check_mode("spatial_batchnorm_forward", "bn_param", bn_param.get("mode"))
    check_images("spatial_batchnorm_forward", "x", x.shape)
    check_floating("spatial_batchnorm_forward", "x", x)
    N, C, H, W = x.shape
    averages = [(name, bn_param[name]) for name in ("running_mean", "running_var") if name in bn_param]
    for name, array in (("gamma", gamma), ("beta", beta), *averages):
        check_shape("spatial_batchnorm_forward", name, array, (C,), f"one value for each channel of x {x.shape}")
    if bn_param["mode"] == "train" and N * H * W == 0:
        raise ValueError(f"spatial_batchnorm_forward: x has shape {x.shape}; the statistics of a batch need at least one pixel")
    pixels = x.transpose(0, 2, 3, 1).reshape(N * H * W, C)
    out, cache = batchnorm_forward(pixels, gamma, beta, bn_param)
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2), (x.shape, cache)


def spatial_batchnorm_backward(dout, cache):
    """Gradients of `spatial_batchnorm_forward`: dx (N, C, H, W), dgamma (C,), dbeta (C,), from dout (N, C, H, W).

    Derivation: docs/derivations/spatial_batchnorm.md.
    """
    (N, C, H, W), bn_cache = cache
    check_shape("spatial_batchnorm_backward", "dout", dout, (N, C, H, W), "the shape of the output")
    dpixels, dgamma, dbeta = batchnorm_backward_alt(dout.transpose(0, 2, 3, 1).reshape(N * H * W, C), bn_cache)
    return dpixels.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta
