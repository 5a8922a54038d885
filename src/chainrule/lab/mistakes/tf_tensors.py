"""Mistakes in level 1 of TensorFlow, functions of tensors."""

import math

import tensorflow as tf
from tensorflow import keras

from chainrule.lab.mistake import Mistake
from chainrule.tensorflow.levels.tensors import random_weight

__all__ = ["MISTAKES", "channels_first", "from_probabilities", "mean_loss", "rows", "without"]


def without(value):
    return value


def rows(x):
    return tf.reshape(x, (len(x), -1))


def channels_first(x):
    return rows(tf.transpose(x, (0, 3, 1, 2)) if len(x.shape) == 4 else x)


def samples_mixed(x):
    return tf.reshape(tf.transpose(x), (len(x), -1))


def mean_loss(scores, y):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))


def from_probabilities(scores, y):
    """The loss of Keras, which takes probabilities unless it is told that they are scores."""
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, scores))


def two_layer(*, flatten=rows, active=tf.nn.relu, after=without):
    """`two_layer_fc` with one of its steps put in."""
    return lambda x, params: after(active(flatten(x) @ params[0]) @ params[1])


TWO_LAYER = tuple(
    Mistake("two_layer_fc", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "there is no relu between the two affine layers, which makes them one affine layer",
            ("What is x @ w1 @ w2 without anything in between?", "hidden = tf.nn.relu(x @ w1), with x flattened"),
            two_layer(active=without),
        ),
        (
            "missing-term",
            "the scores go through relu, too; scores may be negative: the last layer has no activation",
            ("What can a network not say whose scores are all at least 0?", "Return hidden @ w2 as it is."),
            two_layer(after=tf.nn.relu),
        ),
        (
            "axis",
            "relu is applied to x instead of x @ w1: the order is affine - relu - affine",
            ("What goes into relu, and what comes out of the first layer?", "tf.nn.relu(x @ w1), not tf.nn.relu(x) @ w1"),
            two_layer(flatten=lambda x: tf.nn.relu(rows(x)), active=without),
        ),
        (
            "sign",
            "relu keeps the negative numbers and drops the positive ones: it is tf.maximum(hidden, 0), not tf.minimum",
            ("What is relu(3), and what is relu(-3)?", "tf.nn.relu(hidden)"),
            two_layer(active=lambda hidden: tf.minimum(hidden, 0.0)),
        ),
        (
            "missing-term",
            "the activation is a sigmoid; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "tf.nn.relu(hidden)"),
            two_layer(active=tf.sigmoid),
        ),
        (
            "missing-term",
            "the activation is tanh; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "tf.nn.relu(hidden)"),
            two_layer(active=tf.tanh),
        ),
        (
            "scale",
            "softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does sparse_softmax_cross_entropy_with_logits do with its logits?", "Return hidden @ w2."),
            two_layer(after=tf.nn.softmax),
        ),
        (
            "scale",
            "log_softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does sparse_softmax_cross_entropy_with_logits do with its logits?", "Return hidden @ w2."),
            two_layer(after=tf.nn.log_softmax),
        ),
        (
            "shape",
            "x is not flattened: an image (H, W, C) has to become one row of D numbers before it meets w1 (D, H)",
            ("What is the shape of a batch of images, and which one does x @ w1 need?", "tf.reshape(x, (len(x), -1))"),
            two_layer(flatten=without),
        ),
        (
            "axis",
            "images are flattened with their channels first; the rows of w1 expect the order of the axes as they are, (H, W, C)",
            (
                "In which order do the numbers of an image meet the rows of w1?",
                "tf.reshape(x, (len(x), -1)) without a transpose before it.",
            ),
            two_layer(flatten=channels_first),
        ),
        (
            "axis",
            "the samples are mixed: x is transposed before it is reshaped, so a row has numbers of several samples",
            ("Whose numbers are in the first row?", "tf.reshape(x, (len(x), -1)) keeps the axis of the batch where it is."),
            two_layer(flatten=samples_mixed),
        ),
        (
            "missing-term",
            "the scores carry no gradient: the tape does not see through NumPy, tf.stop_gradient, tf.constant or tape.stop_recording",
            ("What does tape.gradient give for these scores?", "Compute with functions of tf alone, without .numpy()."),
            two_layer(after=tf.stop_gradient),
        ),
        (
            "missing-term",
            "w1 gets no gradient: the hidden values leave the tape (NumPy, tf.stop_gradient, tf.constant) before the second layer",
            ("On which way does the gradient of the scores come to w1?", "hidden @ w2 with hidden as tf.nn.relu gave it."),
            two_layer(active=lambda hidden: tf.stop_gradient(tf.nn.relu(hidden))),
        ),
    )
)


