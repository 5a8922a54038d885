"""Probes of the two-layer network: every method with parameters set by hand, so that no other one has to be right but the constructor."""

from itertools import combinations
from typing import Any

import numpy as np

from chainrule.lab.probing import ContractError, Probe, results

__all__ = ["PROBES", "SMALL", "SMALL_DATA", "about_bias", "about_weights", "drawn_anew", "entries", "loss_and_gradients", "put"]


def parameters(D, H, C, seed=0):
    """W1, b1, W2, b2, in which about half of the hidden units of standard normal samples are active."""
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.uniform(-1, 1, (D, H)),
        "b1": rng.uniform(-0.5, 0.5, H),
        "W2": rng.uniform(-1, 1, (H, C)),
        "b2": rng.uniform(-1, 1, C),
    }


def data(N, D, C, seed=0):
    """X (N, D) and labels (N,), some of them the same."""
    rng = np.random.default_rng([seed, 1])
    return rng.standard_normal((N, D)), np.arange(N) % C


SMALL = {
    "W1": np.array([[1.0, -1.0], [0.5, 1.0]]),
    "b1": np.array([0.0, 0.5]),
    "W2": np.array([[1.0, 0.0], [-1.0, 2.0]]),
    "b2": np.array([0.5, 0.0]),
}
SMALL_DATA = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0, 1])


def network(functions, params, kind=None):
    """A network with these parameters."""
    (D, H), (_, C) = params["W1"].shape, params["W2"].shape
    net = (kind or functions.TwoLayerNet)(D, H, C)
    put(net, params)
    return net


def put(net, params):
    """Set the parameters of a network, one by one."""
    if not isinstance(getattr(net, "params", None), dict):
        raise ContractError("the network has no dictionary params; expected one with its parameters by name")
    for name, value in params.items():
        net.params[name] = value.copy()


def entries(what, values, names):
    """Some entries of a dictionary, once it is known to have them: {'grads["W1"]': array, ...}."""
    if not isinstance(values, dict):
        raise ContractError(f"{what} is a {type(values).__name__}; expected a dictionary with {', '.join(names)}")
    missing = [name for name in names if name not in values]
    if missing:
        raise ContractError(f"{what} has no {', '.join(missing)}; it has {', '.join(map(str, values)) or 'nothing'}")
    return {f'{what}["{name}"]': values[name] for name in names}


def loss_and_gradients(result, names):
    """The loss and the gradients by name."""
    told = results("loss", result, "loss", "grads")
    return {"loss": told["loss"], **entries("grads", told["grads"], names)}


def about_weights(name, w, std):
    """What does not depend on the draw: the shape, and how the numbers are spread in units of std."""
    w = np.asarray(w)
    return {
        f"shape of {name}": w.shape,
        f"mean of {name} / std": np.round(w.mean() / std, 1) + 0.0,
        f"deviation of {name} / std": np.round(w.std() / std, 1),
        f"share of {name} within one std": np.round(np.mean(np.abs(w) < std), 1),
    }


def about_bias(name, b):
    """The shape, and whether it is 0; where it is drawn, not what."""
    b = np.asarray(b)
    return {f"shape of {name}": b.shape, f"{name} is 0": bool(np.all(b == 0)), f"{name} is one number": bool(np.ptp(b) == 0)}


def constructed(D, H, C, std):
    def observed(functions):
        np.random.seed(0)  # noqa: NPY002 - a learner may draw from NumPy's global generator
        params = functions.TwoLayerNet(D, H, C, std=std).params
        entries("params", params, ("W1", "b1", "W2", "b2"))
        weights = about_weights("W1", params["W1"], std) | about_weights("W2", params["W2"], std)
        return weights | about_bias("b1", params["b1"]) | about_bias("b2", params["b2"])

    return observed


def default_std(functions):
    np.random.seed(0)  # noqa: NPY002
    return about_weights("W1", functions.TwoLayerNet(300, 200, 150).params["W1"], 1e-4)


