"""CS236781's convolutional and residual networks (homework 2, parts 3 to 5), of torch.nn's modules.

Layers are made in the homework's order, so that a seed gives the weights that its notebooks expect. The names of its earlier years are here
too: `ConvClassifier`, `ResNetClassifier`, `YourCodeNet`.
"""

from typing import Any

import torch
from torch import nn

from chainrule.models.checks import check_number, check_numbers

__all__ = [
    "CNN",
    "ConvClassifier",
    "ResNet",
    "ResNetClassifier",
    "ResidualBlock",
    "ResidualBottleneckBlock",
    "YourCNN",
    "YourCodeNet",
]

ACTIVATIONS = {"relu": nn.ReLU, "lrelu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
POOLINGS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class CNN(nn.Module):
    """[(Conv -> activation) * P -> pool] * (N / P) -> (Linear -> activation) * M -> Linear.

    Where N is not divisible by P, the last N mod P convolutions have no pool after them.

    Parameters
    ----------
    in_size : (C, H, W) of an image
    out_classes : number of classes
    channels : of the N convolutions
    pool_every : P, convolutions before each pool
    hidden_dims : sizes of the M hidden layers
    conv_params : arguments of nn.Conv2d; without a kernel_size, 3 x 3 with padding 1
    activation_type : "relu", "lrelu", "tanh" or "sigmoid"
    activation_params : arguments of the activation
    pooling_type : "max" or "avg"
    pooling_params : arguments of the pool; without a kernel_size, 2 x 2

    Attributes
    ----------
    feature_extractor, mlp : its two parts, nn.Sequential
    """

    def __init__(
        self,
        in_size,
        out_classes,
        channels,
        pool_every,
        hidden_dims,
        conv_params=None,
        activation_type="relu",
        activation_params=None,
        pooling_type="max",
        pooling_params=None,
    ):
        super().__init__()
        name = type(self).__name__
        check_numbers(name, "in_size", in_size)
        if len(in_size) != 3:
            raise ValueError(f"{name}: in_size is {tuple(in_size)}; expected (channels, height, width)")
        check_number(name, "out_classes", out_classes)
        _check_some(name, "channels", channels)
        check_number(name, "pool_every", pool_every)
        check_numbers(name, "hidden_dims", hidden_dims)
        _check_choice(name, "activation_type", activation_type, ACTIVATIONS)
        _check_choice(name, "pooling_type", pooling_type, POOLINGS)

        self.in_size = tuple(in_size)
        self.out_classes = out_classes
        self.channels = list(channels)
        self.pool_every = pool_every
        self.hidden_dims = list(hidden_dims)
        self.conv_params: dict[str, Any] = dict(conv_params or {})
        if "kernel_size" not in self.conv_params:
            self.conv_params = {"kernel_size": 3, "padding": 1} | self.conv_params
        self.activation_type = activation_type
        self.activation_params = dict(activation_params or {})
        self.pooling_type = pooling_type
        self.pooling_params = {"kernel_size": 2} | dict(pooling_params or {})

        self.feature_extractor = self._make_feature_extractor()
        self.mlp = self._make_mlp()

    def forward(self, x):
        """Scores (N, out_classes) of images (N, C, H, W)."""
        if x.shape[1:] != self.in_size:
            raise ValueError(f"{type(self).__name__}: images are {tuple(x.shape)}; expected (N, {', '.join(map(str, self.in_size))})")
        return self.mlp(self.feature_extractor(x).flatten(1))

    def _make_feature_extractor(self):
        layers, in_channels = [], self.in_size[0]
        for start in range(0, len(self.channels), self.pool_every):
            channels = self.channels[start : start + self.pool_every]
            layers += self._make_group(in_channels, channels)
            if len(channels) == self.pool_every:
                layers.append(POOLINGS[self.pooling_type](**self.pooling_params))
            in_channels = channels[-1]
        return nn.Sequential(*layers)

    def _make_group(self, in_channels, channels):
        """The layers before a pool."""
        layers = []
        for inputs, outputs in zip([in_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(inputs, outputs, **self.conv_params), self._make_activation()]
        return layers

    def _make_mlp(self):
        sizes = [self._n_features(), *self.hidden_dims]
        layers = []
        for inputs, outputs in zip(sizes, self.hidden_dims, strict=False):
            layers += [nn.Linear(inputs, outputs), self._make_activation()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], self.out_classes))

    def _make_activation(self):
        return ACTIVATIONS[self.activation_type](**self.activation_params)

    def _n_features(self):
        """Number of features of an image; draws no random number and leaves running statistics alone."""
        training = self.feature_extractor.training
        self.feature_extractor.eval()
        try:
            with torch.no_grad():
                return self.feature_extractor(torch.zeros(1, *self.in_size)).numel()
        except RuntimeError as error:
            raise ValueError(
                f"{type(self).__name__}: an image of {self.in_size} gets too small on its way through {len(self.channels)} convolutions "
                f"with a pool after every {self.pool_every} ({error}); use a larger pool_every, fewer channels, or padding"
            ) from error
        finally:
            self.feature_extractor.train(training)


