"""Probes of level 1 of TensorFlow, functions of tensors. tensorflow is imported when a probe runs: the other labs do without it."""

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.lab.probes.tensors import SMALL, draws, returned_loss, rounded_std
from chainrule.lab.probing import ContractError, Probe, results

__all__ = ["PROBES", "scores_and_gradients"]


def scores_and_gradients(function: str, compute: Callable, shape: Sequence[int], inputs: Sequence, names: Sequence[str]):
    """The scores that `compute` gives, and by name the gradients of sum(scores * dscores) with respect to the inputs.

    dscores is drawn in that shape; a gradient is None where the tape has none.
    """
    import tensorflow as tf

    (dscores,) = draws([shape], 9)
    with tf.GradientTape() as tape:
        (scores,) = results(function, compute(), "scores").values()
        found = isinstance(scores, tf.Tensor | tf.Variable) and tuple(scores.shape) == tuple(shape)
        total = tf.reduce_sum(scores * tf.cast(dscores, scores.dtype)) if found else None
    gradients = tape.gradient(total, inputs) if found else [None] * len(inputs)
    return {"scores": scores} | dict(zip(names, gradients, strict=True))


def network(name, x, params, names):
    """Scores and gradients of the parameters, for one of the two networks."""

    def observed(functions):
        import tensorflow as tf

        learned = [tf.Variable(value, dtype=tf.float32) for value in params]
        shape = len(x), params[-1].shape[-1]
        return scores_and_gradients(name, lambda: getattr(functions, name)(tf.constant(x, tf.float32), learned), shape, learned, names)

    return observed


def two_layer(shape, H, C, seed=0):
    x, w1, w2 = draws([shape, (int(np.prod(shape[1:])), H), (H, C)], seed)
    return network("two_layer_fc", 1 + x, [w1, w2], ("dw1", "dw2"))


def convnet(N, H, W, F1, F2, C, seed=0):
    shapes = [(N, H, W, 3), (5, 5, 3, F1), (F1,), (3, 3, F1, F2), (F2,), (H * W * F2, C), (C,)]
    x, *params = draws(shapes, seed)
    return network("three_layer_convnet", x, params, ("dconv_w1", "dconv_b1", "dconv_w2", "dconv_b2", "dfc_w", "dfc_b"))


def variable(function, weight):
    """The weight's values, once it is known to be a variable."""
    import tensorflow as tf

    (weight,) = results(function, weight, "weight").values()
    if not isinstance(weight, tf.Variable | tf.Tensor):
        raise ContractError(f"{function} gives back a {type(weight).__name__}; expected a tf.Variable")
    return weight.numpy()


def learns(weight):
    import tensorflow as tf

    return {"is a variable": isinstance(weight, tf.Variable), "is trainable": bool(getattr(weight, "trainable", False))}


def drawn(shape):
    """What is sure of a weight that is drawn by chance."""

    def observed(functions):
        import tensorflow as tf

        generator = tf.random.Generator.from_seed(5)
        weight, another = functions.random_weight(shape, generator), functions.random_weight(shape, generator)
        values = variable("random_weight", weight)
        return {
            "shape": np.array(values.shape),
            **learns(weight),
            "std": rounded_std(values),
            "mean / std": abs(round(float(values.mean() / (values.std() + 1e-12)))),
            "has values beyond 2.5 std": bool((abs(values) > 2.5 * values.std()).any()),
            "differs from call to call": not np.array_equal(values, variable("random_weight", another)),
        }

    return observed


def from_a_generator(functions):
    import tensorflow as tf

    def draw(seed):
        return variable("random_weight", functions.random_weight((6, 5), tf.random.Generator.from_seed(seed)))

    first, again, other = draw(1), draw(1), draw(2)
    return {"same from the same seed": np.array_equal(first, again), "same from another seed": np.array_equal(first, other)}


def drawn_in_float64(functions):
    import tensorflow as tf

    weight = functions.random_weight((4, 3), tf.random.Generator.from_seed(1), dtype=tf.float64)
    return {"is float64": variable("random_weight", weight).dtype == np.float64, **learns(weight)}


