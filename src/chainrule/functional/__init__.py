"""The mathematics, in plain NumPy: pairs x_forward(...) -> (out, cache) and x_backward(dout, cache) -> gradients, losses, update rules.

Names, argument order and dictionaries are those that CS231n publishes. Every gradient is derived on a page of docs/derivations/.
"""

from chainrule.functional.activations import (
    gelu_backward,
    gelu_forward,
    gelu_tanh_backward,
    gelu_tanh_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from chainrule.functional.affine import affine_backward, affine_forward
from chainrule.functional.batchnorm import batchnorm_backward, batchnorm_backward_alt, batchnorm_forward
from chainrule.functional.composites import (
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_ln_relu_backward,
    affine_ln_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
    conv_bn_relu_backward,
    conv_bn_relu_forward,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
)
from chainrule.functional.convolution import (
    conv_backward_naive,
    conv_forward_naive,
    conv_transpose_backward_naive,
    conv_transpose_forward_naive,
)
from chainrule.functional.dropout import dropout_backward, dropout_forward
from chainrule.functional.im2col import conv_backward_im2col, conv_forward_im2col
from chainrule.functional.layernorm import layernorm_backward, layernorm_forward
from chainrule.functional.losses import mse_loss, softmax_loss, svm_loss
from chainrule.functional.pooling import (
    adaptive_avg_pool_backward,
    adaptive_avg_pool_forward,
    avg_pool_backward_naive,
    avg_pool_forward_naive,
    global_avg_pool_backward,
    global_avg_pool_forward,
    max_pool_backward_naive,
    max_pool_forward_naive,
)
from chainrule.functional.spatial_batchnorm import spatial_batchnorm_backward, spatial_batchnorm_forward
from chainrule.functional.spatial_groupnorm import spatial_groupnorm_backward, spatial_groupnorm_forward
from chainrule.functional.update_rules import adam, rmsprop, sgd, sgd_momentum
from chainrule.functional.upsampling import upsample_nearest_backward, upsample_nearest_forward

__all__ = [
    "adam",
    "adaptive_avg_pool_backward",
    "adaptive_avg_pool_forward",
    "affine_backward",
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_forward",
    "affine_ln_relu_backward",
    "affine_ln_relu_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "avg_pool_backward_naive",
    "avg_pool_forward_naive",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "conv_backward_im2col",
    "conv_backward_naive",
    "conv_bn_relu_backward",
    "conv_bn_relu_forward",
    "conv_forward_im2col",
    "conv_forward_naive",
    "conv_relu_backward",
    "conv_relu_forward",
    "conv_relu_pool_backward",
    "conv_relu_pool_forward",
    "conv_transpose_backward_naive",
    "conv_transpose_forward_naive",
    "dropout_backward",
    "dropout_forward",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "global_avg_pool_backward",
    "global_avg_pool_forward",
    "layernorm_backward",
    "layernorm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "max_pool_backward_naive",
    "max_pool_forward_naive",
    "mse_loss",
    "relu_backward",
    "relu_forward",
    "rmsprop",
    "sgd",
    "sgd_momentum",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_loss",
    "spatial_batchnorm_backward",
    "spatial_batchnorm_forward",
    "spatial_groupnorm_backward",
    "spatial_groupnorm_forward",
    "svm_loss",
    "tanh_backward",
    "tanh_forward",
    "upsample_nearest_backward",
    "upsample_nearest_forward",
]
