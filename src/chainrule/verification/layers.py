"""Check the backward pass of modules: one by itself, or every layer of a network at its own activations."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chainrule.verification.comparison import magnitude
from chainrule.verification.gradients import GradientReport, floating_copies
from chainrule.verification.rules import examine, generator, upstream_gradient
from chainrule.verification.subject import REORDERED, Subject, require_same

if TYPE_CHECKING:
    from chainrule.nn import Module

__all__ = ["check_layers", "check_module", "layer_inputs"]


def check_module(
    module: "Module", x: np.ndarray, *, seed: int = 0, max_checks: int = 500, float32: bool = True, prepare: Callable | None = None
) -> GradientReport:
    """Check a module's dx and the gradients of all it learns by the rules of `check_gradients`, in training mode and in eval mode.

    On top of those rules, a second backward pass adds to the gradients of the first, as in PyTorch. Eval mode comes last, and is compared
    with differences only where it differs; by then running statistics have moved away from 0 and 1, where they would hide mistakes.

    Parameters
    ----------
    module : layer or network; a copy is checked
    x : floating point array, the input
    seed, max_checks, float32 : as in `check_gradients`
    prepare : prepare(copy), called before every forward pass, to make it repeatable. Where a module has a NumPy Generator as its `rng`, as
        `nn.Dropout` does, that is seeded anyway.

    Raises
    ------
    GradientError : a rule is broken
    TypeError, ValueError : x or a parameter is not a finite array of floating point numbers
    """
    learned = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    names = ("x", *learned)
    arrays = floating_copies(names, [x, *(parameter.data for parameter in learned.values())])
    rng = generator(seed)
    title = type(module).__name__
    runner = _Runner(copy.deepcopy(module), prepare, seed)

    training = Subject(title, names, runner.output, runner.gradients)
    reports = examine(training, arrays, rng=rng, max_checks=max_checks, float32=float32)
    dout = upstream_gradient(rng, runner.output(arrays).shape)
    trained = [runner.output(arrays).copy(), *runner.gradients(arrays, dout)]
    for name, total, once in zip(names[1:], runner.gradients(arrays, dout, passes=2)[1:], trained[2:], strict=True):
        sentence = f"d{name} after two backward passes is not twice that of one; gradients add up until zero_grad, as in PyTorch"
        require_same(training, f"d{name}", total, 2 * once, sentence, allowed=REORDERED * max(magnitude(once), magnitude(dout)))

    runner.training = False
    evaluated = [runner.output(arrays).copy(), *runner.gradients(arrays, dout)]
    if not all(map(np.array_equal, trained, evaluated)):
        evaluation = Subject(f"{title} in eval mode", names, runner.output, runner.gradients)
        reports += [
            replace(report, name=f"{report.name} (eval)")
            for report in examine(evaluation, arrays, rng=rng, max_checks=max_checks, float32=float32)
        ]
    return GradientReport(title, tuple(reports))


def layer_inputs(model: "Module", x: np.ndarray, *, seed: int = 0) -> Iterator[tuple[str, "Module", np.ndarray]]:
    """Name, layer and float64 input of every layer that has no children, in the order of `named_modules`, from one forward pass on x.

    A layer that is used more than once comes with its first input, one that is not used does not come. The model itself is left as it is.
    """
    inputs = {}
    double = copy.deepcopy(model).double()
    seed_generators(double, seed)
    with watched(double, lambda name, x, out: inputs.setdefault(name, np.array(x, order="K"))):
        double(np.array(x, dtype=np.float64, order="K"))
    return ((name, layer, inputs[name]) for name, layer in _leaves(model) if name in inputs)


@contextmanager
def watched(model, seen: Callable):
    """Inside this context `seen(name, x, out)` is called after the forward pass of every layer that has no children; ours and PyTorch's."""

    def watching(name, forward):
        def forward_and_tell(x):
            out = forward(x)
            seen(name, x, out)
            return out

        return forward_and_tell

    layers = _leaves(model)
    for name, layer in layers:
        layer.forward = watching(name, layer.forward)
    try:
        yield
    finally:
        for _, layer in layers:
            vars(layer).pop("forward", None)


def seed_generators(model, seed: int):
    """Give every module that has an `rng` a generator of its own, by the seed and the module's name; ours and PyTorch's."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, "rng", 0), np.random.Generator | None):
            module.rng = np.random.default_rng([seed, *name.encode()])


def check_layers(model: "Module", x: np.ndarray, *, seed: int = 0, max_checks: int = 50, float32: bool = True) -> list[GradientReport]:
    """Check every layer of a network by `check_module`, at the activations that it sees when the network is given x.

    To go on after a failure, or to show progress, loop over `layer_inputs` and call `check_module` yourself.

    Parameters
    ----------
    model : a module made of modules
    x : floating point array, a batch of inputs; a few samples suffice
    seed, max_checks, float32 : as in `check_module`

    Returns
    -------
    One report for each layer, titled with its name in the network

    Raises
    ------
    GradientError : a rule is broken; a note of the error names the layer
    """
    reports = []
    for name, layer, layer_x in layer_inputs(model, x, seed=seed):
        try:
            report = check_module(layer, layer_x, seed=seed, max_checks=max_checks, float32=float32)
        except (AssertionError, TypeError, ValueError) as error:
            error.add_note(f"in layer {name} of {type(model).__name__}, on its input {layer_x.shape}")
            raise
        reports.append(GradientReport(f"{name} {report.title}", report.arrays))
    return reports


class _Runner:
    """A module as functions of a list of arrays: its input, then the parameters that it learns."""

    def __init__(self, module, prepare, seed):
        self.module, self.prepare, self.seed = module, prepare, seed
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.training, self.dtype = True, None

    def output(self, arrays):
        self.load(*arrays)
        return self.forward(arrays[0])

    def gradients(self, arrays, dout, passes=1):
        self.load(*arrays)
        dx = None
        for _ in range(passes):
            self.forward(arrays[0])
            dx = self.module.backward(dout)
        # copies: a module may use the memory of its gradients again
        return [copy.copy(dx), *(copy.copy(parameter.grad) for parameter in self.parameters)]

    def load(self, x, *values):
        if self.dtype is None or x.dtype != self.dtype:  # None alone would pass for float64
            _ = self.module.double() if x.dtype == np.float64 else self.module.float()  # buffers, too
            self.dtype = x.dtype
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.data, parameter.grad = value, None

    def forward(self, x):
        self.module.train(self.training)
        seed_generators(self.module, self.seed)
        if self.prepare is not None:
            self.prepare(self.module)
        return self.module(x)


def _leaves(model):
    return [(name, module) for name, module in model.named_modules() if next(module.children(), None) is None]