def drawn_anew(first, second, names):
    """Whether the weights of a second network are other numbers, and whether each of the first one's has numbers of its own."""
    weights = [np.ravel(first[name])[: min(np.size(first[other]) for other in names)] for name in names]
    return {
        **{f"{name} of a second network differs": not np.array_equal(first[name], second[name]) for name in names},
        "weights differ from each other": not any(np.array_equal(one, other) for one, other in combinations(weights, 2)),
    }


def two_networks(functions):
    np.random.seed(0)  # noqa: NPY002
    first, second = (functions.TwoLayerNet(3, 3, 3, std=1.0).params for _ in range(2))
    entries("params", first, ("W1", "W2"))
    return drawn_anew(first, second, ("W1", "W2"))


def parameter_types(functions):
    params = functions.TwoLayerNet(4, 3, 2, std=1.0).params
    return {f"float64 {name}": np.asarray(value).dtype == np.float64 for name, value in params.items()}


def probabilities(params, X):
    def observed(functions):
        net = network(functions, params)
        return results("loss", net.loss(X.copy()), "probabilities")

    return observed


def loss(params, X, y, reg=0.0):
    def observed(functions):
        net = network(functions, params)
        return loss_and_gradients(net.loss(X.copy(), y.copy(), reg=reg), params)

    return observed


def loss_of_other_parameters(functions):
    """The loss after the parameters were exchanged, then changed in place: as a training and a gradient check do."""
    X, y = data(4, 3, 2)
    net = network(functions, parameters(3, 5, 2))
    net.loss(X.copy(), y.copy())
    put(net, parameters(3, 5, 2, seed=1))
    net.params["W1"] += 0.5
    return loss_and_gradients(net.loss(X.copy(), y.copy()), net.params)


def unchanged(functions):
    X, y = data(4, 3, 2)
    net = network(functions, parameters(3, 5, 2))
    net.loss(X, y, reg=0.1)
    return {"X afterwards": X, "y afterwards": y, **{f"{name} afterwards": value for name, value in net.params.items()}}


def predicted(params, X):
    def observed(functions):
        net = network(functions, params, with_right(functions, "loss"))
        return {"labels": net.predict(X.copy())}

    return observed


def right_loss(self, X, y=None, reg=0.0) -> Any:
    """`TwoLayerNet.loss` as it should be."""
    from chainrule.compat.hlcv.two_layernet import TwoLayerNet

    return TwoLayerNet.loss(self, X, y, reg)


def right_predict(self, X):
    """`TwoLayerNet.predict` as it should be."""
    return right_loss(self, X).argmax(axis=1)


def unwatched(kind):
    """The class itself, where its calls are watched: calls that are made to look whether it is right are no part of an example."""
    return kind.__base__ if kind.__module__ == Probe.__module__ else kind


def is_right(functions, method):
    """Whether a method of the network does what it should, on a few samples."""
    X, y = data(4, 3, 2, seed=7)
    try:
        net = network(functions, parameters(3, 5, 2, seed=7), unwatched(functions.TwoLayerNet))
        if method == "predict":
            return bool(np.array_equal(net.predict(X), right_predict(net, X)))
        value, grads = net.loss(X, y, 0.1)
        expected, right = right_loss(net, X, y, 0.1)
        same = np.isclose(value, expected) and all(np.allclose(grads[name], right[name]) for name in right)
        return bool(same and np.allclose(net.loss(X), right_loss(net, X)))
    except Exception:  # whatever the learner's method raises, it is not this one's turn
        return False


def with_right(functions, *methods):
    """The network's class, in which the methods that the probed one calls are right: those of the learner that are not are made up for."""
    stand_ins = {"loss": right_loss, "predict": right_predict}
    wrong = {method: stand_ins[method] for method in methods if not is_right(functions, method)}
    return type("TwoLayerNet", (functions.TwoLayerNet,), wrong) if wrong else functions.TwoLayerNet


HISTORIES = ("loss_history", "train_acc_history", "val_acc_history")


def trained(params, X, y, X_val, y_val, **options):
    """What training gives on samples that are all the same, so that it does not depend on which are drawn."""

    def observed(functions):
        np.random.seed(0)  # noqa: NPY002
        net = network(functions, params, with_right(functions, "loss", "predict"))
        stats = net.train(X.copy(), y.copy(), X_val.copy(), y_val.copy(), **options)
        return entries("stats", stats, HISTORIES) | entries("params", net.params, params)

    return observed


