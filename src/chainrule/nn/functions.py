"""The table of functions that modules compute with: the seam between the plain definitions and the fast kernels.

A module asks its table for the pair it needs (`self.functions.affine.forward`). `REFERENCE` is plain NumPy, `KERNELS` the compiled twins of
the same contracts; a table with somebody's own function in it is `dataclasses.replace(REFERENCE, relu=Pair(my_forward, my_backward))`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from chainrule import functional, kernels

__all__ = ["KERNELS", "REFERENCE", "Functions", "Pair"]


class Pair(NamedTuple):
    """forward(x, ...) -> (out, cache) and backward(dout, cache) -> gradients."""

    forward: Callable
    backward: Callable


@dataclass(frozen=True)
class Functions:
    """What the modules of `chainrule.nn` are made of; each entry has the contract of its namesake in `chainrule.functional`."""

    affine: Pair
    relu: Pair
    leaky_relu: Pair
    sigmoid: Pair
    tanh: Pair
    gelu: Pair
    gelu_tanh: Pair
    batchnorm: Pair
    layernorm: Pair
    dropout: Pair
    softmax_loss: Callable
    svm_loss: Callable
    mse_loss: Callable


REFERENCE = Functions(
    affine=Pair(functional.affine_forward, functional.affine_backward),
    relu=Pair(functional.relu_forward, functional.relu_backward),
    leaky_relu=Pair(functional.leaky_relu_forward, functional.leaky_relu_backward),
    sigmoid=Pair(functional.sigmoid_forward, functional.sigmoid_backward),
    tanh=Pair(functional.tanh_forward, functional.tanh_backward),
    gelu=Pair(functional.gelu_forward, functional.gelu_backward),
    gelu_tanh=Pair(functional.gelu_tanh_forward, functional.gelu_tanh_backward),
    batchnorm=Pair(functional.batchnorm_forward, functional.batchnorm_backward),
    layernorm=Pair(functional.layernorm_forward, functional.layernorm_backward),
    dropout=Pair(functional.dropout_forward, functional.dropout_backward),
    softmax_loss=functional.softmax_loss,
    svm_loss=functional.svm_loss,
    mse_loss=functional.mse_loss,
)

# Where a kernel is not named, NumPy is already as fast: the definition serves both.
KERNELS = replace(
    REFERENCE,
    affine=Pair(kernels.affine_forward, kernels.affine_backward),
    gelu=Pair(kernels.gelu_forward, kernels.gelu_backward),
    batchnorm=Pair(kernels.batchnorm_forward, kernels.batchnorm_backward),
    layernorm=Pair(kernels.layernorm_forward, kernels.layernorm_backward),
    softmax_loss=kernels.softmax_loss,
)
