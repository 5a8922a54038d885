"""How a training step runs: which layers are computed together, and the buffers that they reuse from step to step.

Modules know nothing of it: without a plan they compute the same numbers, one layer at a time, into fresh arrays.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from chainrule import kernels
from chainrule.nn.activations import ReLU
from chainrule.nn.containers import Sequential
from chainrule.nn.functions import KERNELS
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module, Parameter
from chainrule.nn.normalization import BatchNorm1d

__all__ = ["Plan"]


class Plan:
    """Forward and backward pass of a network in training: neighbours fused, outputs and gradients written to buffers that stay.

    What `forward` returns is overwritten by the next step, and `backward` replaces the gradients of fused layers instead of adding to them:
    it is for a loop that clears the gradients at every step. The gradient of the network's input is not computed.

    Parameters
    ----------
    model : any module; what is not a Sequential of layers that have a fused form runs as it is
    """

    def __init__(self, model: Module):
        self.steps = _steps(model)
        with_parameters = [index for index, step in enumerate(self.steps) if step.has_parameters]
        self._first = with_parameters[0] if with_parameters else len(self.steps)

    def forward(self, x):
        for step in self.steps:
            try:
                x = step.forward(x)
            except Exception as error:
                error.add_note(step.where)
                raise
        return x

    def backward(self, dout):
        """Set the gradients of all parameters."""
        for index in range(len(self.steps) - 1, self._first - 1, -1):
            step = self.steps[index]
            try:
                if index > self._first:
                    dout = step.backward(dout)
                else:
                    step.backward_parameters(dout)
            except Exception as error:
                error.add_note(step.where)
                raise


class _Rows:
    """One array that grows to the largest batch; smaller batches use its first rows."""

    def __init__(self):
        self._array = np.empty((0, 0))

    def __call__(self, shape, dtype):
        array = self._array
        if array.dtype != dtype or array.shape[1:] != shape[1:] or len(array) < shape[0]:
            array = self._array = np.empty(shape, dtype)
        return array if len(array) == shape[0] else array[: shape[0]]


class _Step:
    """Modules that run together. Here one after the other, as they are; a subclass fuses them for x (N, D)."""

    def __init__(self, modules, where):
        self.modules, self.where = modules, where
        self.has_parameters = any(next(module.parameters(), None) is not None for module in modules)

    def forward(self, x):
        self._x_shape = np.shape(x)
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, dout):
        dx = _Step.backward_parameters(self, dout)
        if np.shape(dx) != self._x_shape:  # somebody's own layer; unnoticed, it would be broadcast or fail in the layer before
            given = "None" if dx is None else f"shape {np.shape(dx)}"
            raise ValueError(
                f"{type(self.modules[0]).__name__}: backward returned {given}; "
                f"expected dx, the gradient of its input, of shape {self._x_shape}"
            )
        return dx

    def backward_parameters(self, dout):
        for module in reversed(self.modules):
            dout = module.backward(dout)
        return dout


class _Fused(_Step):
    """A subclass defines fused_forward(x), fused_backward(dout) -> dx, and fused_backward_parameters(dout)."""

    fused_forward: Callable
    fused_backward: Callable
    fused_backward_parameters: Callable

    def __init__(self, modules, where):
        super().__init__(modules, where)
        self._out, self._dx = _Rows(), _Rows()
        self._ran_fused = False

    def forward(self, x):
        self.modules[0].check_input(x)
        self._ran_fused = x.ndim == 2
        return self.fused_forward(x) if self._ran_fused else super().forward(x)

    def backward(self, dout):
        return self.fused_backward(dout) if self._ran_fused else super().backward(dout)

    def backward_parameters(self, dout):
        return self.fused_backward_parameters(dout) if self._ran_fused else super().backward_parameters(dout)


class _Affine(_Fused):
    """Linear, and the ReLU behind it where there is one."""

    def __init__(self, modules, where):
        super().__init__(modules, where)
        if len(modules) == 2:
            self._forward, self._backward = kernels.affine_relu_forward, kernels.affine_relu_backward
            self._backward_parameters = kernels.affine_relu_backward_parameters
        else:
            self._forward, self._backward = kernels.affine_forward, kernels.affine_backward
            self._backward_parameters = kernels.affine_backward_parameters

    def fused_forward(self, x):
        linear = self.modules[0]
        out = self._out((len(x), linear.out_features), x.dtype)
        out, self._cache = self._forward(x, linear.weight.data.T, linear.bias.data, out=out)
        return out

    def fused_backward(self, dout):
        weight, bias = self.modules[0].weight, self.modules[0].bias
        dx = self._dx((len(dout), self.modules[0].in_features), dout.dtype)
        self._backward(dout, self._cache, dx=dx, dw=weight.grad_memory().T, db=bias.grad_memory())
        weight.grad, bias.grad = weight.grad_memory(), bias.grad_memory()
        return dx

    def fused_backward_parameters(self, dout):
        weight, bias = self.modules[0].weight, self.modules[0].bias
        self._backward_parameters(dout, self._cache, dw=weight.grad_memory().T, db=bias.grad_memory())
        weight.grad, bias.grad = weight.grad_memory(), bias.grad_memory()


class _NormReLU(_Fused):
    """BatchNorm1d, and the ReLU behind it."""

    def fused_forward(self, x):
        norm = self.modules[0]
        bn_param = norm.bn_param()
        out = self._out(x.shape, x.dtype)
        out, self._cache = kernels.batchnorm_relu_forward(x, norm.weight.data, norm.bias.data, bn_param, out=out)
        norm.update_running_stats(bn_param["running_mean"], bn_param["running_var"], len(x))
        return out

    def fused_backward(self, dout):
        weight, bias = self.modules[0].weight, self.modules[0].bias
        dx, dgamma, dbeta = self._dx(dout.shape, dout.dtype), weight.grad_memory(), bias.grad_memory()
        kernels.batchnorm_relu_backward(dout, self._cache, dx=dx, dgamma=dgamma, dbeta=dbeta)
        weight.grad, bias.grad = dgamma, dbeta
        return dx

    fused_backward_parameters = fused_backward


def _steps(model):
    """The layers of a tree of Sequentials in order, neighbours with a fused form as one."""
    layers = list(_layers(model, ""))
    shared = _shared_parameters(model)
    steps, number = [], 0
    while number < len(layers):
        name, layer = layers[number]
        relu = number + 1 < len(layers) and _fusible(layers[number + 1][1], ReLU)
        # a gradient that is the sum of several uses must be added up
        plain = any(id(parameter) in shared for parameter in layer.parameters())
        if not plain and _fusible(layer, Linear) and layer.bias is not None:
            kind, count = _Affine, 1 + relu
        elif not plain and _fusible(layer, BatchNorm1d) and relu and layer.weight is not None and layer.bias is not None:
            kind, count = _NormReLU, 2
        else:
            kind, count = _Step, 1
        modules = [layer for _, layer in layers[number : number + count]]
        steps.append(kind(modules, _where(number, len(layers), name, layer)))
        number += count
    return steps


def _layers(module, name):
    if isinstance(module, Sequential):
        for child_name, child in module.named_children():
            yield from _layers(child, f"{name}.{child_name}" if name else child_name)
    else:
        yield name, module


def _where(number, count, name, layer):
    first, *more = repr(layer).split("\n")
    return f"in layer {number + 1} of {count}, ({name}): {first + '...)' if more else first}"


def _shared_parameters(model):
    uses = Counter(id(value) for module in model.modules() for value in vars(module).values() if isinstance(value, Parameter))
    return {parameter for parameter, count in uses.items() if count > 1}


def _fusible(layer, kind):
    """A layer of just this class (a subclass may compute something else), over the kernels."""
    return type(layer) is kind and layer.functions is KERNELS
