"""Level 1, bare tensors: the forward pass is a function, a tape finds the gradients, and one's own line takes the step."""

import math

import tensorflow as tf

__all__ = ["random_weight", "sgd_step", "three_layer_convnet", "two_layer_fc", "zero_weight"]


def two_layer_fc(x, params):
    """affine - relu - affine.

    Parameters
    ----------
    x : (N, ...), flattened to (N, D)
    params : [w1 (D, H), w2 (H, C)]; without biases

    Returns
    -------
    scores : (N, C)
    """
    w1, w2 = params
    return tf.nn.relu(tf.reshape(x, (len(x), -1)) @ w1) @ w2


def three_layer_convnet(x, params):
    """conv 5x5 - relu - conv 3x3 - relu - affine; the padding keeps the size of the image.

    Parameters
    ----------
    x : (N, H, W, 3)
    params : [conv_w1 (5, 5, 3, F1), conv_b1 (F1,), conv_w2 (3, 3, F1, F2), conv_b2 (F2,), fc_w (H * W * F2, C), fc_b (C,)]

    Returns
    -------
    scores : (N, C)
    """
    conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
    hidden = tf.nn.relu(tf.nn.conv2d(x, conv_w1, strides=1, padding="SAME") + conv_b1)
    hidden = tf.nn.relu(tf.nn.conv2d(hidden, conv_w2, strides=1, padding="SAME") + conv_b2)
    return tf.reshape(hidden, (len(x), -1)) @ fc_w + fc_b


def random_weight(shape, generator, dtype=tf.float32):
    """A weight that is learned, drawn from N(0, 2 / fan_in) (He et al. 2015, eq. 10).

    Parameters
    ----------
    shape : (D, M) of an affine layer, or (KH, KW, C, F) of a convolution: the fan-in is all but the last
    generator : tf.random.Generator that it is drawn from
    dtype : of the weight
    """
    return tf.Variable(generator.normal(shape, stddev=math.sqrt(2 / math.prod(shape[:-1])), dtype=dtype))


def zero_weight(shape, dtype=tf.float32):
    """A weight that is learned, and begins at 0: a bias."""
    return tf.Variable(tf.zeros(shape, dtype))


def sgd_step(network, params, x, y, learning_rate):
    """One update of all parameters, in place: w - learning_rate * dw, dw of the mean cross-entropy. Returns the loss before it.

    Parameters
    ----------
    network : (x, params) -> scores
    params : variables; a tape watches them without being asked
    x, y : a batch and its labels (N,)
    """
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, network(x, params)))
    for w, dw in zip(params, tape.gradient(loss, params), strict=True):
        w.assign_sub(learning_rate * dw)
    return float(loss)
