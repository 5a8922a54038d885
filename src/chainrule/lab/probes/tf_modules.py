"""Probes of level 2 of TensorFlow, classes, whose layers may have any names and order; tensorflow is imported when a probe runs.

Keras makes a network's parameters when it is first called, so what a constructor made is seen through `call`.
"""

import random

import numpy as np

from chainrule.lab.probes.tensors import draws, returned_loss, rounded_std
from chainrule.lab.probes.tf_tensors import scores_and_gradients
from chainrule.lab.probing import ContractError, Probe

__all__ = ["PROBES", "convnet_probes", "structure", "two_layer_probes"]


def built(make, arguments, x):
    """The network that `make` makes, from a fixed seed, once it was called for a batch."""
    from tensorflow import keras

    random.seed(7)  # which Keras' initializers take their seeds from; keras.utils.set_random_seed makes TensorFlow load its kernels anew
    network = make(*arguments)
    if not isinstance(network, keras.Model):
        raise ContractError(f"{getattr(make, '__name__', 'it')} makes a {type(network).__name__}; expected a keras.Model")
    if not network.built:
        network(x)
    return network


def two_layer_sizes(D, H, C):
    return [(D, H), (H, C)], ("dw1", "dw2")


def convnet_sizes(image, F1, F2, C):
    height, width, channels = image
    names = ("dconv_w1", "dconv_b1", "dconv_w2", "dconv_b2", "dfc_w", "dfc_b")
    return [(5, 5, channels, F1), (F1,), (3, 3, F1, F2), (F2,), (height * width * F2, C), (C,)], names


def structure(name, arguments, image):
    """The sizes of what learns, the smallest first, and of what does not."""

    def observed(functions):
        network = built(getattr(functions, name), arguments, np.zeros((1, *image), np.float32))
        return {
            "parameter sizes": np.array(sorted(int(np.prod(each.shape)) for each in network.trainable_variables), dtype=np.int64),
            "all are trainable": all(each.trainable for layer in [network, *network.layers] for each in layer.weights),
        }

    return observed


def beginnings(name, arguments, image, shapes):
    """What is sure of the weights and biases that a network begins with."""

    def observed(functions):
        values = [each.numpy() for each in built(getattr(functions, name), arguments, np.zeros((1, *image), np.float32)).weights]
        sizes = sorted(int(np.prod(shape)) for shape in shapes if len(shape) > 1)
        weights = sorted((value for value in values if value.ndim > 1), key=np.size)
        if [weight.size for weight in weights] != sizes:
            raise ContractError(f"the weights have {', '.join(str(w.size) for w in weights) or 'no'} numbers; expected {sizes}")
        return {
            "std of the weights": np.array([rounded_std(weight) for weight in weights], np.float32),
            # drawn evenly from an interval, they end at 1.73; Keras' "he_normal" has them up to 2.27
            "weights beyond 1.9 std": np.array([bool(abs(weight).max() > 1.9 * weight.std()) for weight in weights]),
            "largest bias": max((float(abs(value).max()) for value in values if value.ndim == 1), default=0.0),
        }

    return observed


def with_values(network, values):
    """Give the network's parameters these values, whatever they are called. Returns the variables, in the order of the values.

    Raises
    ------
    ContractError
        The network has others.
    """
    left, chosen = list(network.weights), []
    for value in values:
        fitting = [each for each in left if tuple(each.shape) == value.shape] or [
            each for each in left if np.prod(each.shape) == value.size
        ]
        if not fitting:
            break
        chosen.append(fitting[0])
        left = [each for each in left if each is not fitting[0]]
    if left or len(chosen) < len(values):
        have = ", ".join(str(tuple(each.shape)) for each in network.weights) or "no shape at all"
        raise ContractError(f"the network has parameters of {have}; expected {', '.join(str(value.shape) for value in values)}")
    for each, value in zip(chosen, values, strict=True):
        each.assign(value.reshape(each.shape))
    return chosen


