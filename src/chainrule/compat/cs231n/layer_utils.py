"""CS231n's sandwich layers. Those with a convolution run on chainrule's kernels, as the course's run on its fast layers."""

from chainrule.functional import affine_relu_backward, affine_relu_forward
from chainrule.kernels import (
    conv_backward,
    conv_forward,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
    spatial_batchnorm_relu_backward,
    spatial_batchnorm_relu_forward,
)

__all__ = [
    "affine_relu_backward",
    "affine_relu_forward",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
]


def conv_bn_relu_forward(x, w, b, gamma, beta, conv_param, bn_param):
    """As `chainrule.functional.conv_bn_relu_forward`: convolution, spatial batch normalization, ReLU."""
    scores, conv_cache = conv_forward(x, w, b, conv_param)
    out, bn_relu_cache = spatial_batchnorm_relu_forward(scores, gamma, beta, bn_param)
    return out, (conv_cache, bn_relu_cache)


def conv_bn_relu_backward(dout, cache):
    """Gradients of `conv_bn_relu_forward`: dx, dw, db, dgamma, dbeta."""
    conv_cache, bn_relu_cache = cache
    dscores, dgamma, dbeta = spatial_batchnorm_relu_backward(dout, bn_relu_cache)
    dx, dw, db = conv_backward(dscores, conv_cache)
    return dx, dw, db, dgamma, dbeta
