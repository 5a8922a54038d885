"""Activation functions as modules."""

from chainrule.nn.module import Module

__all__ = ["GELU", "LeakyReLU", "ReLU", "Sigmoid", "Tanh"]


class _Elementwise(Module):
    """A function of each number; `entry` is its name in the table of functions."""

    entry: str

    def arguments(self) -> tuple:
        """What the function takes besides x."""
        return ()

    def forward(self, x):
        out, cache = getattr(self.functions, self.entry).forward(x, *self.arguments())
        self._cache = cache, out.shape
        return out

    def backward(self, dout):
        cache, shape = self.cached()
        self.check_dout(dout, shape)
        return getattr(self.functions, self.entry).backward(dout, cache)


class ReLU(_Elementwise):
    """max(0, x), elementwise (Nair & Hinton 2010); gradient 0 at x = 0, as in PyTorch."""

    entry = "relu"


class LeakyReLU(_Elementwise):
    """x where x > 0, negative_slope * x elsewhere (Maas, Hannun & Ng 2013)."""

    entry = "leaky_relu"

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def arguments(self):
        return (self.negative_slope,)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)), elementwise."""

    entry = "sigmoid"


class Tanh(_Elementwise):
    """tanh(x), elementwise."""

    entry = "tanh"


class GELU(_Elementwise):
    """x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).

    Parameters
    ----------
    approximate : "none" (exact, default) or "tanh" (the paper's approximation)
    """

    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is {approximate!r}; it must be "none" or "tanh"')
        self.approximate = approximate
        self.entry = "gelu" if approximate == "none" else "gelu_tanh"

    def extra_repr(self):
        return f"approximate='{self.approximate}'"
