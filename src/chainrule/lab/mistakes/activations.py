"""Mistakes in ReLU, sigmoid and tanh."""

import numpy as np

from chainrule.functional import relu_backward, sigmoid_backward, sigmoid_forward, tanh_backward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]

BACKWARD = {"relu": relu_backward, "sigmoid": sigmoid_backward, "tanh": tanh_backward}
DERIVATIVES = {"relu": "x > 0", "sigmoid": "out * (1 - out)", "tanh": "1 - out**2"}


def cut_in_place(x):
    x[x < 0] = 0
    return x, x


def largest_of_whole_arrays(x):
    return max(0, x), x


def largest_along_an_axis(x):
    return np.max(x, 0), x


RELU_FORWARD = (
    Mistake(
        "relu_forward",
        "sign",
        "negative numbers come out positive, as their absolute value; they have to become 0",
        ("What is ReLU of -2?", "out = np.maximum(x, 0)"),
        lambda x: (np.abs(x), x),
    ),
    Mistake(
        "relu_forward",
        "sign",
        "the negative numbers are kept and the positive ones become 0; it is the other way round",
        ("What is ReLU of -2, and of 2?", "out = np.maximum(x, 0), not np.minimum."),
        lambda x: (np.minimum(x, 0), x),
    ),
    Mistake(
        "relu_forward",
        "missing-term",
        "negative numbers keep a small slope of 0.01, which is a leaky ReLU; plain ReLU makes them 0",
        ("What is ReLU of -2?", "out = np.maximum(x, 0)"),
        lambda x: (np.maximum(x, 0.01 * x), x),
    ),
    Mistake(
        "relu_forward",
        "missing-term",
        "out is 1 where x is positive; it has to be x there: the 1 is the derivative",
        ("What is ReLU of 2?", "Multiply the mask x > 0 by x, or take np.maximum(x, 0)."),
        lambda x: ((x > 0).astype(x.dtype), x),
    ),
    Mistake(
        "relu_forward",
        "missing-term",
        "out is x itself: nothing is cut off at 0",
        ("What is ReLU of -2?", "out = np.maximum(x, 0); np.maximum gives a new array and leaves x as it is."),
        lambda x: (x.copy(), x),
    ),
    Mistake(
        "relu_forward",
        "missing-term",
        "out is cut off at 1 from above, too; ReLU lets every positive number through as it is",
        ("What is ReLU of 7?", "There is one bound, the lower one: np.maximum(x, 0)."),
        lambda x: (np.clip(x, 0, 1), x),
    ),
    Mistake(
        "relu_forward",
        "off-by-one",
        "numbers between 0 and 1 become 0, too; the threshold is 0, not 1",
        ("What is ReLU of 0.5?", "out = x * (x > 0)"),
        lambda x: (x * (x > 1), x),
    ),
    Mistake(
        "relu_forward",
        "axis",
        "np.max(x, 0) is the largest number along axis 0; np.maximum(x, 0) compares every element with 0",
        ("Which shape has out?", "np.maximum takes two arrays, np.max an array and an axis."),
        largest_along_an_axis,
    ),
    Mistake(
        "relu_forward",
        "broadcasting",
        "max and if of Python ask about all of x at once; NumPy compares element by element: np.maximum, np.where",
        ("What is max(0, x) for two numbers of which one is negative?", "out = np.maximum(x, 0)"),
        largest_of_whole_arrays,
    ),
    Mistake(
        "relu_forward",
        "numerics",
        "out is log(1 + exp(x)), a smooth relative of ReLU, which is never 0",
        ("What is ReLU of -2, exactly?", "out = np.maximum(x, 0)"),
        lambda x: (np.logaddexp(0, x), x),
    ),
    Mistake(
        "relu_forward",
        "mutation",
        "x itself is cut off at 0 (x[x < 0] = 0), which the caller sees; make a new array",
        ("What has x become after the call?", "out = np.maximum(x, 0), or work on x.copy()."),
        cut_in_place,
    ),
    Mistake(
        "relu_forward",
        "dtype",
        "out is rounded to integers",
        ("What is the dtype of out?", "Give np.zeros the dtype of x, or write out = np.maximum(x, 0)."),
        lambda x: (np.maximum(x, 0).astype(int), x),
    ),
    Mistake(
        "relu_forward",
        "dtype",
        "out is float32 even for a float64 x, which costs the gradient checks their digits",
        ("What is the dtype of out?", "Leave the dtype to NumPy, or take x.dtype."),
        lambda x: (np.maximum(x, 0).astype(np.float32), x),
    ),
)


