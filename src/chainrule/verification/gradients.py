"""Check the backward pass of a pair of functions, in one call."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.verification.comparison import magnitude
from chainrule.verification.rules import checked_gradients, checked_output, examine, generator, upstream_gradient
from chainrule.verification.subject import REORDERED, Subject, require_same
from chainrule.verification.values import ArrayReport

__all__ = ["GradientReport", "check_gradients", "check_loss"]


@dataclass(frozen=True)
class GradientReport:
    """What was checked and how well it agrees.

    Attributes
    ----------
    title : name of the function or module
    arrays : one ArrayReport for each gradient
    """

    title: str
    arrays: tuple[ArrayReport, ...]

    @property
    def error(self) -> float:
        """The greatest relative error of all gradients."""
        return max((report.error for report in self.arrays), default=0.0)

    def __str__(self):
        lines = [f"{self.title}: the gradients agree with central differences"]
        for report in self.arrays:
            lines.append(f"  {report.name:<20} {report.shape!s:<18} {report.checked:>6} checked   error {report.error:.1e}")
        return "\n".join(lines)


def check_gradients(
    forward: Callable,
    backward: Callable,
    *arrays: np.ndarray,
    seed: int = 0,
    names: Sequence[str] | None = None,
    max_checks: int = 500,
    float32: bool = True,
) -> GradientReport:
    """Check forward(*arrays) -> (out, cache) and backward(dout, cache) -> gradients, one gradient for each array, alone or in a tuple.

    The rules, in the order in which they are tried, with a random upstream gradient, in float64:

    - forward gives finite numbers of the inputs' dtype, the same ones twice, and leaves its inputs as they are;
    - backward gives one gradient for each array, of its shape and dtype, finite, and changes neither dout nor the arrays;
    - the cache is all that backward needs: it can be called again, after another forward pass too, and its results are its own memory;
    - every value agrees with central differences, to a tolerance from the step, the rounding and the size of the gradient; at a kink,
      such as the 0 of relu, any value between the slopes of the two sides is right;
    - gradients are linear in dout, and the memory layout of inputs and dout does not matter;
    - all of them are right in a network, too: with x from a preceding layer, at another point than the given one;
    - in float32 everything is float32, and agrees with float64.

    Give sizes that all differ, and values away from 0 and 1, or swapped axes and missing factors hide:
    `check_gradients(affine_forward, affine_backward, x, w, b)` with x (2, 3), w (3, 5), b (5,). What has no gradient is bound beforehand:
    `check_gradients(lambda x, gamma, beta: batchnorm_forward(x, gamma, beta, {"mode": "train"}), batchnorm_backward, x, gamma, beta)`.

    Parameters
    ----------
    arrays : floating point arrays, the input of the layer first; copied, so they are left as they are
    seed : of the upstream gradient, the sample and the preceding layer
    names : of the arrays; those of forward's parameters if None
    max_checks : entries of each array that are compared; in a larger array a random sample is, and the slope in one direction through all
    float32 : try float32, too; False for a forward that is bound to float64 arrays

    Raises
    ------
    GradientError : a rule is broken; the message says which, names the array and the index, and gives both values and the tolerance
    TypeError : an argument is not a floating point array
    """
    names = tuple(names) if names is not None else _parameter_names(forward, len(arrays))
    inputs = floating_copies(names, arrays)

    def output(arrays):
        return _unpacked(subject, forward(*arrays))[0]

    def gradients(arrays, dout):
        _, cache = _unpacked(subject, forward(*arrays))
        return _as_list(backward(dout, cache))

    subject = Subject(_title(backward), names, output, gradients)
    rng = generator(seed)
    out = checked_output(subject, inputs)
    checked_gradients(subject, inputs, upstream_gradient(rng, out.shape))
    _check_cache(subject, forward, backward, inputs, rng)
    return GradientReport(subject.title, tuple(examine(subject, inputs, rng=rng, max_checks=max_checks, float32=float32)))


def check_loss(loss: Callable, x: np.ndarray, *arguments, seed: int = 0, max_checks: int = 500, float32: bool = True) -> GradientReport:
    """Check a loss, loss(x, *arguments) -> (number, dx), by the rules of `check_gradients`: `check_loss(softmax_loss, scores, labels)`.

    Parameters
    ----------
    x : floating point array, what dx belongs to
    arguments : the rest, labels for example, handed on as they are
    """

    def forward(x):
        return loss(x, *arguments)

    def backward(dout, dx):
        return dout.astype(dx.dtype) * dx

    backward.__name__ = _title(loss)
    return check_gradients(forward, backward, x, seed=seed, max_checks=max_checks, float32=float32)


def floating_copies(names, arrays):
    """float64 copies of the arrays, in their memory order, once they are known to be arrays of floating point numbers."""
    if not arrays:
        raise TypeError("no arrays were given; a check needs at least the input of the layer")
    if len(names) != len(arrays):
        raise TypeError(f"{len(names)} names ({', '.join(names)}) were given for {len(arrays)} arrays")
    for name, array in zip(names, arrays, strict=True):
        if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
            given = f"an array of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{name} is {given}, which has no gradient; bind it beforehand: lambda x, w: forward(x, w, {name})")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite everywhere; no difference can be taken there")
    return [np.array(array, dtype=np.float64, order="K") for array in arrays]


def _check_cache(subject, forward, backward, arrays, rng):
    """All that backward needs is in the cache, and what it returns is its own memory."""
    out, cache = _unpacked(subject, forward(*arrays))
    dout, other_dout = upstream_gradient(rng, np.shape(out)), np.asarray(rng.standard_normal(np.shape(out)))
    first = _as_list(backward(dout.copy(), cache))
    kept = [np.array(grad) for grad in first]

    backward(other_dout, cache)
    sentence = "is overwritten by the next call of backward; return a new array"
    _require_equal(subject, first, kept, sentence)

    again = _as_list(backward(dout.copy(), cache))
    sentence = "changes when backward is called again; it may depend on dout and the cache alone, and must leave the cache as it is"
    _require_equal(subject, again, kept, sentence)

    for grad in again:
        if isinstance(grad, np.ndarray) and grad.flags.writeable:
            grad[...] = 7
    sentence = "is a part of the cache: whoever changes it in place spoils the next backward pass; return a new array"
    _require_equal(subject, _as_list(backward(dout.copy(), cache)), kept, sentence)

    _, cache = _unpacked(subject, forward(*arrays))
    forward(*(rng.permuted(array, axis=None) if array.ndim else array for array in arrays))
    sentence = "changes when forward has seen other data in between, as it does in a network; all that backward needs must be in the cache"
    _require_equal(subject, _as_list(backward(dout.copy(), cache)), kept, sentence)


def _require_equal(subject, grads, kept, sentence):
    allowed = REORDERED * max(map(magnitude, kept))
    for name, grad, expected in zip(subject.names, grads, kept, strict=True):
        require_same(subject, f"d{name}", np.asarray(grad), expected, f"d{name} {sentence}", allowed=allowed)


def _unpacked(subject, result):
    if not isinstance(result, tuple) or len(result) != 2:
        given = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        subject.fail(f"forward returns {given}; it must return (out, cache)")
    return result


def _as_list(grads):
    return list(grads) if isinstance(grads, tuple | list) else [grads]


def _title(function):
    name = getattr(function, "__name__", type(function).__name__)
    return "backward" if name == "<lambda>" else name


def _parameter_names(forward, number):
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # some builtins and extension functions have no signature
        parameters = ()
    names = [parameter.name for parameter in parameters if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)]
    return tuple(names[:number]) if len(names) >= number else tuple(f"array_{i}" for i in range(number))
