"""The functions of `chainrule.functional` that decide how long training takes, compiled with Numba, under the same names and contracts.

Numba is imported, and a kernel compiled (or loaded from the cache on disk), when it is first called.
"""

from chainrule.kernels.activations import gelu_backward, gelu_forward
from chainrule.kernels.affine import (
    affine_backward,
    affine_backward_parameters,
    affine_forward,
    affine_relu_backward,
    affine_relu_backward_parameters,
    affine_relu_forward,
)
from chainrule.kernels.batchnorm import batchnorm_backward, batchnorm_forward, batchnorm_relu_backward, batchnorm_relu_forward
from chainrule.kernels.compiler import describe, on_compile, set_threads, threads
from chainrule.kernels.layernorm import layernorm_backward, layernorm_forward
from chainrule.kernels.losses import softmax_loss
from chainrule.kernels.updates import adagrad, adam, rmsprop, sgd

__all__ = [
    "adagrad",
    "adam",
    "affine_backward",
    "affine_backward_parameters",
    "affine_forward",
    "affine_relu_backward",
    "affine_relu_backward_parameters",
    "affine_relu_forward",
    "batchnorm_backward",
    "batchnorm_forward",
    "batchnorm_relu_backward",
    "batchnorm_relu_forward",
    "describe",
    "gelu_backward",
    "gelu_forward",
    "layernorm_backward",
    "layernorm_forward",
    "on_compile",
    "rmsprop",
    "set_threads",
    "sgd",
    "softmax_loss",
    "threads",
]
