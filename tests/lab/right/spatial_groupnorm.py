"""Right group normalizations, none of them the library's."""

import numpy as np


def five_axes(x, gamma, beta, G, gn_param):
    groups = x.reshape((len(x), G, -1, *x.shape[2:]))
    mean = np.mean(groups, axis=(2, 3, 4), keepdims=True)
    inverse = (np.var(groups, axis=(2, 3, 4), keepdims=True) + gn_param.get("eps", 1e-5)) ** -0.5
    hat = (groups - mean) * inverse
    return hat.reshape(x.shape) * gamma + beta, {"hat": hat, "inverse": inverse, "gamma": gamma}


def five_axes_backward(dout, cache):
    hat, inverse = cache["hat"], cache["inverse"]
    dhat = (dout * cache["gamma"]).reshape(hat.shape)
    M = hat[0, 0].size
    dx = (M * dhat - dhat.sum((2, 3, 4), keepdims=True) - hat * (dhat * hat).sum((2, 3, 4), keepdims=True)) * inverse / M
    flat = hat.reshape(dout.shape)
    dgamma = np.einsum("nchw,nchw->c", dout, flat).reshape(1, -1, 1, 1)
    return dx.reshape(dout.shape), dgamma, np.einsum("nchw->c", dout)[None, :, None, None]


def group_by_group(x, gamma, beta, G, gn_param):
    """One group after the other; float64, whatever x is."""
    N, C = x.shape[:2]
    out, parts = np.zeros(x.shape), {}
    for n in range(N):
        for g in range(G):
            channels = slice(g * C // G, (g + 1) * C // G)
            values = x[n, channels].astype(float)
            std = np.sqrt(((values - values.mean()) ** 2).mean() + gn_param.get("eps", 1e-5))
            hat = (values - values.mean()) / std
            parts[n, g] = channels, hat, std
            out[n, channels] = hat * gamma[0, channels] + beta[0, channels]
    return out, (parts, gamma)


def group_by_group_backward(dout, cache):
    """Step by step through the graph: std, variance, mean."""
    parts, gamma = cache
    dx, dgamma, dbeta = np.zeros(dout.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    for (n, _), (channels, hat, std) in parts.items():
        upstream = dout[n, channels]
        dgamma[0, channels] += (upstream * hat).sum(axis=(1, 2), keepdims=True)
        dbeta[0, channels] += upstream.sum(axis=(1, 2), keepdims=True)
        dhat = upstream * gamma[0, channels]
        dstd = -(dhat * hat).sum() / std
        dcentred = dhat / std + dstd / (2 * std) * 2 * hat * std / hat.size
        dx[n, channels] = dcentred - dcentred.mean()
    return dx, dgamma, dbeta


def channels_split(x, gamma, beta, G, gn_param):
    """np.split along the channels, glued together again."""
    parts, caches = [], []
    for part in np.split(x, G, axis=1):
        mean, square = part.mean(axis=(1, 2, 3), keepdims=True), (part.astype(float) ** 2).mean(axis=(1, 2, 3), keepdims=True)
        std = np.sqrt(square - mean.astype(float) ** 2 + gn_param.get("eps", 1e-5))
        parts.append((part - mean) / std)
        caches.append(std)
    hat = np.concatenate(parts, axis=1)
    return gamma * hat + beta, (hat, caches, gamma, beta)


def channels_split_backward(dout, cache):
    hat, caches, gamma, _ = cache
    G = len(caches)
    dx = []
    for d, h, std in zip(np.split(dout * gamma, G, axis=1), np.split(hat, G, axis=1), caches, strict=True):
        means = [(each.mean(axis=3).mean(axis=2).mean(axis=1))[:, None, None, None] for each in (d, d * h)]
        dx.append((d - means[0] - h * means[1]) / std)
    sums = [each.sum(axis=(0, 2, 3)).reshape(gamma.shape) for each in (dout * hat, dout)]
    return np.concatenate(dx, axis=1), sums[0], sums[1]


WAYS = (
    ("five axes", five_axes, five_axes_backward),
    ("group by group", group_by_group, group_by_group_backward),
    ("channels split", channels_split, channels_split_backward),
)
RIGHT = [(title, {"spatial_groupnorm_forward": forward, "spatial_groupnorm_backward": backward}) for title, forward, backward in WAYS]
