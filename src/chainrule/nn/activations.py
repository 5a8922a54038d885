"""Activation functions as modules."""

from chainrule.nn.layer import Layer

__all__ = ["GELU", "LeakyReLU", "ReLU", "Sigmoid", "Tanh"]


class ReLU(Layer):
    """max(0, x), elementwise (Nair & Hinton 2010); gradient 0 at x = 0, as in PyTorch."""

    entry = "relu"


class LeakyReLU(Layer):
    """x where x > 0, negative_slope * x elsewhere (Maas, Hannun & Ng 2013)."""

    entry = "leaky_relu"

    def __init__(self, negative_slope=0.01):
        self.negative_slope = negative_slope

    def arguments(self, x):
        return (self.negative_slope,)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Layer):
    """1 / (1 + exp(-x)), elementwise."""

    entry = "sigmoid"


class Tanh(Layer):
    """tanh(x), elementwise."""

    entry = "tanh"


class GELU(Layer):
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
