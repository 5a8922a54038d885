"""Linear, an affine map of the last axis, and Scale, a fixed factor."""

import numpy as np

from chainrule.nn.module import Module, Parameter, check_sizes, learn
from chainrule.nn.parameters import reset_uniformly, uninitialized

__all__ = ["Linear", "Scale"]


class Linear(Module):
    """y = x @ weight.T + bias.

    Parameters
    ----------
    in_features, out_features : sizes of the last axis of x and of y
    bias : add a learned bias (default True)
    dtype : float32 (default) or float64
    rng : generator of the first values (default: fresh entropy). weight and bias ~ U(-k, k), k = 1 / sqrt(in_features), as in PyTorch.

    Attributes
    ----------
    weight : (out_features, in_features), in memory the transpose of a C-contiguous array: the kernels read and write rows of (in, out)
    bias : (out_features,) or None
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float32, rng=None):
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(uninitialized("Linear", (in_features, out_features), dtype).T)
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        self._no_bias = None if bias else np.zeros(out_features, dtype)
        self.reset_parameters(rng or np.random.default_rng())

    def reset_parameters(self, rng):
        reset_uniformly(self.weight, self.bias, rng)
        return self

    def forward(self, x):
        """x (..., in_features) -> (..., out_features)."""
        self.check_input(x)
        bias = self._no_bias if self.bias is None else self.bias.data
        rows, cache = self.functions.affine.forward(x.reshape(-1, self.in_features), self.weight.data.T, bias)
        out = rows if x.ndim == 2 else rows.reshape(*x.shape[:-1], self.out_features)
        self._cache = cache, out.shape, out.dtype
        return out

    def backward(self, dout):
        """dout (..., out_features) -> dx (..., in_features); adds to the gradients of weight and bias."""
        cache, *like_out = self.cached()
        self.check_dout(dout, *like_out)
        rows, functions = dout.reshape(-1, self.out_features), self.functions.affine
        if functions.backward_input is not None and not learn(self.weight, self.bias):
            dx = functions.backward_input(rows, cache)
        else:
            dx, dw, db = functions.backward(rows, cache)
            self.weight.accumulate(dw.T)
            if self.bias is not None:
                self.bias.accumulate(db)
        return dx if dout.ndim == 2 else dx.reshape(*dout.shape[:-1], self.in_features)

    def check_input(self, x):
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"Linear: x has shape {x.shape}; expected (N, {self.in_features})")
        if x.dtype != self.weight.dtype:
            raise TypeError(
                f"Linear: x is {x.dtype}, the parameters are {self.weight.dtype}; "
                f"convert one of them: x.astype(np.{self.weight.dtype}), or model.double() / model.float()"
            )

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def _to(self, dtype):
        super()._to(dtype)
        if self._no_bias is not None:
            self._no_bias = self._no_bias.astype(dtype)
        return self


class Scale(Module):
    """factor * x, with a factor that is not learned: how large the scores of a network are at first.

    Parameters
    ----------
    factor : a number
    """

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * x.dtype.type(self.factor)

    def backward(self, dout):
        return dout * dout.dtype.type(self.factor)

    def extra_repr(self):
        return f"{self.factor}"
