"""A network layer by layer: shapes, parameters, operations, memory."""

import math
from dataclasses import dataclass

import numpy as np

from chainrule.nn.containers import Flatten
from chainrule.nn.convolution import Conv2d, ConvTranspose2d
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module
from chainrule.nn.pooling import AvgPool2d, MaxPool2d
from chainrule.nn.recording import record_layers

__all__ = ["LayerSummary", "summarize"]


@dataclass(frozen=True)
class LayerSummary:
    """One layer.

    Attributes
    ----------
    name : path in the network, "" for the network itself
    layer : its class
    shape : of its output, batch included
    parameters : how many numbers they have, frozen ones included
    operations : multiplications and additions of one forward pass of the batch (a pooling counts one a pixel of each window, and an
        elementwise layer one a value)
    activation_bytes : memory of its output; 0 where that is a view of its input
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    parameters: int
    operations: int
    activation_bytes: int


def summarize(model: Module, shape: tuple[int, ...]) -> list[LayerSummary]:
    """What a batch of this shape meets on its way through `model`, which runs it once in eval mode.

    Raises
    ------
    ValueError
        The network does not take such a batch; the message names the layer.
    """
    training = model.training
    model.eval()
    x = np.zeros(shape, next(model.parameters()).dtype)
    with record_layers(model) as layers:
        model(x)
    model.train(training)
    return [_row(layer) for layer in layers]


def _row(layer):
    out = layer.out
    parameters = sum(parameter.size for parameter in layer.module.parameters())
    view = np.shares_memory(out, layer.x)
    operations = 0 if view else _operations(layer.module, layer.x, out)
    return LayerSummary(layer.name, type(layer.module).__name__, out.shape, parameters, operations, 0 if view else out.nbytes)


def _operations(module, x, out):
    if isinstance(module, Linear):
        return 2 * out.size * module.in_features + (out.size if module.bias is not None else 0)
    if isinstance(module, Conv2d | ConvTranspose2d):
        # each output of a convolution, each input of a transposed one, meets the filters' numbers once
        meets = out if isinstance(module, Conv2d) else x
        return 2 * meets.size * math.prod(module.weight.shape[1:]) + (out.size if module.bias is not None else 0)
    if isinstance(module, MaxPool2d | AvgPool2d):
        return out.size * module.pool_param()["pool_height"] * module.pool_param()["pool_width"]
    return 0 if isinstance(module, Flatten) else max(x.size, out.size)  # pixels change places there
