"""What one asks of a trained network: scores, the gradient of its input, what happens at layers inside; arrays in, arrays out.

Networks of `chainrule.nn` answer by their own backward passes, PyTorch's by autograd (`chainrule.pytorch.TorchProbe`). A probe computes in
eval mode, and leaves mode, parameters and their gradients as they were.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from chainrule.kernels.workspace import Workspace
from chainrule.nn.activations import ReLU
from chainrule.nn.containers import Named, Sequential
from chainrule.nn.functions import Pair
from chainrule.nn.module import Module
from chainrule.nn.plan import Plan
from chainrule.nn.recording import record_layers

__all__ = ["AtLayer", "HandProbe", "Probe"]


@dataclass(frozen=True)
class AtLayer:
    """One layer in one pass.

    Attributes
    ----------
    kind : its class
    out : its output
    gradient : like out, of what was differentiated with respect to it; None if nothing was
    """

    kind: str
    out: np.ndarray
    gradient: np.ndarray | None = None


class Probe(Protocol):
    """What the two engines answer alike; x is (N, ...), scores are (N, classes)."""

    @property
    def dtype(self) -> np.dtype:
        """That of the parameters; x is converted to it."""
        ...

    def scores(self, x) -> np.ndarray:
        """The scores of x."""
        ...

    def gradient(self, x, dscores: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The scores of x, and the gradient of x for the gradient dscores(scores) of the scores."""
        ...

    def guided_gradient(self, x, dscores: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The same, but that no ReLU lets a negative gradient pass."""
        ...

    def layers(self, x, names=None, dscores: Callable[[np.ndarray], np.ndarray] | None = None) -> dict[str, AtLayer]:
        """What the modules of these names (default: all without children) put out for x, with its gradient if dscores is given."""
        ...

    def gradient_from(self, x, name: str, dout: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """What the module of that name puts out for x, and the gradient of x for dout(out) there; no later layer is computed."""
        ...

    def names(self) -> list[str]:
        """The names of all modules, from the outermost, which is ""."""
        ...

    def parameters(self) -> Mapping[str, Any]:
        """The parameters by name, as arrays."""
        ...


class HandProbe:
    """A network of `chainrule.nn` looked into: its own backward passes lead back to the image."""

    def __init__(self, module: Module):
        self.module = module
        self._plan, self._workspace = Plan(module), Workspace()
        self._beginning: tuple[str, Plan] | None = None

    @property
    def dtype(self):
        return next((parameter.dtype for parameter in self.module.parameters()), np.dtype(np.float32))

    def scores(self, x):
        with _at_rest(self.module), self._workspace:
            return self._plan.evaluate(self._taken(x))

    def gradient(self, x, dscores):
        return self._there_and_back(self._plan, x, dscores)

    def guided_gradient(self, x, dscores):
        with _at_rest(self.module), _guided(self.module), self._workspace:
            scores = self.module(self._taken(x))
            return scores, self.module.backward(dscores(scores))

    def layers(self, x, names=None, dscores=None):
        with _at_rest(self.module), record_layers(self.module, names) as records:
            scores = self.module(self._taken(x))
            if dscores is not None:
                self.module.backward(dscores(scores))
        return {record.name: AtLayer(type(record.module).__name__, record.out, record.dout) for record in records}

    def gradient_from(self, x, name, dout):
        if self._beginning is None or self._beginning[0] != name:
            self._beginning = name, Plan(_up_to(self.module, name))
        return self._there_and_back(self._beginning[1], x, dout)

    def names(self):
        return [name for name, _ in self.module.named_modules()]

    def parameters(self):
        return {name: parameter.data for name, parameter in self.module.named_parameters()}

    def _there_and_back(self, plan, x, dout) -> tuple[np.ndarray, Any]:
        with _at_rest(self.module), self._workspace:
            out = plan.forward(self._taken(x))
            return out, plan.backward(dout(out), need_dx=True)

    def _taken(self, x):
        return np.asarray(x, self.dtype)


@contextmanager
def _at_rest(module: Module) -> Iterator[None]:
    """Within the block the module is in eval mode, and no parameter takes a gradient."""
    modes = [(part, part.training) for part in module.modules()]
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.eval()
    for parameter in learned:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for parameter in learned:
            parameter.requires_grad = True


@contextmanager
def _guided(module: Module) -> Iterator[None]:
    """Within the block each ReLU lets positive gradients pass alone: another pair of functions in its table, no other module."""
    rectifiers: list[Any] = [part for part in module.modules() if isinstance(part, ReLU)]
    tables = [vars(part).get("functions") for part in rectifiers]
    for part in rectifiers:
        part.functions = replace(part.functions, relu=_guided_pair(part.functions.relu))
    try:
        yield
    finally:
        for part, table in zip(rectifiers, tables, strict=True):
            if table is None:
                del part.functions  # the class's shows again
            else:
                part.functions = table


def _guided_pair(relu):
    def backward(dout, cache):
        return relu.backward(np.maximum(dout, 0), cache)

    return Pair(relu.forward, backward)


def _up_to(module, name):
    """The network's beginning, up to the module of that name, as a module."""
    parts = dict(module.named_modules())
    if name not in parts:
        raise ValueError(f"there is no {name} in this {type(module).__name__}")
    return _beginning(module, parts[name], name)


def _beginning(module, last, name):
    if module is last:
        return module
    if isinstance(module, Named):
        return _beginning(module.path, last, name)
    if isinstance(module, Sequential):
        for index, child in enumerate(module):
            if any(part is last for part in child.modules()):
                return Sequential(*module[:index], _beginning(child, last, name))
    raise ValueError(
        f"{name} lies on one of several ways through a {type(module).__name__}; name the {type(module).__name__}, or a layer before it"
    )
