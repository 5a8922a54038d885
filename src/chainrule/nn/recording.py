"""Look inside a forward and a backward pass: every layer's input, output and gradient."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.nn.module import Module

__all__ = ["LayerRecord", "record_layers"]


@dataclass
class LayerRecord:
    """One layer's pass: x -> out, and dout (the loss's gradient with respect to out) -> dx; None for what has not run."""

    name: str
    module: Module
    x: Any = None
    out: Any = None
    dout: np.ndarray | None = None
    dx: np.ndarray | None = None


@contextmanager
def record_layers(model: Module, names: Collection[str] | None = None) -> Iterator[list[LayerRecord]]:
    """Within the block, the calls of `model`'s layers are recorded, in the order in which their forward passes end.

    Parameters
    ----------
    model : network; what calls it must go through its modules (a Plan computes several at once)
    names : of the modules to record, as in `named_modules` (default: every module without children)

    Raises
    ------
    ValueError
        The network has no module of such a name.

    Examples
    --------
    >>> with record_layers(model) as layers:
    ...     loss = criterion(model(images), labels)
    ...     model.backward(criterion.backward())
    >>> [(layer.name, layer.out.std()) for layer in layers]
    """
    records: list[LayerRecord] = []
    recorded = [(name, module) for name, module in model.named_modules() if _is_wanted(name, module, names)]
    if names is not None and len(recorded) < len(names):
        raise ValueError(f"there is no {', '.join(set(names) - {name for name, _ in recorded})} in this {type(model).__name__}")
    before = [(module, {name: vars(module)[name] for name in ("forward", "backward") if name in vars(module)}) for _, module in recorded]
    for name, module in recorded:
        _record(module, name, records)
    try:
        yield records
    finally:
        for module, outer in before:
            del module.forward, module.backward  # the class's are back, or those of a block around this one
            vars(module).update(outer)


def _is_wanted(name, module, names):
    return name in names if names is not None else not list(module.named_children())


def _record(module, name, records):
    forward, backward = module.forward, module.backward
    current = []  # a module that is called twice is recorded twice; its backward belongs to the last call

    def recorded_forward(x):
        record = LayerRecord(name, module, x, forward(x))
        records.append(record)
        current[:] = [record]
        return record.out

    def recorded_backward(dout):
        dx = backward(dout)
        if not current:  # its forward ran before the block
            current.append(LayerRecord(name, module))
            records.append(current[0])
        current[0].dout, current[0].dx = dout, dx
        return dx

    module.forward, module.backward = recorded_forward, recorded_backward
