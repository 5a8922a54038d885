"""The table of functions that modules compute with: the seam between the plain definitions and the fast kernels.

A module asks its table for the pair it needs (`self.functions.affine.forward`). `REFERENCE` is plain NumPy, `KERNELS` the compiled twins of
the same contracts; a table with somebody's own function in it is `dataclasses.replace(REFERENCE, relu=Pair(my_forward, my_backward))`.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from chainrule import functional, kernels
from chainrule.kernels.layout import concatenate, contiguous, split

__all__ = ["KERNELS", "REFERENCE", "Functions", "Pair"]


class Pair(NamedTuple):
    """forward(x, ...) -> (out, cache) and backward(dout, cache) -> gradients.

    Of the gradients, `backward_parameters` computes those but dx, for the first layer of a network; `backward_input` dx alone, for a layer
    whose parameters are frozen.
    """

    forward: Callable
    backward: Callable
    backward_parameters: Callable | None = None
    backward_input: Callable | None = None


@dataclass(frozen=True)
class Functions:
    """What the modules of `chainrule.nn` are made of; each entry has the contract of its namesake in `chainrule.functional`.

    Those that default to None compute several layers in one pass; a plan uses them where they are. A table with somebody's own batch norm
    in it must not have a fused one beside it.
    """

    affine: Pair
    conv: Pair
    conv_transpose: Pair
    max_pool: Pair
    avg_pool: Pair
    adaptive_avg_pool: Pair
    upsample_nearest: Pair
    relu: Pair
    leaky_relu: Pair
    sigmoid: Pair
    tanh: Pair
    gelu: Pair
    gelu_tanh: Pair
    batchnorm: Pair
    spatial_batchnorm: Pair
    spatial_groupnorm: Pair
    layernorm: Pair
    dropout: Pair
    softmax_loss: Callable
    svm_loss: Callable
    mse_loss: Callable
    add: Callable
    concatenate: Callable
    split: Callable
    contiguous: Callable
    affine_relu: Pair | None = None
    batchnorm_relu: Pair | None = None
    conv_relu: Pair | None = None
    conv_pool: Pair | None = None
    conv_relu_pool: Pair | None = None
    spatial_batchnorm_relu: Pair | None = None
    spatial_batchnorm_gelu: Pair | None = None
    spatial_batchnorm_add_relu: Pair | None = None
    spatial_groupnorm_relu: Pair | None = None


REFERENCE = Functions(
    affine=Pair(functional.affine_forward, functional.affine_backward),
    conv=Pair(functional.conv_forward_naive, functional.conv_backward_naive),
    conv_transpose=Pair(functional.conv_transpose_forward_naive, functional.conv_transpose_backward_naive),
    max_pool=Pair(functional.max_pool_forward_naive, functional.max_pool_backward_naive),
    avg_pool=Pair(functional.avg_pool_forward_naive, functional.avg_pool_backward_naive),
    adaptive_avg_pool=Pair(functional.adaptive_avg_pool_forward, functional.adaptive_avg_pool_backward),
    upsample_nearest=Pair(functional.upsample_nearest_forward, functional.upsample_nearest_backward),
    relu=Pair(functional.relu_forward, functional.relu_backward),
    leaky_relu=Pair(functional.leaky_relu_forward, functional.leaky_relu_backward),
    sigmoid=Pair(functional.sigmoid_forward, functional.sigmoid_backward),
    tanh=Pair(functional.tanh_forward, functional.tanh_backward),
    gelu=Pair(functional.gelu_forward, functional.gelu_backward),
    gelu_tanh=Pair(functional.gelu_tanh_forward, functional.gelu_tanh_backward),
    batchnorm=Pair(functional.batchnorm_forward, functional.batchnorm_backward),
    spatial_batchnorm=Pair(functional.spatial_batchnorm_forward, functional.spatial_batchnorm_backward),
    spatial_groupnorm=Pair(functional.spatial_groupnorm_forward, functional.spatial_groupnorm_backward),
    layernorm=Pair(functional.layernorm_forward, functional.layernorm_backward),
    dropout=Pair(functional.dropout_forward, functional.dropout_backward),
    softmax_loss=functional.softmax_loss,
    svm_loss=functional.svm_loss,
    mse_loss=functional.mse_loss,
    add=operator.add,
    concatenate=np.concatenate,
    split=np.split,
    contiguous=np.ascontiguousarray,
)

# Where a kernel is not named, NumPy is already as fast: the definition serves both.
KERNELS = replace(
    REFERENCE,
    affine=Pair(kernels.affine_forward, kernels.affine_backward, kernels.affine_backward_parameters, kernels.affine_backward_input),
    conv=Pair(kernels.conv_forward, kernels.conv_backward, kernels.conv_backward_parameters, kernels.conv_backward_input),
    max_pool=Pair(kernels.max_pool_forward, kernels.max_pool_backward),
    avg_pool=Pair(kernels.avg_pool_forward, kernels.avg_pool_backward),
    adaptive_avg_pool=Pair(kernels.adaptive_avg_pool_forward, kernels.adaptive_avg_pool_backward),
    relu=Pair(kernels.relu_forward, kernels.relu_backward),
    gelu=Pair(kernels.gelu_forward, kernels.gelu_backward),
    batchnorm=Pair(kernels.batchnorm_forward, kernels.batchnorm_backward),
    spatial_batchnorm=Pair(kernels.spatial_batchnorm_forward, kernels.spatial_batchnorm_backward),
    spatial_groupnorm=Pair(kernels.spatial_groupnorm_forward, kernels.spatial_groupnorm_backward),
    layernorm=Pair(kernels.layernorm_forward, kernels.layernorm_backward),
    softmax_loss=kernels.softmax_loss,
    add=kernels.add,
    concatenate=concatenate,
    split=split,
    contiguous=contiguous,
    affine_relu=Pair(
        kernels.affine_relu_forward,
        kernels.affine_relu_backward,
        kernels.affine_relu_backward_parameters,
        kernels.affine_relu_backward_input,
    ),
    batchnorm_relu=Pair(kernels.batchnorm_relu_forward, kernels.batchnorm_relu_backward),
    conv_relu=Pair(
        kernels.conv_relu_forward, kernels.conv_relu_backward, kernels.conv_relu_backward_parameters, kernels.conv_relu_backward_input
    ),
    conv_pool=Pair(
        kernels.conv_pool_forward, kernels.conv_pool_backward, kernels.conv_pool_backward_parameters, kernels.conv_pool_backward_input
    ),
    conv_relu_pool=Pair(
        kernels.conv_relu_pool_forward,
        kernels.conv_relu_pool_backward,
        kernels.conv_relu_pool_backward_parameters,
        kernels.conv_relu_pool_backward_input,
    ),
    spatial_batchnorm_relu=Pair(kernels.spatial_batchnorm_relu_forward, kernels.spatial_batchnorm_relu_backward),
    spatial_batchnorm_gelu=Pair(kernels.spatial_batchnorm_gelu_forward, kernels.spatial_batchnorm_gelu_backward),
    spatial_batchnorm_add_relu=Pair(kernels.spatial_batchnorm_add_relu_forward, kernels.spatial_batchnorm_add_relu_backward),
    spatial_groupnorm_relu=Pair(kernels.spatial_groupnorm_relu_forward, kernels.spatial_groupnorm_relu_backward),
)
