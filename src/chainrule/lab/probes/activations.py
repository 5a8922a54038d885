"""Probes of ReLU, sigmoid and tanh."""

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES"]


def inputs(*shape, seed=0, dtype=np.float64):
    """x with about as many negative as positive numbers, and dout."""
    rng = np.random.default_rng(seed)
    return tuple(array.astype(dtype) for array in (rng.uniform(-3, 3, shape), rng.standard_normal(shape)))


SMALL = np.array([[-1.0, 2.0, 0.5], [1.5, -0.5, -2.0]]), np.array([[1.0, 2.0, -1.0], [0.5, -2.0, 3.0]])
FAR = np.array([[-1000.0, 1000.0], [-30.0, 30.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]])
ZERO = np.array([[0.0, -1.0], [2.0, 0.0]]), np.array([[1.0, 2.0], [-1.0, 3.0]])
ONE = np.array([[0.75]]), np.array([[2.0]])


def transposed(*arrays):
    return tuple(array.T for array in arrays)


def forward(name, x, _):
    return lambda functions: {"out": pair(name, getattr(functions, name)(x.copy(order="K")))[0]}


def backward(name, x, dout):
    forward_name = name.replace("backward", "forward")

    def observed(functions):
        _, cache = pair(forward_name, getattr(functions, forward_name)(x.copy(order="K")))
        return results(name, getattr(functions, name)(dout.copy(order="K"), cache), "dx")

    return observed


def probes(ask, name):
    """The same inputs for all activations."""
    return (
        Probe("2 samples of 3 numbers", ask(name, *SMALL), {"N": 2}),
        Probe("5 samples of 4 numbers", ask(name, *inputs(5, 4)), {"N": 5}),
        Probe("3 samples of 7 numbers", ask(name, *inputs(3, 7, seed=1)), {"N": 3}),
        Probe("as many samples as numbers", ask(name, *inputs(4, 4, seed=2)), {"N": 4}),
        Probe("a single number", ask(name, *ONE), {"N": 1}, "for a single number", "shape"),
        Probe("x of one axis", ask(name, *inputs(6, seed=3)), {"N": 6}, "where x has one axis", "shape"),
        Probe("x of four axes", ask(name, *inputs(2, 3, 4, 5, seed=4)), {"N": 2}, "where x has four axes", "shape"),
        Probe("an x that lies transposed in memory", ask(name, *transposed(*inputs(4, 5, seed=5))), {"N": 5}),
        Probe("an x of 0", ask(name, *ZERO), {"N": 2}, "at x = 0", "off-by-one"),
        Probe("an x of -1000 and of 1000", ask(name, *FAR), {"N": 2}, "for numbers that are far from 0", "numerics"),
        Probe("float32", ask(name, *inputs(6, 4, seed=6, dtype=np.float32)), {"N": 6}, "in float32", "dtype"),
    )


PROBES = {
    f"{name}_{way}": probes(ask, f"{name}_{way}")
    for name in ("relu", "sigmoid", "tanh")
    for way, ask in (("forward", forward), ("backward", backward))
}
