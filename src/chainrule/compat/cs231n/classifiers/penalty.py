"""The L2 penalty of CS231n's networks."""

import numpy as np

__all__ = ["penalized"]


def penalized(loss, grads, params, reg):
    """Add 0.5 * reg * sum(W**2) and its gradient reg * W for every weight W: (loss, grads), grads being changed in place."""
    for name in grads:
        if name.startswith("W"):
            loss += 0.5 * reg * np.sum(params[name] ** 2)
            grads[name] += reg * params[name]
    return loss, grads
