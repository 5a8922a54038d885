"""Affine layer: every sample, flattened to a row, times a matrix, plus a bias."""

import math

from chainrule.functional.checks import check_shape

__all__ = ["affine_backward", "affine_forward"]


def affine_forward(x, w, b):
    """Map every sample, flattened to D numbers, to M numbers: `x @ w + b`.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) with d_1 * ... * d_k = D; N = 0 is allowed
    w : (D, M); this is the transpose of the weight of `torch.nn.Linear`
    b : (M,)

    Returns
    -------
    out : (N, M), of the dtype that x, w and b share (of different ones, NumPy's common dtype)
    cache : (x, w, b), for `affine_backward`

    Raises
    ------
    ValueError
        If x and w disagree about D, or if b is not (M,): a b of shape (N, 1) or (M, 1) would broadcast into a wrong answer.
    """
    if x.ndim == 0:
        raise ValueError("affine_forward: x has shape (); expected a batch, (N, d_1, ..., d_k)")
    D = math.prod(x.shape[1:])
    if w.ndim != 2 or w.shape[0] != D:
        raise ValueError(
            f"affine_forward: x has shape {x.shape}, that is {D} values a sample, but w has shape {w.shape}; expected ({D}, M)"
        )
    check_shape("affine_forward", "b", b, (w.shape[1],), f"one value for each column of w {w.shape}")
    out = x.reshape(len(x), D) @ w + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    """Gradients of `affine_forward`: dx like x, dw (D, M), db (M,), from dout (N, M). Derivation: docs/derivations/affine.md."""
    x, w, _ = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), len(w)).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db
