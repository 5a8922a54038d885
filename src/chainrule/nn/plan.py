"""How a training step runs: which layers are computed together, what is forgotten, and when.

Modules know nothing of it: without a plan they compute the same numbers, one layer at a time, and keep them.
"""

import functools
from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from chainrule.nn.activations import GELU, ReLU
from chainrule.nn.containers import Concat, Named, Residual, Sequential
from chainrule.nn.convolution import Conv2d
from chainrule.nn.linear import Linear
from chainrule.nn.module import Module, Parameter, learn
from chainrule.nn.normalization import BatchNorm1d, BatchNorm2d, GroupNorm
from chainrule.nn.pooling import MaxPool2d

__all__ = ["Plan"]


class Plan:
    """Forward and backward pass of a network in training: neighbours fused, every array let go as soon as no later pass needs it.

    `backward` replaces the gradients of fused layers instead of adding to them: it is for a loop that clears the gradients at every step.
    The gradient of the network's input is computed only when asked for; where all parameters of a layer are frozen, theirs are not. Within
    a `with Workspace():` block the memory that is let go is what the next layers, and the next step, write to.

    Parameters
    ----------
    model : any module; the layers of a Sequential, of a Residual and of a Concat are planned, everything else runs as it is
    """

    def __init__(self, model: Module):
        self.steps = _steps(list(_layers(model, "")), _shared_parameters(model))

    def forward(self, x):
        """The output for x, with what `backward` needs kept."""
        return _forward(self.steps, x)

    def backward(self, dout, need_dx=False):
        """Set the gradients of all parameters that are learned; what `forward` kept is let go.

        Parameters
        ----------
        dout : like the output
        need_dx : return the gradient of the network's input, else None (default False)
        """
        return _backward(self.steps, dout, need_dx)

    def evaluate(self, x):
        """The output for x alone: no layer keeps anything."""
        return _forward(self.steps, x, keep=False)


def _forward(steps, x, keep=True):
    for step in steps:
        try:
            x = step.forward(x, keep)
            if not keep:
                step.forget()
        except Exception as error:
            error.add_note(step.where)
            raise
    return x


def _backward(steps, dout, need_dx):
    """dx, or None where nobody needs it: before the first step that learns."""
    first = 0 if need_dx else next((index for index, step in enumerate(steps) if step.learns), len(steps))
    for index in range(len(steps) - 1, first - 1, -1):
        step = steps[index]
        try:
            dout = step.backward(dout, need_dx or index > first)
            step.forget()
        except Exception as error:
            error.add_note(step.where)
            raise
    for step in steps[:first]:
        step.forget()
    return dout if need_dx else None


class _Step:
    """One module, as it is. A subclass computes several together."""

    def __init__(self, modules, where):
        self.modules, self.where = modules, where
        self._parameters = [parameter for module in modules for parameter in module.parameters()]

    @property
    def learns(self):
        """Whether there is a parameter that is not frozen now."""
        return learn(*self._parameters)

    def forward(self, x, keep):
        self._x_shape = np.shape(x)
        for module in self.modules:
            x = module.forward(x)
        return x

    def backward(self, dout, need_dx):
        dx = dout
        for module in reversed(self.modules):
            dx = module.backward(dx)
        if need_dx and np.shape(dx) != self._x_shape:  # somebody's own layer; unnoticed, it would be broadcast or fail in the layer before
            given = "None" if dx is None else f"shape {np.shape(dx)}"
            raise ValueError(
                f"{type(self.modules[0]).__name__}: backward returned {given}; "
                f"expected dx, the gradient of its input, of shape {self._x_shape}"
            )
        return dx

    def forget(self):
        """Let go what `forward` kept for `backward`."""
        for module in self.modules:
            for part in module.modules():
                part._cache = None


class _Fused(_Step):
    """A layer and what follows it, computed by one entry of their table of functions.

    Attributes
    ----------
    kind : class of the layer
    entries : classes of the modules behind it -> name of the entry
    axes : of the x that the entry takes; any other runs module by module
    """

    kind: type
    entries: ClassVar[dict[tuple[type, ...], str]]
    axes: int
    run: Callable  # (x) -> out, cache
    gradients: Callable  # (dout, cache, need_dx) -> dx

    @staticmethod
    def suits(layer) -> bool:
        """Whether the entries can compute this layer."""
        return True

    def __init__(self, modules, where, pair):
        super().__init__(modules, where)
        self.layer, self.pair, self._cache = modules[0], pair, None

    def forward(self, x, keep):
        self.layer.check_input(x)
        if x.ndim != self.axes:
            return super().forward(x, keep)
        out, self._cache = self.run(x)
        return out

    def backward(self, dout, need_dx):
        if self._cache is None:
            return super().backward(dout, need_dx)
        return self.gradients(dout, self._cache, need_dx)

    def forget(self):
        if self._cache is None:
            super().forget()
        self._cache = None


