"""Probes of the softmax and the SVM loss."""

from typing import Any

import numpy as np

from chainrule.lab.probing import Chain, Probe, results

__all__ = ["CHAINS", "PROBES"]


def inputs(N, C, seed=0, dtype: Any = np.float64):
    """Scores (N, C) and labels (N,), some of them the same."""
    rng = np.random.default_rng(seed)
    y = rng.integers(C, size=N)
    if N > 2:
        y[1] = y[0]
    return (2 * rng.standard_normal((N, C))).astype(dtype), y


def loss(name, x, y):
    return lambda functions: results(name, getattr(functions, name)(x.copy(), y.copy()), "loss", "dx")


SMALL = np.array([[1.0, 2.0, 0.0], [0.0, 0.5, 3.0]]), np.array([1, 0])


def probes(name):
    """Inputs that both losses get."""
    return (
        Probe("2 samples of 3 classes", loss(name, *SMALL), {"N": 2, "C": 3}),
        Probe("5 samples of 4 classes", loss(name, *inputs(5, 4)), {"N": 5, "C": 4}),
        Probe("3 samples of 7 classes", loss(name, *inputs(3, 7, 1)), {"N": 3, "C": 7}),
        Probe("as many samples as classes", loss(name, *inputs(4, 4, 2)), {"N": 4, "C": 4}),
        Probe("one sample", loss(name, *inputs(1, 5, 3)), {"N": 1, "C": 5}, "for a single sample", "shape"),
        Probe("8 samples of 2 classes", loss(name, *inputs(8, 2, 4)), {"N": 8, "C": 2}),
        Probe("float32", loss(name, *inputs(6, 4, 5, np.float32)), {"N": 6, "C": 4}, "in float32", "dtype"),
    )


LARGE = np.array([[1000.0, 1001.0, 999.0], [1002.0, 1000.0, 1001.0]]), np.array([1, 2])
FAR_ROWS = np.array([[1000.0, 1001.0, 999.0], [-1002.0, -1000.0, -1001.0]]), np.array([1, 2])
UNLIKELY = np.array([[0.0, 1000.0, 1.0], [2.0, 1.0, 0.0]]), np.array([0, 1])
EXACT = np.array([[2.0, 1.0, 0.0, 1.5], [0.0, 1.0, 3.0, 2.0]]), np.array([0, 2])
MET = np.array([[4.0, 1.0, 2.0], [0.0, 0.5, 3.0]]), np.array([0, 2])

PROBES = {
    "softmax_loss": (
        *probes("softmax_loss"),
        Probe("scores of a thousand", loss("softmax_loss", *LARGE), {"N": 2, "C": 3}, "for large scores", "numerics"),
        Probe(
            "a row of large and a row of small scores", loss("softmax_loss", *FAR_ROWS), {"N": 2, "C": 3}, "for large scores", "numerics"
        ),
        Probe("a label with a far lower score", loss("softmax_loss", *UNLIKELY), {"N": 2, "C": 3}, "for an unlikely label", "numerics"),
    ),
    "svm_loss": (
        *probes("svm_loss"),
        Probe("a margin met exactly", loss("svm_loss", *EXACT), {"N": 2, "C": 4}, "where a margin is met exactly", "off-by-one"),
        Probe("all margins met", loss("svm_loss", *MET), {"N": 2, "C": 3}, "where all margins are met", "missing-term"),
    ),
}


def probabilities():
    exp = np.exp(SMALL[0])
    return exp / exp.sum(axis=1, keepdims=True)


def loss_chain():
    p, y = probabilities(), SMALL[1]
    return {"probabilities": p, "probability of each label": p[[0, 1], y], "loss of each sample": -np.log(p[[0, 1], y])}


def gradient_chain():
    p, y = probabilities(), SMALL[1]
    return {"probabilities": p, "probabilities, less 1 at the labels": p - np.eye(3)[y]}


CHAINS = {"softmax_loss": (Chain("2 samples of 3 classes", "loss", loss_chain), Chain("2 samples of 3 classes", "dx", gradient_chain))}
