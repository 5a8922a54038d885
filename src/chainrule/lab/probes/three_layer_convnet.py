"""Probes of the three-layer convolutional network: its parameters, then scores, loss and gradients for parameters set by hand."""
# ruff: noqa: NPY002 - weights come from NumPy's global generator

from typing import Any

import numpy as np

from chainrule.lab.probes.two_layernet import drawn_anew, entries
from chainrule.lab.probing import ContractError, Probe, results

__all__ = ["PROBES"]

NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")


def initial(**options):
    """What can be said of parameters that are drawn at random."""

    def observed(functions):
        np.random.seed(0)
        model = functions.ThreeLayerConvNet(**options)
        params = {name: np.asarray(model.params[name]) if name in model.params else None for name in NAMES}
        scale = options.get("weight_scale", 1e-3)
        seen: dict[str, Any] = {f"shape of {name}": None if value is None else np.array(value.shape) for name, value in params.items()}
        for name, value in params.items():
            if name.startswith("b"):
                seen[f"sum of the squares of {name}"] = None if value is None else np.sum(value.astype(float) ** 2)
            elif value is not None:
                # of at least 500 draws: the deviation errs by 3 %, the mean by 0.05 deviations
                seen[f"{name} has the deviation weight_scale"] = abs(value.std() / scale - 1) < 0.2
                seen[f"{name} has the variance weight_scale"] = abs(value.var() / scale - 1) < 0.4
                seen[f"{name} has deviation 1"] = abs(value.std() - 1) < 0.2
                seen[f"{name} has mean 0"] = abs(value.mean()) < 0.2 * value.std() + 1e-30
                seen[f"{name} is drawn anew"] = len(np.unique(value)) > 0.9 * value.size
        seen["reg"] = getattr(model, "reg", None)
        sizes = {None if value is None else value.dtype.itemsize for value in params.values()}
        seen["bytes of a parameter"] = sizes.pop() if len(sizes) == 1 and None not in sizes else -1
        return seen

    return observed


def two_networks(functions):
    np.random.seed(0)
    made = (functions.ThreeLayerConvNet(input_dim=(1, 4, 4), num_filters=2, filter_size=3, hidden_dim=3, num_classes=3) for _ in range(2))
    first, second = (entries("params", model.params, NAMES[::2]) for model in made)
    return drawn_anew(first, second, tuple(first))


def network(functions, image, filters, size, hidden, classes, reg, dtype, seed):
    """With parameters of its own, which do not come from how it draws them, and no number near a kink of ReLU or maximum."""
    rng = np.random.default_rng(seed)
    C, H, W = image
    shapes = {
        "W1": (filters, C, size, size),
        "b1": (filters,),
        "W2": (filters * (H // 2) * (W // 2), hidden),
        "b2": (hidden,),
        "W3": (hidden, classes),
        "b3": (classes,),
    }
    options = {"input_dim": image, "num_filters": filters, "filter_size": size, "hidden_dim": hidden, "num_classes": classes}
    np.random.seed(0)
    model = functions.ThreeLayerConvNet(**options, weight_scale=1e-2, reg=0.0, dtype=dtype)
    model.params = {name: (0.4 * rng.standard_normal(shape)).astype(dtype) for name, shape in shapes.items()}
    model.reg = reg
    return model


def data(image, classes, N, seed):
    rng = np.random.default_rng(seed + 100)
    return rng.standard_normal((N, *image)), rng.integers(classes, size=N)


def scores(image, filters, size, hidden, classes, N, dtype: type = np.float64, seed=0):
    def observed(functions):
        model = network(functions, image, filters, size, hidden, classes, 0.0, dtype, seed)
        return results("ThreeLayerConvNet.loss", model.loss(data(image, classes, N, seed)[0]), "scores")

    return observed


def gradients(image, filters, size, hidden, classes, N, reg=0.0, dtype: type = np.float64, seed=0):
    def observed(functions):
        model = network(functions, image, filters, size, hidden, classes, reg, dtype, seed)
        found = results("ThreeLayerConvNet.loss", model.loss(*data(image, classes, N, seed)), "loss", "grads")
        if not isinstance(found["grads"], dict):
            raise ContractError("ThreeLayerConvNet.loss gives back grads that are no dictionary; expected one with the keys of params")
        return {"loss": found["loss"]} | {f"d{name}": found["grads"].get(name) for name in NAMES}

    return observed


def trained(functions):
    """Two steps of gradient descent: the parameters are read anew in each."""
    model = network(functions, (2, 4, 6), 3, 3, 5, 4, 0.1, np.float64, 5)
    X, y = data((2, 4, 6), 4, 3, 5)
    for _ in range(2):
        _, grads = results("ThreeLayerConvNet.loss", model.loss(X, y), "loss", "grads").values()
        for name in model.params:
            model.params[name] = model.params[name] - 0.5 * grads[name]
    return {"loss": results("ThreeLayerConvNet.loss", model.loss(X, y), "loss", "grads")["loss"]}


def sizes(N, F, C):
    return {"N": N, "F": F, "C": C}


PENALTY = "where reg is not 0", "missing-term"
PROBES = {
    "ThreeLayerConvNet.__init__": (
        Probe(
            "images of 3 channels and 8 x 6 pixels",
            initial(input_dim=(3, 8, 6), num_filters=8, filter_size=5, hidden_dim=60, num_classes=9, weight_scale=1e-2, reg=0.25),
        ),
        Probe("the defaults, for images of 8 x 8 pixels", initial(input_dim=(3, 8, 8))),
        Probe("two networks, one made after the other", two_networks, {}, "where a second network is made", "state"),
        Probe(
            "images with an odd number of rows, float64",
            initial(input_dim=(2, 7, 11), num_filters=30, filter_size=3, hidden_dim=50, num_classes=12, weight_scale=0.5, dtype=np.float64),
            {},
            "where rows are odd, or for float64",
            "dtype",
        ),
    ),
    "ThreeLayerConvNet.loss": (
        Probe("scores of 2 images of one channel and 2 x 2 pixels", scores((1, 2, 2), 1, 1, 2, 2, 2), sizes(2, 1, 1)),
        Probe("scores of 3 images of 2 channels and 4 x 6 pixels", scores((2, 4, 6), 3, 3, 5, 4, 3, seed=1), sizes(3, 3, 2)),
        Probe("2 images of one channel and 2 x 2 pixels", gradients((1, 2, 2), 1, 1, 2, 2, 2), sizes(2, 1, 1)),
        Probe("3 images of 2 channels and 4 x 6 pixels", gradients((2, 4, 6), 3, 3, 5, 4, 3, seed=1), sizes(3, 3, 2)),
        Probe("filters of 5 x 5", gradients((3, 6, 4), 2, 5, 4, 5, 4, seed=2), sizes(4, 2, 3), "where filters are large", "off-by-one"),
        Probe("reg = 0.3", gradients((2, 4, 6), 3, 3, 5, 4, 3, reg=0.3, seed=1), sizes(3, 3, 2), *PENALTY),
        Probe("one image", gradients((2, 4, 4), 3, 3, 4, 3, 1, seed=4), sizes(1, 3, 2)),
        Probe("reg = 0.1, after two steps of gradient descent", trained, sizes(3, 3, 2), *PENALTY),
        Probe("float32", gradients((2, 4, 6), 3, 3, 5, 4, 3, 0.2, np.float32, 6), sizes(3, 3, 2), "in float32", "dtype"),
    ),
}
