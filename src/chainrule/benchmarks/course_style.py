"""Networks as a student writes them in the course: NumPy, a function a layer, dictionaries of parameters and gradients.

The baseline of the benchmarks. Nothing in it is slow on purpose, and nothing is there for speed beyond what the course teaches: a
convolution as one matrix product (im2col), and, before that lesson, as loops over the definition.
"""

import numpy as np

__all__ = ["FullyConnectedNet", "Solver", "ThreeLayerConvNet", "adam", "sgd"]


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


def batchnorm_forward(x, gamma, beta, bn_param):
    mean, var = x.mean(axis=0), x.var(axis=0)
    momentum = bn_param["momentum"]
    bn_param["running_mean"] = momentum * bn_param["running_mean"] + (1 - momentum) * mean
    bn_param["running_var"] = momentum * bn_param["running_var"] + (1 - momentum) * var
    std = np.sqrt(var + 1e-5)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def batchnorm_backward(dout, cache):
    x_hat, std, gamma = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=0), dout.sum(axis=0)
    return gamma / std * (dout - dbeta / len(dout) - x_hat * dgamma / len(dout)), dgamma, dbeta


def conv_forward(x, w, b, conv_param):
    """Every window becomes a column of a matrix, and the convolution a matrix product."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, C, KH, KW = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KH, KW), axis=(2, 3))[:, :, ::stride, ::stride]
    N, _, OH, OW = windows.shape[:4]
    columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(C * KH * KW, N * OH * OW)
    out = w.reshape(F, -1) @ columns + b.reshape(-1, 1)
    return out.reshape(F, N, OH, OW).transpose(1, 0, 2, 3), (x.shape, w, columns, conv_param)


def conv_backward(dout, cache):
    (N, C, H, W), w, columns, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, _, KH, KW = w.shape
    OH, OW = dout.shape[2:]
    dout_rows = dout.transpose(1, 0, 2, 3).reshape(F, -1)
    dw = (dout_rows @ columns.T).reshape(w.shape)
    dcolumns = (w.reshape(F, -1).T @ dout_rows).reshape(C, KH, KW, N, OH, OW)
    dpadded = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dout.dtype)
    for i in range(KH):
        for j in range(KW):
            dpadded[:, :, i : i + stride * OH : stride, j : j + stride * OW : stride] += dcolumns[:, i, j].transpose(1, 0, 2, 3)
    return dpadded[:, :, pad : pad + H, pad : pad + W], dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward(x, pool_param):
    """Windows that tile the image, as axes of their own."""
    size = pool_param["pool_height"]
    N, C, H, W = x.shape
    tiles = x.reshape(N, C, H // size, size, W // size, size)
    out = tiles.max(axis=(3, 5))
    return out, (tiles, out)


def max_pool_backward(dout, cache):
    tiles, out = cache
    N, C, OH, size, OW, _ = tiles.shape
    mask = tiles == out[:, :, :, np.newaxis, :, np.newaxis]
    dtiles = mask * (dout[:, :, :, np.newaxis, :, np.newaxis] / mask.sum(axis=(3, 5), keepdims=True))
    return dtiles.astype(dout.dtype).reshape(N, C, OH * size, OW * size)


def conv_forward_loops(x, w, b, conv_param):
    """By the definition: one window at a time."""
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, _, H, W), (F, _, KH, KW) = x.shape, w.shape
    OH, OW = 1 + (H + 2 * pad - KH) // stride, 1 + (W + 2 * pad - KW) // stride
    padded, out = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))), np.zeros((N, F, OH, OW), x.dtype)
    for n in range(N):
        for f in range(F):
            for i in range(OH):
                for j in range(OW):
                    window = padded[n, :, i * stride : i * stride + KH, j * stride : j * stride + KW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (padded, x.shape, w, conv_param)


def conv_backward_loops(dout, cache):
    padded, (N, _, H, W), w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, _, KH, KW = w.shape
    dpadded, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros(F, w.dtype)
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    rows, columns = slice(i * stride, i * stride + KH), slice(j * stride, j * stride + KW)
                    dpadded[n, :, rows, columns] += w[f] * dout[n, f, i, j]
                    dw[f] += padded[n, :, rows, columns] * dout[n, f, i, j]
                    db[f] += dout[n, f, i, j]
    return dpadded[:, :, pad : pad + H, pad : pad + W], dw, db


def max_pool_forward_loops(x, pool_param):
    size = pool_param["pool_height"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // size, W // size), x.dtype)
    for n in range(N):
        for c in range(C):
            for i in range(H // size):
                for j in range(W // size):
                    out[n, c, i, j] = np.max(x[n, c, i * size : (i + 1) * size, j * size : (j + 1) * size])
    return out, (x, pool_param)


def max_pool_backward_loops(dout, cache):
    x, pool_param = cache
    size, dx = pool_param["pool_height"], np.zeros_like(x)
    N, C, OH, OW = dout.shape
    for n in range(N):
        for c in range(C):
            for i in range(OH):
                for j in range(OW):
                    window = x[n, c, i * size : (i + 1) * size, j * size : (j + 1) * size]
                    row, column = np.unravel_index(np.argmax(window), window.shape)
                    dx[n, c, i * size + row, j * size + column] += dout[n, c, i, j]
    return dx


def softmax_loss(x, y):
    N = len(x)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dx = np.exp(log_p)
    dx[np.arange(N), y] -= 1
    return -log_p[np.arange(N), y].mean(), dx / N


def sgd(w, dw, config):
    w -= config["learning_rate"] * dw
    return w, config


def adam(w, dw, config):
    beta1, beta2 = 0.9, 0.999
    config.setdefault("m", np.zeros_like(w))
    config.setdefault("v", np.zeros_like(w))
    config["t"] = config.get("t", 0) + 1
    config["m"] = beta1 * config["m"] + (1 - beta1) * dw
    config["v"] = beta2 * config["v"] + (1 - beta2) * dw**2
    m_hat = config["m"] / (1 - beta1 ** config["t"])
    v_hat = config["v"] / (1 - beta2 ** config["t"])
    return w - config["learning_rate"] * m_hat / (np.sqrt(v_hat) + 1e-8), config


class FullyConnectedNet:
    """[affine - (batch norm) - relu] x (L - 1) - affine - softmax.

    Parameters
    ----------
    params : dict with W1 (D, H), b1 (H,), ..., and gamma1, beta1, ... where batch norm is wanted
    layers : L
    """

    def __init__(self, params, layers):
        self.params, self.layers = params, layers
        self.bn_params = {
            i: {"momentum": 0.9, "running_mean": 0 * params[f"beta{i}"], "running_var": 0 * params[f"beta{i}"] + 1}
            for i in range(1, layers)
            if f"gamma{i}" in params
        }

    def loss(self, X, y):
        params, caches, grads = self.params, {}, {}
        for i in range(1, self.layers + 1):
            X, caches["affine", i] = affine_forward(X, params[f"W{i}"], params[f"b{i}"])
            if i in self.bn_params:
                X, caches["norm", i] = batchnorm_forward(X, params[f"gamma{i}"], params[f"beta{i}"], self.bn_params[i])
            if i < self.layers:
                X, caches["relu", i] = relu_forward(X)
        loss, dx = softmax_loss(X, y)
        for i in range(self.layers, 0, -1):
            if i < self.layers:
                dx = relu_backward(dx, caches["relu", i])
            if i in self.bn_params:
                dx, grads[f"gamma{i}"], grads[f"beta{i}"] = batchnorm_backward(dx, caches["norm", i])
            dx, grads[f"W{i}"], grads[f"b{i}"] = affine_backward(dx, caches["affine", i])
        return loss, grads


class ThreeLayerConvNet:
    """conv - relu - 2x2 max pool - affine - relu - affine - softmax.

    Parameters
    ----------
    params : dict with W1 (F, C, KH, KW), b1 (F,), W2, b2, W3, b3; KH = KW is odd, and padding keeps the size of the image
    loops : convolve and pool by the loops of the definition
    """

    def __init__(self, params, loops=False):
        self.params = params
        self.conv = (conv_forward_loops, conv_backward_loops) if loops else (conv_forward, conv_backward)
        self.pool = (max_pool_forward_loops, max_pool_backward_loops) if loops else (max_pool_forward, max_pool_backward)

    def loss(self, X, y):
        params, grads = self.params, {}
        conv_param = {"stride": 1, "pad": (params["W1"].shape[2] - 1) // 2}
        pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        a, conv_cache = self.conv[0](X, params["W1"], params["b1"], conv_param)
        s, relu_cache = relu_forward(a)
        out, pool_cache = self.pool[0](s, pool_param)
        hidden, affine_cache = affine_forward(out, params["W2"], params["b2"])
        hidden, hidden_cache = relu_forward(hidden)
        scores, scores_cache = affine_forward(hidden, params["W3"], params["b3"])
        loss, dx = softmax_loss(scores, y)
        dx, grads["W3"], grads["b3"] = affine_backward(dx, scores_cache)
        dx = relu_backward(dx, hidden_cache)
        dx, grads["W2"], grads["b2"] = affine_backward(dx, affine_cache)
        dx = self.pool[1](dx, pool_cache)
        dx = relu_backward(dx, relu_cache)
        _, grads["W1"], grads["b1"] = self.conv[1](dx, conv_cache)
        return loss, grads


class Solver:
    """One training step at a time: loss and gradients, then an update rule for every parameter."""

    def __init__(self, model, update_rule, learning_rate):
        self.model, self.update_rule = model, update_rule
        self.configs = {name: {"learning_rate": learning_rate} for name in model.params}

    def step(self, X, y):
        loss, grads = self.model.loss(X, y)
        for name, w in self.model.params.items():
            self.model.params[name], self.configs[name] = self.update_rule(w, grads[name], self.configs[name])
        return loss
