"""Activations: functions of every element on its own, each with its derivative. All take and return any shape, in the dtype of x."""

import math

import numpy as np

from chainrule.functional.checks import check_floating

__all__ = [
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "tanh_backward",
    "tanh_forward",
]

# Beyond |x| = 40 the tails of both GELUs are 0 in every dtype (exp(-40**2 / 2) = 1e-348); their powers of x are taken
# of x clipped to there, so that a huge x overflows nowhere.
TAIL = 40.0


def relu_forward(x):
    """max(0, x), elementwise (Nair & Hinton 2010).

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : like x
    cache : x
    """
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    """Gradient of `relu_forward`: dx like x; 0 at x = 0, as in PyTorch. Derivation: docs/derivations/relu.md."""
    x = cache
    return dout * (x > 0)  # d max(0, x)/dx = [x > 0]


def leaky_relu_forward(x, negative_slope=0.01):
    """x where it is positive, negative_slope * x elsewhere (Maas, Hannun & Ng 2013).

    Parameters
    ----------
    x : array of any shape
    negative_slope : factor of the negative part, default 0.01, as in PyTorch

    Returns
    -------
    out : like x
    cache : what `leaky_relu_backward` needs
    """
    negative_slope = float(negative_slope)
    return np.where(x > 0, x, negative_slope * x), (x, negative_slope)


def leaky_relu_backward(dout, cache):
    """Gradient of `leaky_relu_forward`: dx like x; negative_slope at x = 0, as in PyTorch. Derivation: docs/derivations/relu.md."""
    x, negative_slope = cache
    return np.where(x > 0, dout, negative_slope * dout)


def _logistic(x):
    """1 / (1 + exp(-x)), written so that exp sees no positive number: nothing overflows and both tails keep their digits."""
    exp = np.exp(-np.abs(x))
    return np.where(x > 0, 1, exp) / (1 + exp)


def sigmoid_forward(x):
    """Logistic function 1 / (1 + exp(-x)), elementwise.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : like x, in [0, 1]
    cache : out
    """
    out = _logistic(x)
    return out, out


def sigmoid_backward(dout, cache):
    """Gradient of `sigmoid_forward`: dx like x. Derivation: docs/derivations/sigmoid_tanh.md."""
    out = cache
    return dout * out * (1 - out)  # s' = s (1 - s)


def tanh_forward(x):
    """Hyperbolic tangent, elementwise.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : like x, in [-1, 1]
    cache : out
    """
    out = np.tanh(x)
    return out, out


def tanh_backward(dout, cache):
    """Gradient of `tanh_forward`: dx like x. Derivation: docs/derivations/sigmoid_tanh.md."""
    out = cache
    return dout * (1 - out**2)  # tanh' = 1 - tanh**2


def gelu_forward(x):
    """x * P(Z <= x) for a standard normal Z: the exact GELU (Hendrycks & Gimpel 2016, section 2), PyTorch's default.

    NumPy has no error function, so `math.erfc` is called number by number: this is the definition, to be read and compared with.
    The fast one is `chainrule.kernels.gelu_forward`.

    Parameters
    ----------
    x : array of any shape, floating point

    Returns
    -------
    out : like x
    cache : (x, cdf), with cdf = P(Z <= x) like x

    Raises
    ------
    TypeError
        If x is not floating point.
    """
    check_floating("gelu_forward", "x", x)
    # erfc(-z) / 2 is (1 + erf(z)) / 2 without the cancellation that costs the latter its digits for negative z
    cdf = np.vectorize(lambda number: math.erfc(-number / math.sqrt(2)) / 2, otypes=[np.float64])(x).astype(x.dtype)
    return x * cdf, (x, cdf)


def gelu_backward(dout, cache):
    """Gradient of `gelu_forward`: dx like x. Derivation: docs/derivations/gelu.md."""
    x, cdf = cache
    pdf = np.exp(-(np.clip(x, -TAIL, TAIL) ** 2) / 2) / math.sqrt(2 * math.pi)
    return dout * (cdf + x * pdf)  # (x P(Z <= x))' = P(Z <= x) + x p(x)


def gelu_tanh_forward(x):
    """x * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) * (x + 0.044715 x**3): GELU's approximation (Hendrycks & Gimpel 2016, section 2).

    PyTorch calls it `approximate="tanh"`. Computed as the equal x * sigmoid(2 u), whose tail for negative x keeps its digits.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    out : like x, within 5e-4 of the exact GELU
    cache : (x, sigmoid(2 u))
    """
    clipped = np.clip(x, -TAIL, TAIL)
    sigmoid = _logistic(2 * math.sqrt(2 / math.pi) * (clipped + 0.044715 * clipped**3))
    return x * sigmoid, (x, sigmoid)


def gelu_tanh_backward(dout, cache):
    """Gradient of `gelu_tanh_forward`: dx like x. Derivation: docs/derivations/gelu.md."""
    x, sigmoid = cache
    clipped = np.clip(x, -TAIL, TAIL)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * clipped**2)
    return dout * (sigmoid + 2 * clipped * sigmoid * (1 - sigmoid) * du)  # (x s(2u))' = s + x s (1 - s) 2 u'