class ResidualBlock(nn.Module):
    """relu(main path + shortcut), at the size of the input (He et al. 2016, fig. 2).

    The main path is Conv [-> Dropout2d] [-> BatchNorm2d] -> activation for each convolution but the last, which stands alone. Its
    convolutions have biases. The shortcut is the identity, or a 1 x 1 convolution without a bias where the numbers of channels differ.

    Parameters
    ----------
    in_channels : of the input
    channels : of each convolution; the last is the block's
    kernel_sizes : of each convolution, odd
    batchnorm : normalize before each activation
    dropout : probability to drop a channel, in [0, 1)
    activation_type : "relu", "lrelu" (nn.LeakyReLU), "tanh" or "sigmoid"; the sum goes through ReLU whatever it is
    activation_params : arguments of the activation, such as {"negative_slope": 0.5}

    Attributes
    ----------
    main_path, shortcut_path : nn.Sequential
    """

    def __init__(self, in_channels, channels, kernel_sizes, batchnorm=False, dropout=0.0, activation_type="relu", activation_params=None):
        super().__init__()
        name = type(self).__name__
        check_number(name, "in_channels", in_channels)
        _check_some(name, "channels", channels)
        check_numbers(name, "kernel_sizes", kernel_sizes)
        if len(channels) != len(kernel_sizes):
            raise ValueError(f"{name}: {len(channels)} channels but {len(kernel_sizes)} kernel_sizes; each convolution needs one of each")
        if even := [size for size in kernel_sizes if size % 2 == 0]:
            raise ValueError(f"{name}: kernel size {even[0]} is even; only an odd one can preserve the size of the image")
        if not 0 <= dropout < 1:
            raise ValueError(f"{name}: dropout={dropout} is not in [0, 1); it is the probability to drop a channel")
        _check_choice(name, "activation_type", activation_type, ACTIVATIONS)

        layers, inputs = [], in_channels
        for outputs, size in zip(channels, kernel_sizes, strict=True):
            if layers:  # between two convolutions
                if dropout:
                    layers.append(nn.Dropout2d(dropout))
                if batchnorm:
                    layers.append(nn.BatchNorm2d(inputs))
                layers.append(ACTIVATIONS[activation_type](**(activation_params or {})))
            layers.append(nn.Conv2d(inputs, outputs, size, padding=size // 2))
            inputs = outputs
        self.main_path = nn.Sequential(*layers)
        same = in_channels == channels[-1]
        self.shortcut_path = nn.Sequential(nn.Identity() if same else nn.Conv2d(in_channels, channels[-1], 1, bias=False))

    def forward(self, x):
        return torch.relu(self.main_path(x) + self.shortcut_path(x))


class ResidualBottleneckBlock(ResidualBlock):
    """A residual block whose inner convolutions work on fewer channels, between two 1 x 1 convolutions (He et al. 2016, fig. 5).

    inner_channels [5] with in_out_channels 10 give three convolutions: 10 -> 5 of 1 x 1, 5 -> 5, 5 -> 10 of 1 x 1.

    Parameters
    ----------
    in_out_channels : of input and output
    inner_channels, inner_kernel_sizes : of the inner convolutions
    kw : batchnorm, dropout, activation_type, activation_params, as for `ResidualBlock`
    """

    def __init__(self, in_out_channels, inner_channels, inner_kernel_sizes, **kw):
        _check_some(type(self).__name__, "inner_channels", inner_channels)
        check_numbers(type(self).__name__, "inner_kernel_sizes", inner_kernel_sizes)
        super().__init__(in_out_channels, [inner_channels[0], *inner_channels, in_out_channels], [1, *inner_kernel_sizes, 1], **kw)


class ResNet(CNN):
    """A `CNN` in which the convolutions before each pool are a residual block; those after the last pool too.

    The convolutions are 3 x 3 and preserve the size: conv_params has no effect.

    Parameters
    ----------
    in_size, out_classes, channels, pool_every, hidden_dims : as for `CNN`
    batchnorm, dropout : as for `ResidualBlock`
    bottleneck : where three or more convolutions end with as many channels as go in, make the first and the last 1 x 1; channels
        (64, 16, 64) after 64 channels are the bottleneck 64 -> 16 -> 16 -> 64
    kw : activation_type, activation_params, pooling_type, pooling_params, as for `CNN`
    """

    def __init__(self, in_size, out_classes, channels, pool_every, hidden_dims, batchnorm=False, dropout=0.0, bottleneck=False, **kw):
        self.batchnorm = batchnorm
        self.dropout = dropout
        self.bottleneck = bottleneck
        super().__init__(in_size, out_classes, channels, pool_every, hidden_dims, **kw)

    def _make_group(self, in_channels, channels):
        options = {
            "batchnorm": self.batchnorm,
            "dropout": self.dropout,
            "activation_type": self.activation_type,
            "activation_params": self.activation_params,
        }
        inner = channels[1:-1]
        if self.bottleneck and inner and in_channels == channels[-1]:
            return [ResidualBottleneckBlock(in_channels, inner, [3] * len(inner), **options)]
        return [ResidualBlock(in_channels, channels, [3] * len(channels), **options)]


class YourCNN(ResNet):
    """A `ResNet` with the blocks of He et al. 2016: the homework asks for a network of one's own, this is ours.

    A shortcut spans two convolutions (three in a bottleneck), however many there are before a pool, and the last convolution of a block is
    normalized too. Batch normalization and dropout (0.1) are there unless they are turned off.
    """

    def __init__(self, in_size, out_classes, channels, pool_every, hidden_dims, batchnorm=True, dropout=0.1, bottleneck=False, **kw):
        super().__init__(in_size, out_classes, channels, pool_every, hidden_dims, batchnorm, dropout, bottleneck, **kw)

    def _make_group(self, in_channels, channels):
        span = 3 if self.bottleneck else 2
        blocks = []
        for start in range(0, len(channels), span):
            block_channels = channels[start : start + span]
            (block,) = super()._make_group(in_channels, block_channels)
            if self.batchnorm:
                block.main_path.append(nn.BatchNorm2d(block_channels[-1]))
            blocks.append(block)
            in_channels = block_channels[-1]
        return blocks


ConvClassifier, ResNetClassifier, YourCodeNet = CNN, ResNet, YourCNN


def _check_some(model, name, values):
    check_numbers(model, name, values)
    if not values:
        raise ValueError(f"{model}: {name} is empty; give at least one number")


def _check_choice(model, name, value, choices):
    if value not in choices:
        raise ValueError(f"{model}: {name}={value!r}; expected {' or '.join(map(repr, choices))}")