def dout_cut_in_place(dout, cache):
    dout[cache <= 0] = 0
    return dout


def mask_written_into_the_cache(dout, cache):
    cache[cache > 0] = 1
    cache[cache <= 0] = 0
    return dout * cache


RELU_BACKWARD = (
    Mistake(
        "relu_backward",
        "missing-term",
        "dout is not multiplied by the derivative: where x was negative, dx has to be 0",
        ("How much does out change with a negative x?", "dx = dout * (x > 0)"),
        lambda dout, cache: dout.copy(),
    ),
    Mistake(
        "relu_backward",
        "missing-term",
        "dx is the derivative alone, 0 or 1; the chain rule multiplies it by dout",
        ("What should dx be if dout is zero?", "dx = dout * (x > 0)"),
        lambda dout, cache: (cache > 0).astype(dout.dtype),
    ),
    Mistake(
        "relu_backward",
        "cache",
        "dx is 0 where dout is negative; it has to be 0 where x was: a negative gradient passes a positive x",
        ("Which array decides about the mask: dout, or x of the forward pass?", "dx = dout * (x > 0), with x from the cache."),
        lambda dout, cache: np.maximum(dout, 0),
    ),
    Mistake(
        "relu_backward",
        "cache",
        "dx is 0 where x or dout is negative; x alone decides, a negative gradient passes a positive x",
        ("What does ReLU do with the sign of a gradient?", "dx = dout * (x > 0)"),
        lambda dout, cache: np.maximum(dout, 0) * (cache > 0),
    ),
    Mistake(
        "relu_backward",
        "missing-term",
        "dout is multiplied by the output; it has to be multiplied by the derivative, which is 1 where x is positive",
        ("What is the slope of ReLU at 3?", "dx = dout * (x > 0)"),
        lambda dout, cache: dout * np.maximum(cache, 0),
    ),
    Mistake(
        "relu_backward",
        "missing-term",
        "dout is multiplied by x; it has to be multiplied by the derivative of ReLU, which is 0 or 1",
        ("What is the slope of ReLU at 3, and at -3?", "dx = dout * (x > 0)"),
        lambda dout, cache: dout * cache,
    ),
    Mistake(
        "relu_backward",
        "sign",
        "the gradient passes where x was negative, and is 0 where it was positive; it is the other way round",
        ("Where does out depend on x?", "dx = dout * (x > 0)"),
        lambda dout, cache: dout * (cache < 0),
    ),
    Mistake(
        "relu_backward",
        "missing-term",
        "where x was negative, a slope of 0.01 is left, which belongs to a leaky ReLU; here it is 0",
        ("How much does out change with a negative x?", "dx = dout * (x > 0)"),
        lambda dout, cache: np.where(cache > 0, dout, 0.01 * dout),
    ),
    Mistake(
        "relu_backward",
        "sign",
        "where x was negative, dx is -dout, the derivative of the absolute value; it has to be 0",
        ("How much does out change with a negative x?", "dx = dout * (x > 0)"),
        lambda dout, cache: np.where(cache > 0, dout, -dout),
    ),
    Mistake(
        "relu_backward",
        "off-by-one",
        "at x = 0 the gradient passes (x >= 0); it is 0 there (x > 0), as in PyTorch",
        ("What does the docstring say of x = 0?", "dx = dout * (x > 0)"),
        lambda dout, cache: dout * (cache >= 0),
    ),
    Mistake(
        "relu_backward",
        "mutation",
        "dout itself is changed (dout[x <= 0] = 0), which the caller sees; make a new array",
        ("What has dout become after the call?", "dx = dout * (x > 0)"),
        dout_cut_in_place,
    ),
    Mistake(
        "relu_backward",
        "mutation",
        "the mask is written over the x in the cache, which may be the array of the layer before; make a new array for it",
        ("What has become of the x that the forward pass was given?", "mask = x > 0 is an array of its own."),
        mask_written_into_the_cache,
    ),
)


