"""The softmax loss, compiled: the twin of `chainrule.functional.softmax_loss`. For the other losses NumPy is fast enough."""

import numpy as np

from chainrule import functional
from chainrule.kernels.arrays import deliver, fits, flat, room, written
from chainrule.kernels.compiler import load

__all__ = ["softmax_loss"]


def softmax_loss(x, y, *, label_smoothing=0.0, dx=None):
    """As `chainrule.functional.softmax_loss`, in one pass; the mean over the batch is taken in float64.

    Parameters
    ----------
    x : (N, C) scores
    y : (N,) integer labels in [0, C)
    label_smoothing : share of the target that is spread evenly over all classes, in [0, 1], default 0
    dx : (N, C), to write the gradient to; default: a new array

    Returns
    -------
    loss : scalar of x's dtype
    dx : (N, C)
    """
    y = np.asarray(y)
    if x.ndim == 2 and fits(x) and y.shape == x.shape[:1] and y.dtype.kind in "iu" and 0 <= label_smoothing <= 1:
        target = room(dx, "dx", x.shape, x.dtype)
        labels = flat(y if y.dtype == np.int64 else y.astype(np.int64))
        loss, wrong = load("elementwise").softmax_loss(flat(x).reshape(x.shape), labels, float(label_smoothing), target)
        if wrong < 0:
            return x.dtype.type(loss), deliver(target, dx)
    loss, result = functional.softmax_loss(x, y, label_smoothing=label_smoothing)  # which says what is wrong
    return loss, written(result, "dx", dx)
