"""Right lists of layers of Keras, none of them the library's."""

from tensorflow import keras


def added(hidden_size, num_classes, image=(32, 32, 3)):
    network = keras.Sequential(name="two_layers")
    network.add(keras.layers.Input(shape=image))
    network.add(keras.layers.Reshape((-1,)))
    network.add(keras.layers.Dense(hidden_size, use_bias=False, kernel_initializer=keras.initializers.HeNormal(3)))
    network.add(keras.layers.ReLU())
    network.add(keras.layers.Dense(num_classes, use_bias=False, kernel_initializer=keras.initializers.HeNormal(4)))
    return network


def functional(hidden_size, num_classes, image=(32, 32, 3)):
    """Keras' functional way."""
    x = keras.Input(image)
    hidden = keras.layers.Flatten()(x)
    for size, activation in ((hidden_size, "relu"), (num_classes, None)):
        hidden = keras.layers.Dense(size, activation, use_bias=False, kernel_initializer="he_normal")(hidden)
    return keras.Model(x, hidden)


def without_an_input(channel_1, channel_2, num_classes, image=(32, 32, 3)):
    layers = [keras.layers.Conv2D(F, K, padding="same", kernel_initializer="he_normal") for F, K in ((channel_1, 5), (channel_2, 3))]
    first, second = layers
    relus = keras.layers.Activation("relu"), keras.layers.Activation("relu")
    head = keras.layers.Dense(num_classes, kernel_initializer="he_normal")
    return keras.Sequential([first, relus[0], second, relus[1], keras.layers.Flatten(), head])


def nested(channel_1, channel_2, num_classes, image=(32, 32, 3)):
    """Two lists in one, and the affine layer as a convolution over the whole image."""
    he = {"kernel_initializer": keras.initializers.VarianceScaling(2, "fan_in", "truncated_normal")}
    features = keras.Sequential(
        [
            keras.Input(image),
            keras.layers.ZeroPadding2D(2),
            keras.layers.Conv2D(channel_1, 5, activation="relu", kernel_initializer="he_normal"),
            keras.layers.Conv2D(channel_2, 3, padding="same", activation="relu", **he),
        ]
    )
    head = [keras.layers.Conv2D(num_classes, image[:2], kernel_initializer="he_normal"), keras.layers.Flatten()]
    return keras.Sequential([keras.Input(image), features, *head])


RIGHT = [
    ("layers added", {"two_layer_fc": added}),
    ("the functional way", {"two_layer_fc": functional}),
    ("without an input", {"three_layer_convnet": without_an_input}),
    ("nested, with a convolution at the end", {"three_layer_convnet": nested}),
]
