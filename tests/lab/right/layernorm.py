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


RIGHT = [
    ("transposed batch norm", {"layernorm_forward": transposed_batchnorm, "layernorm_backward": transposed_batchnorm_backward}),
    ("row by row, with the Jacobian", {"layernorm_forward": row_by_row, "layernorm_backward": row_by_row_backward}),
]