def conv_net(*, padding=("SAME", "SAME"), strides=1, active=(tf.nn.relu, tf.nn.relu), biases=(1, 1, 1), flatten=rows, after=without):
    """`three_layer_convnet` with some of its steps put in."""

    def network(x, params):
        conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
        hidden = active[0](tf.nn.conv2d(x, conv_w1, strides, padding[0]) + biases[0] * conv_b1)
        hidden = active[1](tf.nn.conv2d(hidden, conv_w2, 1, padding[1]) + biases[1] * conv_b2)
        scores = flatten(hidden) @ fc_w
        return after(scores + fc_b if biases[2] else scores)

    return network


def left_out(x, params, first, second, third):
    """`three_layer_convnet` without some of its biases, which then have no gradient."""
    conv_w1, conv_b1, conv_w2, conv_b2, fc_w, fc_b = params
    hidden = tf.nn.conv2d(x, conv_w1, 1, "SAME")
    hidden = tf.nn.conv2d(tf.nn.relu(hidden + conv_b1 if first else hidden), conv_w2, 1, "SAME")
    scores = rows(tf.nn.relu(hidden + conv_b2 if second else hidden)) @ fc_w
    return scores + fc_b if third else scores


CONVNET = tuple(
    Mistake("three_layer_convnet", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "there is no relu after the first convolution",
            ("Which function stands between two convolutions?", "tf.nn.relu around the first convolution with its bias."),
            conv_net(active=(without, tf.nn.relu)),
        ),
        (
            "missing-term",
            "there is no relu after the second convolution",
            ("Which function stands between a convolution and the affine layer?", "tf.nn.relu around the second convolution, too."),
            conv_net(active=(tf.nn.relu, without)),
        ),
        (
            "missing-term",
            "there is no relu at all: three affine maps in a row are one affine map",
            ("What is the composition of linear maps?", "tf.nn.relu around both convolutions."),
            conv_net(active=(without, without)),
        ),
        (
            "missing-term",
            "the scores go through relu, too; scores may be negative: the last layer has no activation",
            ("What can a network not say whose scores are all at least 0?", "Return the affine layer's result as it is."),
            conv_net(after=tf.nn.relu),
        ),
        (
            "missing-term",
            "the convolutions have no biases: tf.nn.conv2d adds none, conv_b1 and conv_b2 have to be added",
            ("How many tensors are in params, and how many are used?", 'tf.nn.conv2d(x, conv_w1, strides=1, padding="SAME") + conv_b1'),
            lambda x, params: left_out(x, params, False, False, True),
        ),
        (
            "missing-term",
            "the bias of the affine layer is left out",
            ("How many tensors are in params, and how many are used?", "Add fc_b to the scores."),
            lambda x, params: left_out(x, params, True, True, False),
        ),
        (
            "missing-term",
            "no layer has its bias: every second tensor of params is one",
            ("How many tensors are in params, and how many are used?", "Add a bias after each convolution and to the scores."),
            lambda x, params: left_out(x, params, False, False, False),
        ),
        (
            "axis",
            "the bias is added behind relu; it belongs to the convolution: relu(conv + b)",
            ("What does relu do to a positive bias of a negative value?", "tf.nn.relu(tf.nn.conv2d(...) + conv_b1)"),
            lambda x, params: (
                rows(
                    tf.nn.relu(tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(x, params[0], 1, "SAME")) + params[1], params[2], 1, "SAME"))
                    + params[3]
                )
                @ params[4]
                + params[5]
            ),
        ),
        (
            "shape",
            'the convolutions have padding="VALID", which takes 4 pixels of each side and then 2; "SAME" keeps the size',
            ("How many pixels does a kernel of 5 lose at each side?", 'padding="SAME", in both convolutions'),
            conv_net(padding=("VALID", "VALID")),
        ),
        (
            "shape",
            'the second convolution has padding="VALID", which makes the image smaller; "SAME" keeps the size',
            ("What is the size of the image behind each convolution?", 'padding="SAME", in both convolutions'),
            conv_net(padding=("SAME", "VALID")),
        ),
        (
            "axis",
            "the feature maps are flattened with their channels first; the rows of fc_w expect (H, W, F2) in this order",
            ("In which order do the numbers of an image meet the rows of fc_w?", "tf.reshape(hidden, (len(x), -1)), without a transpose"),
            conv_net(flatten=channels_first),
        ),
        (
            "scale",
            "softmax is applied to the scores; the loss does that, and wants the scores as they are",
            ("What does sparse_softmax_cross_entropy_with_logits do with its logits?", "Return the scores."),
            conv_net(after=tf.nn.softmax),
        ),
        (
            "missing-term",
            "the scores carry no gradient: the tape does not see through NumPy, tf.stop_gradient, tf.constant or tape.stop_recording",
            ("What does tape.gradient give for these scores?", "Compute with functions of tf alone, without .numpy()."),
            conv_net(after=tf.stop_gradient),
        ),
        (
            "missing-term",
            "the convolutions get no gradient: their result leaves the tape (NumPy, tf.stop_gradient, tf.constant)",
            ("On which way does the gradient of the scores come to conv_w2?", "Give the affine layer what relu gave, as it is."),
            conv_net(flatten=lambda hidden: tf.stop_gradient(rows(hidden))),
        ),
    )
)


