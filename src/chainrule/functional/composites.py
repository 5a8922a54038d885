"""Layers that are often used together, as one pair each: affine, then a normalization perhaps, then ReLU (CS231n's layer_utils).

A backward pass is the backward passes of the parts in reverse order. Derivation: docs/derivations/composites.md.
"""

from chainrule.functional.activations import relu_backward, relu_forward
from chainrule.functional.affine import affine_backward, affine_forward
from chainrule.functional.batchnorm import batchnorm_backward_alt, batchnorm_forward
from chainrule.functional.layernorm import layernorm_backward, layernorm_forward

__all__ = [
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_ln_relu_backward",
    "affine_ln_relu_forward",
    "affine_relu_backward",
    "affine_relu_forward",
]


def affine_relu_forward(x, w, b):
    """Affine layer, then ReLU.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) with d_1 * ... * d_k = D
    w : (D, M)
    b : (M,)

    Returns
    -------
    out : (N, M)
    cache : the caches of the two layers
    """
    scores, affine_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(scores)
    return out, (affine_cache, relu_cache)


def affine_relu_backward(dout, cache):
    """Gradients of `affine_relu_forward`: dx like x, dw (D, M), db (M,). Derivation: docs/derivations/composites.md."""
    affine_cache, relu_cache = cache
    dscores = relu_backward(dout, relu_cache)
    return affine_backward(dscores, affine_cache)


def affine_bn_relu_forward(x, w, b, gamma, beta, bn_param):
    """Affine layer, then batch normalization, then ReLU.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) with d_1 * ... * d_k = D
    w : (D, M)
    b : (M,)
    gamma, beta : (M,)
    bn_param : dict, see `batchnorm_forward`; the running averages are written into it

    Returns
    -------
    out : (N, M)
    cache : the caches of the three layers
    """
    scores, affine_cache = affine_forward(x, w, b)
    normalized, bn_cache = batchnorm_forward(scores, gamma, beta, bn_param)
    out, relu_cache = relu_forward(normalized)
    return out, (affine_cache, bn_cache, relu_cache)


def affine_bn_relu_backward(dout, cache):
    """Gradients of `affine_bn_relu_forward`: dx like x, dw (D, M), db, dgamma, dbeta (M,). Derivation: docs/derivations/composites.md."""
    affine_cache, bn_cache, relu_cache = cache
    dnormalized = relu_backward(dout, relu_cache)
    dscores, dgamma, dbeta = batchnorm_backward_alt(dnormalized, bn_cache)
    dx, dw, db = affine_backward(dscores, affine_cache)
    return dx, dw, db, dgamma, dbeta


def affine_ln_relu_forward(x, w, b, gamma, beta, ln_param):
    """Affine layer, then layer normalization, then ReLU.

    Parameters
    ----------
    x : (N, d_1, ..., d_k) with d_1 * ... * d_k = D
    w : (D, M)
    b : (M,)
    gamma, beta : (M,)
    ln_param : dict, see `layernorm_forward`

    Returns
    -------
    out : (N, M)
    cache : the caches of the three layers
    """
    scores, affine_cache = affine_forward(x, w, b)
    normalized, ln_cache = layernorm_forward(scores, gamma, beta, ln_param)
    out, relu_cache = relu_forward(normalized)
    return out, (affine_cache, ln_cache, relu_cache)


def affine_ln_relu_backward(dout, cache):
    """Gradients of `affine_ln_relu_forward`: dx like x, dw (D, M), db, dgamma, dbeta (M,). Derivation: docs/derivations/composites.md."""
    affine_cache, ln_cache, relu_cache = cache
    dnormalized = relu_backward(dout, relu_cache)
    dscores, dgamma, dbeta = layernorm_backward(dnormalized, ln_cache)
    dx, dw, db = affine_backward(dscores, affine_cache)
    return dx, dw, db, dgamma, dbeta
