"""CS231n's convolutional network. `from cs231n.classifiers.cnn import *` brings every layer with it, as in the course."""

import numpy as np

from chainrule.compat.cs231n import fast_layers, layer_utils, layers
from chainrule.compat.cs231n.classifiers import plain_cnn
from chainrule.compat.cs231n.fast_layers import *  # noqa: F403
from chainrule.compat.cs231n.layer_utils import *  # noqa: F403
from chainrule.compat.cs231n.layers import *  # noqa: F403
from chainrule.functional import affine_backward, affine_forward, affine_relu_backward, affine_relu_forward, softmax_loss
from chainrule.kernels import conv_relu_pool_backward_parameters, conv_relu_pool_forward

__all__ = ["ThreeLayerConvNet"]
__all__ += layers.__all__
__all__ += fast_layers.__all__
__all__ += layer_utils.__all__


class ThreeLayerConvNet(plain_cnn.ThreeLayerConvNet):
    __doc__ = plain_cnn.ThreeLayerConvNet.__doc__

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
        for name in ("W1", "W2", "W3"):
            loss += 0.5 * self.reg * np.sum(self.params[name] ** 2)
            grads[name] += self.reg * self.params[name]
        return loss, grads
