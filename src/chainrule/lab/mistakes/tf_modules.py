"""Mistakes in level 2 of TensorFlow, classes; those in what a network computes are level 3's, too."""

import tensorflow as tf
from tensorflow import keras

from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes.tf_tensors import channels_first, from_probabilities, mean_loss, rows, without

__all__ = ["MISTAKES", "convnet_mistakes", "two_layer_mistakes"]

HE = "he_normal"


class Chain(keras.Model):
    """Affine or convolutional layers, with some steps put in: `active` after each but the last, `flatten` before affine ones."""

    def __init__(self, parts, *, active=(tf.nn.relu, tf.nn.relu), flatten=rows, after=without, before=without):
        super().__init__()
        self.parts = parts
        self.steps = (before, *active[: len(parts) - 1], after)
        self.flattened = flatten

    def build(self, shape):  # Keras would trace `call` for it, which takes most of the time of a check; the layers are built when called
        self.built = True

    def call(self, x):
        before, *active = self.steps
        x = before(x)
        for part, step in zip(self.parts, active, strict=True):
            x = step(part(self.flattened(x) if isinstance(part, keras.layers.Dense) else x))
        return x


class BareVariables(keras.Model):
    """Keras keeps account of its own variables alone."""

    def __init__(self, hidden_size, num_classes):
        super().__init__()
        self.sizes, self.w1, self.w2 = (hidden_size, num_classes), None, None

    def call(self, x):
        hidden_size, num_classes = self.sizes
        if self.w1 is None:
            self.w1 = tf.Variable(tf.random.normal((rows(x).shape[1], hidden_size)))
            self.w2 = tf.Variable(tf.random.normal((hidden_size, num_classes)))
        return tf.nn.relu(rows(x) @ self.w1) @ self.w2


def two_layer(*, bias=(False, False), weights=(HE, HE), sizes=lambda H, C: (H, C), **steps):
    """`TwoLayerFC` with some of its steps put in."""

    def make(hidden_size, num_classes, image=None):
        outs = sizes(hidden_size, num_classes)
        given = zip(outs, bias, weights, strict=False)
        return Chain([keras.layers.Dense(out, use_bias=b, kernel_initializer=w) for out, b, w in given], **steps)

    return make


SCORES = (  # what a network with affine layers at its end may do to its scores
    (
        "missing-term",
        "the scores go through relu, too; scores may be negative: the last layer has no activation",
        ("What can a network not say whose scores are all at least 0?", "Leave activation out of the last layer."),
        {"after": tf.nn.relu},
    ),
    (
        "scale",
        "softmax is applied to the scores; the loss does that, and wants the scores as they are",
        ("What does the loss expect, from_logits=True?", "Leave activation out of the last layer."),
        {"after": tf.nn.softmax},
    ),
    (
        "missing-term",
        "the scores carry no gradient: the tape does not see through NumPy, tf.stop_gradient, tf.constant or tape.stop_recording",
        ("What does tape.gradient give for these scores?", "Compute with layers and functions of tf alone."),
        {"after": tf.stop_gradient},
    ),
    (
        "axis",
        "images are flattened with their channels first; they have to be flattened in the order of their axes, (H, W, C)",
        ("In which order do the numbers of an image meet the affine layer?", "keras.layers.Flatten, without a transpose before it."),
        {"flatten": channels_first},
    ),
)


