"""Convolution of images by the definition: a window moves over the padded image, and at every place gives one number for each filter.

As everywhere in deep learning it is a cross-correlation: the filter is not flipped. The loops go over the places (i, j) of the window,
backwards as forwards; all images, filters and points of one place are summed at once. The fast twins are in `chainrule.kernels`.
"""

import numpy as np

from chainrule.functional.checks import check_floating, check_shape
from chainrule.functional.geometry import conv_geometry, conv_transpose_geometry
from chainrule.functional.windows import padded, window

__all__ = [
    "conv_backward_naive",
    "conv_forward_naive",
    "conv_transpose_backward_naive",
    "conv_transpose_forward_naive",
]


def conv_forward_naive(x, w, b, conv_param):
    """Convolve N images of C channels with F filters.

    Parameters
    ----------
    x : (N, C, H, W), floating point; N = 0 is allowed
    w : (F, C / groups, KH, KW), as in PyTorch
    b : (F,), or None for no bias
    conv_param : dict with
        "stride" : steps of the window, int or (rows, columns), default 1
        "pad" : zeros around the image, int, (rows, columns) or ((top, bottom), (left, right)), default 0
        "dilation" : distance of the window's points, int or (rows, columns), default 1
        "groups" : filters of group g see the channels of group g alone, default 1; groups = C is the depthwise convolution

    Returns
    -------
    out : (N, F, OH, OW), of x's dtype, with OH = (H + top + bottom - dilation * (KH - 1) - 1) // stride + 1, and OW likewise
    cache : (x, w, b, conv_param), for `conv_backward_naive`

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape or a setting is wrong, or the window does not fit into the padded image.
    """
    geometry = conv_geometry("conv_forward_naive", x.shape, w.shape, conv_param)
    check_floating("conv_forward_naive", "x", x)
    if b is not None:
        check_shape("conv_forward_naive", "b", b, (len(w),), f"one value for each filter of w {w.shape}")
    image = padded(x, geometry.pad)
    out = np.empty((len(x), len(w), *geometry.output), x.dtype)
    for channels, filters in _groups(geometry, x.shape[1], len(w)):
        for i in range(geometry.output[0]):
            for j in range(geometry.output[1]):
                rows, columns = window(geometry, i, j, image.shape[2:])
                # out[n, f, i, j] = sum over c, k, l of image[n, c, rows[k], columns[l]] * w[f, c, k, l]
                out[:, filters, i, j] = np.tensordot(image[:, channels, rows, columns], w[filters], axes=((1, 2, 3), (1, 2, 3)))
    if b is not None:
        out += b.astype(x.dtype)[:, None, None]
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout, cache):
    """Gradients of `conv_forward_naive`: dx like x, dw like w, db (F,) or None, from dout (N, F, OH, OW).

    Derivation: docs/derivations/convolution.md.
    """
    x, w, b, conv_param = cache
    geometry = conv_geometry("conv_backward_naive", x.shape, w.shape, conv_param)
    check_shape("conv_backward_naive", "dout", dout, (len(x), len(w), *geometry.output), "the shape of the output")
    image = padded(x, geometry.pad)
    dimage, dw = np.zeros_like(image), np.zeros(w.shape, x.dtype)
    for channels, filters in _groups(geometry, x.shape[1], len(w)):
        for i in range(geometry.output[0]):
            for j in range(geometry.output[1]):
                rows, columns = window(geometry, i, j, image.shape[2:])
                # image[n, c, rows[k], columns[l]] has entered out[n, f, i, j] with the factor w[f, c, k, l], for every f
                dimage[:, channels, rows, columns] += np.tensordot(dout[:, filters, i, j], w[filters], axes=1)
                # w[f, c, k, l] has entered it with the factor image[n, c, rows[k], columns[l]], for every n
                dw[filters] += np.tensordot(dout[:, filters, i, j].T, image[:, channels, rows, columns], axes=1)
    top, _, left, _ = geometry.pad
    dx = dimage[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return dx, dw, None if b is None else dout.sum(axis=(0, 2, 3))


def conv_transpose_forward_naive(x, w, b, conv_param):
    """Transposed convolution: what `conv_backward_naive` does to dout is done to x, so that a stride enlarges the image.

    Every number of x puts its window, times that number, into the output, where windows overlap and are summed
    (Zeiler & Fergus 2014; `torch.nn.ConvTranspose2d`).

    Parameters
    ----------
    x : (N, C, H, W), floating point
    w : (C, F / groups, KH, KW), as in PyTorch: the weight of the convolution of F channels to C that goes the other way
    b : (F,), or None for no bias
    conv_param : dict as for `conv_forward_naive`, all of it said of that other convolution: "pad" is cut off the output; and
        "output_pad" : rows and columns added below and right of the output, less than the stride; int or (rows, columns), default 0

    Returns
    -------
    out : (N, F, OH, OW), of x's dtype, with OH = (H - 1) * stride - top - bottom + dilation * (KH - 1) + 1 + output_pad, and OW likewise
    cache : (x, w, b, conv_param), for `conv_transpose_backward_naive`

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If a shape or a setting is wrong, or nothing is left of the output.
    """
    geometry, out_shape = conv_transpose_geometry("conv_transpose_forward_naive", x.shape, w.shape, conv_param)
    check_floating("conv_transpose_forward_naive", "x", x)
    if b is not None:
        reason = f"one value for each output channel of w {w.shape} in {geometry.groups} groups"
        check_shape("conv_transpose_forward_naive", "b", b, (out_shape[1],), reason)
    out, _, _ = conv_backward_naive(x, (np.zeros(out_shape, x.dtype), w, None, conv_param))
    if b is not None:
        out += b.astype(x.dtype)[:, None, None]
    return out, (x, w, b, conv_param)


def conv_transpose_backward_naive(dout, cache):
    """Gradients of `conv_transpose_forward_naive`: dx like x, dw like w, db (F,) or None, from dout (N, F, OH, OW).

    Derivation: docs/derivations/convolution.md.
    """
    x, w, b, conv_param = cache
    _, out_shape = conv_transpose_geometry("conv_transpose_backward_naive", x.shape, w.shape, conv_param)
    check_shape("conv_transpose_backward_naive", "dout", dout, out_shape, "the shape of the output")
    # out = A x with the transpose A of the convolution, so dx = A^T dout is the convolution itself
    dx, convolution_cache = conv_forward_naive(dout, w, None, conv_param)
    # and w has entered out as it enters the input gradient of that convolution: with x in the place of its dout, and dout in that of its x
    _, dw, _ = conv_backward_naive(x, convolution_cache)
    return dx, dw, None if b is None else dout.sum(axis=(0, 2, 3))


def _groups(geometry, C, F):
    """For each group the slice of the channels of x that it reads and of the filters that read them."""
    channels, filters = C // geometry.groups, F // geometry.groups
    return [
        (slice(group * channels, (group + 1) * channels), slice(group * filters, (group + 1) * filters)) for group in range(geometry.groups)
    ]
