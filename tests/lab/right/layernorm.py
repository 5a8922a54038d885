"""Right layer normalizations, none of them the library's."""

import numpy as np


def transposed_batchnorm(x, gamma, beta, ln_param):
    """As a batch norm of the transpose: columns of x.T are samples."""
    rows = x.T
    mean, var = rows.mean(axis=0), rows.var(axis=0)
    hat = (rows - mean) / np.sqrt(var + ln_param.get("eps", 1e-5))
    return gamma * hat.T + beta, {"hat": hat, "std": np.sqrt(var + ln_param.get("eps", 1e-5)), "gamma": gamma}


def transposed_batchnorm_backward(dout, cache):
    hat, std, gamma = cache["hat"], cache["std"], cache["gamma"]
    dhat = (dout * gamma).T
    D = len(hat)
    dx = (dhat - dhat.sum(axis=0) / D - hat * (dhat * hat).sum(axis=0) / D) / std
    return dx.T, np.einsum("nd,dn->d", dout, hat), np.einsum("nd->d", dout)


def row_by_row(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    out = np.zeros(x.shape)  # float64, whatever x is
    rows = []
    for n in range(x.shape[0]):
        mean = sum(x[n]) / len(x[n])
        variance = sum((x[n] - mean) ** 2) / len(x[n])
        rows.append(((x[n] - mean) / (variance + eps) ** 0.5, (variance + eps) ** 0.5))
        out[n] = gamma * rows[-1][0] + beta
    return out, (rows, gamma)


def row_by_row_backward(dout, cache):
    rows, gamma = cache
    dx, dgamma, dbeta = np.zeros(dout.shape), np.zeros(dout.shape[1]), np.zeros(dout.shape[1])
    for n, (hat, std) in enumerate(rows):
        D = len(hat)
        jacobian = (np.eye(D) - 1 / D - np.outer(hat, hat) / D) / std
        dx[n] = jacobian @ (gamma * dout[n])
        dgamma += hat * dout[n]
        dbeta += dout[n]
    return dx, dgamma, dbeta


def centred_by_a_matrix(x, gamma, beta, ln_param):
    """x - mean as a product with I - 1/D; the cache has the reciprocal of std, and a dict with the rest."""
    D = x.shape[1]
    centred = x @ (np.eye(D) - np.ones((D, D)) / D)
    inverse = (np.einsum("nd,nd->n", centred, centred) / D + ln_param.get("eps", 1e-5)) ** -0.5
    return centred * inverse[:, None] * gamma + beta, (inverse, {"centred": centred, "gamma": gamma})


def centred_by_a_matrix_backward(dout, cache):
    """Step by step through the graph."""
    inverse, kept = cache
    centred, gamma = kept["centred"], kept["gamma"]
    D = centred.shape[1]
    dhat = np.einsum("nd,d->nd", dout, gamma)
    dinverse = np.einsum("nd,nd->n", dhat, centred)
    dvar = -0.5 * inverse**3 * dinverse
    dcentred = dhat * inverse[:, None] + 2 / D * dvar[:, None] * centred
    return dcentred @ (np.eye(D) - 1 / D), np.einsum("nd,nd,n->d", dout, centred, inverse), np.ones(len(dout)) @ dout


def in_place(x, gamma, beta, ln_param):
    """Works on a copy; the variance as mean of squares less square of the mean."""
    eps = ln_param.setdefault("eps", 1e-5)
    hat = np.array(x)
    variance = np.mean(x * x, -1) - np.mean(x, -1) ** 2
    hat -= hat.mean(-1)[:, np.newaxis]
    hat /= np.sqrt(variance + eps)[:, np.newaxis]
    out = hat.copy()
    out *= gamma
    out += beta
    return out, [x.copy(), eps, np.array(gamma)]


def in_place_backward(dout, cache):
    """Everything anew from x; sums with D in front."""
    x, eps, gamma = cache
    D = x.shape[-1]
    mean = x.mean(-1, keepdims=True)
    root = np.sqrt(x.var(-1, keepdims=True) + eps)
    hat = (x - mean) / root
    dx = D * gamma * dout
    dx -= np.sum(gamma * dout, -1, keepdims=True)
    dx -= hat * np.sum(gamma * dout * hat, -1, keepdims=True)
    dx /= D * root
    return dx, np.add.reduce(dout * hat), np.add.reduce(dout)


RIGHT = [
    ("transposed batch norm", {"layernorm_forward": transposed_batchnorm, "layernorm_backward": transposed_batchnorm_backward}),
    ("row by row, with the Jacobian", {"layernorm_forward": row_by_row, "layernorm_backward": row_by_row_backward}),
    ("a matrix that centres", {"layernorm_forward": centred_by_a_matrix, "layernorm_backward": centred_by_a_matrix_backward}),
    ("in place on a copy", {"layernorm_forward": in_place, "layernorm_backward": in_place_backward}),
]
