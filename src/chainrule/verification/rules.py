"""The rules that every backward pass is held to, each a function that raises GradientError with one sentence."""

import numpy as np

from chainrule.verification.comparison import entry, first_index, magnitude, rounding_tolerance
from chainrule.verification.diagnosis import likely_shape_mistake
from chainrule.verification.subject import REORDERED, Subject, require_same
from chainrule.verification.values import ArrayReport, compare_values, rounded_anew

__all__ = ["checked_gradients", "checked_output", "examine", "generator", "upstream_gradient"]

# float32 has 7 digits, of which differences such as x - mean may lose three.
SINGLE = 1e-4
# Entries of each array to look at in a network, where the formulas have passed at the given point already; a direction covers the rest.
IN_A_NETWORK = 8


def examine(subject: Subject, arrays: list[np.ndarray], *, rng: np.random.Generator, max_checks: int, float32: bool) -> list[ArrayReport]:
    """Hold a forward and backward pass against every rule in turn; the first that is broken raises.

    Parameters
    ----------
    arrays : float64, moved in place and put back
    rng : draws the upstream gradient, the sample of entries, the preceding layer
    max_checks : entries of each array to compare with central differences
    float32 : run in float32, too
    """
    out = checked_output(subject, arrays)
    dout = upstream_gradient(rng, out.shape)
    grads = checked_gradients(subject, arrays, dout)
    reports = compare_values(subject, arrays, out, dout, grads, rng, max_checks)
    require_linear(subject, arrays, dout, grads)
    require_any_layout(subject, arrays, dout, out, grads)
    if arrays[0].ndim and arrays[0].size:
        compare_in_a_network(subject, arrays, rng)
    if float32:
        compare_float32(subject, arrays, dout, rng)
    return reports


def generator(seed: int) -> np.random.Generator:
    """Of a stream that is not that of default_rng(seed): a caller may well have drawn x from it, and dout = x makes dw symmetric."""
    return np.random.default_rng([seed, 2012])


def upstream_gradient(rng, shape):
    """Random numbers, for ones would hide every error in a normalization; 1 for a loss, whose dx then is the one that its author knows."""
    return rng.standard_normal(shape) if shape else np.ones(())


def checked_output(subject, arrays):
    """The output, once it is an array of finite numbers of the inputs' dtype that leaves the inputs alone and comes out the same twice."""
    before = [array.copy() for array in arrays]
    given = subject.output(arrays)
    require_unmodified(subject, "forward", subject.names, arrays, before)
    if not isinstance(given, np.ndarray | np.floating | float):
        subject.fail(f"forward gives {type(given).__name__} as its output; an array of floating point numbers is needed")
    out, dtype = np.array(given), arrays[0].dtype
    if out.ndim and out.dtype != dtype:  # a loss may come as a number of any precision
        subject.fail(f"the output is {out.dtype} for {dtype} inputs; a layer keeps the dtype that it is given")
    if not np.isfinite(out).all():
        index = first_index(~np.isfinite(out))
        subject.fail(f"the output is not finite: {entry('out', index)} is {out[index]}")
    again = np.array(subject.output(arrays))
    sentence = "forward gives another output on the same inputs; fix its random numbers, by a seed for example"
    require_same(subject, "out", again, out, sentence, allowed=REORDERED * magnitude(out))
    return out


def checked_gradients(subject, arrays, dout):
    """The gradients, once there is one for each array, of its shape and dtype, finite, and neither inputs nor dout were changed."""
    before, dout_before = [array.copy() for array in arrays], dout.copy()
    grads = subject.gradients(arrays, dout)
    require_unmodified(subject, "backward", (*subject.names, "dout"), [*arrays, dout], [*before, dout_before])
    if len(grads) != len(arrays):
        subject.fail(f"backward returns {count(len(grads), 'gradient')} for {count(len(arrays), 'array')} ({', '.join(subject.names)})")
    for name, array, given in zip(subject.names, arrays, grads, strict=True):
        if not isinstance(given, np.ndarray | np.floating):
            subject.fail(f"d{name} is {type(given).__name__}; an array like {name}, {array.shape}, is needed")
        grad = np.asarray(given)
        if grad.shape != array.shape:
            hint = likely_shape_mistake(grad, array.shape)
            subject.fail(f"d{name} has shape {grad.shape}, but {name} has {array.shape}" + (f"; {hint}" if hint else ""))
        if grad.dtype != array.dtype:
            subject.fail(f"d{name} is {grad.dtype} for a {array.dtype} {name}; a gradient has the dtype of its array")
        if not np.isfinite(grad).all():
            index = first_index(~np.isfinite(grad))
            subject.fail(f"d{name} is not finite: {entry('d' + name, index)} is {grad[index]}")
    return [np.array(grad) for grad in grads]


def require_unmodified(subject, culprit, names, arrays, before):
    for name, array, old in zip(names, arrays, before, strict=True):
        if not np.array_equal(array, old, equal_nan=True):
            index = first_index(array != old)
            subject.fail(
                f"{culprit} changes {name}: {entry(name, index)} was {old[index]:.9g} and is {array[index]:.9g} afterwards; "
                f"others still need it, work on a copy"
            )


