"""Mistakes in the affine layer with ReLU."""

import numpy as np

from chainrule.functional import affine_backward, affine_forward, affine_relu_backward, affine_relu_forward, relu_forward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def without_relu(x, w, b):
    scores, affine_cache = affine_forward(x, w, b)
    return scores, (affine_cache, scores)


def relu_first(x, w, b):
    positive, relu_cache = relu_forward(x)
    out, affine_cache = affine_forward(positive, w, b)
    return out, (affine_cache, relu_cache)


def relu_on_both_sides(x, w, b):
    return affine_relu_forward(np.maximum(x, 0), w, b)


def without_bias(x, w, b):
    return affine_relu_forward(x, w, np.zeros_like(b))


def bias_after_relu(x, w, b):
    out, cache = affine_relu_forward(x, w, np.zeros_like(b))
    return out + b, cache


def mask_as_output(x, w, b):
    out, cache = affine_relu_forward(x, w, b)
    return (out > 0).astype(out.dtype), cache


def negative_part(x, w, b):
    scores, cache = affine_forward(x, w, b)
    return np.minimum(scores, 0), (cache, scores)


def absolute_value(x, w, b):
    scores, cache = affine_forward(x, w, b)
    return np.abs(scores), (cache, scores)


FORWARD = (
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "out is that of the affine layer: ReLU is not applied, or its result is not the one that is returned",
        ("Can out be negative?", "out, relu_cache = relu_forward(scores), and return this out."),
        without_relu,
    ),
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "the order is wrong: ReLU is applied to x, before the affine layer; it comes after it",
        ("Can out be negative?", "scores from affine_forward, then out = relu_forward(scores)."),
        relu_first,
    ),
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "x goes through ReLU, too; ReLU comes after the affine layer only",
        ("What becomes of the negative numbers of x?", "affine_forward gets x as it is."),
        relu_on_both_sides,
    ),
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "b is not added: relu(x @ w + b)",
        ("What is out for an x of zeros?", "affine_forward(x, w, b) adds it."),
        without_bias,
    ),
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "b is added after ReLU; it belongs to the affine layer: relu(x @ w + b)",
        ("Can out be smaller than b?", "affine_forward(x, w, b), then ReLU."),
        bias_after_relu,
    ),
    Mistake(
        "affine_relu_forward",
        "missing-term",
        "out is 1 where the scores are positive; it has to be the scores there: the 1 is the derivative",
        ("What is ReLU of 2?", "np.maximum(scores, 0)"),
        mask_as_output,
    ),
    Mistake(
        "affine_relu_forward",
        "sign",
        "the negative scores are kept and the positive ones become 0; it is the other way round",
        ("Can out be negative?", "np.maximum(scores, 0)"),
        negative_part,
    ),
    Mistake(
        "affine_relu_forward",
        "sign",
        "negative scores come out positive, as their absolute value; they have to become 0",
        ("What is ReLU of -2?", "np.maximum(scores, 0)"),
        absolute_value,
    ),
    Mistake(
        "affine_relu_forward",
        "dtype",
        "out is float32 even for float64 inputs, which costs the gradient checks their digits",
        ("What is the dtype of out?", "Leave the dtype to NumPy."),
        lambda x, w, b: (affine_relu_forward(x, w, b)[0].astype(np.float32), affine_relu_forward(x, w, b)[1]),
    ),
)


def without_mask(dout, cache):
    return affine_backward(dout, cache[0])


def mask_of_dout(dout, cache):
    return affine_backward(np.maximum(dout, 0), cache[0])


def mask_inverted(dout, cache):
    affine_cache, scores = cache
    return affine_backward(dout * (scores < 0), affine_cache)


def times_the_output(dout, cache):
    affine_cache, scores = cache
    return affine_backward(dout * np.maximum(scores, 0), affine_cache)


def derivative_alone(dout, cache):
    return affine_relu_backward(np.ones_like(dout), cache)


def mask_after_the_affine_layer(dout, cache):
    (x, w, b), scores = cache
    dx, dw, db = affine_backward(dout, (x, w, b))
    return dx * (scores > 0).reshape(x.shape), dw, db


def mask_of_x(dout, cache):
    (x, w, b), _ = cache
    dx, dw, db = affine_backward(dout, (x, w, b))
    return dx * (x > 0), dw, db


def mask_for_dx_alone(dout, cache):
    dx, _, _ = affine_relu_backward(dout, cache)
    return dx, *affine_backward(dout, cache[0])[1:]


def mask_for_the_parameters_alone(dout, cache):
    _, dw, db = affine_relu_backward(dout, cache)
    return affine_backward(dout, cache[0])[0], dw, db


def db_without_mask(dout, cache):
    dx, dw, _ = affine_relu_backward(dout, cache)
    return dx, dw, dout.sum(axis=0)


def mask_without_bias(dout, cache):
    (x, w, b), _ = cache
    return affine_backward(dout * (x.reshape(len(x), -1) @ w > 0), (x, w, b))


def means_over_the_batch(dout, cache):
    dx, dw, db = affine_relu_backward(dout, cache)
    return dx, dw / len(dout), db / len(dout)


def mean_db(dout, cache):
    dx, dw, db = affine_relu_backward(dout, cache)
    return dx, dw, db / len(dout)


