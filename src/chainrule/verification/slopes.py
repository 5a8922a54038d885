"""The slope of sum(output * dout) along a line through one array, from both sides, and how well it is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from chainrule.verification.comparison import magnitude

__all__ = ["Slope", "slope"]


class Slope(NamedTuple):
    """A slope measured by differences.

    Attributes
    ----------
    central : the central difference
    low, high : bounds from the slopes to the left and to the right, taken for every output; apart only where the function has a kink
    rounding : what the rounding of inputs and outputs can add to any of them
    """

    central: float
    low: float
    high: float
    rounding: float


def slope(output: Callable[[], np.ndarray], base, noise, dout, array, where, direction, step: float) -> Slope:
    """Slope of sum(output() * dout) when array[where] moves along `direction`; the array is put back bit by bit.

    Parameters
    ----------
    output : computes the output from the present contents of `array`
    base : output() as `array` stands
    noise, dout : like base; noise is by how much each output may be off, because inputs and outputs are rounded
    array : float64, changed in place while this runs
    where : index of one entry, or Ellipsis for all of them
    direction : 1.0, or like array
    step : how far to move to each side
    """
    original = np.copy(array[where])
    try:
        array[where] = original + step * direction
        above = np.array(output(), dtype=np.float64)
        array[where] = original - step * direction
        below = np.array(output(), dtype=np.float64)
    finally:
        array[where] = original
    with np.errstate(invalid="ignore", over="ignore"):  # outputs that are not finite make a slope that is not finite: the caller says so
        right, left = (above - base) * dout / step, (base - below) * dout / step
        central = float(np.sum((above - below) * dout) / (2 * step))
        low, high = float(np.sum(np.minimum(left, right))), float(np.sum(np.maximum(left, right)))
    # errors of different outputs have random signs; ten covers what one measurement of the noise has missed
    touched = (above != base) | (below != base)
    off = np.where(touched if touched.any() else True, noise * dout, 0)  # where nothing moves, all of it may have been rounded away
    moved_off = np.finfo(np.float64).eps * magnitude(original) * abs(central)  # x + step is rounded, too
    return Slope(central, low, high, 10 * float(np.sqrt(np.sum(off**2)) + moved_off) / step)