def require_linear(subject, arrays, dout, grads):
    """backward(-1024 dout) = -1024 backward(dout): gradients are linear in dout, so clipping, offsets and state betray themselves."""
    scaled = subject.gradients(arrays, np.asarray(-1024 * dout))  # a power of two, which changes no digit
    for name, grad, large in zip(subject.names, grads, scaled, strict=True):
        sentence = f"d{name} is not linear in dout: for -1024 times the dout it is not -1024 times as large"
        require_same(subject, f"d{name}", large / -1024, grad, sentence, allowed=REORDERED * max(magnitude(grad), magnitude(dout)))


def require_any_layout(subject, arrays, dout, out, grads):
    """The same results whether arrays lie in memory in C order, in Fortran order, as transposes do, or with gaps, as slices do."""
    for layout, copied in (("in Fortran order, like a transpose", np.asfortranarray), ("with gaps, like a slice", scattered)):
        views = [copied(array) for array in arrays]
        sentence = f"the output changes when the same inputs lie in memory {layout}"
        require_same(subject, "out", np.array(subject.output(views)), out, sentence, allowed=REORDERED * magnitude(out))
        for name, grad, again in zip(subject.names, grads, subject.gradients(views, copied(dout)), strict=True):
            sentence = f"d{name} changes when the same inputs and dout lie in memory {layout}"
            require_same(subject, f"d{name}", again, grad, sentence, allowed=REORDERED * max(magnitude(grad), magnitude(dout)))


def compare_in_a_network(subject, arrays, rng):
    """All gradients once more, at another point, behind a layer x = s * z + (1 - s) * neighbour(z) + c whose gradients are made from dx.

    The point that was given may hide mistakes: a scale of 1, a bias of 0, an x that is normalized already. Here s lies between 0 and 1 and
    c is 0, so that x stays between the least and the greatest value that was given, and the other arrays keep their signs: a layer for
    positive numbers only can be checked, too. A bias, like c, precedes most normalizations; its gradient, 0 there, must come out as 0.
    """
    features = arrays[0].shape[-1]

    def mixed(z, s, c):
        return s * z + (1 - s) * np.roll(z, 1, axis=-1) + c

    def output(inputs):
        return subject.output([mixed(*inputs[:3]), *inputs[3:]])

    def gradients(inputs, dout):
        (z, s, c), rest = inputs[:3], inputs[3:]
        dx, *others = subject.gradients([mixed(z, s, c), *rest], dout)
        dz = s * dx + np.roll((1 - s) * dx, -1, axis=-1)
        ds = (dx * (z - np.roll(z, 1, axis=-1))).reshape(-1, features).sum(axis=0)
        return [dz, ds, dx.reshape(-1, features).sum(axis=0), *others]

    x = subject.names[0]
    title = f"{subject.title}, in a network (behind {x} = s * z + (1 - s) * neighbour(z) + c; dz, ds, dc are made from its d{x})"
    network = Subject(title, ("z", "s", "c", *subject.names[1:]), output, gradients)
    rest = [np.where(array == 0, 0.3, array) * rng.uniform(0.5, 1.5, array.shape) for array in arrays[1:]]
    inputs = [arrays[0].copy(), rng.uniform(0.3, 0.7, features), np.zeros(features), *rest]
    out = checked_output(network, inputs)
    dout = upstream_gradient(rng, out.shape)
    compare_values(network, inputs, out, dout, checked_gradients(network, inputs, dout), rng, IN_A_NETWORK)


def compare_float32(subject, arrays, dout, rng):
    """In float32 everything is float32 and agrees with float64 at the same (rounded) inputs."""
    single = [array.astype(np.float32) for array in arrays]
    double = [array.astype(np.float64) for array in single]
    dout = dout.astype(np.float32)
    in_single = Subject(f"{subject.title}, in float32", subject.names, subject.output, subject.gradients)
    out, grads = checked_output(in_single, single), checked_gradients(in_single, single, dout)
    actual = [out, *grads]
    expected = [np.array(subject.output(double)), *subject.gradients(double, dout.astype(np.float64))]
    again = [[np.array(subject.output(arrays)), *subject.gradients(arrays, dout)] for arrays in rounded_anew(single, rng)]
    longest_sum = max([out.size, *(array.size for array in arrays)])
    tolerance = max(SINGLE, rounding_tolerance(np.float32, longest_sum))
    # a gradient may be a sum that cancels, as that of a bias before batch normalization: its error is relative to what was summed
    summed = max([magnitude(dout), *map(magnitude, expected[1:])])
    for i, name in enumerate(("out", *(f"d{name}" for name in subject.names))):
        # an ill-conditioned function loses more digits: those that change when its inputs are rounded anew
        lost = 30 * max(magnitude(other[i] - actual[i]) for other in again) + float(np.finfo(np.float32).tiny)
        allowed = max(tolerance * (summed if i else magnitude(out)), lost)
        require_same(in_single, name, actual[i], expected[i], f"{name} is not that of float64", allowed=allowed)


def scattered(array):
    """A copy of the array with every axis in reverse order in memory and a gap behind every entry."""
    if array.ndim == 0:
        return array.copy()
    memory = np.zeros([2 * n for n in reversed(array.shape)], dtype=array.dtype)
    view = memory[tuple(slice(None, None, 2) for _ in array.shape)].T
    view[...] = array
    return view


def count(number, noun):
    """`1 gradient`, `2 gradients`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