def drawn(generator, shape, dtype):
    return generator.normal(shape, dtype=dtype)


def fan_in_of(shape):
    return math.prod(shape[:-1])


def fan_out_of(shape):
    return shape[-1] * math.prod(shape[:-2])


def weight(*, std=lambda shape: math.sqrt(2 / fan_in_of(shape)), draw=drawn, keep=tf.Variable):
    """`random_weight` with one of its steps put in."""
    return lambda shape, generator, dtype=tf.float32: keep(draw(generator, shape, dtype) * tf.cast(std(shape), dtype))


WIDTH = ("What is fan_in of this shape, and what is a variance?", "generator.normal(shape, stddev=math.sqrt(2 / fan_in), dtype=dtype)")

WEIGHT = tuple(
    Mistake("random_weight", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the weight is a tensor, which cannot be changed; what is learned is a tf.Variable",
            ("What does weight.assign_sub do?", "tf.Variable(...) around what was drawn."),
            weight(keep=without),
        ),
        (
            "state",
            "the weight is a variable with trainable=False, which a tape does not watch",
            ("Which variables does a GradientTape watch without being asked?", "Leave trainable=False out."),
            weight(keep=lambda values: tf.Variable(values, trainable=False)),
        ),
        (
            "missing-term",
            "the numbers have standard deviation 1: the factor sqrt(2 / fan_in) is missing",
            WIDTH,
            weight(std=lambda shape: 1.0),
        ),
        (
            "scale",
            "the standard deviation is 0.01, whatever the shape is; it has to be sqrt(2 / fan_in)",
            WIDTH,
            weight(std=lambda shape: 0.01),
        ),
        (
            "scale",
            "stddev is given 2 / fan_in, which is the variance; the standard deviation is its root",
            WIDTH,
            weight(std=lambda shape: 2 / fan_in_of(shape)),
        ),
        (
            "missing-term",
            "the variance is 1 / fan_in; half of the values do not survive relu, so it takes 2 / fan_in",
            ("What does relu do to the variance of its input?", WIDTH[1]),
            weight(std=lambda shape: math.sqrt(1 / fan_in_of(shape))),
        ),
        (
            "wrong-statistic",
            "fan_in is taken as in PyTorch, where (F, C, KH, KW) begins with the outputs; here they are the last axis of (KH, KW, C, F)",
            ("Which axis of the weight counts the outputs?", "math.prod(shape[:-1])"),
            weight(std=lambda shape: math.sqrt(2 / (shape[0] if len(shape) == 2 else math.prod(shape[1:])))),
        ),
        (
            "wrong-statistic",
            "fan_in is taken to be the product of all axes but the first; it is that of all but the last, which counts the outputs",
            ("Which axis of the weight counts the outputs?", "math.prod(shape[:-1])"),
            weight(std=lambda shape: math.sqrt(2 / math.prod(shape[1:]))),
        ),
        (
            "wrong-statistic",
            "fan_in is taken from the outputs; in (D, M) it is D, and in (KH, KW, C, F) it is KH * KW * C",
            ("How many numbers does one output sum up?", "The number of inputs of one output is fan_in."),
            weight(std=lambda shape: math.sqrt(2 / fan_out_of(shape))),
        ),
        (
            "wrong-statistic",
            "fan_in of a convolution is taken to be shape[0], the height of its kernel; it is KH * KW * C",
            ("How many numbers does one output of a convolution sum up?", "math.prod(shape[:-1])"),
            weight(std=lambda shape: math.sqrt(2 / shape[0])),
        ),
        (
            "wrong-statistic",
            "fan_in of a convolution is taken to be C; each output sums up KH * KW * C numbers",
            ("How many numbers does one output of a convolution sum up?", "math.prod(shape[:-1])"),
            weight(std=lambda shape: math.sqrt(2 / shape[-2])),
        ),
        (
            "wrong-statistic",
            "fan_in is taken to be the number of all weights; it is the number of inputs of one output",
            ("How many numbers does one output sum up?", "math.prod(shape[:-1])"),
            weight(std=lambda shape: math.sqrt(2 / math.prod(shape))),
        ),
        (
            "wrong-statistic",
            "the variance is 2 / (fan_in + fan_out), Glorot's; He's is 2 / fan_in",
            ("Which of the two papers is about relu?", WIDTH[1]),
            weight(std=lambda shape: math.sqrt(2 / (fan_in_of(shape) + fan_out_of(shape)))),
        ),
        (
            "wrong-statistic",
            "the numbers are drawn evenly from an interval around 0; it has to be a normal distribution",
            ("Can a weight be larger than three standard deviations?", "generator.normal, not generator.uniform"),
            weight(draw=lambda generator, shape, dtype: generator.uniform(shape, -math.sqrt(3), math.sqrt(3), dtype)),
        ),
        (
            "wrong-statistic",
            "generator.truncated_normal cuts off what lies beyond two standard deviations; N(0, 2 / fan_in) has all of it",
            ("What share of a normal distribution is beyond two standard deviations?", "generator.normal"),
            weight(draw=lambda generator, shape, dtype: generator.truncated_normal(shape, dtype=dtype)),
        ),
        (
            "state",
            "the generator is not used: two weights from equally seeded generators have to be the same",
            ("Where do the numbers of tf.random.normal come from?", "generator.normal(...)"),
            weight(draw=lambda generator, shape, dtype: tf.random.normal(shape, dtype=dtype)),
        ),
        (
            "state",
            "the generator is not used, but a seed inside the function: all weights of one shape are the same",
            ("What are two weights of the same shape, drawn one after the other?", "generator.normal(...)"),
            lambda shape, generator, dtype=tf.float32: random_weight(shape, tf.random.Generator.from_seed(0), dtype),
        ),
        (
            "dtype",
            "the dtype is not used: the weight is float32 whatever is asked for",
            ("Which dtype does generator.normal give by itself?", "generator.normal(shape, ..., dtype=dtype)"),
            lambda shape, generator, dtype=tf.float32: random_weight(shape, generator),
        ),
    )
)