class _Product(_Fused):
    """A layer with a weight: gradients are written in place, and computed only where somebody needs them."""

    def gradients(self, dout, cache, need_dx):
        if self.pair.backward_input is not None and not self.learns:
            return self.pair.backward_input(dout, cache)
        weight, bias = self.layer.weight, self.layer.bias
        buffers = {"dw": self.as_given(weight.grad_memory()), "db": None if bias is None else bias.grad_memory()}
        if need_dx:
            dx, _, _ = self.pair.backward(dout, cache, **buffers)
        else:
            dx, _ = None, self.pair.backward_parameters(dout, cache, **buffers)
        _written(weight, bias)
        return dx

    @staticmethod
    def as_given(weight):
        """The weight, or its gradient, as the entry takes it."""
        return weight


class _Affine(_Product):
    kind, axes = Linear, 2
    entries: ClassVar = {(): "affine", (ReLU,): "affine_relu"}

    def run(self, x):
        return self.pair.forward(x, self.as_given(self.layer.weight.data), self.layer.bias.data)

    @staticmethod
    def as_given(weight):
        return weight.T

    @staticmethod
    def suits(layer) -> bool:
        return layer.bias is not None


class _Conv(_Product):
    kind, axes = Conv2d, 4
    entries: ClassVar = {
        (): "conv",
        (ReLU,): "conv_relu",
        (MaxPool2d,): "conv_pool",
        (ReLU, MaxPool2d): "conv_relu_pool",
        (MaxPool2d, ReLU): "conv_relu_pool",  # the greatest of the rectified is the greatest, rectified
    }

    def __init__(self, modules, where, pair):
        super().__init__(modules, where, pair)
        self._pools = [module for module in modules if isinstance(module, MaxPool2d)]

    def run(self, x):
        return self.pair.forward(x, *self.layer.arguments(x), *(pool.pool_param() for pool in self._pools))


class _Norm(_Fused):
    """A normalization with a learned scale and shift, whose gradients are written in place."""

    def gradients(self, dout, cache, need_dx):
        weight, bias = self.layer.weight, self.layer.bias
        dgamma, dbeta = (self.as_given(parameter.grad_memory()) if parameter.requires_grad else None for parameter in (weight, bias))
        *dx, _, _ = self.pair.backward(dout, cache, dgamma=dgamma, dbeta=dbeta)
        _written(weight, bias)
        return dx[0] if len(dx) == 1 else dx

    @staticmethod
    def as_given(parameter):
        """The scale or the shift, or its gradient, as the entry takes it."""
        return parameter

    @staticmethod
    def suits(layer) -> bool:
        return layer.weight is not None and layer.bias is not None


