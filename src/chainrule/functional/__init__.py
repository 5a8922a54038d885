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
)
from chainrule.functional.dropout import dropout_backward, dropout_forward
from chainrule.functional.layernorm import layernorm_backward, layernorm_forward
from chainrule.functional.losses import mse_loss, softmax_loss, svm_loss
from chainrule.functional.update_rules import adam, rmsprop, sgd, sgd_momentum

__all__ = [
    "adam",
    "affine_backward",
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_forward",
    "affine_ln_relu_backward",
    "affine_ln_relu_forward",
    "affine_relu_backward",
    "affine_relu_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "dropout_backward",
    "dropout_forward",
    "gelu_backward",
    "gelu_forward",
    "gelu_tanh_backward",
    "gelu_tanh_forward",
    "layernorm_backward",
    "layernorm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "mse_loss",
    "relu_backward",
    "relu_forward",
    "rmsprop",
    "sgd",
    "sgd_momentum",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_loss",
    "svm_loss",
    "tanh_backward",
    "tanh_forward",
]