def two_layer_mistakes(function):
    """The mistakes of a two-layer network."""
    both = "both layers have biases, which keras.layers.Dense makes unless it is told otherwise; this network asks for none"
    entries = (
        (
            "missing-term",
            both,
            ("What does Dense learn besides its kernel?", "use_bias=False, in both layers"),
            {"bias": (True, True)},
        ),
        (
            "missing-term",
            "the second layer has a bias; this network asks for none",
            ("What does Dense learn besides its kernel?", "use_bias=False, in both layers"),
            {"bias": (False, True)},
        ),
        (
            "missing-term",
            "the first layer has a bias; this network asks for none",
            ("What does Dense learn besides its kernel?", "use_bias=False, in both layers"),
            {"bias": (True, False)},
        ),
        (
            "missing-term",
            "there is one layer, from the input to the classes; asked for are two, with hidden_size between them",
            ("Where does hidden_size come in?", "Dense(hidden_size) and Dense(num_classes)"),
            {"sizes": lambda H, C: (C,)},
        ),
        *_beginnings(2),
        *SCORES,
        (
            "missing-term",
            "there is no relu between the two affine layers, which makes them one affine layer",
            ("What is the composition of two linear maps?", "tf.nn.relu around the first layer, or its activation"),
            {"active": (without,)},
        ),
        (
            "axis",
            "relu is applied to the input instead of the first layer's result: the order is affine - relu - affine",
            ("What goes into relu, and what comes out of the first layer?", "Apply the first layer, then relu."),
            {"before": tf.nn.relu, "active": (without,)},
        ),
        (
            "missing-term",
            "the activation is a sigmoid; the network asks for relu, max(0, x)",
            ("Which function is 0 for all negative numbers?", "tf.nn.relu"),
            {"active": (tf.sigmoid,)},
        ),
        (
            "shape",
            "x is not flattened: an image (H, W, C) has to become one row of numbers before it meets an affine layer",
            ("Along which axis does Dense work, if it gets four?", "keras.layers.Flatten keeps the axis of the batch."),
            {"flatten": without},
        ),
        (
            "missing-term",
            "the first layer gets no gradient: its result leaves the tape (NumPy, tf.stop_gradient, tf.constant)",
            ("On which way does the gradient of the scores come to the first layer?", "Give the second layer what relu gave, as it is."),
            {"active": (lambda hidden: tf.stop_gradient(tf.nn.relu(hidden)),)},
        ),
    )
    for kind, sentence, hints, steps in entries:
        yield Mistake(function, kind, sentence, hints, two_layer(**steps))


def _beginnings(layers):
    """Mistakes in how the weights begin."""
    he = 'kernel_initializer="he_normal", for each layer'
    fan_out = keras.initializers.VarianceScaling(2.0, "fan_out", "normal")
    return (
        (
            "wrong-statistic",
            "the weights are as Keras makes them (glorot_uniform); asked for is the variance 2 / fan_in of a normal distribution",
            ("Which variance do Keras' own weights have? See its documentation of Dense.", he),
            {"weights": ("glorot_uniform",) * layers},
        ),
        (
            "wrong-statistic",
            "the weights are drawn evenly from an interval (he_uniform); asked for is a normal distribution",
            ("Which of Keras' initializers draw from a normal distribution?", he),
            {"weights": ("he_uniform",) * layers},
        ),
        (
            "wrong-statistic",
            "the weights have Glorot's variance (glorot_normal), 2 / (fan_in + fan_out); He's is 2 / fan_in",
            ("Which of the two papers is about relu?", he),
            {"weights": ("glorot_normal",) * layers},
        ),
        (
            "wrong-statistic",
            "the variance of the weights is 1 / fan_in (lecun_normal); half of the values do not survive relu, so it takes 2 / fan_in",
            ("What does relu do to the variance of its input?", he),
            {"weights": ("lecun_normal",) * layers},
        ),
        (
            "wrong-statistic",
            "the variance of the weights is 2 / fan_out; asked for is 2 / fan_in",
            ("How many numbers does one output sum up?", he),
            {"weights": (fan_out,) * layers},
        ),
        (
            "scale",
            'the weights have standard deviation 0.05, which is what "random_normal" has whatever the fan-in is',
            ("How large are the scores after some layers of such weights?", he),
            {"weights": ("random_normal",) * layers},
        ),
        (
            "missing-term",
            "all weights begin at 0, so all hidden values are the same and stay so",
            ("What is the gradient of the first layer while the second is 0?", he),
            {"weights": ("zeros",) * layers},
        ),
        (
            "missing-term",
            "only the first layer's weights have variance 2 / fan_in; the others are as Keras makes them",
            ("Which weights does the network have?", he),
            {"weights": (HE, *("glorot_uniform",) * (layers - 1))},
        ),
    )


