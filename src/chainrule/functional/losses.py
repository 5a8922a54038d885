"""Losses and their gradients with respect to the scores: x_loss(x, y) -> (loss, dx). Everything is a mean over the batch."""

import numpy as np

from chainrule.functional.checks import check_floating, check_matrix, check_shape

__all__ = ["mse_loss", "softmax_loss", "svm_loss"]


def softmax_loss(x, y, *, label_smoothing=0.0):
    """Mean cross-entropy between the softmax of the scores and the labels. Derivation: docs/derivations/softmax_loss.md.

    Works with logarithms throughout (log-sum-exp of scores shifted by their maximum): finite, and right, for scores of any size.

    Parameters
    ----------
    x : (N, C) scores, floating point, N >= 1
    y : (N,) integer labels in [0, C)
    label_smoothing : share of the target that is spread evenly over all C classes, in [0, 1], default 0 (Szegedy et al. 2016, section 7;
        as in `torch.nn.CrossEntropyLoss`)

    Returns
    -------
    loss : scalar of x's dtype
    dx : (N, C)

    Raises
    ------
    TypeError
        If the scores are not floating point or the labels not integers.
    ValueError
        If the batch is empty, a label is out of range, a shape is wrong, or label_smoothing is outside [0, 1].
    """
    y = _checked_labels("softmax_loss", x, y)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"softmax_loss: label_smoothing is {label_smoothing}; expected a share of the target, in [0, 1]")
    smoothing = float(label_smoothing)
    N, C = x.shape
    rows = np.arange(N)
    shifted = x - x.max(axis=1, keepdims=True)
    surprise = np.log(np.exp(shifted).sum(axis=1, keepdims=True)) - shifted  # -log p, (N, C)

    # loss = sum(target * -log p) / N, dx = (p - target) / N, with target = (1 - smoothing) * [class is y] + smoothing / C
    loss = (1 - smoothing) * surprise[rows, y].mean()
    dx = np.exp(-surprise)
    dx[rows, y] -= 1 - smoothing
    if smoothing:  # not at 0: a class ruled out by a score of -inf has -log p = inf, and 0 * inf is not a number
        loss += smoothing * surprise.mean()
        dx -= smoothing / C
    return loss, dx / N


def svm_loss(x, y, *, margin=1.0):
    """Mean over the batch of sum_c max(0, x_c - x_y + margin), c other than y (Weston & Watkins 1999).

    CS231n's scale: a sum over the classes; `torch.nn.MultiMarginLoss` divides it by C. Derivation: docs/derivations/svm_loss.md.

    Parameters
    ----------
    x : (N, C) scores, floating point, N >= 1
    y : (N,) integer labels in [0, C)
    margin : by how much the score of the label must exceed the others, in units of the scores, default 1

    Returns
    -------
    loss : scalar of x's dtype
    dx : (N, C); a margin that is met exactly contributes 0, as in PyTorch

    Raises
    ------
    TypeError
        If the scores are not floating point or the labels not integers.
    ValueError
        If the batch is empty, a label is out of range or a shape is wrong.
    """
    y = _checked_labels("svm_loss", x, y)
    N = len(x)
    rows = np.arange(N)
    violations = np.maximum(0, x - x[rows, y][:, np.newaxis] + float(margin))
    violations[rows, y] = 0
    loss = violations.sum() / N
    # each violated margin adds 1 to the slope of its own class and -1 to that of the label
    dx = (violations > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    return loss, dx / N


def mse_loss(x, y):
    """Mean squared difference over all elements, as in `torch.nn.MSELoss`. Derivation: docs/derivations/mse_loss.md.

    Parameters
    ----------
    x : predictions, floating point, of any shape with at least one element
    y : targets, of the same shape; used in x's dtype

    Returns
    -------
    loss : scalar of x's dtype
    dx : like x

    Raises
    ------
    TypeError
        If x is not floating point.
    ValueError
        If the shapes differ: (N, 1) minus (N,) would be an (N, N) table of differences. Or if there is nothing to average.
    """
    check_floating("mse_loss", "x", x)
    check_shape("mse_loss", "y", y, x.shape, "the shape of x")
    if x.size == 0:
        raise ValueError(f"mse_loss: x has shape {x.shape}; a mean needs at least one element")
    difference = x - np.asarray(y, dtype=x.dtype)
    return (difference**2).mean(), 2 / x.size * difference


def _checked_labels(function, x, y):
    """y as an array, once x and y are known to be scores (N, C) and labels (N,) in [0, C)."""
    y = np.asarray(y)
    check_floating(function, "x", x)
    check_matrix(function, "x", x)
    N, C = x.shape
    if N == 0:
        raise ValueError(f"{function}: x has shape {x.shape}; the mean over a batch needs at least one sample")
    check_shape(function, "y", y, (N,), f"one label for each row of x {x.shape}")
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(f"{function}: y has dtype {y.dtype}; expected integer labels, for example y.astype(np.int64)")
    outside = np.flatnonzero((y < 0) | (y >= C))
    if len(outside):
        i = outside[0]
        raise ValueError(f"{function}: y[{i}] is {y[i]}, but x has scores of {C} classes; expected labels from 0 to {C - 1}")
    return y
