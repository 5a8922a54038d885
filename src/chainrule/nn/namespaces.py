"""Namespaces: the same module classes over another table of functions."""

from types import SimpleNamespace

from chainrule.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from chainrule.nn.containers import Concat, Flatten, Identity, Residual, Sequential
from chainrule.nn.dropout import Dropout
from chainrule.nn.functions import Functions
from chainrule.nn.linear import Linear
from chainrule.nn.losses import CrossEntropyLoss, MSELoss, MultiMarginLoss
from chainrule.nn.normalization import BatchNorm1d, LayerNorm

__all__ = ["namespace"]

MODULES = (
    *(Linear, Flatten, Identity, Sequential, Residual, Concat),
    *(ReLU, LeakyReLU, Sigmoid, Tanh, GELU, Dropout, BatchNorm1d, LayerNorm),
    *(CrossEntropyLoss, MultiMarginLoss, MSELoss),
)


def namespace(functions: Functions) -> SimpleNamespace:
    """The classes of `chainrule.nn`, computing with `functions`.

    A network is written once as a function of such a namespace: `fully_connected(nn)` computes with the kernels,
    `fully_connected(namespace(REFERENCE))` with plain NumPy.
    """
    return SimpleNamespace(**{kind.__name__: type(kind.__name__, (kind,), {"functions": functions}) for kind in MODULES})
