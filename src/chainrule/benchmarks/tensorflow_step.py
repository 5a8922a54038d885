"""TensorFlow as a rival: the three-layer convnet as a `tf.function`.

Where TensorFlow is installed, it takes part in `chainrule bench`.
"""

import importlib
import os

__all__ = ["three_layer_convnet"]


def three_layer_convnet(state_dict, learning_rate, threads):
    """A function step(images, labels) -> loss: one step of Adam.

    Parameters
    ----------
    state_dict : of conv - relu - 2x2 max pool - affine - relu - affine, float32
    learning_rate : of Adam
    threads : of an operation

    Its images are (N, C, H, W), channels-last in memory.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it greets the user
    tf = importlib.import_module("tensorflow")
    from chainrule.tensorflow import to_tensorflow

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    variables = w1, b1, w2, b2, w3, b3 = [tf.Variable(array) for array in to_tensorflow(state_dict)]
    optimizer = tf.keras.optimizers.Adam(learning_rate, epsilon=1e-8)
    optimizer.build(variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            out = tf.nn.relu(tf.nn.conv2d(images, w1, strides=1, padding="SAME") + b1)
            out = tf.nn.max_pool2d(out, 2, 2, padding="VALID")
            out = tf.nn.relu(tf.reshape(out, (len(images), -1)) @ w2 + b2)
            scores = out @ w3 + b3
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    tensors = {}  # of the batches, which come again and again: as for the others, they are there before the step

    def step_on_arrays(images, labels):
        key = images.ctypes.data
        if key not in tensors:
            tensors[key] = tf.constant(images.transpose(0, 2, 3, 1)), tf.constant(labels)
        return step(*tensors[key]).numpy()

    return step_on_arrays
