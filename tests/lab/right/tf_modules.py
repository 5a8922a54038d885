"""Right classes of Keras and steps, none of them the library's."""

import tensorflow as tf
from tensorflow import keras


class OwnMatrices(keras.Model):
    """Weights by add_weight, made when the first batch comes."""

    def __init__(self, hidden_size, num_classes, **options):
        super().__init__(**options)
        self.hidden_size, self.num_classes = hidden_size, num_classes

    def build(self, shape):
        D = 1
        for size in shape[1:]:
            D *= size
        self.w2 = self.add_weight(shape=(self.hidden_size, self.num_classes), initializer=keras.initializers.HeNormal(seed=1))
        self.w1 = self.add_weight(shape=(D, self.hidden_size), initializer=keras.initializers.HeNormal(seed=2))
        self.built = True

    def call(self, x):
        return tf.maximum(tf.reshape(x, (len(x), -1)) @ self.w1, 0) @ self.w2


class LayersInAList(keras.Model):
    def __init__(self, hidden_size, num_classes):
        super().__init__()
        normal = [keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal", seed=seed) for seed in (1, 2)]
        self.parts = [keras.layers.Dense(n, None, False, w) for n, w in zip((hidden_size, num_classes), normal, strict=True)]

    def call(self, inputs, training=None, mask=None):
        hidden = keras.ops.relu(self.parts[0](tf.reshape(inputs, (inputs.shape[0], -1))))
        return self.parts[1](hidden)


class Wrapped(keras.Model):
    """A Sequential in a class."""

    def __init__(self, hidden_size, num_classes):
        super().__init__()
        he = {"use_bias": False, "kernel_initializer": keras.initializers.he_normal()}
        self.network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(hidden_size, "relu", **he)])
        self.network.add(keras.layers.Dense(num_classes, use_bias=False, kernel_initializer="HeNormal"))

    def call(self, x):
        return self.network(x)


class PaddedByHand(keras.Model):
    """Layers made in another order than they are used, in a dictionary; padding as layers."""

    def __init__(self, channel_1, channel_2, num_classes):
        super().__init__()
        self.parts = {
            "head": keras.layers.Dense(num_classes, kernel_initializer="he_normal", bias_initializer="zeros"),
            "second": keras.layers.Conv2D(channel_2, (3, 3), activation="relu", kernel_initializer="he_normal"),
            "first": keras.layers.Conv2D(channel_1, (5, 5), activation=tf.nn.relu, kernel_initializer="he_normal"),
        }
        self.pads = [keras.layers.ZeroPadding2D(2), keras.layers.ZeroPadding2D(1)]

    def call(self, x):
        hidden = self.parts["first"](self.pads[0](x))
        hidden = self.parts["second"](self.pads[1](hidden))
        return self.parts["head"](keras.layers.Flatten()(hidden))


class LayersForAll(keras.Model):
    def __init__(self, channel_1, channel_2, num_classes):
        super().__init__()
        he = {"kernel_initializer": "he_normal", "padding": "SAME"}
        self.conv1, self.conv2 = keras.layers.Conv2D(channel_1, 5, **he), keras.layers.Conv2D(channel_2, kernel_size=3, **he)
        self.relu, self.flatten = keras.layers.ReLU(), keras.layers.Flatten(name="rows")
        self.out = keras.layers.Dense(units=num_classes, kernel_initializer="he_normal")

    def call(self, x, training=False):
        for conv in (self.conv1, self.conv2):
            x = self.relu(conv(x))
        return self.out(self.flatten(x))


def loss_of_keras(model, optimizer, x, y):
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    return loss


def loss_of_its_own(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        scores = model(x)
        loss = -tf.reduce_mean(tf.reduce_sum(tf.one_hot(y, scores.shape[-1]) * tf.nn.log_softmax(scores), axis=1))
    variables = model.trainable_variables[::-1]
    optimizer.apply_gradients([(dw, w) for dw, w in zip(tape.gradient(loss, variables), variables, strict=True)])
    return loss.numpy()


RIGHT = [
    ("own matrices", {"TwoLayerFC": OwnMatrices}),
    ("layers in a list", {"TwoLayerFC": LayersInAList}),
    ("a Sequential inside", {"TwoLayerFC": Wrapped}),
    ("padding as layers, head first", {"ThreeLayerConvNet": PaddedByHand}),
    ("layers for all", {"ThreeLayerConvNet": LayersForAll}),
    ("the loss of Keras", {"train_step": loss_of_keras}),
    ("a loss of its own", {"train_step": loss_of_its_own}),
]
