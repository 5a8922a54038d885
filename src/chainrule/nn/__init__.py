"""Modules with the names, arguments, parameter shapes and state_dict keys of torch.nn, each with forward(x) and backward(dout)."""

from chainrule.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from chainrule.nn.containers import Concat, Flatten, Identity, Residual, Sequential
from chainrule.nn.dropout import Dropout
from chainrule.nn.functions import KERNELS, REFERENCE, Functions, Pair
from chainrule.nn.linear import Linear
from chainrule.nn.losses import CrossEntropyLoss, MSELoss, MultiMarginLoss
from chainrule.nn.module import Module, Parameter
from chainrule.nn.namespaces import namespace
from chainrule.nn.normalization import BatchNorm1d, LayerNorm

__all__ = [
    "GELU",
    "KERNELS",
    "REFERENCE",
    "BatchNorm1d",
    "Concat",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Functions",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "MultiMarginLoss",
    "Pair",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "namespace",
]