ZERO = tuple(
    Mistake("zero_weight", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "state",
            "the weight is a tensor, which cannot be changed; what is learned is a tf.Variable",
            ("What does weight.assign_sub do?", "tf.Variable(tf.zeros(shape, dtype))"),
            lambda shape, dtype=tf.float32: tf.zeros(shape, dtype),
        ),
        (
            "state",
            "the weight is a variable with trainable=False, which a tape does not watch",
            ("Which variables does a GradientTape watch without being asked?", "Leave trainable=False out."),
            lambda shape, dtype=tf.float32: tf.Variable(tf.zeros(shape, dtype), trainable=False),
        ),
        (
            "missing-term",
            "the weight begins at 1; a bias begins at 0",
            ("Which function of tf makes zeros?", "tf.Variable(tf.zeros(shape, dtype))"),
            lambda shape, dtype=tf.float32: tf.Variable(tf.ones(shape, dtype)),
        ),
        (
            "dtype",
            "the dtype is not used: the weight is float32 whatever is asked for",
            ("Which dtype does tf.zeros give by itself?", "tf.Variable(tf.zeros(shape, dtype))"),
            lambda shape, dtype=tf.float32: tf.Variable(tf.zeros(shape)),
        ),
    )
)


def step(*, criterion=mean_loss, change=lambda w, dw, rate: w.assign_sub(rate * dw), chosen=slice(None), after=False):
    """`sgd_step` with one of its steps put in."""

    def changed(network, params, x, y, learning_rate):
        with tf.GradientTape() as tape:
            loss = criterion(network(x, params), y)
        for w, dw in list(zip(params, tape.gradient(loss, params), strict=True))[chosen]:
            change(w, dw, learning_rate)
        return float(criterion(network(x, params), y) if after else loss)

    return changed


def outside_of_the_tape(network, params, x, y, learning_rate):
    scores = network(x, params)
    with tf.GradientTape() as tape:
        loss = mean_loss(scores, y)
    for w, dw in zip(params, tape.gradient(loss, params), strict=True):
        w.assign_sub(learning_rate * dw)
    return float(loss)


