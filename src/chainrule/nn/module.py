"""Module and Parameter: what every layer is made of, with PyTorch's names and an explicit backward pass."""

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np

from chainrule.nn.functions import KERNELS, Functions

__all__ = ["Module", "Parameter"]


class Parameter:
    """An array that is learned, and the gradient of the loss with respect to it.

    Parameters
    ----------
    data : array of floats; kept as it is, memory order included
    requires_grad : learn it (default True). A parameter that is frozen keeps its place in `parameters()` and in the state_dict, but never
        gets a gradient, and so no optimizer moves it.

    Attributes
    ----------
    data : the values. It may be replaced; an optimizer notices.
    grad : array like `data`, or None before the first backward pass and after `zero_grad`
    requires_grad : as above; may be set at any time
    """

    __slots__ = ("_memory", "data", "grad", "requires_grad")

    def __init__(self, data, requires_grad=True):
        self.data = data
        self.grad = None
        self.requires_grad = requires_grad
        self._memory = None

    @property
    def shape(self):
        return self.data.shape

    @property
    def size(self):
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    def grad_memory(self):
        """The array that the next gradient is written to: like `data`, its contents undefined, the same one at every step."""
        memory = self._memory
        if memory is None or memory.shape != self.data.shape or memory.dtype != self.data.dtype:
            memory = self._memory = np.empty_like(self.data)
        return memory

    def place_grad(self, memory):
        """Let gradients be written to `memory`, a part of an optimizer's buffer; a gradient that exists moves there."""
        if self.grad is not None:
            self._check_gradient(self.grad)
            memory[...] = self.grad
            self.grad = memory
        self._memory = memory

    def accumulate(self, gradient):
        """Add `gradient` to `grad`, as PyTorch does; the first one after `zero_grad` is copied in. A frozen parameter takes none."""
        self._check_gradient(gradient)
        if not self.requires_grad:
            return
        if self.grad is None:
            self.grad = self.grad_memory()
            self.grad[...] = gradient
        else:
            self.grad += gradient

    def _check_gradient(self, gradient):
        if np.shape(gradient) != self.data.shape:  # NumPy would broadcast it
            raise ValueError(f"a gradient has shape {np.shape(gradient)}; its parameter has {self.data.shape}, and both must be the same")

    def __repr__(self):
        return f"Parameter(shape={self.shape}, dtype={self.dtype}{'' if self.requires_grad else ', requires_grad=False'})"


def learn(*parameters: Parameter | None) -> bool:
    """Whether any of them gets a gradient; None stands for one that the layer does not have."""
    return any(parameter is not None and parameter.requires_grad for parameter in parameters)


def _no_forward(self, *inputs):
    raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")


def _no_backward(self, dout):
    raise NotImplementedError(f"{type(self).__name__} defines no backward(dout)")


def check_sizes(module: str, **sizes):
    """Refuse arguments of a module that are no whole numbers of at least 1."""
    for name, value in sizes.items():
        if not isinstance(value, Integral):
            raise TypeError(f"{module}: {name} is {value!r}; expected a whole number")
        if value < 1:
            raise ValueError(f"{module}: {name} is {value}; it must be at least 1")


