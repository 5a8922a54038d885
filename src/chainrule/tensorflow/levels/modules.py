"""Level 2, classes: a model owns its parameters, and an optimizer updates them.

A layer asks how much it gives, not how much it takes: its parameters are made when the first batch comes. To set them before that, call
`model(tf.zeros((1, 32, 32, 3)))` once, then `model.set_weights(...)`.
"""

import tensorflow as tf
from tensorflow import keras

__all__ = ["ThreeLayerConvNet", "TwoLayerFC", "train_step"]


class TwoLayerFC(keras.Model):
    """affine - relu - affine, without biases; x is flattened. Weights begin as draws with mean 0 and variance 2 / fan_in."""

    def __init__(self, hidden_size, num_classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.fc1 = keras.layers.Dense(hidden_size, use_bias=False, kernel_initializer="he_normal")
        self.fc2 = keras.layers.Dense(num_classes, use_bias=False, kernel_initializer="he_normal")

    def call(self, x):
        return self.fc2(tf.nn.relu(self.fc1(self.flatten(x))))


class ThreeLayerConvNet(keras.Model):
    """conv 5x5 - relu - conv 3x3 - relu - affine, for images (H, W, C); the padding keeps their size.

    Weights begin as draws with mean 0 and variance 2 / fan_in, biases at 0. Keras' "he_normal" has that variance, which is that of He et
    al. 2015, but cuts off what lies beyond two standard deviations.
    """

    def __init__(self, channel_1, channel_2, num_classes):
        super().__init__()
        self.conv1 = keras.layers.Conv2D(channel_1, 5, padding="same", kernel_initializer="he_normal")
        self.conv2 = keras.layers.Conv2D(channel_2, 3, padding="same", kernel_initializer="he_normal")
        self.flatten = keras.layers.Flatten()
        self.fc = keras.layers.Dense(num_classes, kernel_initializer="he_normal")

    def call(self, x):
        hidden = tf.nn.relu(self.conv1(x))
        hidden = tf.nn.relu(self.conv2(hidden))
        return self.fc(self.flatten(hidden))


def train_step(model, optimizer, x, y):
    """One update of the model's trainable variables, along the gradient of the mean cross-entropy. Returns the loss before it.

    Parameters
    ----------
    model : x -> scores (N, C)
    optimizer : of Keras
    x, y : a batch and its labels (N,)
    """
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x)))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return float(loss)