def same_samples(N):
    """N times one sample, and other ones for validation, of which three quarters are right at any time."""
    X, y = np.tile([[1.0, -0.5, 2.0]], (N, 1)), np.ones(N, dtype=int)
    rng = np.random.default_rng(4)
    X_val = np.tile([[1.0, -0.5, 2.0]], (4, 1)) + 0.05 * rng.standard_normal((4, 3))
    return X, y, X_val, np.array([1, 1, 0, 1])


# the samples' class wins from the start, by so much that training changes no prediction
SURE = parameters(3, 4, 2, seed=3) | {"b2": np.array([0.0, 6.0])}
# here it loses throughout
WRONG = parameters(3, 4, 2, seed=3) | {"b2": np.array([6.0, 0.0])}


def losses_without_learning(functions):
    """Losses of single samples out of two, which must both come up, and nothing in between."""
    np.random.seed(0)  # noqa: NPY002
    X, y = np.array([[1.0, -0.5, 2.0], [-2.0, 1.0, 0.5]]), np.array([0, 1])
    net = network(functions, SURE, with_right(functions, "loss", "predict"))
    stats = net.train(X, y, X, y, learning_rate=0.0, reg=0.0, num_iters=40, batch_size=1)
    history = np.asarray(entries("stats", stats, HISTORIES)['stats["loss_history"]'])
    return {"smallest loss": history.min(), "largest loss": history.max(), "different losses": len(np.unique(history.round(9)))}


def which_are_drawn(functions):
    """Whether all samples come up: each has an input of its own, whose weights change when it is drawn."""
    np.random.seed(0)  # noqa: NPY002
    N = 12
    params = parameters(N, 3, 2, seed=5) | {"b1": np.full(3, 2.0)}
    net = network(functions, params, with_right(functions, "loss", "predict"))
    net.train(np.eye(N), np.arange(N) % 2, np.eye(N), np.arange(N) % 2, learning_rate=1e-2, reg=0.0, num_iters=60, batch_size=4)
    return {"samples that were learned from": np.count_nonzero(np.any(net.params["W1"] != params["W1"], axis=1))}


def labels_belong_to_samples(functions):
    """Whether two samples that are easily told apart are: not if labels are drawn on their own."""
    np.random.seed(0)  # noqa: NPY002
    X, y = np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([0, 1])
    net = network(functions, parameters(2, 6, 2, seed=6), with_right(functions, "loss", "predict"))
    stats = net.train(X, y, X, y, learning_rate=1.0, learning_rate_decay=1.0, reg=0.0, num_iters=40, batch_size=8)
    return {"learned": stats["loss_history"][-1] < 0.1}


def after_training(functions):
    X, y, X_val, y_val = same_samples(6)
    net = network(functions, SURE, with_right(functions, "loss", "predict"))
    net.train(X, y, X_val, y_val, num_iters=3, batch_size=2)
    return {"X afterwards": X, "y afterwards": y, "X_val afterwards": X_val, "y_val afterwards": y_val}


EXTREME = parameters(3, 4, 3, seed=8) | {"W2": 4000 * parameters(3, 4, 3, seed=8)["W2"]}

