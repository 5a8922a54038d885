"""The networks of the PyTorch labs, for `lab train`."""

import math

import torch

from chainrule.compat.cs236781 import cnn
from chainrule.lab.framework_learning import BARE, CONVNET, HIDDEN, THREE_LAYER, TWO_LAYER, FrameworkRun, two_layer_shapes
from chainrule.pytorch.levels import modules, sequential, tensors

__all__ = ["RUNS"]


def _bare(name, shapes, learning_rate):
    """Level 1: the parameters are a list."""

    def begin(functions, image, classes, seed):
        torch.manual_seed(seed)
        params = [functions.zero_weight(shape) if len(shape) == 1 else functions.random_weight(shape) for shape in shapes(image, classes)]
        network = getattr(functions, name)

        def step(x, y):
            return functions.sgd_step(network, params, torch.from_numpy(x), torch.from_numpy(y), learning_rate)

        return step, lambda x: network(torch.from_numpy(x), params).detach().numpy()

    return begin


def _module(build):
    """Levels 2 and 3: the network is an object; level 3 is trained by level 2's step."""

    def begin(functions, image, classes, seed):
        torch.manual_seed(seed)
        network = build(functions, image, classes)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        update = getattr(functions, "train_step", modules.train_step)

        def step(x, y):
            return update(network.train(), optimizer, torch.from_numpy(x), torch.from_numpy(y))

        return step, lambda x: network.eval()(torch.from_numpy(x)).detach().numpy()

    return begin


def _convnet_shapes(image, classes):
    (C, H, W), (first, second) = image, CONVNET
    return [(first, C, 5, 5), (first,), (second, first, 3, 3), (second,), (second * H * W, classes), (classes,)]


def _residual(block):
    """Convolution - the block - mean over the image - affine."""

    def build(functions, image, classes):
        return torch.nn.Sequential(
            torch.nn.Conv2d(image[0], 16, 3, padding=1),
            torch.nn.ReLU(),
            block(functions),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(64, classes),
        )

    return build


RUNS = {
    "pytorch": (
        FrameworkRun(
            f"level 1: {TWO_LAYER}",
            "level1_tensors.py",
            tensors,
            ("two_layer_fc", *BARE),
            _bare("two_layer_fc", two_layer_shapes, 0.1),
        ),
        FrameworkRun(
            f"level 1: {THREE_LAYER}",
            "level1_tensors.py",
            tensors,
            ("three_layer_convnet", *BARE),
            _bare("three_layer_convnet", _convnet_shapes, 0.02),
        ),
        FrameworkRun(
            f"level 2: {TWO_LAYER}",
            "level2_modules.py",
            modules,
            ("TwoLayerFC", "train_step"),
            _module(lambda functions, image, classes: functions.TwoLayerFC(math.prod(image), HIDDEN, classes)),
        ),
        FrameworkRun(
            f"level 2: {THREE_LAYER}",
            "level2_modules.py",
            modules,
            ("ThreeLayerConvNet", "train_step"),
            _module(lambda functions, image, classes: functions.ThreeLayerConvNet(image[0], *CONVNET, classes, side=image[1])),
        ),
        FrameworkRun(
            f"level 3: {TWO_LAYER}",
            "level3_sequential.py",
            sequential,
            ("two_layer_fc",),
            _module(lambda functions, image, classes: functions.two_layer_fc(math.prod(image), HIDDEN, classes)),
        ),
        FrameworkRun(
            f"level 3: {THREE_LAYER}",
            "level3_sequential.py",
            sequential,
            ("three_layer_convnet",),
            _module(lambda functions, image, classes: functions.three_layer_convnet(image[0], *CONVNET, classes, side=image[1])),
        ),
    ),
    "residual-networks": (
        FrameworkRun(
            "conv - residual block - pool - affine",
            "residual_blocks.py",
            cnn,
            ("ResidualBlock",),
            _module(_residual(lambda functions: functions.ResidualBlock(16, [16, 16], [3, 3], batchnorm=True))),
        ),
        FrameworkRun(
            "conv - residual bottleneck block - pool - affine",
            "residual_blocks.py",
            cnn,
            ("ResidualBottleneckBlock",),
            _module(_residual(lambda functions: functions.ResidualBottleneckBlock(16, [8], [3], batchnorm=True))),
        ),
    ),
}
