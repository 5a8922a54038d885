"""Upsampling: an image made larger by repeating its pixels."""

from chainrule.functional.checks import check_images, check_shape

__all__ = ["upsample_nearest_backward", "upsample_nearest_forward"]


def upsample_nearest_forward(x, factor):
    """Repeat every pixel in a square of factor x factor (`torch.nn.Upsample` of an integer scale_factor, mode 'nearest').

    Parameters
    ----------
    x : (N, C, H, W)
    factor : int, at least 1

    Returns
    -------
    out : (N, C, factor * H, factor * W), of x's dtype
    cache : what `upsample_nearest_backward` needs

    Raises
    ------
    ValueError
        If x has other axes, or factor is less than 1.
    """
    check_images("upsample_nearest_forward", "x", x.shape)
    if factor < 1:
        raise ValueError(f"upsample_nearest_forward: factor is {factor}; it must be at least 1")
    return x.repeat(factor, axis=2).repeat(factor, axis=3), (x.shape, factor)


def upsample_nearest_backward(dout, cache):
    """Gradient of `upsample_nearest_forward`: dx (N, C, H, W), from dout (N, C, factor * H, factor * W).

    Derivation: docs/derivations/upsampling.md.
    """
    (N, C, H, W), factor = cache
    check_shape("upsample_nearest_backward", "dout", dout, (N, C, factor * H, factor * W), "the shape of the output")
    # every copy of a pixel has slope 1: dx is the sum over its square
    return dout.reshape(N, C, H, factor, W, factor).sum(axis=(3, 5))
