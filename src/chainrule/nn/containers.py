"""Modules made of modules: one after another, around a shortcut, side by side, under other names."""

import functools
import math

import numpy as np

from chainrule.nn.module import Module

__all__ = ["Concat", "Flatten", "Identity", "Named", "Residual", "Sequential"]


class Sequential(Module):
    """One module after another; backward goes through them in reverse."""

    def __init__(self, *modules):
        for index, module in enumerate(modules):
            _check_module(self, f"layer {index + 1} of {len(modules)}", module)
        self._modules = modules
        _refuse_shared_modules(self)

    def named_children(self):
        return ((str(index), module) for index, module in enumerate(self._modules))

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __getitem__(self, index):
        return type(self)(*self._modules[index]) if isinstance(index, slice) else self._modules[index]

    def forward(self, x):
        for index, module in enumerate(self._modules):
            try:
                x = module(x)
            except Exception as error:
                error.add_note(self._where(index))
                raise
        return x

    def backward(self, dout):
        for index in reversed(range(len(self))):
            try:
                dout = self._modules[index].backward(dout)
                if dout is None and index:  # of the first one nobody may need it
                    raise TypeError(f"{type(self[index]).__name__}: backward returned None; expected dx, the gradient of its input")
            except Exception as error:
                error.add_note(self._where(index))
                raise
        return dout

    def _where(self, index):
        first, *more = repr(self._modules[index]).split("\n")
        return f"in layer {index + 1} of {len(self)}, ({index}): {first + '...)' if more else first}"


class Residual(Module):
    """body(x) + shortcut(x) (He et al. 2016, eq. 1 and 2); the gradient of x is the sum of both ways.

    Parameters
    ----------
    body : module whose output has the shape of the shortcut's
    shortcut : module (default: Identity)
    """

    def __init__(self, body, shortcut=None):
        self.body = body
        self.shortcut = shortcut if shortcut is not None else Identity()
        _check_module(self, "the body", self.body)
        _check_module(self, "the shortcut", self.shortcut)
        _refuse_shared_modules(self)

    def forward(self, x):
        body, shortcut = self.body(x), self.shortcut(x)
        if body.shape != shortcut.shape:
            raise ValueError(f"Residual: the body gives shape {body.shape}, the shortcut {shortcut.shape}; they must be the same")
        return self.functions.add(body, shortcut)

    def backward(self, dout):
        return self.functions.add(self.body.backward(dout), self.shortcut.backward(dout))


class Concat(Module):
    """The outputs of all branches for one x, joined along axis `dim` (Szegedy et al. 2015).

    Parameters
    ----------
    branches : modules whose outputs differ in axis `dim` at most
    dim : axis to join (default 1, the features or channels)
    """

    def __init__(self, *branches, dim=1):
        if not branches:
            raise ValueError("Concat: no branches were given; it needs at least one")
        for index, branch in enumerate(branches):
            _check_module(self, f"branch {index + 1} of {len(branches)}", branch)
        self._branches, self.dim = branches, dim
        _refuse_shared_modules(self)

    def named_children(self):
        return ((str(index), branch) for index, branch in enumerate(self._branches))

    def forward(self, x):
        outs = [branch(x) for branch in self._branches]
        self._cache = np.cumsum([out.shape[self.dim] for out in outs])[:-1]
        return self.functions.concatenate(outs, self.dim)

    def backward(self, dout):
        parts = self.functions.split(dout, self.cached(), self.dim)
        return functools.reduce(self.functions.add, [branch.backward(part) for branch, part in zip(self._branches, parts, strict=True)])


class Named(Module):
    """What `path` computes, under names of one's own: a published network's keys, whatever its layers are arranged in.

    >>> squeeze, left, right = nn.Conv2d(64, 16, 1), nn.Conv2d(16, 64, 1), nn.Conv2d(16, 64, 3, padding=1)
    >>> fire = nn.Named(nn.Sequential(squeeze, nn.Concat(left, right)), squeeze=squeeze, expand1x1=left, expand3x3=right)
    >>> list(fire.state_dict())[0]
    'squeeze.weight'

    Parameters
    ----------
    path : module
    parts : the modules that `path` is made of, by their names; together they hold all of its layers, each once
    """

    def __init__(self, path, **parts):
        _check_module(self, "the path", path)
        for name, part in parts.items():
            _check_module(self, name, part)
        self.path, self._parts = path, parts
        _refuse_shared_modules(self)
        used, named = ({id(layer): layer for layer in _layers(module)} for module in (path, self))
        unlike = [layer for key, layer in (used | named).items() if key not in used or key not in named]
        if unlike:
            fault = "is not used by the path" if id(unlike[0]) in named else "of the path has no name"
            raise ValueError(f"Named: a {type(unlike[0]).__name__} {fault}; the parts must hold every layer of the path, and no other")

    def named_children(self):
        return iter(self._parts.items())

    def forward(self, x):
        return self.path(x)

    def backward(self, dout):
        return self.path.backward(dout)


class Flatten(Module):
    """(N, d1, ..., dk) -> (N, d1 * ... * dk).

    Parameters
    ----------
    start_dim, end_dim : first and last axis that are joined (default 1 and -1)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        axes = range(-x.ndim, x.ndim)
        if self.start_dim not in axes or self.end_dim not in axes or self.start_dim % x.ndim > self.end_dim % x.ndim:
            raise ValueError(
                f"Flatten: x has shape {x.shape}, which has no axes {self.start_dim} to {self.end_dim}; is the batch axis missing?"
            )
        start, end = self.start_dim % x.ndim, self.end_dim % x.ndim + 1
        out = self.functions.contiguous(x).reshape(*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:])
        self._cache = x.shape, out.shape, out.dtype
        return out

    def backward(self, dout):
        x_shape, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        return dout.reshape(x_shape)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """x, unchanged."""

    def forward(self, x):
        return x

    def backward(self, dout):
        return dout


def _check_module(container, place, given):
    if isinstance(given, Module):
        return
    what, advice = f"of type {type(given).__name__}", "expected a Module"
    if isinstance(given, type):
        what = f"the class {given.__name__}"
        advice = f"expected an object of it: {given.__name__}(...)" if issubclass(given, Module) else advice
    elif isinstance(given, list | tuple):
        advice += f"; give the layers one by one: {type(container).__name__}(*layers)"
    raise TypeError(f"{type(container).__name__}: {place} is {what}; {advice}")


def _layers(module):
    return [part for part in module.modules() if not list(part.named_children())]


def _refuse_shared_modules(container):
    """A module remembers one forward pass for its backward: used twice, its second call would spoil the gradients of the first."""
    seen = {}
    for name, module in container.named_modules():
        first = seen.setdefault(id(module), name)
        if first != name:
            raise ValueError(
                f"{type(container).__name__}: ({first}) and ({name}) are the same {type(module).__name__} object; "
                "a module remembers only its last input for backward: make one object for each place"
            )