def zeros(shape, dtype=None):
    def observed(functions):
        weight = functions.zero_weight(shape) if dtype is None else functions.zero_weight(shape, dtype=dtype)
        values = variable("zero_weight", weight)
        return {"weight": values, **learns(weight), "is float64": values.dtype == np.float64}

    return observed


def steps(x, params, labels, learning_rate, count=1):
    """The parameters after so many steps on one batch, and the losses before each."""

    def observed(functions):
        import tensorflow as tf

        learned = [tf.Variable(value, dtype=tf.float32) for value in params]
        given = list(learned)

        def forward(x, params):
            w1, w2 = params
            return tf.tanh(x @ w1) @ w2

        batch = tf.constant(x, tf.float32), tf.constant(labels)
        losses = [functions.sgd_step(forward, given, *batch, learning_rate) for _ in range(count)]
        return {
            **{f"loss {number}": returned_loss("sgd_step", loss) for number, loss in enumerate(losses, 1)},
            **{f"w{number}": value.numpy() for number, value in enumerate(learned, 1)},
            "the same variables": len(given) == len(learned) and all(new is old for new, old in zip(given, learned, strict=True)),
        }

    return observed


def sgd(N, D, H, C, learning_rate, count=1, seed=0):
    x, w1, w2 = draws([(N, D), (D, H), (H, C)], seed)
    return steps(x, [w1, w2], [row % C for row in range(N)], learning_rate, count)


PROBES = {
    "two_layer_fc": (
        Probe("2 samples of 2 features", network("two_layer_fc", np.array(SMALL[0]), SMALL[1], ("dw1", "dw2")), {"N": 2, "D": 2}),
        Probe("5 samples of 4 features", two_layer((5, 4), 7, 3), {"N": 5, "D": 4}),
        Probe("one sample", two_layer((1, 4), 6, 3, 1), {"N": 1, "D": 4}, "for a single sample", "broadcasting"),
        Probe(
            "images (2, 4, 3)", two_layer((2, 2, 4, 3), 5, 3, 2), {"N": 2, "D": 24}, "for images, which have more than one axis", "shape"
        ),
    ),
    "three_layer_convnet": (
        Probe("2 images of 4 x 3", convnet(2, 4, 3, 2, 3, 4), {"N": 2}),
        Probe("3 images of 5 x 6", convnet(3, 5, 6, 4, 2, 3, 1), {"N": 3}),
        Probe("one image of 6 x 6", convnet(1, 6, 6, 3, 4, 2, 2), {"N": 1}, "for a single image", "broadcasting"),
    ),
    "random_weight": (
        Probe("of an affine layer, (32, 128)", drawn((32, 128)), {"D": 32, "M": 128}),
        Probe("of a convolution, (4, 4, 2, 128)", drawn((4, 4, 2, 128)), {"F": 128, "C": 2}, "for convolutions", "wrong-statistic"),
        Probe("of a convolution, (4, 4, 8, 32)", drawn((4, 4, 8, 32)), {"F": 32, "C": 8}, "for convolutions", "wrong-statistic"),
        Probe("from equally seeded generators", from_a_generator, {}, "from equally seeded generators", "state"),
        Probe("in float64", drawn_in_float64, {}, "in float64", "dtype"),
    ),
    "zero_weight": (
        Probe("3 numbers", zeros((3,))),
        Probe("2 x 4", zeros((2, 4))),
        Probe("in float64", zeros((3,), "float64"), {}, "in float64", "dtype"),
    ),
    "sgd_step": (
        Probe(
            "2 samples, 2 features, learning rate 1",
            steps(SMALL[0], [np.eye(2), np.array([[1.0, 0.0], [0.0, 2.0]])], [0, 1], 1.0),
            {"N": 2},
        ),
        Probe("5 samples, learning rate 0.1", sgd(5, 4, 3, 6, 0.1), {"N": 5}),
        Probe("3 steps, one after the other", sgd(4, 3, 5, 2, 0.5, 3, 1), {"N": 4}, "from the second step on", "state"),
        Probe("one sample", sgd(1, 3, 2, 4, 0.2, 1, 2), {"N": 1}),
    ),
}