class _BatchNorm(_Norm):
    def run(self, x, *skip):
        norm = self.layer
        bn_param = norm.bn_param()
        out, cache = self.pair.forward(x, *skip, norm.weight.data, norm.bias.data, bn_param)
        if norm.training:
            norm.update_running_stats(bn_param["running_mean"], bn_param["running_var"], x.size // norm.num_features)
        return out, cache


class _RowNorm(_BatchNorm):
    kind, axes = BatchNorm1d, 2
    entries: ClassVar = {(ReLU,): "batchnorm_relu"}


class _ImageNorm(_BatchNorm):
    kind, axes = BatchNorm2d, 4
    entries: ClassVar = {(ReLU,): "spatial_batchnorm_relu", (GELU,): "spatial_batchnorm_gelu"}


class _GroupNorm(_Norm):
    kind, axes = GroupNorm, 4
    entries: ClassVar = {(ReLU,): "spatial_groupnorm_relu"}

    def run(self, x):
        norm = self.layer
        return self.pair.forward(x, *norm.scale_and_shift(x.dtype), norm.num_groups, norm.gn_param())

    @staticmethod
    def as_given(parameter):
        return parameter.reshape(1, -1, 1, 1)


class _AddReLU(_BatchNorm):
    """The end of a residual block: batch norm of what the body gives, plus the shortcut, through a ReLU."""

    kind, axes = BatchNorm2d, 4
    entries: ClassVar = {(ReLU,): "spatial_batchnorm_add_relu"}


class _Residual(_Step):
    """body(x) + shortcut(x), both planned; with the norm at the end of the body and the ReLU behind the sum in one pass."""

    def __init__(self, modules, where, body, shortcut, end):
        super().__init__(modules, where)
        self.body, self.shortcut, self.end = body, shortcut, end

    def forward(self, x, keep):
        body, shortcut = _forward(self.body, x, keep), _forward(self.shortcut, x, keep)
        if body.shape != shortcut.shape:
            raise ValueError(f"Residual: the body gives shape {body.shape}, the shortcut {shortcut.shape}; they must be the same")
        if self.end is None:
            return self.modules[0].functions.add(body, shortcut)
        self.end.layer.check_input(body)
        out, self._cache = self.end.run(body, shortcut)
        return out

    def backward(self, dout, need_dx):
        dbody, dshortcut = (dout, dout) if self.end is None else self.end.gradients(dout, self._cache, True)
        self._cache = None
        dbody = _backward(self.body, dbody, need_dx)
        dshortcut = _backward(self.shortcut, dshortcut, need_dx)
        return self.modules[0].functions.add(dbody, dshortcut) if need_dx else None

    def forget(self):
        self._cache = None


class _Concat(_Step):
    """The outputs of all branches for one x, which are planned, joined."""

    def __init__(self, modules, where, branches):
        super().__init__(modules, where)
        self.branches = branches

    def forward(self, x, keep):
        concat, outs = self.modules[0], [_forward(branch, x, keep) for branch in self.branches]
        self._bounds = np.cumsum([out.shape[concat.dim] for out in outs])[:-1]
        return concat.functions.concatenate(outs, concat.dim)

    def backward(self, dout, need_dx):
        concat = self.modules[0]
        parts = concat.functions.split(dout, self._bounds, concat.dim)
        dxs = [_backward(branch, part, need_dx) for branch, part in zip(self.branches, parts, strict=True)]
        return functools.reduce(concat.functions.add, dxs) if need_dx else None

    def forget(self):
        """The branches' steps forget for themselves."""


def _steps(layers, shared):
    """A list of (name, layer) as steps, neighbours with a fused form as one; `shared` are the parameters with several uses."""
    steps, number = [], 0
    while number < len(layers):
        name, layer = layers[number]
        where = _where(number, len(layers), name, layer)
        rest = [layer for _, layer in layers[number:]]
        step = _residual(rest, where, shared) or _concat(rest, where, shared) or _fused(rest, where, shared) or _Step(rest[:1], where)
        steps.append(step)
        number += len(step.modules)
    return steps


def _fused(layers, where, shared, kinds=(_Affine, _Conv, _RowNorm, _ImageNorm, _GroupNorm)):
    """The longest beginning of `layers` that one entry of their table computes, as a step; None if there is none."""
    layer = layers[0]
    kind = next((kind for kind in kinds if _is(layer, kind.kind) and kind.suits(layer)), None)
    # a gradient that is the sum of several uses must be added up
    if kind is None or any(id(parameter) in shared for parameter in layer.parameters()):
        return None
    for followers, entry in sorted(kind.entries.items(), key=lambda item: -len(item[0])):
        modules, pair = layers[: 1 + len(followers)], getattr(layer.functions, entry)
        if len(modules) != 1 + len(followers) or not all(map(_is, modules[1:], followers)):
            continue
        if any(module.functions is not layer.functions for module in modules):
            continue
        # a layer alone is worth a step of its own where the entry can write gradients in place, and leave dx out
        if pair is not None and (followers or pair.backward_parameters is not None):
            return kind(modules, where, pair)
    return None


def _residual(layers, where, shared):
    """A Residual at the beginning of `layers` as a step, with a ReLU behind it where its body ends in batch norm; None if there is none."""
    residual = layers[0]
    if not _is(residual, Residual):
        return None
    body, shortcut = list(_layers(residual.body, "body")), list(_layers(residual.shortcut, "shortcut"))
    end = _fused([body[-1][1], *layers[1:2]], where, shared, kinds=(_AddReLU,))
    modules = layers[:1] if end is None else layers[:2]
    return _Residual(modules, where, _steps(body if end is None else body[:-1], shared), _steps(shortcut, shared), end)


def _concat(layers, where, shared):
    """A Concat at the beginning of `layers` as a step; None if there is none."""
    if not _is(layers[0], Concat):
        return None
    return _Concat(layers[:1], where, [_steps(list(_layers(branch, name)), shared) for name, branch in layers[0].named_children()])


def _layers(module, name):
    """(name, layer) of a tree of Sequentials, in order."""
    if _is(module, Named):
        module = module.path
    if _is(module, Sequential):
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


def _is(layer, kind):
    """A layer of this class whose passes are the class's own: one that changes them may compute something else."""
    return isinstance(layer, kind) and type(layer).forward is kind.forward and type(layer).backward is kind.backward


def _written(*parameters):
    """The gradients have been written to the parameters' memory."""
    for parameter in parameters:
        if parameter is not None and parameter.requires_grad:
            parameter.grad = parameter.grad_memory()
