"""Convolution as one matrix product: every window becomes a row of a matrix, every filter a column of another (im2col).

The sums are those of `conv_forward_naive` and `conv_backward_naive`; the loops over the places run inside NumPy, at the price of a
matrix KH * KW / stride**2 times as large as the image.
"""

import numpy as np

from chainrule.functional.checks import check_floating, check_shape
from chainrule.functional.geometry import conv_geometry
from chainrule.functional.windows import padded

__all__ = ["conv_backward_im2col", "conv_forward_im2col"]


def conv_forward_im2col(x, w, b, conv_param):
    """Convolve N images of C channels with F filters, as `conv_forward_naive` does, without its loops over the places of the window.

    Parameters
    ----------
    x : (N, C, H, W), floating point
    w : (F, C, KH, KW)
    b : (F,)
    conv_param : dict with
        "stride" : steps of the window, int
        "pad" : zeros around the image, int

    Returns
    -------
    out : (N, F, OH, OW), of x's dtype, with OH = (H + 2 * pad - KH) // stride + 1, and OW likewise
    cache : what `conv_backward_im2col` needs

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape or a setting is wrong, or the window does not fit into the padded image.
    """
    geometry = conv_geometry("conv_forward_im2col", x.shape, w.shape, conv_param)
    check_floating("conv_forward_im2col", "x", x)
    check_shape("conv_forward_im2col", "b", b, (len(w),), f"one value for each filter of w {w.shape}")
    F, (OH, OW), stride = len(w), geometry.output, conv_param["stride"]
    windows = np.lib.stride_tricks.sliding_window_view(padded(x, geometry.pad), w.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]  # (N, C, OH, OW, KH, KW), a view
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * OH * OW, w[0].size)
    out = rows @ w.reshape(F, -1).T + b.astype(x.dtype)
    return out.reshape(len(x), OH, OW, F).transpose(0, 3, 1, 2), (x.shape, w, conv_param, rows)


def conv_backward_im2col(dout, cache):
    """Gradients of `conv_forward_im2col`: dx (N, C, H, W), dw (F, C, KH, KW), db (F,), from dout (N, F, OH, OW).

    Derivation: docs/derivations/convolution.md.
    """
    x_shape, w, conv_param, rows = cache
    (N, C, H, W), (F, _, KH, KW) = x_shape, w.shape
    geometry = conv_geometry("conv_backward_im2col", x_shape, w.shape, conv_param)
    (OH, OW), stride, pad = geometry.output, conv_param["stride"], conv_param["pad"]
    check_shape("conv_backward_im2col", "dout", dout, (N, F, OH, OW), "the shape of the output")
    douts = dout.transpose(0, 2, 3, 1).reshape(N * OH * OW, F)  # in the order of the rows: images, then places
    dw = (douts.T @ rows).reshape(w.shape)
    dwindows = (douts @ w.reshape(F, -1)).reshape(N, OH, OW, C, KH, KW).transpose(4, 5, 0, 3, 1, 2)
    dimage = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dout.dtype)
    for k in range(KH):
        for m in range(KW):
            # point (k, m) of the window lies on OH x OW pixels, all of them different; pixels in several windows get the sum
            dimage[:, :, k : k + stride * OH : stride, m : m + stride * OW : stride] += dwindows[k, m]
    return dimage[:, :, pad : pad + H, pad : pad + W], dw, dout.sum(axis=(0, 2, 3))