def convnet(*, kernels=(5, 3), padding="same", stride=1, bias=(True, True, True), weights=(HE, HE, HE), swapped=False, **steps):
    """`ThreeLayerConvNet` with some of its steps put in."""

    def make(channel_1, channel_2, num_classes, image=None):
        filters = (channel_2, channel_1) if swapped else (channel_1, channel_2)
        parts = [
            keras.layers.Conv2D(F, K, strides=stride, padding=padding, use_bias=b, kernel_initializer=w)
            for F, K, b, w in zip(filters, kernels, bias, weights, strict=False)
        ]
        return Chain([*parts, keras.layers.Dense(num_classes, use_bias=bias[2], kernel_initializer=weights[2])], **steps)

    return make


def convnet_mistakes(function):
    """The mistakes of a convolutional network."""
    entries = (
        (
            "missing-term",
            "the convolutions have no biases",
            ("How many numbers does a convolution with F filters learn besides its weights?", "Leave use_bias=False out."),
            {"bias": (False, False, True)},
        ),
        (
            "missing-term",
            "the affine layer has no bias",
            ("How many numbers should the network learn?", "Leave use_bias=False out."),
            {"bias": (True, True, False)},
        ),
        (
            "missing-term",
            "no layer has a bias; in this network all have",
            ("How many numbers should the network learn?", "Leave use_bias=False out."),
            {"bias": (False, False, False)},
        ),
        (
            "shape",
            'the convolutions have no padding, which is Keras\' default ("valid"), so that the image loses 6 rows and columns',
            ("How many pixels does a kernel of 5 lose at each side?", 'padding="same", in both convolutions'),
            {"padding": "valid"},
        ),
        (
            "shape",
            "the convolutions have stride 2, which halves the image; this network keeps its size",
            ("What is the size of the image after both convolutions?", "Leave strides out."),
            {"stride": 2},
        ),
        (
            "transpose",
            "the kernels are swapped: the first convolution is 5 x 5, the second 3 x 3",
            ("In which order does the docstring name them?", "Conv2D(channel_1, 5) comes first."),
            {"kernels": (3, 5)},
        ),
        (
            "shape",
            "both convolutions are 3 x 3; the first is 5 x 5",
            ("Which kernel sizes does the docstring name?", "Conv2D(channel_1, 5)"),
            {"kernels": (3, 3)},
        ),
        (
            "shape",
            "both convolutions are 5 x 5; the second is 3 x 3",
            ("Which kernel sizes does the docstring name?", "Conv2D(channel_2, 3)"),
            {"kernels": (5, 5)},
        ),
        (
            "transpose",
            "the numbers of filters are swapped: the first convolution has channel_1 of them, the second channel_2",
            ("What does the first number of Conv2D say?", "C -> channel_1 -> channel_2"),
            {"swapped": True},
        ),
        *_beginnings(3),
        *SCORES,
        (
            "missing-term",
            "there is no relu after the first convolution",
            ("Which function stands between two convolutions?", "conv - relu - conv - relu - affine"),
            {"active": (without, tf.nn.relu)},
        ),
        (
            "missing-term",
            "there is no relu after the second convolution",
            ("Which function stands between a convolution and the affine layer?", "conv - relu - conv - relu - affine"),
            {"active": (tf.nn.relu, without)},
        ),
        (
            "missing-term",
            "there is no relu at all: three affine maps in a row are one affine map",
            ("What is the composition of linear maps?", "conv - relu - conv - relu - affine"),
            {"active": (without, without)},
        ),
        (
            "missing-term",
            "the image goes through relu before the first convolution; it stands after each convolution alone",
            ("What happens to negative pixels of a normalized image?", "conv - relu - conv - relu - affine"),
            {"before": tf.nn.relu},
        ),
        (
            "shape",
            "the affine layer sees the mean of each feature map instead of all its pixels; this network flattens them",
            ("How many numbers does the affine layer take?", "keras.layers.Flatten, not GlobalAveragePooling2D"),
            {"flatten": lambda hidden: tf.reduce_mean(hidden, (1, 2))},
        ),
        (
            "missing-term",
            "the convolutions get no gradient: their result leaves the tape (NumPy, tf.stop_gradient, tf.constant)",
            ("On which way does the gradient of the scores come to the convolutions?", "Give the affine layer what relu gave, as it is."),
            {"flatten": lambda hidden: tf.stop_gradient(rows(hidden))},
        ),
    )
    for kind, sentence, hints, steps in entries:
        yield Mistake(function, kind, sentence, hints, convnet(**steps))


