"""Probes of fully connected networks of any depth, without normalization and dropout; parameters are set by hand."""

from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.lab.probes.two_layernet import (
    SMALL,
    SMALL_DATA,
    about_bias,
    about_weights,
    data,
    drawn_anew,
    entries,
    loss_and_gradients,
    put,
)
from chainrule.lab.probing import Probe, results

__all__ = ["PROBES"]


def parameters(*widths, seed=0):
    """W1, b1, W2, ... of a network with these widths, from input to output; about half of its hidden units are active."""
    rng = np.random.default_rng(seed)
    params = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        params[f"W{layer}"] = 1.5 * rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
        params[f"b{layer}"] = rng.uniform(-0.5, 0.5, fan_out)
    return params


def network(functions, params, reg=0.0, dtype: Any = np.float64):
    """A network with these parameters."""
    weights = [value for name, value in params.items() if name.startswith("W")]
    widths = [len(weights[0]), *(w.shape[1] for w in weights)]
    net = functions.FullyConnectedNet(widths[1:-1], input_dim=widths[0], num_classes=widths[-1], reg=reg, dtype=dtype)
    put(net, {name: value.astype(dtype) for name, value in params.items()})
    return net


def constructed(widths, std):
    def observed(functions):
        np.random.seed(0)  # noqa: NPY002 - a learner may draw from NumPy's global generator
        D, *hidden, C = widths
        net = functions.FullyConnectedNet(list(hidden), input_dim=D, num_classes=C, weight_scale=std, dtype=np.float64)
        layers = range(1, len(widths))
        entries("params", net.params, [f"{kind}{layer}" for layer in layers for kind in "Wb"])
        values: dict[str, object] = {"parameters": len(net.params)}
        for layer in layers:
            values |= about_weights(f"W{layer}", net.params[f"W{layer}"], std) | about_bias(f"b{layer}", net.params[f"b{layer}"])
        return values

    return observed


def defaults(functions):
    """Input and output of CIFAR-10, deviation 0.01, float32."""
    np.random.seed(0)  # noqa: NPY002
    params = functions.FullyConnectedNet([20]).params
    entries("params", params, ("W1", "b1", "W2", "b2"))
    return about_weights("W1", params["W1"], 1e-2) | {"shape of W2": np.shape(params["W2"])}


def two_networks(functions):
    np.random.seed(0)  # noqa: NPY002
    first, second = (functions.FullyConnectedNet([3, 3], input_dim=3, num_classes=3, weight_scale=1.0).params for _ in range(2))
    entries("params", first, ("W1", "W2", "W3"))
    return drawn_anew(first, second, ("W1", "W2", "W3"))


def parameter_types(functions):
    params = functions.FullyConnectedNet([5, 3], input_dim=4, num_classes=2, dtype=np.float64).params
    return {f"float64 {name}": np.asarray(value).dtype == np.float64 for name, value in params.items()}


def scores(params, X, dtype: Any = np.float64):
    return lambda functions: results("loss", network(functions, params, dtype=dtype).loss(X.astype(dtype)), "scores")


def loss(params, X, y, reg=0.0, dtype: Any = np.float64):
    return lambda functions: loss_and_gradients(network(functions, params, reg, dtype).loss(X.astype(dtype), y.copy()), params)


def reg_set_later(functions):
    X, y = data(4, 3, 2)
    params = parameters(3, 5, 2)
    net = network(functions, params)
    net.reg = 0.5
    return loss_and_gradients(net.loss(X.copy(), y.copy()), params)


def other_parameters(functions):
    """The loss after the parameters were exchanged, then changed in place: as a training and a gradient check do."""
    X, y = data(4, 3, 2)
    net = network(functions, parameters(3, 5, 2))
    net.loss(X.copy(), y.copy())
    put(net, parameters(3, 5, 2, seed=1))
    net.params["W1"] += 0.5
    return loss_and_gradients(net.loss(X.copy(), y.copy()), ("W1", "b1", "W2", "b2"))


def unchanged(functions):
    X, y = data(4, 3, 2)
    net = network(functions, parameters(3, 5, 2), reg=0.1)
    net.loss(X, y)
    return {"X afterwards": X, "y afterwards": y, **{f"{name} afterwards": value for name, value in net.params.items()}}


def images(N, C, *shape, seed=0):
    X, y = data(N, int(np.prod(shape)), C, seed)
    return X.reshape(N, *shape), y


PROBES = {
    "FullyConnectedNet.__init__": (
        Probe("one hidden layer: 300 - 200 - 150, weight_scale 0.01", constructed((300, 200, 150), 1e-2)),
        Probe("three hidden layers: 150 - 250 - 200 - 300 - 220, weight_scale 2", constructed((150, 250, 200, 300, 220), 2.0)),
        Probe("no hidden layer: 250 - 200", constructed((250, 200), 0.5), {}, "without hidden layers", "shape"),
        Probe("all arguments but hidden_dims left out", defaults, {}, "where the defaults count", "scale"),
        Probe("two networks, one made after the other", two_networks, {}, "where a second network is made", "state"),
        Probe("the dtypes", parameter_types, {}, "in the dtypes", "dtype"),
    ),
    "FullyConnectedNet.loss": (
        Probe("scores of 2 samples of 2 numbers", scores(SMALL, SMALL_DATA[0]), {"N": 2}, "without labels", "mode"),
        Probe("2 samples of 2 numbers", loss(SMALL, *SMALL_DATA), {"N": 2}),
        Probe("2 samples of 2 numbers, reg 0.1", loss(SMALL, *SMALL_DATA, 0.1), {"N": 2}, "with reg", "missing-term"),
        Probe("two hidden layers, 5 samples", loss(parameters(4, 6, 5, 3), *data(5, 4, 3)), {"N": 5, "L": 3}),
        Probe(
            "two hidden layers, 5 samples, reg 3", loss(parameters(4, 6, 5, 3), *data(5, 4, 3), 3.0), {"N": 5}, "with reg", "missing-term"
        ),
        Probe("four hidden layers, 3 samples", loss(parameters(7, 6, 5, 8, 4, 3), *data(3, 7, 3)), {"N": 3, "L": 5}),
        Probe("three hidden layers as wide as input and output", loss(parameters(4, 4, 4, 4, 4, seed=2), *data(6, 4, 4)), {"N": 6, "L": 4}),
        Probe("no hidden layer", loss(parameters(5, 3), *data(4, 5, 3), 0.2), {"N": 4}, "without hidden layers", "shape"),
        Probe("one sample", loss(parameters(3, 6, 4, seed=2), *data(1, 3, 4)), {"N": 1}, "for a single sample", "shape"),
        Probe("images of shape (2, 3, 2)", loss(parameters(12, 6, 4, 3), *images(5, 3, 2, 3, 2)), {"N": 5}, "for images", "shape"),
        Probe(
            "scores of 5 samples, three hidden layers",
            scores(parameters(4, 6, 5, 7, 3), data(5, 4, 3)[0]),
            {"N": 5},
            "without labels",
            "mode",
        ),
        Probe("reg set after the network was made", reg_set_later, {"N": 4}, "once reg has changed", "state"),
        Probe("other parameters at the second call", other_parameters, {"N": 4}, "once the parameters have changed", "state"),
        Probe("the arguments after the call", unchanged, {}, "in what it leaves of its arguments and parameters", "mutation"),
        Probe("float32", loss(parameters(4, 6, 5, 3), *data(6, 4, 3), 0.1, np.float32), {"N": 6}, "in float32", "dtype"),
    ),
}
