"""Mistakes in the affine layer."""

import numpy as np

from chainrule.functional import affine_backward, affine_forward
from chainrule.lab.mistake import Mistake

__all__ = ["MISTAKES"]


def rows(x):
    return x.reshape(len(x), -1)


def transposed_weight(x, w, b):
    return rows(x) @ w.T + b, (x, w, b)


def not_flattened(x, w, b):
    return x @ w + b, (x, w, b)


def not_flattened_dot(x, w, b):
    return x.dot(w) + b, (x, w, b)


def mixed_samples(x, w, b):
    return x.reshape(len(w), len(x)).T @ w + b, (x, w, b)


def flattened_from_the_front(x, w, b):
    return x.reshape(len(x), -1, order="F") @ w + b, (x, w, b)


def bias_as_column(x, w, b):
    return rows(x) @ w + b.reshape(-1, 1), (x, w, b)


def last_sample_left_out(x, w, b):
    out = np.zeros((len(x), len(b)), x.dtype)
    for n in range(len(x) - 1):
        out[n] = x[n].reshape(-1) @ w + b
    return out, (x, w, b)


def last_output_left_out(x, w, b):
    out = np.zeros((len(x), len(b)), x.dtype)
    for m in range(len(b) - 1):
        out[:, m] = rows(x) @ w[:, m] + b[m]
    return out, (x, w, b)


def x_reshaped_in_place(x, w, b):
    if x.flags.c_contiguous:
        x.shape = (len(x), -1)
    return rows(x) @ w + b, (x, w, b)


def in_integers(x, w, b):
    out = np.zeros((len(x), len(b)), dtype=int)
    out[...] = rows(x) @ w + b
    return out, (x, w, b)


def flat_x_in_the_cache(x, w, b):
    return affine_forward(x, w, b)[0], (rows(x), w, b)


FORWARD = (
    Mistake(
        "affine_forward",
        "missing-term",
        "b is not added: out = x @ w + b",
        ("What is out for an x of zeros?", "One number for each output is added to every row."),
        lambda x, w, b: (rows(x) @ w, (x, w, b)),
    ),
    Mistake(
        "affine_forward",
        "sign",
        "b is subtracted; it has to be added: out = x @ w + b",
        ("What is out for an x of zeros?", "out = x @ w + b"),
        lambda x, w, b: (rows(x) @ w - b, (x, w, b)),
    ),
    Mistake(
        "affine_forward",
        "transpose",
        "x is multiplied by w.T; w is (D, M) here, inputs by outputs, so it is x @ w (torch.nn.Linear keeps the transpose)",
        ("Which axis of w has the D numbers of a sample?", "(N, D) @ (D, M) is (N, M)."),
        transposed_weight,
    ),
    *(
        Mistake(
            "affine_forward",
            "shape",
            "x goes into the product with all its axes; every sample has to be flattened to a row first",
            ("What is the shape of an image, and how many rows has w?", "x.reshape(x.shape[0], -1) is (N, D)."),
            product,
        )
        for product in (not_flattened, not_flattened_dot)  # which fail with different messages
    ),
    Mistake(
        "affine_forward",
        "axis",
        "x is reshaped to (D, N) and transposed, which mixes numbers of different samples; reshape it to (N, D)",
        ("Which numbers of x are in the first row after your reshape?", "Keep the batch as first axis: x.reshape(N, D)."),
        mixed_samples,
    ),
    Mistake(
        "affine_forward",
        "axis",
        "a sample is flattened with its first axis running fastest (order F); its last axis has to run fastest, as reshape does by itself",
        ("In which order come the pixels of an image after your reshape?", "Leave order out of reshape."),
        flattened_from_the_front,
    ),
    Mistake(
        "affine_forward",
        "broadcasting",
        "b is added as a column, one number for each sample; it belongs to the outputs: shape (M,) broadcasts over the rows",
        ("Which axis of out has length M?", "Add b as it is: shapes (N, M) and (M,) broadcast over N."),
        bias_as_column,
    ),
    Mistake(
        "affine_forward",
        "missing-term",
        "b is added to w before the product, so that x multiplies it; it has to be added to the product",
        ("In which order are @ and + done in your line?", "out = (x @ w) + b"),
        lambda x, w, b: (rows(x) @ (w + b), (x, w, b)),
    ),
    Mistake(
        "affine_forward",
        "scale",
        "the product is divided by D, as a mean over the numbers of a sample; an affine layer sums: out = x @ w + b",
        ("What does the matrix product sum over?", "There is no division in an affine layer."),
        lambda x, w, b: (rows(x) @ w / len(w) + b, (x, w, b)),
    ),
    Mistake(
        "affine_forward",
        "off-by-one",
        "the last sample is left out: the loop over the batch stops one too early",
        ("What does range(N - 1) end with?", "range(N) runs from 0 to N - 1."),
        last_sample_left_out,
    ),
    Mistake(
        "affine_forward",
        "off-by-one",
        "the last output is left out: the loop over the columns of w stops one too early",
        ("What does range(M - 1) end with?", "range(M) runs from 0 to M - 1."),
        last_output_left_out,
    ),
    Mistake(
        "affine_forward",
        "mutation",
        "x itself gets another shape (x.shape = ...), which the caller sees; x.reshape gives a new view and leaves x as it was",
        ("What is x.shape after the call?", "rows = x.reshape(len(x), -1)"),
        x_reshaped_in_place,
    ),
    Mistake(
        "affine_forward",
        "dtype",
        "out is an array of integers, which cuts off everything behind the point",
        ("What is the dtype of out?", "np.zeros makes float64 by itself; give it x.dtype, or write out = x @ w + b."),
        in_integers,
    ),
    Mistake(
        "affine_forward",
        "dtype",
        "out is float32 even for float64 inputs, which costs the gradient checks their digits",
        ("What is the dtype of out if x is float64?", "Leave the dtype to NumPy, or take x.dtype."),
        lambda x, w, b: ((rows(x) @ w + b).astype(np.float32), (x, w, b)),
    ),
)