def replacing(network, params, x, y, learning_rate):
    with tf.GradientTape() as tape:
        loss = mean_loss(network(x, params), y)
    for index, dw in enumerate(tape.gradient(loss, params)):
        params[index] = tf.Variable(params[index] - learning_rate * dw)
    return float(loss)


STEP = tuple(
    Mistake("sgd_step", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "sign",
            "the step goes along the gradient, where the loss grows; it has to go against it: w.assign_sub(learning_rate * dw)",
            ("In which direction does the loss fall?", "assign_sub, not assign_add"),
            step(change=lambda w, dw, rate: w.assign_add(rate * dw)),
        ),
        (
            "missing-term",
            "the gradient is not multiplied by the learning rate",
            ("What does a learning rate of 0 do to the parameters?", "w.assign_sub(learning_rate * dw)"),
            step(change=lambda w, dw, rate: w.assign_sub(dw)),
        ),
        (
            "missing-term",
            "assign replaces the parameter by learning_rate * dw; it has to be subtracted: assign_sub",
            ("What is left of w after w.assign(...)?", "w.assign_sub(learning_rate * dw)"),
            step(change=lambda w, dw, rate: w.assign(rate * dw)),
        ),
        (
            "mutation",
            "the parameters are as they were: `w = w - ...` makes a new tensor with that name; w.assign_sub changes the variable",
            ("Does the caller's variable change, or a new tensor with the same name?", "w.assign_sub(learning_rate * dw)"),
            step(change=lambda w, dw, rate: None),
        ),
        (
            "mutation",
            "the variables in the list are replaced by new ones; whoever else holds them sees no update: change them in place",
            ("Is params[0] the same object after the step?", "w.assign_sub(learning_rate * dw)"),
            replacing,
        ),
        (
            "state",
            "the gradients are None: the tape did not see the forward pass, for network(x, params) is called outside of it",
            (
                "What is computed between `with tf.GradientTape() as tape:` and its end?",
                "network(x, params) and the loss belong into the with.",
            ),
            outside_of_the_tape,
        ),
        (
            "scale",
            "the loss is the sum over the batch (tf.reduce_sum); it has to be the mean, tf.reduce_mean",
            ("Should the step be twice as large for a batch twice as large?", "tf.reduce_mean of the losses of the samples"),
            step(criterion=lambda scores, y: tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))),
        ),
        (
            "scale",
            "the gradients are divided by N once more; the mean loss has done that",
            ("What does tf.reduce_mean divide by?", "w.assign_sub(learning_rate * dw), with dw as the tape gives it"),
            lambda network, params, x, y, rate: step(change=lambda w, dw, rate: w.assign_sub(rate * dw / len(x)))(
                network, params, x, y, rate
            ),
        ),
        (
            "numerics",
            "softmax is applied before the loss, which applies it itself: it wants the scores",
            ("What are the logits of sparse_softmax_cross_entropy_with_logits?", "Give it network(x, params)."),
            step(criterion=lambda scores, y: mean_loss(tf.nn.softmax(scores), y)),
        ),
        (
            "numerics",
            "the loss of Keras takes the scores for probabilities: from_logits=True is missing",
            ("What does from_logits say, and what is it by default?", "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"),
            step(criterion=from_probabilities),
        ),
        (
            "missing-term",
            "only the first parameter is updated",
            ("Where does the loop over the parameters end?", "The return stands after the loop, not in it."),
            step(chosen=slice(1)),
        ),
        (
            "missing-term",
            "only the last parameter is updated",
            (
                "Which lines belong into the loop over the parameters?",
                "for w, dw in zip(params, gradients): w.assign_sub(learning_rate * dw)",
            ),
            step(chosen=slice(-1, None)),
        ),
        (
            "off-by-one",
            "the loss that is returned is the one after the update; asked for is the one before it",
            ("On which parameters do the gradient and the loss belong together?", "loss = ... once, before the update; return float(loss)"),
            step(after=True),
        ),
        (
            "scale",
            "the gradient is divided by its norm; plain gradient descent takes it as it is",
            ("Should a step be as long near the minimum as far from it?", "w.assign_sub(learning_rate * dw)"),
            step(change=lambda w, dw, rate: w.assign_sub(rate * dw / tf.norm(dw))),
        ),
    )
)

MISTAKES = (*TWO_LAYER, *CONVNET, *WEIGHT, *ZERO, *STEP)
