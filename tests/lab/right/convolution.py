"""Right convolutions, none of them the library's."""

import numpy as np


def seven_loops(x, w, b, conv_param):
    """Every product on its own, without a padded image; float64, whatever x is."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (F, _, KH, KW) = x.shape, w.shape
    OH, OW = 1 + (H + 2 * pad - KH) // stride, 1 + (W + 2 * pad - KW) // stride
    out = np.zeros((N, F, OH, OW))
    for n, f, i, j in np.ndindex(*out.shape):
        total = b[f]
        for c, k, m in np.ndindex(C, KH, KW):
            row, column = i * stride + k - pad, j * stride + m - pad
            if 0 <= row < H and 0 <= column < W:
                total += x[n, c, row, column] * w[f, c, k, m]
        out[n, f, i, j] = total
    return out, [x, w, conv_param]


def seven_loops_backward(dout, cache):
    x, w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    (_, C, H, W), (F, _, KH, KW) = x.shape, w.shape
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(F)
    for n, f, i, j in np.ndindex(*dout.shape):
        db[f] += dout[n, f, i, j]
        for c, k, m in np.ndindex(C, KH, KW):
            row, column = i * stride + k - pad, j * stride + m - pad
            if 0 <= row < H and 0 <= column < W:
                dx[n, c, row, column] += dout[n, f, i, j] * w[f, c, k, m]
                dw[f, c, k, m] += dout[n, f, i, j] * x[n, c, row, column]
    return dx, dw, db


def einsum(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncijkl,fckl->nfij", windows, w) + b.reshape(1, -1, 1, 1), (padded, windows, w, stride, pad)


def einsum_backward(dout, cache):
    padded, windows, w, stride, pad = cache
    dpadded = np.zeros(padded.shape)
    for i, j in np.ndindex(*dout.shape[2:]):
        window = dpadded[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
        window += np.einsum("nf,fckl->nckl", dout[:, :, i, j], w)
    dx = dpadded[:, :, pad:-pad, pad:-pad] if pad else dpadded
    return dx, np.einsum("nfij,ncijkl->fckl", dout, windows), np.einsum("nfij->f", dout)


def by_points(x, w, b, conv_param):
    """The image, shifted and weighed by one point of the filter after the other."""
    s, p = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, KH, KW = w.shape
    image = np.zeros((N, C, H + 2 * p, W + 2 * p))
    image[:, :, p : p + H, p : p + W] = x
    OH, OW = (H + 2 * p - KH) // s + 1, (W + 2 * p - KW) // s + 1
    out = np.zeros((F, N, OH, OW)) + b[:, None, None, None]
    for k in range(KH):
        for m in range(KW):
            out += np.tensordot(w[:, :, k, m], image[:, :, k : k + s * (OH - 1) + 1 : s, m : m + s * (OW - 1) + 1 : s], axes=(1, 1))
    return out.swapaxes(0, 1), {"image": image, "w": w, "s": s, "p": p, "shape": x.shape}


def as_full_convolution(dout, cache):
    """dx as a convolution: of dout with zeros between its numbers and around it, with the filters flipped."""
    image, w, s, p, (N, _, H, W) = (cache[name] for name in ("image", "w", "s", "p", "shape"))
    F, _, KH, KW = w.shape
    height, width = image.shape[2:]
    spread = np.zeros((N, F, height + KH - 1, width + KW - 1))
    OH, OW = dout.shape[2:]
    spread[:, :, KH - 1 : KH + s * (OH - 1) : s, KW - 1 : KW + s * (OW - 1) : s] = dout
    dimage = np.zeros(image.shape)
    for r in range(height):
        for c in range(width):
            dimage[:, :, r, c] = np.tensordot(spread[:, :, r : r + KH, c : c + KW], w[:, :, ::-1, ::-1], axes=((1, 2, 3), (0, 2, 3)))
    dw = np.zeros(w.shape)
    for k in range(KH):
        for m in range(KW):
            seen = image[:, :, k : k + s * (OH - 1) + 1 : s, m : m + s * (OW - 1) + 1 : s]
            dw[:, :, k, m] = np.tensordot(dout, seen, axes=((0, 2, 3), (0, 2, 3)))
    return dimage[:, :, p : p + H, p : p + W], dw, dout.sum((0, 2, 3))


def with_indices(x, w, b, conv_param):
    """The course's im2col: columns by arrays of indices, places before images."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (F, _, KH, KW) = x.shape, w.shape
    OH, OW = (H + 2 * pad - KH) // stride + 1, (W + 2 * pad - KW) // stride + 1
    c, k, m = np.indices((C, KH, KW)).reshape(3, -1, 1)
    i, j = stride * np.indices((OH, OW)).reshape(2, 1, -1)
    padded = np.pad(x, ((0,), (0,), (pad,), (pad,)))
    columns = padded[:, c, k + i, m + j].transpose(1, 2, 0).reshape(C * KH * KW, -1)
    out = (w.reshape(F, -1) @ columns).reshape(F, OH, OW, N) + b.reshape(F, 1, 1, 1)
    return out.transpose(3, 0, 1, 2), (x, w, columns, (c, k + i, m + j), pad)


