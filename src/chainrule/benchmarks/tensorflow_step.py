"""TensorFlow as a rival: the three-layer convnet as a `tf.function`.

TensorFlow is no dependency of chainrule; where it is installed beside it, it takes part in `chainrule bench`.
"""

import importlib
import os

import numpy as np

__all__ = ["three_layer_convnet"]


def three_layer_convnet(params, learning_rate, threads):
    """A function step(images, labels) -> loss: one step of Adam.

    Parameters
    ----------
    params : dict with W1 (F, C, KH, KW), b1, W2 (F * H * W / 4, hidden), b2, W3, b3; float32
    learning_rate : of Adam
    threads : of an operation

    Its images are (N, C, H, W), channels-last in memory.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets the user
    tf = importlib.import_module("tensorflow")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    F, hidden = len(params["W1"]), params["W2"].shape[1]
    side = int((len(params["W2"]) // F) ** 0.5)  # of the pooled image
    by_pixel = (
        params["W2"].reshape(F, side, side, hidden).transpose(1, 2, 0, 3).reshape(-1, hidden)
    )  # the image is flattened pixel by pixel
    values = {**params, "W1": params["W1"].transpose(2, 3, 1, 0), "W2": by_pixel}
    variables = {name: tf.Variable(np.ascontiguousarray(value)) for name, value in values.items()}
    optimizer = tf.keras.optimizers.Adam(learning_rate, epsilon=1e-8)
    optimizer.build(list(variables.values()))

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            out = tf.nn.relu(tf.nn.conv2d(images, variables["W1"], strides=1, padding="SAME") + variables["b1"])
            out = tf.nn.max_pool2d(out, 2, 2, padding="VALID")
            out = tf.nn.relu(tf.reshape(out, (len(images), -1)) @ variables["W2"] + variables["b2"])
            scores = out @ variables["W3"] + variables["b3"]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        gradients = tape.gradient(loss, list(variables.values()))
        optimizer.apply_gradients(zip(gradients, variables.values(), strict=True))
        return loss

    tensors = {}  # of the batches, which come again and again: as for the others, they are there before the step

    def step_on_arrays(images, labels):
        key = images.ctypes.data
        if key not in tensors:
            tensors[key] = tf.constant(images.transpose(0, 2, 3, 1)), tf.constant(labels)
        return step(*tensors[key]).numpy()

    return step_on_arrays
