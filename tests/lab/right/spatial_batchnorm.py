"""Right spatial batch normalizations, none of them the library's."""

import numpy as np


def over_three_axes(x, gamma, beta, bn_param):
    """Statistics over the axes (0, 2, 3), no reshaping."""
    axes, shape = (0, 2, 3), (1, -1, 1, 1)
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    C = x.shape[1]
    bn_param.setdefault("running_mean", np.zeros(C))
    bn_param.setdefault("running_var", np.zeros(C))
    train = bn_param["mode"] == "train"
    if train:
        mean, var = x.mean(axes), x.var(axes)
        bn_param["running_mean"] = momentum * bn_param["running_mean"] + (1 - momentum) * mean
        bn_param["running_var"] = momentum * bn_param["running_var"] + (1 - momentum) * var
    else:
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    scale = 1 / np.sqrt(var + eps)
    hat = (x - mean.reshape(shape)) * scale.reshape(shape)
    return hat * gamma.reshape(shape) + beta.reshape(shape), (hat, gamma * scale, train)


def over_three_axes_backward(dout, cache):
    hat, factor, train = cache
    M = dout.size // dout.shape[1]
    dgamma, dbeta = np.einsum("nchw,nchw->c", dout, hat), np.einsum("nchw->c", dout)
    dx = dout.copy()
    if train:
        dx -= (dbeta / M)[:, None, None] + hat * (dgamma / M)[:, None, None]
    dx *= factor[:, None, None]
    return dx, dgamma, dbeta


def channel_by_channel(x, gamma, beta, bn_param):
    """One batch norm after the other, with sums; float64, whatever x is."""
    out = np.zeros(x.shape)
    C = x.shape[1]
    means, variances = np.zeros(C), np.zeros(C)
    past_mean, past_var = bn_param.get("running_mean"), bn_param.get("running_var")
    hats, deviations = [], []
    for c in range(C):
        values = x[:, c].astype(float).ravel()
        mean, var = values.sum() / values.size, (values**2).sum() / values.size - (values.sum() / values.size) ** 2
        if bn_param["mode"] == "test":
            mean, var = past_mean[c], past_var[c]
        means[c], variances[c] = mean, var
        deviations.append((var + bn_param.get("eps", 1e-5)) ** 0.5)
        hats.append((values - mean) / deviations[-1])
        out[:, c] = (gamma[c] * hats[-1] + beta[c]).reshape(x[:, c].shape)
    if bn_param["mode"] == "train":
        keep = bn_param.get("momentum", 0.9)
        bn_param["running_mean"] = (0 if past_mean is None else keep * past_mean) + (1 - keep) * means
        bn_param["running_var"] = (0 if past_var is None else keep * past_var) + (1 - keep) * variances
    return out, [hats, deviations, gamma, bn_param["mode"]]


def channel_by_channel_backward(dout, cache):
    hats, deviations, gamma, mode = cache
    dx, dgamma, dbeta = np.zeros(dout.shape), np.zeros(len(gamma)), np.zeros(len(gamma))
    for c, (hat, deviation) in enumerate(zip(hats, deviations, strict=True)):
        upstream = dout[:, c].ravel()
        dgamma[c], dbeta[c] = hat @ upstream, upstream.sum()
        dhat = upstream * gamma[c]
        if mode == "train":
            dhat = dhat - dhat.mean() - hat * (hat @ dhat) / hat.size
        dx[:, c] = (dhat / deviation).reshape(dout[:, c].shape)
    return dx, dgamma, dbeta


def channels_first(x, gamma, beta, bn_param):
    """Rows are channels: (C, N * H * W)."""
    N, C, H, W = x.shape
    rows = x.swapaxes(0, 1).reshape(C, -1)
    out, cache = over_three_axes(rows.T[:, :, None, None], gamma, beta, bn_param)
    return out[:, :, 0, 0].T.reshape(C, N, H, W).swapaxes(0, 1), (cache, x.shape)


def channels_first_backward(dout, cache):
    cache, (N, C, H, W) = cache
    rows = dout.swapaxes(0, 1).reshape(C, -1)
    dx, dgamma, dbeta = over_three_axes_backward(rows.T[:, :, None, None], cache)
    return dx[:, :, 0, 0].T.reshape(C, N, H, W).swapaxes(0, 1), dgamma, dbeta


WAYS = (
    ("over three axes", over_three_axes, over_three_axes_backward),
    ("channel by channel", channel_by_channel, channel_by_channel_backward),
    ("channels as rows", channels_first, channels_first_backward),
)
RIGHT = [(title, {"spatial_batchnorm_forward": forward, "spatial_batchnorm_backward": backward}) for title, forward, backward in WAYS]
