"""Modules with the names, arguments, parameter shapes and state_dict keys of torch.nn, each with forward(x) and backward(dout)."""

from chainrule.nn.activations import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from chainrule.nn.containers import Concat, Flatten, Identity, Named, Residual, Sequential
from chainrule.nn.convolution import Conv2d, ConvTranspose2d
from chainrule.nn.dropout import Dropout, Dropout2d
from chainrule.nn.functions import KERNELS, REFERENCE, Functions, Pair
from chainrule.nn.linear import Linear, Scale
from chainrule.nn.losses import CrossEntropyLoss, MSELoss, MultiMarginLoss
from chainrule.nn.module import Module, Parameter
from chainrule.nn.namespaces import namespace
from chainrule.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from chainrule.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from chainrule.nn.upsampling import Upsample

__all__ = [
    "GELU",
    "KERNELS",
    "REFERENCE",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Flatten",
    "Functions",
    "GroupNorm",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "MultiMarginLoss",
    "Named",
    "Pair",
    "Parameter",
    "ReLU",
    "Residual",
    "Scale",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Upsample",
    "namespace",
]
