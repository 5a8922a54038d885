"""CS231n's fast layers: `*_fast` are chainrule's kernels; the others are the course's ways to compute the same with NumPy alone.

Each forward pass has a cache of its own, which only the backward pass of the same name reads.
"""

import numpy as np

from chainrule.compat.cs231n.im2col import col2im_indices, im2col_indices
from chainrule.functional import conv_backward_im2col, conv_forward_im2col
from chainrule.functional.geometry import conv_geometry, pool_geometry
from chainrule.functional.windows import padded
from chainrule.kernels import conv_backward as conv_backward_fast
from chainrule.kernels import conv_forward as conv_forward_fast
from chainrule.kernels import max_pool_backward as max_pool_backward_fast
from chainrule.kernels import max_pool_forward as max_pool_forward_fast

__all__ = [
    "conv_backward_fast",
    "conv_backward_im2col",
    "conv_backward_strides",
    "conv_forward_fast",
    "conv_forward_im2col",
    "conv_forward_strides",
    "max_pool_backward_fast",
    "max_pool_backward_im2col",
    "max_pool_backward_reshape",
    "max_pool_forward_fast",
    "max_pool_forward_im2col",
    "max_pool_forward_reshape",
]


def conv_forward_strides(x, w, b, conv_param):
    """`conv_forward_naive` over a view that holds every window without copying the image. `conv_param`: one stride, one pad."""
    geometry = conv_geometry("conv_forward_strides", x.shape, w.shape, conv_param)
    stride = conv_param["stride"]
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, geometry.pad), geometry.kernel, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]  # (N, C, OH, OW, KH, KW)
    out = np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))) + b
    return out.transpose(0, 3, 1, 2), (x.shape, w, conv_param, windows)


def conv_backward_strides(dout, cache):
    """Gradients of `conv_forward_strides`: dx (N, C, H, W), dw (F, C, KH, KW), db (F,)."""
    x_shape, w, conv_param, windows = cache
    _, _, KH, KW = w.shape
    dw = np.tensordot(dout, windows, axes=((0, 2, 3), (0, 2, 3)))
    dcols = np.tensordot(w, dout, axes=(0, 1)).transpose(0, 1, 2, 4, 5, 3)  # (C, KH, KW, OH, OW, N)
    dx = col2im_indices(dcols, x_shape, KH, KW, conv_param["pad"], conv_param["stride"])
    return dx, dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_reshape(x, pool_param):
    """`max_pool_forward_naive` for windows that tile the image.

    Raises
    ------
    ValueError
        If the windows are not square, overlap, or leave a rest.
    """
    N, C, H, W = x.shape
    side = pool_param["pool_height"]
    if not (side == pool_param["pool_width"] == pool_param["stride"] and H % side == W % side == 0):
        raise ValueError(
            f"max_pool_forward_reshape: windows of {side} x {pool_param['pool_width']} at stride {pool_param['stride']} do not tile "
            f"an image of {H} x {W}; use max_pool_forward_fast"
        )
    tiles = x.reshape(N, C, H // side, side, W // side, side).transpose(0, 1, 2, 4, 3, 5)
    tiles = tiles.reshape(N, C, H // side, W // side, side * side)
    chosen = tiles.argmax(axis=4)[..., None]
    return np.take_along_axis(tiles, chosen, axis=4)[..., 0], (x.shape, side, chosen)


def max_pool_backward_reshape(dout, cache):
    """Gradient of `max_pool_forward_reshape`: dx (N, C, H, W); of equal maxima the first gets it (the course divides it among them)."""
    x_shape, side, chosen = cache
    dtiles = np.zeros((*dout.shape, side * side), dout.dtype)
    np.put_along_axis(dtiles, chosen, dout[..., None], axis=4)
    return dtiles.reshape(*dout.shape, side, side).transpose(0, 1, 2, 4, 3, 5).reshape(x_shape)


def max_pool_forward_im2col(x, pool_param):
    """`max_pool_forward_naive` as the maxima of the columns, every channel being an image of its own. `pool_param`: one stride."""
    N, C, H, W = x.shape
    OH, OW = pool_geometry("max_pool_forward_im2col", x.shape, pool_param).output
    cols = im2col_indices(x.reshape(N * C, 1, H, W), pool_param["pool_height"], pool_param["pool_width"], 0, pool_param["stride"])
    return cols.max(axis=0).reshape(OH, OW, N, C).transpose(2, 3, 0, 1), (x.shape, pool_param, cols.argmax(axis=0))


def max_pool_backward_im2col(dout, cache):
    """Gradient of `max_pool_forward_im2col`: dx (N, C, H, W); of equal maxima the first gets it."""
    (N, C, H, W), pool_param, chosen = cache
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    dcols = np.zeros((height * width, chosen.size), dout.dtype)
    dcols[chosen, np.arange(chosen.size)] = dout.transpose(2, 3, 0, 1).reshape(-1)
    return col2im_indices(dcols, (N * C, 1, H, W), height, width, 0, pool_param["stride"]).reshape(N, C, H, W)