class Module:
    """A layer or a network: owns parameters, and remembers from `forward` what `backward` needs.

    A subclass defines `forward(x)` and `backward(dout) -> dx`; `backward` adds to the gradients of its parameters with
    `Parameter.accumulate`:

    >>> class Scale(Module):
    ...     def __init__(self, features):
    ...         self.weight = Parameter(np.ones(features, np.float32))
    ...     def forward(self, x):
    ...         self._cache = x
    ...         return x * self.weight.data
    ...     def backward(self, dout):
    ...         self.weight.accumulate((dout * self.cached()).sum(axis=0))
    ...         return dout * self.weight.data

    Parameters, child modules and buffers (arrays that are stored but not learned, named in `buffer_names`) are plain attributes; in a
    list, tuple or dict they would neither be trained nor saved, and are refused: several layers make a `Sequential`. The mathematics of
    the layers here comes from `functions`, a table that a namespace sets (`chainrule.nn.namespace`).
    """

    functions: Functions = KERNELS
    buffer_names: tuple[str, ...] = ()
    training = True
    forward: Callable[..., Any] = _no_forward
    backward: Callable[..., Any] = _no_backward
    _cache: Any = None

    def __call__(self, x, *inputs):
        if not isinstance(x, np.ndarray):
            raise TypeError(f"{type(self).__name__}: the input is of type {type(x).__name__}; expected a NumPy array")
        return self.forward(x, *inputs)

    def cached(self):
        """What `forward` left for `backward`."""
        if self._cache is None:
            raise RuntimeError(f"{type(self).__name__}: backward was called before forward")
        return self._cache

    def check_dout(self, dout, shape, dtype):
        """Refuse a dout that is not like the output: broadcast, reshaped or rounded, it would give a wrong gradient unnoticed."""
        if not isinstance(dout, np.ndarray):
            raise TypeError(f"{type(self).__name__}: dout is of type {type(dout).__name__}; expected a NumPy array, like the output")
        if dout.shape != shape:
            raise ValueError(f"{type(self).__name__}: dout has shape {dout.shape}; expected {shape}, like the output")
        if dout.dtype != dtype:
            raise TypeError(f"{type(self).__name__}: dout is {dout.dtype}, the output was {dtype}; convert it: dout.astype(np.{dtype})")

    # --- the tree -----------------------------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator["Module"]:
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, depth first; names are joined by dots, its own is ""."""
        self._refuse_hidden_parts()
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _refuse_hidden_parts(self):
        """In the walk, not when an attribute is set: a list may be filled later, and `_cache` is set at every step."""
        for name, value in vars(self).items():
            if not isinstance(value, list | tuple | dict):
                continue
            parts = [part for part in (value.values() if isinstance(value, dict) else value) if isinstance(part, Module | Parameter)]
            if not parts:
                continue
            own = {id(part) for part in (*self.children(), *vars(self).values())}
            hidden = next((part for part in parts if id(part) not in own), None)
            if hidden is not None:
                raise TypeError(
                    f"{type(self).__name__}: the attribute {name} is a {type(value).__name__} that holds a {type(hidden).__name__}, which "
                    "would neither be trained nor saved; make it an attribute of its own, or put several layers into a Sequential"
                )

    def modules(self) -> Iterator["Module"]:
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter by its dotted name; one that several modules share comes once, under its first name, as in PyTorch."""
        seen = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    # --- modes and gradients ------------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> "Module":
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        return self.train(False)

    def zero_grad(self):
        for parameter in self.parameters():
            parameter.grad = None

    def reset_parameters(self, rng: np.random.Generator) -> "Module":
        """Draw all parameters anew, as PyTorch initialises them (not the same numbers: the generators differ)."""
        for child in self.children():
            child.reset_parameters(rng)
        return self

    # --- dtype --------------------------------------------------------------------------------------------------------------------

    def double(self) -> "Module":
        """Parameters and buffers to float64, in place."""
        return self._to(np.float64)

    def float(self) -> "Module":
        """Parameters and buffers to float32, in place."""
        return self._to(np.float32)

    def _to(self, dtype):
        for parameter in self.parameters():
            parameter.data = parameter.data.astype(dtype)
            parameter.grad = None
        for module in self.modules():
            for name in module.buffer_names:
                buffer = getattr(module, name)
                if buffer is not None and buffer.dtype.kind == "f":
                    setattr(module, name, buffer.astype(dtype))
        return self

    # --- state --------------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """Parameters and buffers by PyTorch's keys. The arrays are the module's own: copy what must outlive the next step."""
        return dict(self._named_arrays())

    def load_state_dict(self, state_dict: dict[str, np.ndarray], strict: bool = True):
        """Copy values into parameters and buffers; nothing is changed unless everything fits.

        Raises
        ------
        ValueError
            A key is missing or unknown (`strict`), a shape differs, or a value is not a real number.
        """
        own = dict(self._named_arrays())
        given = {key: np.asarray(value) for key, value in state_dict.items()}
        faults = []
        if strict:
            faults += [f"{key} is missing" for key in own if key not in given]
            faults += [f"{key} is not in this network" for key in given if key not in own]
        common = [key for key in own if key in given]
        for key in common:
            if given[key].shape != own[key].shape:
                faults.append(f"{key} has shape {given[key].shape}, this network has {own[key].shape}")
            elif given[key].dtype.kind not in "fiub":
                faults.append(f"{key} is of dtype {given[key].dtype}; it must be real numbers")
        if faults:
            shown = faults[:8] + ([f"and {len(faults) - 8} more"] if len(faults) > 8 else [])
            raise ValueError(f"the state_dict does not fit {type(self).__name__}: " + "; ".join(shown))
        for key in common:
            own[key][...] = given[key]

    def _named_arrays(self):
        for prefix, module in self.named_modules():
            dotted = f"{prefix}." if prefix else ""
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    yield dotted + name, value.data
            for name in module.buffer_names:
                if getattr(module, name) is not None:
                    yield dotted + name, getattr(module, name)

    # --- text ---------------------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        return ""

    def __repr__(self):
        lines = []
        for name, child in self.named_children():
            first, *rest = repr(child).split("\n")
            lines += [f"  ({name}): {first}", *(f"  {line}" for line in rest)]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
