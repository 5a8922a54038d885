"""Right activations, none of them the library's."""

import math

import numpy as np


def relu_from_the_absolute_value(x):
    return (x + np.abs(x)) / 2, np.sign(x)


def relu_from_the_absolute_value_backward(dout, cache):
    return dout * (1 + cache) / 2 * (cache != 0)


def relu_on_a_copy(x):
    out = np.array(x)
    out[out < 0] = 0
    return out, out


def relu_on_a_copy_backward(dout, cache):
    dx = dout.copy()
    dx[cache == 0] = 0
    return dx


def relu_number_by_number(x):
    out, passes = np.zeros(x.shape), np.zeros(x.shape, dtype=bool)
    for place in np.ndindex(*x.shape):
        if x[place] > 0:
            out[place], passes[place] = x[place], True
    return out, (passes,)


def relu_number_by_number_backward(dout, cache):
    return np.where(cache[0], dout, 0.0)


def sigmoid_from_tanh(x):
    out = (1 + np.tanh(x / 2)) / 2
    return out, out * (1 - out)


def sigmoid_from_tanh_backward(dout, cache):
    return dout * cache


def sigmoid_in_two_halves(x):
    out = np.empty_like(x)
    positive = x >= 0
    out[positive] = 1 / (1 + np.exp(-x[positive]))
    exp = np.exp(x[~positive])
    out[~positive] = exp / (1 + exp)
    return out, (x, out)


def sigmoid_in_two_halves_backward(dout, cache):
    _, out = cache
    return dout * (out - out**2)


def plain_sigmoid(x):
    """exp(-x) may be infinite, and 1 / infinite is the right 0."""
    return 1 / (1 + np.exp(-x)), x


def plain_sigmoid_backward(dout, cache):
    """From x, in a form whose exponentials stay below 1."""
    exp = np.exp(-np.abs(cache))
    return dout * exp / (1 + exp) ** 2


def tanh_number_by_number(x):
    return np.vectorize(math.tanh, otypes=[float])(x), x


def tanh_number_by_number_backward(dout, cache):
    return dout / np.cosh(np.clip(cache, -300, 300)) ** 2


def tanh_from_sigmoid(x):
    exp = np.exp(-2 * np.abs(x))
    out = np.sign(x) * (1 - exp) / (1 + exp)
    return out, out


def tanh_from_sigmoid_backward(dout, cache):
    return dout * (1 - cache) * (1 + cache)


def tanh_with_minus(x):
    out = np.tanh(x)
    return out, {"slope": 1 - np.square(out)}


def tanh_with_minus_backward(dout, cache):
    return np.multiply(dout, cache["slope"])


RIGHT = [
    (
        "other formulas",
        {
            "relu_forward": relu_from_the_absolute_value,
            "relu_backward": relu_from_the_absolute_value_backward,
            "sigmoid_forward": sigmoid_from_tanh,
            "sigmoid_backward": sigmoid_from_tanh_backward,
            "tanh_forward": tanh_from_sigmoid,
            "tanh_backward": tanh_from_sigmoid_backward,
        },
    ),
    (
        "in parts, in place on copies",
        {
            "relu_forward": relu_on_a_copy,
            "relu_backward": relu_on_a_copy_backward,
            "sigmoid_forward": sigmoid_in_two_halves,
            "sigmoid_backward": sigmoid_in_two_halves_backward,
            "tanh_forward": tanh_with_minus,
            "tanh_backward": tanh_with_minus_backward,
        },
    ),
    (
        "number by number, or from x",
        {
            "relu_forward": relu_number_by_number,
            "relu_backward": relu_number_by_number_backward,
            "sigmoid_forward": plain_sigmoid,
            "sigmoid_backward": plain_sigmoid_backward,
            "tanh_forward": tanh_number_by_number,
            "tanh_backward": tanh_number_by_number_backward,
        },
    ),
]
