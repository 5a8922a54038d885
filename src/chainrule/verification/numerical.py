"""Central differences: the gradient from nothing but the function itself, the judge of every backward pass."""

from collections.abc import Callable

import numpy as np

__all__ = ["default_step", "numerical_gradient", "numerical_gradient_array"]


def default_step(x) -> np.ndarray:
    """Step for each entry of a floating point array x: the cube root of the machine epsilon, times max(1, |x|).

    A central difference errs by about h**2 (curvature) and eps / h (rounding of f); h = eps**(1/3) balances the two
    (Numerical Recipes, section 5.7): 6e-6 in float64, with 4e-11 to expect, and 5e-3 in float32, with 2e-5.
    """
    return np.cbrt(np.finfo(x.dtype).eps) * np.maximum(1, np.abs(x))


def numerical_gradient(f: Callable, x: np.ndarray, h: float | None = None) -> np.ndarray:
    """Gradient of a scalar function by central differences, (f(x + h) - f(x - h)) / 2h for one entry of x after the other.

    x is changed in place while f runs and put back bit by bit (also when f raises), so f may read its argument or close over the array, as
    CS231n's notebooks do: `numerical_gradient(lambda _: model.loss(X, y)[0], model.params["W1"])`.

    Parameters
    ----------
    f : f(x) -> number (or array of size 1); must be deterministic
    x : floating point array of any shape and memory layout, finite, writeable; use float64 unless float32 is what you want to look at
    h : step; `default_step` of each entry if None

    Returns
    -------
    gradient : like x

    Raises
    ------
    TypeError : x is not an array of floating point numbers
    ValueError : x is read-only or not finite; f returns more than a number (`numerical_gradient_array` is for that)
    """

    def number(x):
        value = np.asarray(f(x))
        if value.size != 1:
            raise ValueError(
                f"numerical_gradient: f returns an array of shape {value.shape}; a number is needed, or numerical_gradient_array"
            )
        return value.reshape(())

    return numerical_gradient_array(number, x, np.ones(()), h)


def numerical_gradient_array(f: Callable, x: np.ndarray, dout, h: float | None = None) -> np.ndarray:
    """Gradient of sum(f(x) * dout) with respect to x by central differences, f array-valued; x is treated as in `numerical_gradient`.

    The outputs are subtracted before they are multiplied by dout and summed: what an entry does not influence then cancels exactly.

    Parameters
    ----------
    f : f(x) -> array
    x : floating point array, finite, writeable
    dout : like f(x), the gradient of the loss with respect to it
    h : step; `default_step` of each entry if None

    Returns
    -------
    gradient : like x
    """
    _require_movable(x)
    dout = np.asarray(dout, dtype=np.float64)
    steps = default_step(x) if h is None else np.full(x.shape, h)
    gradient = np.empty(x.shape, dtype=x.dtype)
    for index in np.ndindex(x.shape):
        gradient[index] = np.sum(_central_difference(f, x, index, steps[index], dout.shape) * dout)
    return gradient


def _central_difference(f, x, index, step, shape):
    """d f(x) / d x[index], in float64."""
    original = x[index]
    outputs, positions = [], []
    try:
        for moved in (original + step, original - step):
            x[index] = moved
            positions.append(float(x[index]))  # as stored: x + h is rounded
            outputs.append(np.array(f(x), dtype=np.float64))  # a copy: f may write into the same memory again
    finally:
        x[index] = original
    if outputs[0].shape != shape:
        raise ValueError(f"numerical_gradient_array: f(x) has shape {outputs[0].shape}, dout {shape}; they must be equal")
    return (outputs[0] - outputs[1]) / (positions[0] - positions[1])


def _require_movable(x):
    if not isinstance(x, np.ndarray) or not np.issubdtype(x.dtype, np.floating):
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"x is {given}; a small step needs an array of floating point numbers: x.astype(np.float64)")
    if not x.flags.writeable:
        raise ValueError("x is read-only; its entries are moved in place and put back: pass x.copy()")
    if not np.isfinite(x).all():
        raise ValueError(f"x is not finite at {np.count_nonzero(~np.isfinite(x))} of {x.size} entries; no difference can be taken there")
