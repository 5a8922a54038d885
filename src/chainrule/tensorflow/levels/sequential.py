"""Level 3, a list of layers: enough wherever the data go straight through.

It is trained as a class is, or by Keras itself, which then owns the loop, too:

    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=64, epochs=1)
"""

from tensorflow import keras

__all__ = ["three_layer_convnet", "two_layer_fc"]


def two_layer_fc(hidden_size, num_classes, image=(32, 32, 3)):
    """affine - relu - affine, without biases, for images (H, W, C). Weights begin as draws with mean 0 and variance 2 / fan_in."""
    return keras.Sequential(
        [
            keras.Input(image),
            keras.layers.Flatten(),
            keras.layers.Dense(hidden_size, activation="relu", use_bias=False, kernel_initializer="he_normal"),
            keras.layers.Dense(num_classes, use_bias=False, kernel_initializer="he_normal"),
        ]
    )


def three_layer_convnet(channel_1, channel_2, num_classes, image=(32, 32, 3)):
    """conv 5x5 - relu - conv 3x3 - relu - affine, for images (H, W, C); the padding keeps their size.

    Weights begin as draws with mean 0 and variance 2 / fan_in, biases at 0.
    """
    return keras.Sequential(
        [
            keras.Input(image),
            keras.layers.Conv2D(channel_1, 5, padding="same", activation="relu", kernel_initializer="he_normal"),
            keras.layers.Conv2D(channel_2, 3, padding="same", activation="relu", kernel_initializer="he_normal"),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, kernel_initializer="he_normal"),
        ]
    )
