"""CS231n's convolutional network as one writes it in the course: with a convolution and a pooling of one's own, and matrix products."""
# ruff: noqa: NPY002 - the notebooks seed NumPy's global generator and expect weights to come from it

import numpy as np

from chainrule.functional import conv_backward_im2col, conv_forward_im2col, max_pool_backward_naive, max_pool_forward_naive

__all__ = ["ThreeLayerConvNet"]


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
        convolved, conv_cache = conv_forward_im2col(X.astype(self.dtype), W1, b1, conv_param)
        pooled, pool_cache = max_pool_forward_naive(np.maximum(convolved, 0), pool_param)
        flat = pooled.reshape(len(X), -1)
        hidden = np.maximum(flat @ W2 + b2, 0)
        scores = hidden @ W3 + b3
        if y is None:
            return scores

        # the softmax loss, and (p - 1 at the label) / N as its gradient
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        samples = np.arange(len(X))
        loss = -log_p[samples, y].mean()
        dscores = np.exp(log_p)
        dscores[samples, y] -= 1
        dscores /= len(X)

        dhidden = dscores @ W3.T * (hidden > 0)
        dpooled = (dhidden @ W2.T).reshape(pooled.shape)
        dconvolved = max_pool_backward_naive(dpooled, pool_cache) * (convolved > 0)
        _, dW1, db1 = conv_backward_im2col(dconvolved, conv_cache)
        grads = {
            "W1": dW1,
            "b1": db1,
            "W2": flat.T @ dhidden,
            "b2": dhidden.sum(axis=0),
            "W3": hidden.T @ dscores,
            "b3": dscores.sum(axis=0),
        }
        for name in ("W1", "W2", "W3"):
            loss += 0.5 * self.reg * np.sum(self.params[name] ** 2)
            grads[name] += self.reg * self.params[name]
        return loss, grads