def negated_in_place(x):
    np.negative(x, out=x)
    out = 1 / (1 + np.exp(x))
    return out, out


def with_itself(out):
    return out, out


SIGMOID_FORWARD = (
    Mistake(
        "sigmoid_forward",
        "numerics",
        "exp(x) is infinite for a large x, and infinite / infinite is not a number; 1 / (1 + exp(-x)) is right there",
        ("What is np.exp(1000)?", "Write it so that exp gets no large positive number where it matters: exp(-abs(x))."),
        lambda x: with_itself(np.exp(x) / (1 + np.exp(x))),
    ),
    Mistake(
        "sigmoid_forward",
        "sign",
        "the exponent has the wrong sign: it is exp(-x), so that a large x gives 1",
        ("What should come out for a large x, 0 or 1?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(sigmoid_forward(-x)[0]),
    ),
    Mistake(
        "sigmoid_forward",
        "sign",
        "the denominator is 1 - exp(-x); it is 1 + exp(-x)",
        ("What is your function at x = 0? It should be 1/2.", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(1 / (1 - np.exp(-x))),
    ),
    Mistake(
        "sigmoid_forward",
        "missing-term",
        "brackets are missing: 1 / 1 + exp(-x) is 1 + exp(-x); it is 1 / (1 + exp(-x))",
        ("Which is done first, / or +?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(1 / 1 + np.exp(-x)),
    ),
    Mistake(
        "sigmoid_forward",
        "scale",
        "out is that of 2 * x: it is (1 + tanh(x / 2)) / 2, with half of x in the tanh",
        ("How do sigmoid and tanh belong together?", "sigmoid(x) = (1 + tanh(x / 2)) / 2"),
        lambda x: with_itself(0.5 * (1 + np.tanh(x))),
    ),
    Mistake(
        "sigmoid_forward",
        "scale",
        "out is tanh(x), between -1 and 1; the sigmoid is between 0 and 1",
        ("What should come out for x = 0?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(np.tanh(x)),
    ),
    Mistake(
        "sigmoid_forward",
        "axis",
        "out is normalized over the row: that is the softmax; the sigmoid is a function of every number on its own",
        ("Does out[0, 0] depend on x[0, 1]?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(np.exp(x - x.max(axis=-1, keepdims=True)) / np.exp(x - x.max(axis=-1, keepdims=True)).sum(-1, keepdims=True)),
    ),
    Mistake(
        "sigmoid_forward",
        "sign",
        "negative numbers get the value of their absolute value: with exp(-abs(x)) they need another numerator, exp(x) / (1 + exp(x))",
        ("What is sigmoid(-2) + sigmoid(2)? It should be 1.", "np.where(x > 0, 1, exp) / (1 + exp) with exp = np.exp(-np.abs(x))"),
        lambda x: with_itself(sigmoid_forward(np.abs(x))[0]),
    ),
    Mistake(
        "sigmoid_forward",
        "missing-term",
        "out is the derivative of the sigmoid, s * (1 - s); that is for the backward pass",
        ("What should come out for a large x?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(sigmoid_forward(x)[0] * (1 - sigmoid_forward(x)[0])),
    ),
    Mistake(
        "sigmoid_forward",
        "missing-term",
        "the 1 in the denominator is missing: 1 / exp(-x) is exp(x), which grows without a bound",
        ("What should come out for a large x?", "out = 1 / (1 + np.exp(-x))"),
        lambda x: with_itself(1 / np.exp(-x)),
    ),
    Mistake(
        "sigmoid_forward",
        "mutation",
        "x itself is changed on the way; the caller sees it: make a new array",
        ("What has x become after the call?", "Leave out out=x, and operators like *= on x."),
        negated_in_place,
    ),
    Mistake(
        "sigmoid_forward",
        "dtype",
        "out is float32 even for a float64 x, which costs the gradient checks their digits",
        ("What is the dtype of out?", "Leave the dtype to NumPy, or take x.dtype."),
        lambda x: with_itself(sigmoid_forward(x)[0].astype(np.float32)),
    ),
)


def keeping_x(x):
    return sigmoid_forward(x)[0], x


def from_overflowing_exponentials(dout, cache):
    return dout * np.exp(-cache) / (1 + np.exp(-cache)) ** 2


SIGMOID_BACKWARD = (
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "the factor 1 - out is missing: the derivative is out * (1 - out)",
        ("What is the slope where out is nearly 1?", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * cache,
    ),
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "the factor out is missing: the derivative is out * (1 - out)",
        ("What is the slope where out is nearly 0?", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * (1 - cache),
    ),
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "the derivative is that of tanh, 1 - out**2; that of the sigmoid is out * (1 - out)",
        ("What is the slope of the sigmoid at x = 0? It is 1/4.", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * (1 - cache**2),
    ),
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "dx is dout * out - out**2: brackets are missing, the derivative out * (1 - out) = out - out**2 as a whole is multiplied by dout",
        ("What is dx if dout is zero?", "dx = dout * (out - out**2)"),
        lambda dout, cache: dout * cache - cache**2,
    ),
    Mistake(
        "sigmoid_backward",
        "sign",
        "the derivative is out * (1 - out), with a minus; out * (1 + out) does not fall where out is nearly 1",
        ("What is the slope where out is nearly 1? It is 0.", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * cache * (1 + cache),
    ),
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "the derivative is out * (1 - out); the square, (1 - out)**2, has lost the factor out",
        ("What is the slope where out is nearly 0? It is 0.", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * (1 - cache) ** 2,
    ),
    Mistake(
        "sigmoid_backward",
        "missing-term",
        "brackets are missing: dout * out * 1 - out; the derivative out * (1 - out) as a whole is multiplied by dout",
        ("What is dx if dout is zero?", "dx = dout * out * (1 - out)"),
        lambda dout, cache: dout * cache * 1 - cache,
    ),
    Mistake(
        "sigmoid_backward",
        "cache",
        "the sigmoid is applied to the cached output again; the output is s already: dx = dout * s * (1 - s)",
        ("What is in the cache, x or out?", "Apply the sigmoid in the backward pass only if the cache has x."),
        lambda dout, cache: dout * sigmoid_forward(cache)[0] * (1 - sigmoid_forward(cache)[0]),
    ),
    Mistake(
        "sigmoid_backward",
        "cache",
        "the cache has x, but the backward pass takes it for the output: x * (1 - x)",
        ("What does sigmoid_forward put into the cache?", "Keep out: the derivative is out * (1 - out)."),
        lambda dout, cache: dout * cache * (1 - cache),
        {"sigmoid_forward": keeping_x},
    ),
    Mistake(
        "sigmoid_backward",
        "numerics",
        "exp(-x) is infinite for a very negative x, and infinite / infinite is not a number; out * (1 - out) is the same without exp",
        ("What is np.exp(1000)?", "Keep out in the cache: dx = dout * out * (1 - out)."),
        from_overflowing_exponentials,
        {"sigmoid_forward": keeping_x},
    ),
)


def exponentials(x):
    return np.exp(x), np.exp(-x)


def ratio(numerator, denominator):
    return with_itself(numerator / denominator)


def tanh_in_place(x):
    np.tanh(x, out=x)
    return x, x.copy()


TANH_FORWARD = (
    Mistake(
        "tanh_forward",
        "numerics",
        "exp(x) is infinite for a large x, and infinite / infinite is not a number; np.tanh(x) knows how to avoid it",
        ("What is np.exp(1000)?", "np.tanh(x), or 2 * sigmoid(2 * x) - 1 with a sigmoid that does not overflow."),
        lambda x: ratio(exponentials(x)[0] - exponentials(x)[1], exponentials(x)[0] + exponentials(x)[1]),
    ),
    Mistake(
        "tanh_forward",
        "numerics",
        "exp(2 * x) is infinite for a large x, and infinite / infinite is not a number; np.tanh(x) avoids it (a negative x is right)",
        ("What is np.exp(2000)?", "np.tanh(x), or 2 * sigmoid(2 * x) - 1 with a sigmoid that does not overflow."),
        lambda x: ratio(np.exp(2 * x) - 1, np.exp(2 * x) + 1),
    ),
    Mistake(
        "tanh_forward",
        "sign",
        "out has the wrong sign: tanh is positive for a positive x",
        ("What is tanh of 2, about?", "(exp(x) - exp(-x)) / (exp(x) + exp(-x)), or np.tanh(x)"),
        lambda x: with_itself(-np.tanh(x)),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "the fraction is upside down: (exp(x) + exp(-x)) / (exp(x) - exp(-x)) is 1 / tanh(x)",
        ("What should come out for x = 0?", "The difference is the numerator."),
        lambda x: with_itself(1 / np.tanh(x)),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "out is sinh(x), the numerator alone; divide it by cosh(x)",
        ("What should come out for a large x?", "(exp(x) - exp(-x)) / (exp(x) + exp(-x)), or np.tanh(x)"),
        lambda x: with_itself(np.sinh(x)),
    ),
    Mistake(
        "tanh_forward",
        "scale",
        "out is the sigmoid, between 0 and 1; tanh is between -1 and 1: 2 * sigmoid(2 * x) - 1",
        ("What should come out for x = 0?", "np.tanh(x)"),
        lambda x: with_itself(sigmoid_forward(x)[0]),
    ),
    Mistake(
        "tanh_forward",
        "scale",
        "out is tanh of x / 2: it is 2 * sigmoid(2 * x) - 1, with twice x in the sigmoid",
        ("How do sigmoid and tanh belong together?", "tanh(x) = 2 * sigmoid(2 * x) - 1"),
        lambda x: with_itself(2 * sigmoid_forward(x)[0] - 1),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "out is between 0 and 2: the - 1 is missing in 2 * sigmoid(2 * x) - 1",
        ("What should come out for x = 0?", "tanh(x) = 2 * sigmoid(2 * x) - 1"),
        lambda x: with_itself(2 * sigmoid_forward(2 * x)[0]),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "out is the tangent, np.tan; asked for is the hyperbolic tangent, np.tanh",
        ("Is your function periodic?", "np.tanh(x)"),
        lambda x: with_itself(np.tan(x)),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "out is np.arctan(x), which ends at pi / 2; asked for is np.tanh(x), which ends at 1",
        ("What should come out for a large x?", "np.tanh(x)"),
        lambda x: with_itself(np.arctan(x)),
    ),
    Mistake(
        "tanh_forward",
        "missing-term",
        "out is the derivative of tanh, 1 - tanh(x)**2; that is for the backward pass",
        ("What should come out for x = 0?", "np.tanh(x)"),
        lambda x: with_itself(1 - np.tanh(x) ** 2),
    ),
    Mistake(
        "tanh_forward",
        "mutation",
        "x itself is overwritten with tanh(x), which the caller sees; make a new array",
        ("What has x become after the call?", "Leave out out=x: out = np.tanh(x)"),
        tanh_in_place,
    ),
    Mistake(
        "tanh_forward",
        "dtype",
        "out is float32 even for a float64 x, which costs the gradient checks their digits",
        ("What is the dtype of out?", "Leave the dtype to NumPy, or take x.dtype."),
        lambda x: with_itself(np.tanh(x).astype(np.float32)),
    ),
)


TANH_BACKWARD = (
    Mistake(
        "tanh_backward",
        "missing-term",
        "the square is missing: the derivative is 1 - out**2, not 1 - out",
        ("What is the slope where out is nearly -1?", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * (1 - cache),
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "the square is that of the bracket, (1 - out)**2; it is that of out alone: 1 - out**2",
        ("What is the slope where out is nearly -1? It is 0.", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * (1 - cache) ** 2,
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "the derivative is squared once too often, (1 - out**2)**2; it is 1 - out**2",
        ("What is the derivative of tanh, in terms of tanh?", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * (1 - cache**2) ** 2,
    ),
    Mistake(
        "tanh_backward",
        "sign",
        "the square is added; the derivative is 1 - out**2, which is 0 where out is nearly 1",
        ("What is the slope of tanh for a large x?", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * (1 + cache**2),
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "out * (1 - out) is the derivative of the sigmoid; that of tanh is 1 - out**2",
        ("What is the slope of tanh at x = 0? It is 1.", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * cache * (1 - cache),
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "the 1 is missing: the derivative is 1 - out**2, not out**2",
        ("What is the slope of tanh at x = 0? It is 1.", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * cache**2,
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "brackets are missing: dout * 1 - out**2; the derivative 1 - out**2 as a whole is multiplied by dout",
        ("What is dx if dout is zero?", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * 1 - cache**2,
    ),
    Mistake(
        "tanh_backward",
        "missing-term",
        "the derivative is 1 / cosh(x)**2; the square is missing",
        ("Which of 1 / cosh(x) and its square is 1 - tanh(x)**2?", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * np.sqrt(1 - cache**2),
    ),
    Mistake(
        "tanh_backward",
        "scale",
        "the derivative is 2 * out * (1 - out**2), that of out**2; it is 1 - out**2 alone",
        ("What is the slope of tanh at x = 0? It is 1.", "dx = dout * (1 - out**2)"),
        lambda dout, cache: dout * 2 * cache * (1 - cache**2),
    ),
    Mistake(
        "tanh_backward",
        "cache",
        "tanh is applied to the cached output again; the output is t already: dx = dout * (1 - t**2)",
        ("What is in the cache, x or out?", "Apply tanh in the backward pass only if the cache has x."),
        lambda dout, cache: dout * (1 - np.tanh(cache) ** 2),
    ),
    Mistake(
        "tanh_backward",
        "cache",
        "the cache has x, but the backward pass takes it for the output: 1 - x**2",
        ("What does tanh_forward put into the cache?", "Keep out: the derivative is 1 - out**2."),
        lambda dout, cache: dout * (1 - cache**2),
        {"tanh_forward": lambda x: (np.tanh(x), x)},
    ),
)


def in_place(name):
    def backward(dout, cache):
        dout *= BACKWARD[name](np.ones_like(dout), cache)
        return dout

    return backward


COMMON = tuple(
    Mistake(f"{name}_backward", kind, sentence, hints, code)
    for name, backward in BACKWARD.items()
    for kind, sentence, hints, code in (
        (
            "scale",
            "dx is N times too small: it is divided by the size of the batch; the loss divided by N already",
            ("Does an activation know of other samples?", f"dx = dout * ({DERIVATIVES[name]})"),
            lambda dout, cache, backward=backward: backward(dout, cache) / len(dout),
        ),
        (
            "sign",
            "dx has the wrong sign",
            ("Does out grow with x or fall?", f"dx = dout * ({DERIVATIVES[name]})"),
            lambda dout, cache, backward=backward: -backward(dout, cache),
        ),
        (
            "axis",
            "dx is summed over the batch; an activation has no parameters, each number has a gradient of its own",
            ("Which shape has x?", f"dx = dout * ({DERIVATIVES[name]}), without a sum."),
            lambda dout, cache, backward=backward: backward(dout, cache).sum(axis=0),
        ),
        (
            "dtype",
            "dx is float32 even for a float64 dout, which costs the gradient checks their digits",
            ("What is the dtype of dx?", "Leave the dtype to NumPy, or take dout.dtype."),
            lambda dout, cache, backward=backward: backward(dout, cache).astype(np.float32),
        ),
    )
)
SMOOTH = tuple(
    Mistake(f"{name}_backward", kind, sentence, hints, code)
    for name, backward in BACKWARD.items()
    if name != "relu"
    for kind, sentence, hints, code in (
        (
            "missing-term",
            "dout is not multiplied by the derivative",
            ("How much does out change with x?", f"dx = dout * ({DERIVATIVES[name]})"),
            lambda dout, cache: dout.copy(),
        ),
        (
            "missing-term",
            "dx is the derivative alone; the chain rule multiplies it by dout",
            ("What should dx be if dout is zero?", f"dx = dout * ({DERIVATIVES[name]})"),
            lambda dout, cache, backward=backward: backward(np.ones_like(dout), cache),
        ),
        (
            "missing-term",
            "dout is added to the derivative; the chain rule multiplies",
            ("What should dx be if dout is zero?", f"dx = dout * ({DERIVATIVES[name]})"),
            lambda dout, cache, backward=backward: dout + backward(np.ones_like(dout), cache),
        ),
        (
            "mutation",
            "dout itself is changed (dout *= ...), which the caller sees; make a new array",
            ("What has dout become after the call?", f"dx = dout * ({DERIVATIVES[name]})"),
            in_place(name),
        ),
    )
)

MISTAKES = (*RELU_FORWARD, *RELU_BACKWARD, *SIGMOID_FORWARD, *SIGMOID_BACKWARD, *TANH_FORWARD, *TANH_BACKWARD, *COMMON, *SMOOTH)
