"""What a wrong gradient looks like: the mistakes that students make most often, told from the numbers alone."""

import itertools
from collections.abc import Mapping

import numpy as np

from chainrule.verification.comparison import magnitude

__all__ = ["likely_mistake", "likely_shape_mistake"]

CLOSE = 1e-4  # a pattern has to explain the numbers to four digits; central differences give seven or more


def likely_mistake(actual, expected, *, batch_size: int, others: Mapping[str, np.ndarray] | None = None) -> str:
    """A sentence on how `actual` differs from `expected`, empty if it is none of the usual mistakes.

    Parameters
    ----------
    actual : the gradient that is wrong
    expected : the right one, of the same shape; NaN where it is not known
    batch_size : N, to recognize a mean taken once too often or not at all
    others : the right gradients of the other arrays, by name, to recognize gradients returned in the wrong order
    """
    known = np.isfinite(expected)
    scale = magnitude(expected[known])
    if scale == 0:
        return "it should be zero everywhere"
    if not np.any(actual):
        return "it is zero everywhere"
    if _close(actual[known], expected[known]):
        return ""  # right to four digits: no pattern could be told from the right one
    if _close(actual[known], -expected[known]):
        return "it has the wrong sign"
    factor = np.vdot(expected[known], actual[known]) / np.vdot(expected[known], expected[known])
    if factor and _close(actual[known], factor * expected[known]):
        return _factor(factor, batch_size)
    offset = np.mean(actual[known] - expected[known])
    if known.sum() > 1 and _close(actual[known] - offset, expected[known]):
        return f"it is off by the same {offset:.6g} everywhere"
    if known.all():
        for name, other in (others or {}).items():
            if other.shape == actual.shape and _close(actual, other):
                return f"it is the gradient {name}: are they returned in the wrong order?"
        for first, second in itertools.combinations(range(actual.ndim), 2):
            swapped = np.swapaxes(actual, first, second)
            if swapped.shape == expected.shape and _close(swapped, expected):
                return "it is the transpose of the right gradient" if actual.ndim == 2 else f"axes {first} and {second} are swapped"
    return ""


def likely_shape_mistake(actual: np.ndarray, expected: tuple[int, ...]) -> str:
    """A sentence on how the shape of a gradient could have gone wrong, empty if no usual mistake leads there."""
    if tuple(n for n in actual.shape if n != 1) == tuple(n for n in expected if n != 1):
        return "an axis of length 1 is too many or too few: is a keepdims=True or a reshape in the way?"
    if actual.ndim > 1 and actual.shape[::-1] == expected:
        return "it is transposed"
    extra = actual.ndim - len(expected)
    for axes in itertools.combinations(range(actual.ndim), extra) if extra > 0 else ():
        if tuple(n for axis, n in enumerate(actual.shape) if axis not in axes) == expected:
            return f"the sum over axis {', '.join(map(str, axes))} is missing: the array was broadcast along it"
    if actual.size == np.prod(expected, dtype=int):
        return f"it has the right number of entries: give it the shape of its array, .reshape{expected}"
    return ""


def _close(x, y):
    return np.allclose(x, y, rtol=0, atol=CLOSE * magnitude(y))


def _factor(factor, batch_size):
    if batch_size > 1 and np.isclose(factor, batch_size, rtol=CLOSE):
        return f"it is {batch_size} times too large, the size of the batch: a division by N is missing"
    if batch_size > 1 and np.isclose(factor * batch_size, 1, rtol=CLOSE):
        return f"it is {batch_size} times too small, the size of the batch: it is divided by N once too often"
    if factor < 0:
        return f"it is {factor:.6g} times the right gradient: a wrong sign and a wrong factor"
    return f"it is {factor:.6g} times as large as it should be" if factor > 1 else f"it is {1 / factor:.6g} times too small"
