"""Layers that are often used together, as one pair each: affine or convolution, a normalization perhaps, then ReLU (CS231n's layer_utils).

A backward pass is the backward passes of the parts in reverse order. Derivation: docs/derivations/composites.md.
"""

from chainrule.functional.activations import relu_backward, relu_forward
from chainrule.functional.affine import affine_backward, affine_forward
from chainrule.functional.batchnorm import batchnorm_backward_alt, batchnorm_forward
from chainrule.functional.convolution import conv_backward_naive, conv_forward_naive
from chainrule.functional.layernorm import layernorm_backward, layernorm_forward
from chainrule.functional.pooling import max_pool_backward_naive, max_pool_forward_naive
from chainrule.functional.spatial_batchnorm import spatial_batchnorm_backward, spatial_batchnorm_forward

__all__ = [
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_ln_relu_backward",
    "affine_ln_relu_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
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


def conv_relu_forward(x, w, b, conv_param):
    """Convolution, then ReLU.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (F, C / groups, KH, KW)
    b : (F,), or None for no bias
    conv_param : dict, see `conv_forward_naive`

    Returns
    -------
    out : (N, F, OH, OW)
    cache : the caches of the two layers
    """
    scores, conv_cache = conv_forward_naive(x, w, b, conv_param)
    out, relu_cache = relu_forward(scores)
    return out, (conv_cache, relu_cache)


def conv_relu_backward(dout, cache):
    """Gradients of `conv_relu_forward`: dx like x, dw like w, db (F,) or None. Derivation: docs/derivations/composites.md."""
    conv_cache, relu_cache = cache
    dscores = relu_backward(dout, relu_cache)
    return conv_backward_naive(dscores, conv_cache)


def conv_bn_relu_forward(x, w, b, gamma, beta, conv_param, bn_param):
    """Convolution, then spatial batch normalization, then ReLU.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (F, C / groups, KH, KW)
    b : (F,), or None for no bias
    gamma, beta : (F,)
    conv_param : dict, see `conv_forward_naive`
    bn_param : dict, see `batchnorm_forward`; the running averages (F,) are written into it

    Returns
    -------
    out : (N, F, OH, OW)
    cache : the caches of the three layers
    """
    scores, conv_cache = conv_forward_naive(x, w, b, conv_param)
    normalized, bn_cache = spatial_batchnorm_forward(scores, gamma, beta, bn_param)
    out, relu_cache = relu_forward(normalized)
    return out, (conv_cache, bn_cache, relu_cache)


def conv_bn_relu_backward(dout, cache):
    """Gradients of `conv_bn_relu_forward`: dx like x, dw like w, db (F,) or None, dgamma, dbeta (F,).

    Derivation: docs/derivations/composites.md.
    """
    conv_cache, bn_cache, relu_cache = cache
    dnormalized = relu_backward(dout, relu_cache)
    dscores, dgamma, dbeta = spatial_batchnorm_backward(dnormalized, bn_cache)
    dx, dw, db = conv_backward_naive(dscores, conv_cache)
    return dx, dw, db, dgamma, dbeta


def conv_relu_pool_forward(x, w, b, conv_param, pool_param):
    """Convolution, then ReLU, then max pooling.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (F, C / groups, KH, KW)
    b : (F,), or None for no bias
    conv_param : dict, see `conv_forward_naive`
    pool_param : dict, see `max_pool_forward_naive`

    Returns
    -------
    out : (N, F, PH, PW)
    cache : the caches of the three layers
    """
    scores, conv_cache = conv_forward_naive(x, w, b, conv_param)
    positive, relu_cache = relu_forward(scores)
    out, pool_cache = max_pool_forward_naive(positive, pool_param)
    return out, (conv_cache, relu_cache, pool_cache)


def conv_relu_pool_backward(dout, cache):
    """Gradients of `conv_relu_pool_forward`: dx like x, dw like w, db (F,) or None. Derivation: docs/derivations/composites.md."""
    conv_cache, relu_cache, pool_cache = cache
    dpositive = max_pool_backward_naive(dout, pool_cache)
    dscores = relu_backward(dpositive, relu_cache)
    return conv_backward_naive(dscores, conv_cache)
