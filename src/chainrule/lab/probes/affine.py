"""Probes of the affine layer."""

import math
from typing import Any

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES", "SMALL", "backward_probes", "forward_probes", "inputs"]


def inputs(N, D, M, seed=0, dtype: Any = np.float64):
    """x (N, D) or, if D is several sizes, (N, *D); w (D, M), b (M,), dout (N, M)."""
    rng = np.random.default_rng(seed)
    shape = D if isinstance(D, tuple) else (D,)
    x, w = rng.standard_normal((N, *shape)), rng.uniform(-1, 1, (math.prod(shape), M))
    return tuple(array.astype(dtype) for array in (x, w, rng.uniform(0.5, 1.5, M), rng.standard_normal((N, M))))


SMALL = (
    np.array([[1.0, 2.0], [3.0, 4.0]]),
    np.array([[1.0, -1.0, 0.5], [0.0, 2.0, -1.0]]),
    np.array([0.5, 1.0, -2.0]),
    np.array([[1.0, 0.0, 2.0], [3.0, -1.0, 0.5]]),
)

IMAGE = (
    np.array([[[1.0, 2.0], [3.0, 4.0]]]),
    np.array([[1.0, -1.0], [0.5, 0.0], [2.0, -1.0], [3.0, 1.0]]),
    np.array([0.5, 1.0]),
    np.array([[1.0, 2.0]]),
)


def transposed(x, *others):
    """x with the same numbers, but in the order of its transpose in memory."""
    return np.asfortranarray(x), *others


def forward(name, x, w, b, _=None):
    def observed(functions):
        out, _ = pair(name, getattr(functions, name)(x.copy(order="K"), w.copy(), b.copy()))
        return {"out": out}

    return observed


def backward(name, x, w, b, dout):
    def observed(functions):
        _, cache = pair(f"{name}_forward", getattr(functions, f"{name}_forward")(x.copy(order="K"), w.copy(), b.copy()))
        return results(f"{name}_backward", getattr(functions, f"{name}_backward")(dout.copy(), cache), "dx", "dw", "db")

    return observed


def probes(ask, name):
    """The same inputs for both ways."""
    return (
        Probe("2 samples of 2 numbers, 3 outputs", ask(name, *SMALL), {"N": 2, "D": 2, "M": 3}),
        Probe(
            "2 images of shape (1, 2)",
            ask(name, SMALL[0].reshape(2, 1, 2), *SMALL[1:]),
            {"N": 2, "D": 2, "M": 3},
            "where a sample has several axes",
            "shape",
        ),
        Probe(
            "an image of shape (2, 2)",
            ask(name, *IMAGE),
            {"N": 1, "D": 4, "M": 2},
            "where a sample has several axes",
            "shape",
        ),
        Probe("5 samples of 4 numbers, 3 outputs", ask(name, *inputs(5, 4, 3)), {"N": 5, "D": 4, "M": 3}),
        Probe("3 samples of 7 numbers, 2 outputs", ask(name, *inputs(3, 7, 2, 1)), {"N": 3, "D": 7, "M": 2}),
        Probe("as many samples as numbers and outputs", ask(name, *inputs(4, 4, 4, 2)), {"N": 4, "D": 4, "M": 4}),
        Probe("one sample", ask(name, *inputs(1, 5, 2, 3)), {"N": 1, "D": 5, "M": 2}, "for a single sample", "shape"),
        Probe(
            "4 images of shape (2, 3, 2)",
            ask(name, *inputs(4, (2, 3, 2), 5, 4)),
            {"N": 4, "D": 12, "M": 5},
            "where a sample has several axes",
            "shape",
        ),
        Probe("an x that lies transposed in memory", ask(name, *transposed(*inputs(5, 4, 3, 5))), {"N": 5, "D": 4, "M": 3}),
        Probe("float32", ask(name, *inputs(6, 4, 3, 6, np.float32)), {"N": 6, "D": 4, "M": 3}, "in float32", "dtype"),
    )


def forward_probes(name):
    """Of a function that is called as `affine_forward`."""
    return probes(forward, name)


def backward_probes(name):
    """Of a pair that is called as `affine_forward` and `affine_backward`; name without the ending."""
    return probes(backward, name)


PROBES = {"affine_forward": forward_probes("affine_forward"), "affine_backward": backward_probes("affine")}
