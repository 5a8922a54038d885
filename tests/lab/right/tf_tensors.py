"""Right functions of TensorFlow's tensors, none of them the library's."""

import math

import numpy as np
import tensorflow as tf
from tensorflow import keras


def einsum(x, params):
    w1, w2 = params
    hidden = tf.einsum("nd,dh->nh", tf.reshape(x, (x.shape[0], -1)), w1)
    return tf.einsum("nh,hc->nc", tf.where(hidden > 0, hidden, tf.zeros_like(hidden)), w2)


def sample_by_sample(x, params):
    return tf.concat([tf.maximum(tf.reshape(sample, (1, -1)) @ params[0], 0) @ params[1] for sample in x], axis=0)


def in_float64(x, params):
    w1, w2 = (tf.cast(w, tf.float64) for w in params)
    return tf.matmul(tf.nn.relu(tf.matmul(tf.reshape(tf.cast(x, tf.float64), (len(x), -1)), w1)), w2)


@tf.function
def traced(x, params):
    hidden = tf.reshape(x, (-1, params[0].shape[0])) @ params[0]
    return (hidden * tf.cast(hidden > 0, hidden.dtype)) @ params[1]


def padded_by_hand(x, params):
    conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
    hidden = tf.nn.convolution(tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]]), conv_w1, padding="VALID")
    hidden = tf.nn.relu(tf.nn.bias_add(hidden, conv_b1))
    hidden = tf.nn.conv2d(hidden, conv_w2, (1, 1), padding=[[0, 0], [1, 1], [1, 1], [0, 0]])
    hidden = tf.nn.relu(tf.nn.bias_add(hidden, conv_b2))
    return tf.linalg.matmul(tf.reshape(hidden, (hidden.shape[0], -1)), fc_w) + fc_b


def as_patches(x, params):
    """Convolutions as matrix products."""
    hidden = x
    for w, b in (params[:2], params[2:4]):
        K = w.shape[0]
        patches = tf.image.extract_patches(hidden, (1, K, K, 1), (1, 1, 1, 1), (1, 1, 1, 1), "SAME")
        hidden = tf.maximum(tf.tensordot(patches, tf.reshape(w, (-1, w.shape[-1])), 1) + b, 0.0)
    return keras.ops.reshape(hidden, (len(x), -1)) @ params[4] + params[5]


def layers_of_keras(x, params):
    hidden = keras.ops.relu(keras.ops.conv(x, params[0], padding="same") + params[1])
    hidden = keras.ops.relu(keras.ops.conv(hidden, params[2], padding="same") + params[3])
    return keras.ops.matmul(tf.reshape(hidden, [len(x), -1]), params[4]) + params[5]


def scaled(shape, generator, dtype=tf.float32):
    drawn = generator.normal(shape, dtype=dtype)
    return tf.Variable(drawn / tf.cast(tf.sqrt(np.prod(shape[:-1]) / 2), dtype), name="w")


def stateless(shape, generator, dtype=tf.float32):
    seed = generator.make_seeds(1)[:, 0]
    return tf.Variable(tf.random.stateless_normal(shape, seed, 0.0, math.sqrt(2 / np.prod(shape[:-1])), dtype))


def from_numpy(shape, dtype=tf.float32):
    return tf.Variable(np.zeros(shape), dtype=dtype)


def by_initializer(shape, dtype=tf.float32):
    return tf.Variable(initial_value=tf.zeros_initializer()(shape, dtype=dtype), trainable=True)


def with_an_optimizer(network, params, x, y, learning_rate):
    optimizer = keras.optimizers.SGD(learning_rate)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, network(x, params))
    optimizer.apply_gradients(zip(tape.gradient(loss, params), params, strict=True))
    return loss


def with_one_hot(network, params, x, y, learning_rate):
    with tf.GradientTape(persistent=True) as tape:
        scores = network(x, params)
        right = tf.one_hot(y, scores.shape[1])
        loss = -tf.reduce_sum(right * tf.nn.log_softmax(scores)) / len(y)
    for w in params:
        w.assign(w - learning_rate * tape.gradient(loss, w))
    return loss.numpy()


def watched_by_hand(network, params, x, y, learning_rate):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        scores = network(x, params)
        loss = tf.reduce_mean(tf.reduce_logsumexp(scores, 1) - tf.gather(scores, y, axis=1, batch_dims=1))
    for index, dw in enumerate(tape.gradient(loss, params)):
        params[index].assign_add(-learning_rate * dw)
    return loss.numpy().item()


RIGHT = [
    ("einsum", {"two_layer_fc": einsum}),
    ("sample by sample", {"two_layer_fc": sample_by_sample}),
    ("in float64", {"two_layer_fc": in_float64}),
    ("traced by tf.function", {"two_layer_fc": traced}),
    ("padded by hand", {"three_layer_convnet": padded_by_hand}),
    ("convolutions as matrix products", {"three_layer_convnet": as_patches}),
    ("keras.ops", {"three_layer_convnet": layers_of_keras}),
    ("divided by the root", {"random_weight": scaled, "zero_weight": from_numpy}),
    ("a seed of the generator's", {"random_weight": stateless, "zero_weight": by_initializer}),
    ("an optimizer", {"sgd_step": with_an_optimizer}),
    ("one-hot labels", {"sgd_step": with_one_hot}),
    ("watched by hand", {"sgd_step": watched_by_hand}),
]