def mean_db(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw, db / len(dout)


def mean_dw(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw / len(dout), db


def mean_dw_and_db(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw / len(dout), db / len(dout)


def all_divided(dout, cache):
    return tuple(each / len(dout) for each in affine_backward(dout, cache))


def db_over_the_outputs(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.sum(axis=1)


def db_not_summed(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout


def db_over_everything(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.sum()


def db_as_a_row(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.sum(axis=0, keepdims=True)


def db_of_ones(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw, np.full_like(db, len(dout))


def without_dout(dout, cache):
    return affine_backward(np.ones_like(dout), cache)


def transposed_dw(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw.T, db


def dx_with_w(dout, cache):
    x, w, _ = cache
    _, dw, db = affine_backward(dout, cache)
    return (dout @ w).reshape(x.shape), dw, db


def flat_dx(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return rows(dx), dw, db


def dx_reshaped_from_the_front(dout, cache):
    x, w, _ = cache
    _, dw, db = affine_backward(dout, cache)
    return (dout @ w.T).reshape(x.shape, order="F"), dw, db


def dw_of_unflattened_x(dout, cache):
    x, _, _ = cache
    dx, _, db = affine_backward(dout, cache)
    return dx, x.transpose() @ dout, db


def parameters_of_the_last_sample(dout, cache):
    x, _, _ = cache
    dx, _, _ = affine_backward(dout, cache)
    return dx, np.outer(x[-1], dout[-1]), dout[-1]


def dw_of_the_last_sample(dout, cache):
    x, _, _ = cache
    dx, _, db = affine_backward(dout, cache)
    return dx, np.outer(x[-1], dout[-1]), db


def parameters_first(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dw, db, dx


def dw_first(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dw, dx, db


def db_second(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, db, dw


def subtracted(dout, cache):
    return tuple(-each for each in affine_backward(dout, cache))


def in_float32(dout, cache):
    return tuple(each.astype(np.float32) for each in affine_backward(dout, cache))


BACKWARD = (
    Mistake(
        "affine_backward",
        "scale",
        "db is N times too small: it is a mean over the batch and has to be a sum; the loss divided by N already",
        ("Where was the mean over the batch taken?", "db = dout.sum(axis=0)"),
        mean_db,
    ),
    Mistake(
        "affine_backward",
        "scale",
        "dw is N times too small: it is divided by the size of the batch; the loss divided by N already",
        ("Where was the mean over the batch taken?", "dw = x.T @ dout, without a division."),
        mean_dw,
    ),
    Mistake(
        "affine_backward",
        "scale",
        "dw and db are N times too small: they are means over the batch and have to be sums; the loss divided by N already",
        ("Where was the mean over the batch taken?", "dw = x.T @ dout and db = dout.sum(axis=0), without a division."),
        mean_dw_and_db,
    ),
    Mistake(
        "affine_backward",
        "scale",
        "dx, dw and db are all divided by N; dout comes from a loss that divided by N already",
        ("Does this layer know that there is a mean further on?", "Leave the division to the loss."),
        all_divided,
    ),
    Mistake(
        "affine_backward",
        "axis",
        "db is summed over the outputs, one number for each sample; it has to be summed over the batch, axis 0, one for each output",
        ("Which shape has b?", "db = dout.sum(axis=0)"),
        db_over_the_outputs,
    ),
    Mistake(
        "affine_backward",
        "missing-term",
        "db is dout itself, one row for each sample; b is added to every row, so its gradient is the sum over them",
        ("How often is b used in the forward pass?", "db = dout.sum(axis=0), shape (M,)"),
        db_not_summed,
    ),
    Mistake(
        "affine_backward",
        "axis",
        "db is a single number, the sum of all of dout; it has to be summed over the batch alone: axis=0",
        ("Which shape has b?", "np.sum without an axis sums over all of them."),
        db_over_everything,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "db has shape (1, M); it has to have the shape of b, (M,): leave out keepdims",
        ("Which shape has b?", "db = dout.sum(axis=0)"),
        db_as_a_row,
    ),
    Mistake(
        "affine_backward",
        "missing-term",
        "db is N everywhere: that is the derivative of a plain sum of out; dout says how much each output counts",
        ("What is db if dout is zero?", "db = dout.sum(axis=0)"),
        db_of_ones,
    ),
    Mistake(
        "affine_backward",
        "missing-term",
        "dout is left out: these are the derivatives of a plain sum of out; the chain rule multiplies by dout",
        ("What should dx be if dout is zero?", "dx = dout @ w.T, dw = x.T @ dout"),
        without_dout,
    ),
    Mistake(
        "affine_backward",
        "transpose",
        "dw is transposed, (M, D): dout.T @ x; it has to have the shape of w, (D, M): x.T @ dout",
        ("Which shape has w?", "(D, N) @ (N, M) is (D, M)."),
        transposed_dw,
    ),
    Mistake(
        "affine_backward",
        "transpose",
        "dx is dout @ w; it takes the transpose, dout @ w.T: (N, M) @ (M, D)",
        ("Which product of dout and w has the shape of x?", "dx[n, d] = sum over m of dout[n, m] * w[d, m]"),
        dx_with_w,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "dx is flattened, (N, D); it has to have the shape that x came with: reshape(x.shape)",
        ("What does the layer before this one expect?", "Keep x, or its shape, in the cache as it came."),
        flat_dx,
        {"affine_forward": flat_x_in_the_cache},
    ),
    Mistake(
        "affine_backward",
        "axis",
        "dx is brought into the shape of x in order F, which mixes up the samples; reshape without an order is the way back",
        ("In which order was x flattened?", "dx.reshape(x.shape)"),
        dx_reshaped_from_the_front,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "dw comes from x with all its axes; flatten x to (N, D) first, as in the forward pass",
        ("What is x.T if x has more than two axes?", "dw = x.reshape(len(x), -1).T @ dout"),
        dw_of_unflattened_x,
    ),
    Mistake(
        "affine_backward",
        "missing-term",
        "dw and db are those of the last sample alone; every sample adds to them: += in the loop",
        ("What happens to dw in the loop's next turn?", "Begin with zeros, and add each sample's share."),
        parameters_of_the_last_sample,
    ),
    Mistake(
        "affine_backward",
        "missing-term",
        "dw is that of the last sample alone; every sample adds to it: += in the loop",
        ("What happens to dw in the loop's next turn?", "Begin with zeros, and add np.outer(x[n], dout[n])."),
        dw_of_the_last_sample,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "the gradients come back in the order dw, db, dx; expected dx, dw, db",
        ("In which order does the docstring list them?", "return dx, dw, db"),
        parameters_first,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "the gradients come back in the order dw, dx, db; expected dx, dw, db",
        ("In which order does the docstring list them?", "return dx, dw, db"),
        dw_first,
    ),
    Mistake(
        "affine_backward",
        "shape",
        "the gradients come back in the order dx, db, dw; expected dx, dw, db",
        ("In which order does the docstring list them?", "return dx, dw, db"),
        db_second,
    ),
    Mistake(
        "affine_backward",
        "sign",
        "dx, dw and db have the wrong sign; the minus of gradient descent belongs to the update, not to the gradient",
        ("In which direction does a gradient point, up or down?", "dx = dout @ w.T, without a minus."),
        subtracted,
    ),
    Mistake(
        "affine_backward",
        "dtype",
        "the gradients are float32 even for float64 inputs, which costs the gradient checks their digits",
        ("What is the dtype of dx if dout is float64?", "Leave the dtype to NumPy, or take that of x and w."),
        in_float32,
    ),
)

MISTAKES = (*FORWARD, *BACKWARD)
