"""A fully connected network as a student writes it in the course: NumPy, a function a layer, dictionaries of parameters and gradients.

The baseline of training_steps.py. Nothing in it is slow on purpose, and nothing is there for speed.
"""

import numpy as np


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


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
