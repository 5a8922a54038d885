"""Right dropouts, none of them the library's."""
# ruff: noqa: NPY002 - as CS231n draws the mask

import math

import numpy as np


def as_cs231n(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask, out = None, None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    elif mode == "test":
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def as_cs231n_backward(dout, cache):
    dropout_param, mask = cache
    return dout * mask if dropout_param["mode"] == "train" else dout


def binomial(x, dropout_param):
    """Scales the output, not the mask; always float64; ones for a mask in mode 'test'."""
    rng = np.random.default_rng(dropout_param.get("seed"))
    training = dropout_param["mode"] == "train"
    p = dropout_param["p"] if training else 1.0
    kept = rng.binomial(1, p, x.shape)
    return np.array(x * kept / p, np.float64), {"kept": kept, "p": p}


def binomial_backward(dout, cache):
    return np.where(cache["kept"], dout / cache["p"], 0.0)


def by_index(x, dropout_param):
    """Sets what is dropped to 0 in a copy; the cache has where."""
    if dropout_param["mode"] == "test":
        return x.copy(), ([], 1)
    rng = np.random.RandomState(dropout_param.get("seed"))
    out = x.copy()
    dropped = np.nonzero(rng.uniform(size=x.shape) >= dropout_param["p"])
    out[dropped] = 0
    out /= dropout_param["p"]
    return out, (dropped, dropout_param["p"])


def by_index_backward(dout, cache):
    dropped, p = cache
    dx = dout.copy()
    if len(dropped):
        dx[dropped] = 0
    return dx / p


def element_by_element(x, dropout_param):
    import random

    generator = random.Random(dropout_param["seed"]) if "seed" in dropout_param else random
    p = dropout_param["p"]
    mask = np.ones(x.size, bool)
    if dropout_param["mode"] == "train":
        for i in range(x.size):
            mask[i] = generator.random() < p
    else:
        p = 1
    mask = mask.reshape(x.shape)
    return mask * x * math.exp(-math.log(p)), [mask, p]


def element_by_element_backward(dout, cache):
    mask, p = cache
    dx = np.zeros(dout.shape)
    dx[mask] = dout[mask] / p
    return dx


RIGHT = [
    ("as in CS231n", {"dropout_forward": as_cs231n, "dropout_backward": as_cs231n_backward}),
    ("binomial", {"dropout_forward": binomial, "dropout_backward": binomial_backward}),
    ("by index", {"dropout_forward": by_index, "dropout_backward": by_index_backward}),
    ("element by element", {"dropout_forward": element_by_element, "dropout_backward": element_by_element_backward}),
]
