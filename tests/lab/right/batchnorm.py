"""Right batch normalizations, none of them the library's."""

import numpy as np


def settings(bn_param, D):
    """mode, eps, momentum and the running averages."""
    zeros = np.zeros(D)
    averages = bn_param.get("running_mean", zeros), bn_param.get("running_var", zeros)
    return bn_param["mode"], bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9), *averages


def feature_by_feature(x, gamma, beta, bn_param):
    mode, eps, momentum, running_mean, running_var = settings(bn_param, x.shape[1])
    running_mean, running_var = list(running_mean), list(running_var)
    out, kept = np.zeros(x.shape), []
    for d in range(x.shape[1]):
        column = x[:, d]
        if mode == "train":
            mean = sum(column) / len(column)
            var = sum((value - mean) ** 2 for value in column) / len(column)
            running_mean[d] = momentum * running_mean[d] + (1 - momentum) * mean
            running_var[d] = momentum * running_var[d] + (1 - momentum) * var
        else:
            mean, var = running_mean[d], running_var[d]
        std = (var + eps) ** 0.5
        out[:, d] = gamma[d] * (column - mean) / std + beta[d]
        kept.append((mean, std))
    bn_param["running_mean"], bn_param["running_var"] = np.array(running_mean), np.array(running_var)
    return out, (x, kept, gamma, mode)


def feature_by_feature_backward(dout, cache):
    """By the Jacobian of a column."""
    x, kept, gamma, mode = cache
    N, D = x.shape
    dx, dgamma, dbeta = np.zeros((N, D)), np.zeros(D), np.zeros(D)
    for d, (mean, std) in enumerate(kept):
        hat = (x[:, d] - mean) / std
        jacobian = np.eye(N) / std
        if mode == "train":
            jacobian -= (1 + np.outer(hat, hat)) / (N * std)
        dx[:, d] = gamma[d] * jacobian.T @ dout[:, d]
        dgamma[d] = hat @ dout[:, d]
        dbeta[d] = sum(dout[:, d])
    return dx, dgamma, dbeta


