"""Dropout (Srivastava et al. 2014), inverted."""

import numpy as np

from chainrule.nn.images import check_image
from chainrule.nn.layer import Layer

__all__ = ["Dropout", "Dropout2d"]


class Dropout(Layer):
    """In training each value is set to 0 with probability p, the others are divided by 1 - p; in eval mode nothing happens.

    Parameters
    ----------
    p : probability to *drop*, in [0, 1) (the functional contract's p is the probability to keep)
    rng : generator of the masks (default: fresh entropy). A training run sets it anew at every step, so that a resumed run draws the same.
    """

    entry = "dropout"

    def __init__(self, p=0.5, *, rng=None):
        if not 0 <= p < 1:
            raise ValueError(f"{type(self).__name__}: p is {p}; the probability to drop must be at least 0 and below 1")
        self.p = p
        self.rng = rng or np.random.default_rng()

    def arguments(self, x):
        return ({"p": 1 - self.p, "mode": "train" if self.training else "test", "rng": self.rng},)

    def extra_repr(self):
        return f"p={self.p}, inplace=False"  # torch's text; nothing here works in place


class Dropout2d(Dropout):
    """In training whole channels of an image are dropped with probability p (Tompson et al. 2015): neighbouring pixels tell the same.

    Parameters
    ----------
    p, rng : as in `Dropout`
    """

    def forward(self, x):
        """x (N, C, H, W), like it out."""
        check_image("Dropout2d", x)
        scale, _ = self.functions.dropout.forward(np.ones((*x.shape[:2], 1, 1), x.dtype), *self.arguments(x))
        self._cache = scale, x.shape, x.dtype
        return x * scale if self.training else x

    def backward(self, dout):
        scale, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        return dout * scale
