"""Right affine layers, none of them the library's."""

import math

import numpy as np


def number_by_number(x, w, b):
    N, (D, M) = x.shape[0], w.shape
    flat = [x[n].ravel() for n in range(N)]
    out = [[sum(flat[n][d] * w[d][m] for d in range(D)) + b[m] for m in range(M)] for n in range(N)]
    return np.array(out), (flat, x.shape, w)


def number_by_number_backward(dout, cache):
    flat, shape, w = cache
    D, M = w.shape
    dx, dw, db = np.zeros((len(flat), D)), np.zeros((D, M)), np.zeros(M)
    for n, row in enumerate(flat):
        for m in range(M):
            db[m] += dout[n, m]
            for d in range(D):
                dx[n, d] += dout[n, m] * w[d, m]
                dw[d, m] += dout[n, m] * row[d]
    return dx.reshape(shape), dw, db


def summed_by_einstein(x, w, b):
    rows = x.reshape(x.shape[0], math.prod(x.shape[1:]))
    return np.einsum("nd,dm->nm", rows, w) + b[None, :], {"x": x, "w": w}


def summed_by_einstein_backward(dout, cache):
    rows = cache["x"].reshape(len(dout), -1)
    dx = np.einsum("nm,dm->nd", dout, cache["w"]).reshape(cache["x"].shape)
    return dx, np.einsum("nd,nm->dm", rows, dout), np.einsum("nm->m", dout)


def bias_as_a_weight(x, w, b):
    """A column of ones stands for the bias."""
    ones = np.hstack([x.reshape(len(x), -1), np.ones((len(x), 1), x.dtype)])
    stacked = np.vstack([w, b])
    return np.dot(ones, stacked), (ones, stacked, x.shape)


def bias_as_a_weight_backward(dout, cache):
    ones, stacked, shape = cache
    dstacked = np.dot(ones.T, dout)
    dones = np.dot(dout, stacked.T)
    return [dones[:, :-1].reshape(shape), dstacked[:-1], dstacked[-1]]


def tensordot(x, w, b):
    axes = list(range(1, x.ndim))
    out = np.tensordot(x, w.reshape(*x.shape[1:], -1), axes=(axes, list(range(x.ndim - 1))))
    out += b
    return out, (x, w)


def tensordot_backward(dout, cache):
    x, w = cache
    dw = sum(np.multiply.outer(sample, row) for sample, row in zip(x, dout, strict=True)).reshape(w.shape)
    dx = np.stack([w @ row for row in dout]).reshape(x.shape)
    return dx, dw, np.ones(len(dout)) @ dout


RIGHT = [
    ("number by number", {"affine_forward": number_by_number, "affine_backward": number_by_number_backward}),
    ("einsum, a dictionary as cache", {"affine_forward": summed_by_einstein, "affine_backward": summed_by_einstein_backward}),
    ("the bias as a row of w, a list of gradients", {"affine_forward": bias_as_a_weight, "affine_backward": bias_as_a_weight_backward}),
    ("tensordot and outer products", {"affine_forward": tensordot, "affine_backward": tensordot_backward}),
]
