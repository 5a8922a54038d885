"""Dropout (Srivastava et al. 2014), inverted."""

import numpy as np

from chainrule.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training each value is set to 0 with probability p, the others are divided by 1 - p; in eval mode nothing happens.

    Parameters
    ----------
    p : probability to *drop*, in [0, 1) (the functional contract's p is the probability to keep)
    rng : generator of the masks (default: fresh entropy). A training run sets it anew at every step, so that a resumed run draws the same.
    """

    def __init__(self, p=0.5, *, rng=None):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is {p}; the probability to drop must be at least 0 and below 1")
        self.p = p
        self.rng = rng or np.random.default_rng()

    def forward(self, x):
        dropout_param = {"p": 1 - self.p, "mode": "train" if self.training else "test", "rng": self.rng}
        out, self._cache = self.functions.dropout.forward(x, dropout_param)
        return out

    def backward(self, dout):
        return self.functions.dropout.backward(dout, self.cached())

    def extra_repr(self):
        return f"p={self.p}, inplace=False"  # torch's text; nothing here works in place
