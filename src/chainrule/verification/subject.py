"""What is under test, and how a check says that it failed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from chainrule.verification.comparison import entry, greatest_index
from chainrule.verification.errors import GradientError

__all__ = ["REORDERED", "Subject", "require_same"]

# The same computation in float64 in another order of summation, such as a product by BLAS of another memory layout.
REORDERED = 1e-11


@dataclass(frozen=True)
class Subject:
    """A forward and a backward pass, seen as two functions of a list of arrays.

    Attributes
    ----------
    title : what to call it in a message
    names : of the arrays, the input of the layer first
    output : output(arrays) -> out
    gradients : gradients(arrays, dout) -> list of gradients, by a forward pass of its own; never the memory of an earlier result
    """

    title: str
    names: tuple[str, ...]
    output: Callable
    gradients: Callable

    def fail(self, sentence: str) -> NoReturn:
        raise GradientError(f"{self.title}: {sentence}")


def require_same(subject, name, actual, expected, sentence, *, allowed):
    """Fail with `sentence` unless no entry differs by more than `allowed`."""
    difference = np.abs(actual - expected)
    if np.any(~(difference <= allowed)):
        index = greatest_index(difference)
        subject.fail(
            f"{sentence}. {entry(name, index)} is {actual[index]:.9g} instead of {expected[index]:.9g}, "
            f"a difference of {difference[index]:.3g}; {allowed:.3g} is allowed"
        )