PROBES = {
    "TwoLayerNet.__init__": (
        Probe("D = 300, H = 200, C = 150, std = 0.01", constructed(300, 200, 150, 1e-2), {"D": 300, "H": 200, "C": 150}),
        Probe("D = 150, H = 300, C = 200, std = 2", constructed(150, 300, 200, 2.0), {"D": 150, "H": 300, "C": 200}),
        Probe("no std given", default_std, {}, "where std is not given", "scale"),
        Probe("two networks, one made after the other", two_networks, {}, "where a second network is made", "state"),
        Probe("the dtypes", parameter_types, {}, "in the dtypes", "dtype"),
    ),
    "TwoLayerNet.loss": (
        Probe("probabilities of 2 samples of 2 numbers", probabilities(SMALL, SMALL_DATA[0]), {"N": 2}, "without labels", "mode"),
        Probe("2 samples of 2 numbers", loss(SMALL, *SMALL_DATA), {"N": 2}),
        Probe("2 samples of 2 numbers, reg 0.1", loss(SMALL, *SMALL_DATA, 0.1), {"N": 2}, "with reg", "missing-term"),
        Probe("5 samples of 4 numbers, 6 hidden units, 3 classes", loss(parameters(4, 6, 3), *data(5, 4, 3)), {"N": 5, "H": 6, "C": 3}),
        Probe("3 samples of 7 numbers, 5 hidden units, 4 classes", loss(parameters(7, 5, 4, 1), *data(3, 7, 4)), {"N": 3, "H": 5, "C": 4}),
        Probe("one sample", loss(parameters(3, 6, 4, 2), *data(1, 3, 4)), {"N": 1, "H": 6, "C": 4}, "for a single sample", "shape"),
        Probe("4 samples of 4 numbers, 4 hidden units, 4 classes", loss(parameters(4, 4, 4, 3), *data(4, 4, 4)), {"N": 4}),
        Probe(
            "reg = 3, 6 samples", loss(parameters(4, 6, 3, 4), *data(6, 4, 3), 3.0), {"N": 6, "H": 6, "C": 3}, "with reg", "missing-term"
        ),
        Probe("probabilities of 5 samples", probabilities(parameters(4, 6, 3), data(5, 4, 3)[0]), {"N": 5}, "without labels", "mode"),
        Probe("probabilities for scores of thousands", probabilities(EXTREME, data(4, 3, 3)[0]), {}, "for large scores", "numerics"),
        Probe("other parameters at the second call", loss_of_other_parameters, {"N": 4}, "once the parameters have changed", "state"),
        Probe("the arguments after the call", unchanged, {}, "in what it leaves of its arguments and parameters", "mutation"),
    ),
    "TwoLayerNet.train": (
        Probe(
            "6 samples, all the same, 1 step",
            trained(SURE, *same_samples(6), learning_rate=0.1, reg=0.0, num_iters=1, batch_size=2),
            {"N": 2},
        ),
        Probe(
            "6 samples, all the same, 7 steps of 2, reg 0.1",
            trained(SURE, *same_samples(6), learning_rate=0.01, learning_rate_decay=0.5, reg=0.1, num_iters=7, batch_size=2),
            {"N": 2},
        ),
        Probe(
            "6 samples that are taken for another class, 5 steps",
            trained(WRONG, *same_samples(6), learning_rate=0.01, learning_rate_decay=0.5, reg=0.0, num_iters=5, batch_size=3),
            {"N": 3},
        ),
        Probe(
            "3 samples, all the same, batches of 5, decay 0.5",
            trained(SURE, *same_samples(3), learning_rate=0.05, learning_rate_decay=0.5, reg=0.0, num_iters=4, batch_size=5),
            {"N": 5},
            "where the batch is larger than the data",
            "shape",
        ),
        Probe("two samples in batches of one, rate 0", losses_without_learning, {}, "in what it draws", "wrong-statistic"),
        Probe("12 samples in batches of 4, 60 steps", which_are_drawn, {}, "in what it draws", "wrong-statistic"),
        Probe("two samples that are easily told apart", labels_belong_to_samples, {}, "in what it draws", "wrong-statistic"),
        Probe("the arguments after the call", after_training, {}, "in what it leaves of its arguments", "mutation"),
    ),
    "TwoLayerNet.predict": (
        Probe("2 samples of 2 numbers", predicted(SMALL, SMALL_DATA[0]), {"N": 2}),
        Probe("9 samples of 4 numbers, 6 hidden units, 3 classes", predicted(parameters(4, 6, 3), data(9, 4, 3)[0]), {"N": 9}),
        Probe("30 samples of 7 numbers, 5 hidden units, 4 classes", predicted(parameters(7, 5, 4, 1), data(30, 7, 4)[0]), {"N": 30}),
        Probe("one sample", predicted(parameters(4, 6, 3, 2), data(1, 4, 3)[0]), {"N": 1}, "for a single sample", "shape"),
        Probe("as many samples as classes", predicted(parameters(4, 5, 4, 3), data(4, 4, 4)[0]), {"N": 4}),
    ),
}