def with_indices_backward(dout, cache):
    x, w, columns, (c, rows, cols), pad = cache
    N, C, H, W = x.shape
    flat = dout.transpose(1, 2, 3, 0).reshape(len(w), -1)
    dcolumns = (w.reshape(len(w), -1).T @ flat).reshape(len(c), -1, N).transpose(2, 0, 1)
    dpadded = np.zeros((N, C, H + 2 * pad, W + 2 * pad), x.dtype)
    np.add.at(dpadded, (slice(None), c, rows, cols), dcolumns)
    return dpadded[:, :, pad : H + pad, pad : W + pad], (flat @ columns.T).reshape(w.shape), flat.sum(axis=1)


def by_fourier(x, w, b, conv_param):
    """By the convolution theorem, then every stride-th place of it."""
    s, p = conv_param["stride"], conv_param["pad"]
    (H, W), (KH, KW) = x.shape[2:], w.shape[2:]
    size = (H + 2 * p, W + 2 * p)
    image = np.fft.rfft2(np.pad(x.astype(np.float64), ((0, 0), (0, 0), (p, p), (p, p))))
    kernel = np.conj(np.fft.rfft2(w.astype(np.float64), size))
    full = np.fft.irfft2(np.einsum("nchw,fchw->nfhw", image, kernel), size)
    return full[:, :, : size[0] - KH + 1 : s, : size[1] - KW + 1 : s] + b[:, None, None], (x, w, conv_param)


def by_autocorrelation(dout, cache):
    """As gradients of <dout, out>, which is linear in x and in w: one unit of each at a time."""
    x, w, conv_param = cache
    zero = np.zeros(len(w))
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for place in np.ndindex(*w.shape):
        unit = np.zeros(w.shape)
        unit[place] = 1
        dw[place] = (einsum(x.astype(float), unit, zero, conv_param)[0] * dout).sum()
    for place in np.ndindex(*x.shape[1:]):
        unit = np.zeros((1, *x.shape[1:]))
        unit[(0, *place)] = 1
        dx[(slice(None), *place)] = (einsum(unit, w.astype(float), zero, conv_param)[0] * dout).sum(axis=(1, 2, 3))
    return dx, dw, dout.sum(axis=0).sum(axis=-1).sum(axis=-1)


WAYS = (
    ("seven loops", seven_loops, seven_loops_backward),
    ("einsum over windows", einsum, einsum_backward),
    ("point by point of the filter, dx as a full convolution", by_points, as_full_convolution),
    ("columns by indices, np.add.at", with_indices, with_indices_backward),
    ("Fourier transforms, unit by unit", by_fourier, by_autocorrelation),
)
RIGHT = [
    (title, {f"conv_forward_{kind}": forward, f"conv_backward_{kind}": backward})
    for kind in ("naive", "im2col")
    for title, forward, backward in WAYS
]