def step(*, criterion=mean_loss, sign=1, variables=lambda model: model.trainable_variables, update=True, after=False):
    """`train_step` with some of its steps put in."""

    def train_step(model, optimizer, x, y):
        with tf.GradientTape() as tape:
            loss = criterion(model(x), y)
        learned = variables(model)
        gradients = [sign * dw for dw in tape.gradient(loss, learned)]
        if update:
            optimizer.apply_gradients(zip(gradients, learned, strict=True))
        return float(criterion(model(x), y) if after else loss)

    return train_step


def by_hand(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        loss = mean_loss(model(x), y)
    for w, dw in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True):
        w.assign_sub(optimizer.learning_rate * dw)
    return float(loss)


def twice(model, optimizer, x, y):
    loss = step()(model, optimizer, x, y)
    step()(model, optimizer, x, y)
    return loss


def outside_of_the_tape(model, optimizer, x, y):
    scores = model(x)
    with tf.GradientTape() as tape:
        loss = mean_loss(scores, y)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return float(loss)


STEP = tuple(
    Mistake("train_step", kind, sentence, hints, code)
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "the parameters are as they were: the optimizer is never given the gradients",
            ("Which line changes the parameters?", "optimizer.apply_gradients(zip(gradients, model.trainable_variables))"),
            step(update=False),
        ),
        (
            "off-by-one",
            "the loss that is returned is the one after the update; asked for is the one before it",
            ("On which parameters do the gradient and the loss belong together?", "return float(loss) of the loss in the tape"),
            step(after=True),
        ),
        (
            "scale",
            "the loss is the sum over the batch (tf.reduce_sum); it has to be the mean, tf.reduce_mean",
            ("Should the step be twice as large for a batch twice as large?", "tf.reduce_mean of the losses of the samples"),
            step(criterion=lambda scores, y: tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(y, scores))),
        ),
        (
            "scale",
            "the loss is divided by N once more; tf.reduce_mean has done that",
            ("What does tf.reduce_mean divide by?", "Take the mean once."),
            step(criterion=lambda scores, y: mean_loss(scores, y) / len(y)),
        ),
        (
            "numerics",
            "softmax is applied before the loss, which applies it itself: it wants the scores",
            ("What are the logits of sparse_softmax_cross_entropy_with_logits?", "Give it model(x)."),
            step(criterion=lambda scores, y: mean_loss(tf.nn.softmax(scores), y)),
        ),
        (
            "numerics",
            "the loss of Keras takes the scores for probabilities: from_logits=True is missing",
            ("What does from_logits say, and what is it by default?", "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"),
            step(criterion=from_probabilities),
        ),
        (
            "sign",
            "the step goes along the gradient, where the loss grows: an optimizer subtracts what it is given",
            ("What does an optimizer do with a gradient?", "The gradient of the loss as it is, without a minus."),
            step(sign=-1),
        ),
        (
            "state",
            "the parameters are updated by hand with the learning rate; the optimizer has a rule of its own",
            ("What does SGD with momentum do that this step does not?", "optimizer.apply_gradients(...)"),
            by_hand,
        ),
        (
            "state",
            "layers that are frozen are updated, too: model.variables has all there are, model.trainable_variables those that learn",
            ("What does layer.trainable = False do?", "model.trainable_variables, in both places"),
            step(variables=lambda model: [variable for layer in model.layers for variable in layer.variables]),
        ),
        (
            "state",
            "two updates are made in one call",
            ("How often is optimizer.apply_gradients called?", "One forward pass, one tape, one update."),
            twice,
        ),
        (
            "state",
            "the gradients are None: the tape did not see the forward pass, for model(x) is called outside of it",
            ("What is computed between `with tf.GradientTape() as tape:` and its end?", "model(x) and the loss belong into the with."),
            outside_of_the_tape,
        ),
    )
)

BARE = Mistake(
    "TwoLayerFC.call",
    "state",
    "the network has no parameters: Keras does not find a tf.Variable in an attribute, only layers and what add_weight makes",
    ("What does model.trainable_variables give?", "self.fc1 = keras.layers.Dense(...), or self.add_weight(...)"),
    BareVariables,
)
MISTAKES = (*two_layer_mistakes("TwoLayerFC.call"), BARE, *convnet_mistakes("ThreeLayerConvNet.call"), *STEP)
