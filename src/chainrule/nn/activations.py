"""Activation functions as modules."""

from chainrule.nn.module import Module

__all__ = ["GELU", "LeakyReLU", "ReLU", "Sigmoid", "Tanh"]


class ReLU(Module):
    """max(0, x), elementwise (Nair & Hinton 2010); gradient 0 at x = 0, as in PyTorch."""

    def forward(self, x):
        out, self._cache = self.functions.relu.forward(x)
        return out

    def backward(self, dout):
        return self.functions.relu.backward(dout, self.cached())


class LeakyReLU(Module):
    """x where x > 0, negative_slope * x elsewhere (Maas, Hannun & Ng 2013)."""

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def forward(self, x):
        out, self._cache = self.functions.leaky_relu.forward(x, self.negative_slope)
        return out

    def backward(self, dout):
        return self.functions.leaky_relu.backward(dout, self.cached())

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, x):
        out, self._cache = self.functions.sigmoid.forward(x)
        return out

    def backward(self, dout):
        return self.functions.sigmoid.backward(dout, self.cached())


class Tanh(Module):
    """tanh(x), elementwise."""

    def forward(self, x):
        out, self._cache = self.functions.tanh.forward(x)
        return out

    def backward(self, dout):
        return self.functions.tanh.backward(dout, self.cached())


class GELU(Module):
    """x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016).

    Parameters
    ----------
    approximate : "none" (exact, default) or "tanh" (the paper's approximation)
    """

    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate is {approximate!r}; it must be "none" or "tanh"')
        self.approximate = approximate

    def forward(self, x):
        out, self._cache = self._pair().forward(x)
        return out

    def backward(self, dout):
        return self._pair().backward(dout, self.cached())

    def _pair(self):
        return self.functions.gelu if self.approximate == "none" else self.functions.gelu_tanh

    def extra_repr(self):
        return f"approximate='{self.approximate}'"