def nine_steps(x, gamma, beta, bn_param):
    """The computational graph of Kratzert's "Understanding the backward pass through batch normalization layer", step by step."""
    mode, eps, momentum, running_mean, running_var = settings(bn_param, x.shape[1])
    if mode == "test":
        bn_param["running_mean"], bn_param["running_var"] = running_mean, running_var
        return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta, ("test", x, gamma, running_mean, running_var, eps)
    N, _ = x.shape
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / N * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    gammax = gamma * xhat
    out = gammax + beta
    bn_param["running_mean"] = momentum * running_mean + (1.0 - momentum) * mu
    bn_param["running_var"] = momentum * running_var + (1.0 - momentum) * var
    return out, ("train", xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def nine_steps_backward(dout, cache):
    if cache[0] == "test":
        _, x, gamma, mean, var, eps = cache
        ivar = 1 / np.sqrt(var + eps)
        return gamma * ivar * dout, np.sum(dout * (x - mean) * ivar, axis=0), np.sum(dout, axis=0)
    _, xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgammax = dout
    dgamma = np.sum(dgammax * xhat, axis=0)
    dxhat = dgammax * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar**2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dxmu2 = 2 * xmu * dsq
    dx1 = dxmu1 + dxmu2
    dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
    dx2 = 1.0 / N * np.ones((N, D)) * dmu
    return dx1 + dx2, dgamma, dbeta


def one_pass(x, gamma, beta, bn_param):
    """The variance as the mean of squares less the square of the mean, which does here; in place on arrays of its own."""
    mode, eps, momentum, running_mean, running_var = settings(bn_param, x.shape[1])
    if mode == "train":
        mean, squares = np.einsum("nd->d", x) / len(x), np.einsum("nd,nd->d", x, x) / len(x)
        var = squares - mean**2
        running_mean, running_var = (
            running_mean + (1 - momentum) * (mean - running_mean),
            running_var + (1 - momentum) * (var - running_var),
        )
    elif mode == "test":
        mean, var = running_mean, running_var
    bn_param.update(running_mean=running_mean, running_var=running_var)
    scale = gamma / np.sqrt(var + eps)
    out = x * scale
    out += beta - mean * scale
    return out, {"x": x.copy(), "mean": mean, "inverse": 1 / np.sqrt(var + eps), "gamma": gamma, "training": mode == "train"}


def one_pass_backward(dout, cache):
    x, mean, inverse, gamma = (cache[name] for name in ("x", "mean", "inverse", "gamma"))
    centred = x - mean
    dgamma = np.einsum("nd,nd,d->d", dout, centred, inverse)
    dbeta = np.einsum("nd->d", dout)
    dx = gamma * inverse * dout
    if cache["training"]:
        N = x.shape[0]
        dx -= gamma * inverse / N * (dbeta + centred * inverse**2 * np.einsum("nd,nd->d", dout, centred))
    return dx, dgamma, dbeta


def sums_in_front(dout, cache):
    """The short formula with N in front, from the nine steps' cache."""
    if cache[0] == "test":
        return nine_steps_backward(dout, cache)
    _, xhat, gamma, _, ivar, _, _, _ = cache
    N = dout.shape[0]
    dxhat = dout * gamma
    dx = 1 / N * ivar * (N * dxhat - np.sum(dxhat, axis=0) - xhat * np.sum(dxhat * xhat, axis=0))
    return dx, np.diag(dout.T @ xhat), np.ones(N) @ dout


def projected(dout, cache):
    """Takes the parts along 1 and along x_hat out of dout, by matrix products."""
    x, kept, gamma, mode = cache
    mean, std = np.array(kept).T
    hat = (x - mean) / std
    N = len(x)
    rest = dout
    if mode == "train":
        rest = dout - np.ones((N, N)) @ dout / N
        rest = rest - hat * np.einsum("nd,nd->d", hat, dout) / N
    return rest * (gamma / std), np.sum(hat * dout, 0), np.sum(dout, 0)


def in_float64(x, gamma, beta, bn_param):
    """Computes in float64, whatever x is; keeps a view of the transpose in its cache."""
    mode, eps, momentum, running_mean, running_var = settings(bn_param, x.shape[1])
    columns = x.T.astype(np.float64)
    if mode == "train":
        mean, var = np.average(columns, axis=1), np.array([np.cov(column, bias=True) for column in columns])
        bn_param["running_mean"] = np.average([running_mean, mean], axis=0, weights=[momentum, 1 - momentum])
        bn_param["running_var"] = np.average([running_var, var], axis=0, weights=[momentum, 1 - momentum])
    else:
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    hat = ((columns.T - mean) / np.power(var + eps, 0.5)).T
    return hat.T * gamma + beta, [hat, var + eps, gamma, mode]


def in_float64_backward(dout, cache):
    hat, var, gamma, mode = cache
    dhat = (dout * gamma).T
    dcolumns = dhat / np.sqrt(var)[:, None]
    if mode != "test":
        dvar = np.sum(dhat * hat * np.sqrt(var)[:, None], axis=1) * -0.5 * var**-1.5
        dmean = np.sum(dhat, axis=1) * -(var**-0.5)
        dcolumns = dcolumns + dvar[:, None] * 2 * hat * np.sqrt(var)[:, None] / hat.shape[1] + dmean[:, None] / hat.shape[1]
    return dcolumns.T, (dout.T * hat).sum(axis=1), dout.T.sum(axis=1)


def both(backward, alt=None):
    return {"batchnorm_backward": backward, "batchnorm_backward_alt": alt or backward}


RIGHT = [
    ("feature by feature, with the Jacobian", {"batchnorm_forward": feature_by_feature, **both(feature_by_feature_backward, projected)}),
    ("nine steps", {"batchnorm_forward": nine_steps, **both(nine_steps_backward, sums_in_front)}),
    ("one pass, einsum", {"batchnorm_forward": one_pass, **both(one_pass_backward)}),
    ("transposed, in float64", {"batchnorm_forward": in_float64, **both(in_float64_backward)}),
]
