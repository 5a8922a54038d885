"""Parity: the same weights and the same batches give the same numbers as the PyTorch twin, layer by layer and step by step."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from chainrule.verification.comparison import entry, first_index, greatest_index, magnitude
from chainrule.verification.errors import ParityError
from chainrule.verification.layers import seed_generators, watched
from chainrule.verification.rules import generator

if TYPE_CHECKING:
    from chainrule.nn import Module

__all__ = ["ParityReport", "biases_without_influence", "check_parity", "check_training_parity", "compare_arrays", "compare_named"]

# Relative to the greatest entry. Unit roundoff is 1.1e-16 and 6e-8; long sums cost two digits, normalizations of
# features that hardly vary, and tens of layers or steps, the rest.
TOLERANCES = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-4}
# A gradient that is a sum of zero, as that of a bias before batch normalization, is rounding in both: it is held against 1 % of the
# greatest gradient of the network instead of itself.
CANCELLED = 1e-2
# What `biases_without_influence` may differ by after training; not in the report, since nothing depends on them.
DRIFT = 1e-5


@dataclass(frozen=True)
class ParityReport:
    """How well two networks agree.

    Attributes
    ----------
    errors : greatest difference of each array, relative to its greatest entry, by what was compared: "output of 3", "gradient of 3.weight"
    tolerance : greatest error that passes
    """

    errors: dict[str, float]
    tolerance: float

    @property
    def error(self) -> float:
        """The greatest error of all."""
        return max(self.errors.values(), default=0.0)

    def __str__(self):
        return "\n".join(f"  {name:<32} error {error:.1e}" for name, error in self.errors.items())


def compare_arrays(name: str, actual, expected, *, tolerance: float | None = None, scale: float = 0.0) -> float:
    """Raise ParityError unless two arrays have the same shape, dtype and values.

    Parameters
    ----------
    name : what to call the array in the message
    tolerance : greatest difference relative to the greatest entry of `expected`; by dtype if None, 1e-10 in float64, 1e-4 in float32.
        Integers must be equal.
    scale : what the difference is relative to where it is greater than that entry

    Returns
    -------
    The greatest difference, relative to the same; 0 for arrays of zeros that agree
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise ParityError(f"{name} has shape {actual.shape}, expected {expected.shape}")
    if actual.dtype != expected.dtype:
        raise ParityError(f"{name} is {actual.dtype}, expected {expected.dtype}")
    if tolerance is None:
        tolerance = TOLERANCES.get(actual.dtype, 0.0)
    unlike = np.isfinite(actual) != np.isfinite(expected)
    if unlike.any():
        index = first_index(unlike)
        raise ParityError(f"{entry(name, index)} is {actual[index]}, expected {expected[index]}")
    with np.errstate(invalid="ignore"):  # inf - inf
        difference = np.abs(np.subtract(actual, expected, dtype=np.float64))
    equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))  # infinite, or NaN in both
    difference = np.where(equal, 0, difference)
    scale = max(magnitude(expected[np.isfinite(expected)]), scale)
    greatest, allowed = magnitude(difference), tolerance * scale
    if not greatest <= allowed:
        index = greatest_index(difference)
        wrong = int(np.sum(~(difference <= allowed)))
        raise ParityError(
            f"{entry(name, index)} is {actual[index]:.12g}, expected {expected[index]:.12g}: a difference of {difference[index]:.3g}, the "
            f"greatest of {wrong} among {actual.size} entries; {allowed:.3g} is allowed, {tolerance:g} of the greatest entry, {scale:.3g}"
        )
    return greatest / scale if scale else 0.0


def compare_named(kind: str, actual: Mapping, expected: Mapping, *, tolerance: float | None = None, scale: float = 0.0) -> dict[str, float]:
    """Compare arrays by name; the names must be the same, too.

    Returns
    -------
    The error of each, by "kind name", as `compare_arrays` gives it
    """
    missing, unknown = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    if missing or unknown:
        faults = [f"{kind} {name} is missing" for name in sorted(missing)] + [f"{kind} {name} was not expected" for name in sorted(unknown)]
        raise ParityError("; ".join(faults))
    return {
        f"{kind} {name}": compare_arrays(f"{kind} {name}", actual[name], expected[name], tolerance=tolerance, scale=scale)
        for name in expected
    }


def check_parity(model: "Module", twin, x: np.ndarray, labels=None, *, seed: int = 0, tolerance: float | None = None) -> ParityReport:
    """Compare a network with its PyTorch twin in float64: the outputs of all layers, dx, all gradients, buffers; then in eval mode.

    Copies of both are compared, the twin's with the weights of `model`; dropout draws the same masks in both. Needs PyTorch.

    Parameters
    ----------
    model : network of `chainrule.nn`
    twin : the same network of `chainrule.pytorch.nn`
    x : (N, ...) floating point, a batch
    labels : (N,) integers. With them the upstream gradient is that of the cross-entropy, which is compared, too; it is random if None.
    seed : of the upstream gradient and of dropout
    tolerance : relative; 1e-10 if None

    Raises
    ------
    ParityError : the message names the array, the index, both values and what is allowed
    """
    model, twin = _equal_doubles(model, twin)
    x = np.array(x, dtype=np.float64)
    errors = {}
    for mode in ("", " (eval)"):
        results = []
        for network, run in ((model, _run), (twin, _run_twin)):
            network.train(mode == "")
            seed_generators(network, seed)
            results.append(run(network, x, labels, generator(seed)))
        ours, theirs = results
        for kind, expected in theirs.items():
            # a gradient that should cancel to 0 is rounding in both, so it is held against the network's greatest
            scale = CANCELLED * max(map(magnitude, expected.values()), default=0.0) if kind == "gradient of" else 0.0
            found = compare_named(kind, ours[kind], expected, tolerance=tolerance, scale=scale)
            errors |= {f"{name}{mode}": error for name, error in found.items()}
    return ParityReport(errors, TOLERANCES[x.dtype] if tolerance is None else tolerance)


