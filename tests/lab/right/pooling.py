"""Right max poolings, none of them the library's."""

import numpy as np


def loops(x, pool_param):
    """Number by number; float64, whatever x is."""
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    N, C, H, W = x.shape
    out = np.full((N, C, 1 + (H - height) // stride, 1 + (W - width) // stride), -np.inf)
    for n, c, i, j in np.ndindex(*out.shape):
        for k in range(height):
            for m in range(width):
                out[n, c, i, j] = max(out[n, c, i, j], x[n, c, i * stride + k, j * stride + m])
    return out, {"x": x, "pool_param": pool_param, "out": out}


def loops_backward(dout, cache):
    x, out = cache["x"], cache["out"]
    height, width, stride = (cache["pool_param"][name] for name in ("pool_height", "pool_width", "stride"))
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*dout.shape):
        found = False
        for k in range(height):
            for m in range(width):
                if not found and x[n, c, i * stride + k, j * stride + m] == out[n, c, i, j]:
                    dx[n, c, i * stride + k, j * stride + m] += dout[n, c, i, j]
                    found = True
    return dx


def sliding(x, pool_param):
    """All windows at once; the cache has no image, only where the maxima are."""
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]
    flat = windows.reshape(*windows.shape[:4], -1)
    index = flat.argmax(axis=-1)
    rows = np.arange(index.shape[2])[:, None] * stride + index // width
    columns = np.arange(index.shape[3]) * stride + index % width
    return np.take_along_axis(flat, index[..., None], -1)[..., 0], (rows, columns, x.shape)


def add_at(dout, cache):
    rows, columns, shape = cache
    dx = np.zeros(shape, dout.dtype)
    n, c = np.ogrid[: shape[0], : shape[1]]
    np.add.at(dx, (n[..., None, None], c[..., None, None], rows, columns), dout)
    return dx


def point_by_point(x, pool_param):
    """The maximum of shifted images, one for each point of the window."""
    height, width, stride = (pool_param[name] for name in ("pool_height", "pool_width", "stride"))
    OH, OW = (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1
    shifted = [
        x[:, :, k : k + stride * (OH - 1) + 1 : stride, m : m + stride * (OW - 1) + 1 : stride] for k in range(height) for m in range(width)
    ]
    out = shifted[0].copy()
    chosen = np.zeros(out.shape, int)
    for index, each in enumerate(shifted):
        greater = each > out
        out[greater], chosen[greater] = each[greater], index
    return out, (chosen, x.shape, x.dtype, pool_param)


def point_by_point_backward(dout, cache):
    chosen, shape, dtype, pool_param = cache
    width, stride = pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(shape, dtype)
    OH, OW = dout.shape[2:]
    for index in range(pool_param["pool_height"] * width):
        k, m = divmod(index, width)
        dx[:, :, k : k + stride * (OH - 1) + 1 : stride, m : m + stride * (OW - 1) + 1 : stride] += dout * (chosen == index)
    return dx


def flat_bins(x, pool_param):
    out, (rows, columns, shape) = sliding(x, pool_param)
    images = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], 1, 1)
    return out, ((images * shape[2] + rows) * shape[3] + columns, shape)


def bincount(dout, cache):
    pixels, shape = cache
    return np.bincount(pixels.ravel(), weights=dout.ravel(), minlength=int(np.prod(shape))).reshape(shape)


WAYS = (
    ("number by number", loops, loops_backward),
    ("all windows at once, np.add.at", sliding, add_at),
    ("shifted images", point_by_point, point_by_point_backward),
    ("flat indices, np.bincount", flat_bins, bincount),
)
RIGHT = [(title, {"max_pool_forward_naive": forward, "max_pool_backward_naive": backward}) for title, forward, backward in WAYS]
