"""Namespaces: the same module classes over another table of functions."""

from types import SimpleNamespace

from chainrule.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from chainrule.nn.containers import Concat, Flatten, Identity, Named, Residual, Sequential
from chainrule.nn.convolution import Conv2d, ConvTranspose2d
from chainrule.nn.dropout import Dropout, Dropout2d
from chainrule.nn.functions import Functions
from chainrule.nn.linear import Linear, Scale
from chainrule.nn.losses import CrossEntropyLoss, MSELoss, MultiMarginLoss
from chainrule.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from chainrule.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from chainrule.nn.upsampling import Upsample

__all__ = ["namespace"]

MODULES = (
    *(Linear, Scale, Flatten, Identity, Sequential, Residual, Concat, Named),
    *(Conv2d, ConvTranspose2d, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Upsample),
    *(ReLU, LeakyReLU, Sigmoid, Tanh, GELU, Dropout, Dropout2d, BatchNorm1d, BatchNorm2d, LayerNorm, GroupNorm),
    *(CrossEntropyLoss, MultiMarginLoss, MSELoss),
)


def namespace(functions: Functions) -> SimpleNamespace:
    """The classes of `chainrule.nn`, computing with `functions`.

    A network is written once as a function of such a namespace: `fully_connected(nn)` computes with the kernels,
    `fully_connected(namespace(REFERENCE))` with plain NumPy.
    """
    return SimpleNamespace(**{kind.__name__: type(kind.__name__, (kind,), {"functions": functions}) for kind in MODULES})