def check_training_parity(
    engine, twin, batches: Iterable[tuple[np.ndarray, np.ndarray]], *, seed: int = 0, tolerance: float | None = None
) -> ParityReport:
    """Train two engines on the same batches from the same weights; compare the loss of every step, and at the end all arrays.

    Parameters
    ----------
    engine, twin : objects with the methods of `chainrule.training.engine.Engine`, such as HandEngine and TorchEngine, of one dtype; both
        are trained, the twin from the weights of `engine`
    batches : pairs of x (N, ...) and labels (N,), one a step; 50 show an optimizer's every term
    seed : of the dropout masks, which are the same in both
    tolerance : relative; by the dtype if None (`compare_arrays`)

    Raises
    ------
    ParityError : the message names the step or the array
    """
    twin.load_model_state(engine.model_state())
    tolerance = TOLERANCES[engine.dtype] if tolerance is None else tolerance
    errors = {}
    for step, (x, labels) in enumerate(batches):
        x = np.asarray(x, dtype=engine.dtype)
        loss, twin_loss = (float(each.step(x, labels, partial(np.random.default_rng, [seed, step]))[0]) for each in (engine, twin))
        errors[f"loss of step {step}"] = compare_arrays(f"loss of step {step}", loss, twin_loss, tolerance=tolerance)
    state, twin_state = engine.model_state(), twin.model_state()
    scale = max(magnitude(array) for array in twin_state.values() if array.dtype == engine.dtype)
    for name in biases_without_influence(engine.model):
        array, expected = state.pop(name), twin_state.pop(name)
        compare_arrays(f"trained {name}", array, expected, tolerance=max(tolerance, DRIFT), scale=scale)
    errors |= compare_named("trained", state, twin_state, tolerance=tolerance, scale=scale)
    return ParityReport(errors, tolerance)


def biases_without_influence(model) -> list[str]:
    """The biases that a batch norm takes off again, and the running means in which they stay, by name in the state_dict.

    Their gradient is 0 but for rounding, about 1e-17, which an adaptive rule divides by its own root plus eps: Adagrad, with eps = 1e-10,
    moves them by lr * 1e-7 a step, in directions of chance. Outputs do not change with them.
    """
    from chainrule.nn import BatchNorm1d, BatchNorm2d, Conv2d, Linear

    names = []
    layers = [(name, module) for name, module in model.named_modules() if not list(module.named_children())]
    for (name, layer), (next_name, norm) in pairwise(layers):
        adds_a_bias = isinstance(layer, Linear | Conv2d) and layer.bias is not None
        if adds_a_bias and isinstance(norm, BatchNorm1d | BatchNorm2d) and norm.track_running_stats:
            names += [f"{name}.bias", f"{next_name}.running_mean"]
    return names


def _equal_doubles(model, twin):
    from chainrule.pytorch import copy_weights

    model, twin = copy.deepcopy(model).double(), copy.deepcopy(twin).double()
    copy_weights(model, twin)
    return model, twin


def _run(model, x, labels, rng):
    """Everything that one forward and backward pass of ours computes: arrays by name, by kind."""
    from chainrule.nn import CrossEntropyLoss

    outputs, losses = {}, {}
    with watched(model, lambda name, x, out: outputs.setdefault(name, np.array(out))):
        out = model(x)
    if labels is None:
        dout = rng.standard_normal(out.shape)
    else:
        criterion = CrossEntropyLoss()
        losses["scores"] = float(criterion(out, labels))
        dout = criterion.backward()
    model.zero_grad()
    gradients = {"x": model.backward(dout)}
    gradients |= {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return {"output of": outputs, "loss of": losses, "gradient of": gradients, "state": copy.deepcopy(model.state_dict())}


def _run_twin(twin, x, labels, rng):
    """The same of PyTorch's."""
    from chainrule.pytorch import nn, to_arrays, to_tensors

    outputs, losses = {}, {}
    tensors = to_tensors({"x": x} if labels is None else {"x": x, "labels": np.asarray(labels)})
    tensors["x"].requires_grad_()
    with watched(twin, lambda name, x, out: outputs.setdefault(name, out)):
        out = twin(tensors["x"])
    twin.zero_grad()
    if labels is None:
        out.backward(to_tensors({"dout": rng.standard_normal(out.shape)})["dout"])
    else:
        loss = nn.CrossEntropyLoss()(out, tensors["labels"])
        loss.backward()
        losses["scores"] = loss.item()
    leaves = {"x": tensors["x"], **dict(twin.named_parameters())}
    gradients = {name: tensor.grad for name, tensor in leaves.items() if tensor.grad is not None}
    return {
        "output of": to_arrays(outputs),
        "loss of": losses,
        "gradient of": to_arrays(gradients),
        "state": to_arrays(twin.state_dict()),
    }
