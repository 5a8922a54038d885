"""The networks of the TensorFlow lab, for `lab train`."""

import tensorflow as tf
from tensorflow import keras

from chainrule.lab.framework_learning import BARE, CONVNET, HIDDEN, THREE_LAYER, TWO_LAYER, FrameworkRun, two_layer_shapes
from chainrule.tensorflow.levels import modules, sequential, tensors

__all__ = ["RUNS"]


def _given(x):
    """Images (N, 3, H, W) as TensorFlow has them, (N, H, W, 3)."""
    return tf.constant(x.transpose(0, 2, 3, 1))


def _bare(name, shapes, learning_rate):
    """Level 1: the parameters are a list."""

    def begin(functions, image, classes, seed):
        generator = tf.random.Generator.from_seed(seed)
        params = [
            functions.zero_weight(shape) if len(shape) == 1 else functions.random_weight(shape, generator)
            for shape in shapes(image, classes)
        ]
        network = getattr(functions, name)

        def step(x, y):
            return functions.sgd_step(network, params, _given(x), tf.constant(y), learning_rate)

        return step, lambda x: network(_given(x), params).numpy()

    return begin


def _model(build):
    """Levels 2 and 3: the network is an object; level 3 is trained by level 2's step."""

    def begin(functions, image, classes, seed):
        keras.utils.set_random_seed(seed)
        C, H, W = image
        network = build(functions, (H, W, C), classes)
        optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
        update = getattr(functions, "train_step", modules.train_step)
        return (lambda x, y: update(network, optimizer, _given(x), tf.constant(y))), lambda x: network(_given(x)).numpy()

    return begin


def _convnet_shapes(image, classes):
    (C, H, W), (first, second) = image, CONVNET
    return [(5, 5, C, first), (first,), (3, 3, first, second), (second,), (H * W * second, classes), (classes,)]


RUNS = {
    "tensorflow": (
        FrameworkRun(
            f"level 1: {TWO_LAYER}",
            "tf_level1_tensors.py",
            tensors,
            ("two_layer_fc", *BARE),
            _bare("two_layer_fc", two_layer_shapes, 0.1),
        ),
        FrameworkRun(
            f"level 1: {THREE_LAYER}",
            "tf_level1_tensors.py",
            tensors,
            ("three_layer_convnet", *BARE),
            _bare("three_layer_convnet", _convnet_shapes, 0.02),
        ),
        FrameworkRun(
            f"level 2: {TWO_LAYER}",
            "tf_level2_modules.py",
            modules,
            ("TwoLayerFC", "train_step"),
            _model(lambda functions, image, classes: functions.TwoLayerFC(HIDDEN, classes)),
        ),
        FrameworkRun(
            f"level 2: {THREE_LAYER}",
            "tf_level2_modules.py",
            modules,
            ("ThreeLayerConvNet", "train_step"),
            _model(lambda functions, image, classes: functions.ThreeLayerConvNet(*CONVNET, classes)),
        ),
        FrameworkRun(
            f"level 3: {TWO_LAYER}",
            "tf_level3_sequential.py",
            sequential,
            ("two_layer_fc",),
            _model(lambda functions, image, classes: functions.two_layer_fc(HIDDEN, classes, image)),
        ),
        FrameworkRun(
            f"level 3: {THREE_LAYER}",
            "tf_level3_sequential.py",
            sequential,
            ("three_layer_convnet",),
            _model(lambda functions, image, classes: functions.three_layer_convnet(*CONVNET, classes, image)),
        ),
    ),
}