def scores_of(name, arguments, N, image, sizes, seed, shift=0.0):
    """Scores and gradients of a network with known parameters."""
    shapes, names = sizes
    values = [value / np.float32(np.sqrt(np.prod(value.shape[:-1]))) for value in draws(shapes, seed + 10)]
    x = draws([(N, *image)], seed)[0] + np.float32(shift)

    def observed(functions):
        import tensorflow as tf

        batch = tf.constant(x)
        network = built(getattr(functions, name), arguments, batch)
        parameters = with_values(network, values)
        found = scores_and_gradients(name, lambda: network(batch), (N, shapes[-1][-1]), parameters, names)
        return found | {
            gradient: np.array(found[gradient]).reshape(value.shape)
            for gradient, value in zip(names, values, strict=True)
            if found[gradient] is not None
        }

    return observed


def two_layer_probes(name, more=lambda *image: ()):
    """`more` gives the arguments that the list of layers takes besides, for an image."""

    def scores(N, image, H, C, seed):
        return scores_of(name, (H, C, *more(*image)), N, image, two_layer_sizes(int(np.prod(image)), H, C), seed, 1.0)

    return (
        Probe("2 samples of 3 features, 4 hidden, 5 classes", scores(2, (3,), 4, 5, 11), {"N": 2, "D": 3}),
        Probe("6 samples of 5 features, 3 hidden, 2 classes", scores(6, (5,), 3, 2, 1), {"N": 6, "D": 5}),
        Probe("one sample", scores(1, (4,), 6, 3, 2), {"N": 1, "D": 4}, "for a single sample", "broadcasting"),
        Probe("images (2, 4, 3)", scores(2, (2, 4, 3), 5, 3, 3), {"N": 2}, "for images, which have more axes", "shape"),
        Probe("how the weights begin", beginnings(name, (128, 512, *more(32)), (32,), two_layer_sizes(32, 128, 512)[0])),
    )


def convnet_probes(name, more=lambda *image: ()):
    def scores(N, image, F1, F2, C, seed):
        return scores_of(name, (F1, F2, C, *more(*image)), N, image, convnet_sizes(image, F1, F2, C), seed)

    return (
        Probe("2 images (8, 7, 2), 2 and 3 filters, 5 classes", scores(2, (8, 7, 2), 2, 3, 5, 0), {"N": 2}),
        Probe("3 images (7, 9, 3), 5 and 4 filters, 2 classes", scores(3, (7, 9, 3), 5, 4, 2, 1), {"N": 3}),
        Probe("one image (7, 7, 2)", scores(1, (7, 7, 2), 3, 4, 6, 2), {"N": 1}, "for a single image", "broadcasting"),
        Probe(
            "how the weights begin",
            beginnings(name, (57, 16, 32, *more(8, 8, 5)), (8, 8, 5), convnet_sizes((8, 8, 5), 57, 16, 32)[0]),
        ),
    )


def trained(count, *, seed=0, frozen=False, **options):
    """Losses, and the parameters of a small network after so many steps; with `frozen`, its first layer stays as it is."""
    x, *values = draws([(6, 3), (3, 4), (4,), (4, 3), (3,)], seed)

    def observed(functions):
        import tensorflow as tf
        from tensorflow import keras

        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)])
        network.set_weights(values)
        network.layers[0].trainable = not frozen
        optimizer = keras.optimizers.SGD(**options)
        batch = tf.constant(x), tf.constant([0, 1, 2, 0, 1, 2])
        losses = [functions.train_step(network, optimizer, *batch) for _ in range(count)]
        return {
            **{f"loss {number}": returned_loss("train_step", loss) for number, loss in enumerate(losses, 1)},
            **dict(zip(("w1", "b1", "w2", "b2"), network.get_weights(), strict=True)),
        }

    return observed


PROBES = {
    "TwoLayerFC.call": two_layer_probes("TwoLayerFC"),
    "ThreeLayerConvNet.call": convnet_probes("ThreeLayerConvNet"),
    "train_step": (
        Probe("one step of SGD", trained(1, learning_rate=0.5), {"N": 6}),
        Probe(
            "3 steps of SGD with momentum",
            trained(3, learning_rate=0.2, momentum=0.9, seed=2),
            {"N": 6},
            "from the second step on",
            "state",
        ),
        Probe(
            "a first layer that is not trainable", trained(2, learning_rate=0.5, frozen=True), {"N": 6}, "where a layer is frozen", "state"
        ),
    ),
}