def flat_dx(dout, cache):
    dx, dw, db = affine_relu_backward(dout, cache)
    return dx.reshape(len(dx), -1), dw, db


def parameters_first(dout, cache):
    dx, dw, db = affine_relu_backward(dout, cache)
    return dw, db, dx


def dw_first(dout, cache):
    dx, dw, db = affine_relu_backward(dout, cache)
    return dw, dx, db


def dout_cut_in_place(dout, cache):
    affine_cache, scores = cache
    dout[scores <= 0] = 0
    return affine_backward(dout, affine_cache)


BACKWARD = (
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "the way back through ReLU is missing: dout goes into the affine layer as it is",
        ("Which layer was the last one forward, and which is the first one back?", "relu_backward first, affine_backward with its result."),
        without_mask,
    ),
    Mistake(
        "affine_relu_backward",
        "cache",
        "the gradient is cut where dout is negative; it has to be cut where the scores were: relu_backward(dout, relu_cache)",
        ("Which array decides about ReLU's mask?", "The scores, out of the cache of relu_forward."),
        mask_of_dout,
    ),
    Mistake(
        "affine_relu_backward",
        "sign",
        "the gradient passes where the scores were negative, and is 0 where they were positive; it is the other way round",
        ("Where does out depend on the scores?", "dscores = dout * (scores > 0)"),
        mask_inverted,
    ),
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "dout is multiplied by ReLU's output; it has to be multiplied by its derivative, 1 where the scores are positive",
        ("What is the slope of ReLU at 3?", "dscores = dout * (scores > 0)"),
        times_the_output,
    ),
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "dout is left out: the way back begins with ReLU's derivative alone",
        ("What should dx be if dout is zero?", "dscores = relu_backward(dout, relu_cache)"),
        derivative_alone,
    ),
    Mistake(
        "affine_relu_backward",
        "shape",
        "the layers are gone through in the order of the forward pass: affine_backward first, ReLU's mask on dx; back it is ReLU first",
        ("Which layer was the last one forward?", "dscores = relu_backward(dout, ...), then affine_backward(dscores, ...)"),
        mask_after_the_affine_layer,
    ),
    Mistake(
        "affine_relu_backward",
        "cache",
        "the mask is that of x, and laid on dx; ReLU stood behind the affine layer: its mask is that of the scores, laid on dout",
        ("What did ReLU get in the forward pass?", "dscores = relu_backward(dout, relu_cache), then the affine layer."),
        mask_of_x,
    ),
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "dw and db come from dout without ReLU's mask; all three gradients come from the masked one",
        ("Do the weights of a unit that is 0 for all samples have a gradient?", "Give affine_backward the result of relu_backward."),
        mask_for_dx_alone,
    ),
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "dx comes from dout without ReLU's mask; all three gradients come from the masked one",
        ("Does a unit that is 0 pass a gradient to x?", "Give affine_backward the result of relu_backward."),
        mask_for_the_parameters_alone,
    ),
    Mistake(
        "affine_relu_backward",
        "missing-term",
        "db is the sum of dout without ReLU's mask; all three gradients come from the masked one",
        ("Does the bias of a unit that is 0 have a gradient?", "db is the sum of dscores = dout * (scores > 0)."),
        db_without_mask,
    ),
    Mistake(
        "affine_relu_backward",
        "cache",
        "the mask is that of x @ w, without b; ReLU saw x @ w + b",
        ("What did ReLU get in the forward pass?", "Keep the scores, or the mask, in the cache."),
        mask_without_bias,
    ),
    Mistake(
        "affine_relu_backward",
        "scale",
        "dw and db are N times too small: they are means over the batch and have to be sums; the loss divided by N already",
        ("Where was the mean over the batch taken?", "dw = x.T @ dscores and db = dscores.sum(axis=0)"),
        means_over_the_batch,
    ),
    Mistake(
        "affine_relu_backward",
        "scale",
        "db is N times too small: it is a mean over the batch and has to be a sum; the loss divided by N already",
        ("Where was the mean over the batch taken?", "db = dscores.sum(axis=0)"),
        mean_db,
    ),
    Mistake(
        "affine_relu_backward",
        "shape",
        "dx is flattened, (N, D); it has to have the shape that x came with: reshape(x.shape)",
        ("What does the layer before this one expect?", "Keep x, or its shape, in the cache as it came."),
        flat_dx,
    ),
    Mistake(
        "affine_relu_backward",
        "shape",
        "the gradients come back in the order dw, db, dx; expected dx, dw, db",
        ("In which order does the docstring list them?", "return dx, dw, db"),
        parameters_first,
    ),
    Mistake(
        "affine_relu_backward",
        "shape",
        "the gradients come back in the order dw, dx, db; expected dx, dw, db",
        ("In which order does the docstring list them?", "return dx, dw, db"),
        dw_first,
    ),
    Mistake(
        "affine_relu_backward",
        "mutation",
        "dout itself is changed, which the caller sees; make a new array",
        ("What has dout become after the call?", "dscores = dout * (scores > 0)"),
        dout_cut_in_place,
    ),
)

MISTAKES = (*FORWARD, *BACKWARD)
