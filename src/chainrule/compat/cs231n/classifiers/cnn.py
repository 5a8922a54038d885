"""CS231n's convolutional network. `from cs231n.classifiers.cnn import *` brings every layer with it, as in the course."""
# ruff: noqa: NPY002 - the notebooks seed NumPy's global generator and expect weights to come from it

import numpy as np

from chainrule.compat.cs231n import fast_layers, layer_utils, layers
from chainrule.compat.cs231n.classifiers.penalty import penalized
from chainrule.compat.cs231n.fast_layers import *  # noqa: F403
from chainrule.compat.cs231n.layer_utils import *  # noqa: F403
from chainrule.compat.cs231n.layers import *  # noqa: F403
from chainrule.functional import affine_backward, affine_forward, affine_relu_backward, affine_relu_forward, softmax_loss
from chainrule.kernels import conv_relu_pool_backward_parameters, conv_relu_pool_forward

__all__ = ["ThreeLayerConvNet"]
__all__ += layers.__all__
__all__ += fast_layers.__all__
__all__ += layer_utils.__all__


class ThreeLayerConvNet:
    """conv - relu - 2x2 max pool - affine - relu - affine - softmax, with the penalty 0.5 * reg * sum(W**2) on all three weights.

    The convolution keeps the size of the image (stride 1, zeros around it).

    Parameters
    ----------
    input_dim : (C, H, W) of an image
    num_filters, filter_size : F filters of filter_size x filter_size, an odd number
    hidden_dim, num_classes : widths of the affine layers
    weight_scale : standard deviation of the normal distribution that the weights are drawn from, with NumPy's global generator
    reg : factor of the penalty; read at each call of `loss`
    dtype : of parameters, scores and gradients; float64 for gradient checks

    Attributes
    ----------
    params : dict of W1 (F, C, filter_size, filter_size), b1, W2 (F * (H // 2) * (W // 2), hidden_dim), b2, W3 (hidden_dim, num_classes),
        b3; read at each call of `loss`
    """

    def __init__(
        self,
        input_dim=(3, 32, 32),
        num_filters=32,
        filter_size=7,
        hidden_dim=100,
        num_classes=10,
        weight_scale=1e-3,
        reg=0.0,
        dtype=np.float32,
    ):
        if filter_size % 2 == 0:
            raise ValueError(f"ThreeLayerConvNet: filter_size={filter_size} is even; an odd one keeps the size of the image")
        self.reg = reg
        self.dtype = dtype
        C, H, W = input_dim
        self.params = {
            "W1": weight_scale * np.random.randn(num_filters, C, filter_size, filter_size),
            "b1": np.zeros(num_filters),
            "W2": weight_scale * np.random.randn(num_filters * (H // 2) * (W // 2), hidden_dim),
            "b2": np.zeros(hidden_dim),
            "W3": weight_scale * np.random.randn(hidden_dim, num_classes),
            "b3": np.zeros(num_classes),
        }
        self.params = {name: value.astype(dtype) for name, value in self.params.items()}

    def loss(self, X, y=None):
        """Scores (N, num_classes) of X (N, C, H, W); with labels y (N,) instead (loss, grads), grads with the keys of `params`."""
        W1, b1, W2, b2, W3, b3 = (self.params[name] for name in ("W1", "b1", "W2", "b2", "W3", "b3"))
        conv_param = {"stride": 1, "pad": (W1.shape[2] - 1) // 2}
        pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        pooled, conv_cache = conv_relu_pool_forward(X.astype(self.dtype), W1, b1, conv_param, pool_param)
        hidden, hidden_cache = affine_relu_forward(pooled, W2, b2)
        scores, scores_cache = affine_forward(hidden, W3, b3)
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        grads = {}
        dhidden, grads["W3"], grads["b3"] = affine_backward(dscores, scores_cache)
        dpooled, grads["W2"], grads["b2"] = affine_relu_backward(dhidden, hidden_cache)
        grads["W1"], grads["b1"] = conv_relu_pool_backward_parameters(dpooled, conv_cache)
        return penalized(loss, grads, self.params, self.reg)
