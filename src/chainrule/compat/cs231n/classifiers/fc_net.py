"""CS231n's fully connected networks. `from cs231n.classifiers.fc_net import *` brings every layer with them, as the notebooks expect."""
# ruff: noqa: NPY002 - the notebooks seed NumPy's global generator and expect weights and masks to come from it

from itertools import pairwise
from pathlib import Path

import numpy as np

from chainrule.compat.cs231n import layer_utils, layers
from chainrule.compat.cs231n.layer_utils import *  # noqa: F403
from chainrule.compat.cs231n.layers import *  # noqa: F403
from chainrule.functional import (
    affine_backward,
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_forward,
    affine_ln_relu_backward,
    affine_ln_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
    dropout_backward,
    dropout_forward,
    softmax_loss,
)
from chainrule.training.storage import load_arrays, save_arrays

__all__ = ["FullyConnectedNet", "TwoLayerNet"]
__all__ += layers.__all__
__all__ += layer_utils.__all__

SAVED = Path("cs231n", "saved")  # below the working directory, where the notebooks of 2025 and 2026 keep their networks

# what a hidden layer computes before dropout, and what belongs to it beside W and b
HIDDEN_LAYERS = {
    None: (affine_relu_forward, affine_relu_backward, ()),
    "batchnorm": (affine_bn_relu_forward, affine_bn_relu_backward, ("gamma", "beta")),
    "layernorm": (affine_ln_relu_forward, affine_ln_relu_backward, ("gamma", "beta")),
}


class TwoLayerNet:
    """affine - relu - affine - softmax, with the penalty 0.5 * reg * sum(W**2) on both weights.

    Parameters
    ----------
    input_dim, hidden_dim, num_classes : sizes D, H and C
    weight_scale : standard deviation of the normal distribution that W1 and W2 are drawn from, with NumPy's global generator
    reg : factor of the penalty; read at each call of `loss`

    Attributes
    ----------
    params : dict of W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), float64; read at each call of `loss`
    """

    def __init__(self, input_dim=3 * 32 * 32, hidden_dim=100, num_classes=10, weight_scale=1e-3, reg=0.0):
        self.reg = reg
        self.params = {
            "W1": weight_scale * np.random.randn(input_dim, hidden_dim),
            "b1": np.zeros(hidden_dim),
            "W2": weight_scale * np.random.randn(hidden_dim, num_classes),
            "b2": np.zeros(num_classes),
        }

    def loss(self, X, y=None):
        """Scores (N, C) of X (N, d_1, ..., d_k); with labels y (N,) instead (loss, grads), grads with the keys of `params`."""
        hidden, hidden_cache = affine_relu_forward(X, self.params["W1"], self.params["b1"])
        scores, scores_cache = affine_forward(hidden, self.params["W2"], self.params["b2"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        dhidden, dw2, db2 = affine_backward(dscores, scores_cache)
        _, dw1, db1 = affine_relu_backward(dhidden, hidden_cache)
        grads = {"W1": dw1, "b1": db1, "W2": dw2, "b2": db2}
        for name in ("W1", "W2"):
            loss += 0.5 * self.reg * np.sum(self.params[name] ** 2)
            grads[name] += self.reg * self.params[name]
        return loss, grads

    def save(self, fname):
        """Write `params` to cs231n/saved/fname (safetensors, whatever the name ends in; the course writes a pickle there)."""
        _save(self.params, fname)

    def load(self, fname):
        """Take `params` from cs231n/saved/fname, where `save` wrote them; False if there is no such file."""
        params = _load(fname)
        self.params = self.params if params is None else params
        return params is not None


class FullyConnectedNet:
    """{affine - [batch or layer normalization] - relu - [dropout]} x (L - 1) - affine - softmax.

    The penalty is 0.5 * reg * sum(W**2), over all weights W1..WL.

    Parameters
    ----------
    hidden_dims : widths of the L - 1 hidden layers
    input_dim, num_classes : sizes of input and output
    dropout_keep_ratio : probability to *keep* a hidden activation, in (0, 1]; 1 is no dropout. 2018 to 2020 call it `dropout`, with the
        same meaning; the fourth positional argument is this one in every year
    normalization : None, "batchnorm" or "layernorm", after every affine layer but the last
    reg : factor of the penalty; read at each call of `loss`
    weight_scale : standard deviation of the normal distribution that the weights are drawn from, with NumPy's global generator
    dtype : of parameters, scores and gradients; float64 for gradient checks
    seed : every call of `loss` draws the masks of dropout from this seed, so that a gradient check sees one function

    Attributes
    ----------
    params : dict of W1..WL, b1..bL and, with a normalization, gamma1, beta1 .. gamma(L-1), beta(L-1); read at each call of `loss`
    num_layers : L
    dropout_param, bn_params : what the layers are called with: a dict and a list of L - 1 dicts
    """

    def __init__(
        self,
        hidden_dims,
        input_dim=3 * 32 * 32,
        num_classes=10,
        dropout_keep_ratio=1,
        normalization=None,
        reg=0.0,
        weight_scale=1e-2,
        dtype=np.float32,
        seed=None,
        *,
        dropout=None,
    ):
        if dropout is not None:
            if dropout_keep_ratio != 1:
                raise ValueError(
                    f"FullyConnectedNet: dropout={dropout} and dropout_keep_ratio={dropout_keep_ratio} mean the same; give one"
                )
            dropout_keep_ratio = dropout
        if not 0 < dropout_keep_ratio <= 1:
            raise ValueError(
                f"FullyConnectedNet: dropout_keep_ratio={dropout_keep_ratio} is not in (0, 1]; "
                "it is the probability to keep an activation, 1 for no dropout"
            )
        if normalization not in HIDDEN_LAYERS:
            raise ValueError(f"FullyConnectedNet: normalization={normalization!r}; expected None, 'batchnorm' or 'layernorm'")
        self.normalization = normalization
        self.use_dropout = dropout_keep_ratio != 1
        self.reg = reg
        self.num_layers = 1 + len(hidden_dims)
        self.dtype = dtype

        self.params = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise([input_dim, *hidden_dims, num_classes]), start=1):
            self.params[f"W{layer}"] = weight_scale * np.random.randn(fan_in, fan_out)
            self.params[f"b{layer}"] = np.zeros(fan_out)
            if normalization and layer < self.num_layers:
                self.params[f"gamma{layer}"] = np.ones(fan_out)
                self.params[f"beta{layer}"] = np.zeros(fan_out)
        self.params = {name: value.astype(dtype) for name, value in self.params.items()}

        self.dropout_param = {}
        if self.use_dropout:
            self.dropout_param = {"mode": "train", "p": dropout_keep_ratio}
            if seed is not None:
                self.dropout_param["seed"] = seed
        mode = {"mode": "train"} if normalization == "batchnorm" else {}
        self.bn_params = [dict(mode) for _ in hidden_dims] if normalization else []

    def loss(self, X, y=None):
        """Scores (N, C) of X (N, d_1, ..., d_k), in test mode; with labels y (N,) instead (loss, grads), in training mode."""
        mode = "test" if y is None else "train"
        if self.use_dropout:
            self.dropout_param["mode"] = mode
        if self.normalization == "batchnorm":
            for bn_param in self.bn_params:
                bn_param["mode"] = mode
        forward, backward, scale_and_shift = HIDDEN_LAYERS[self.normalization]
        hidden, caches, dropout_caches = X.astype(self.dtype), [], []
        for layer in range(1, self.num_layers):
            arguments = [self.params[f"{name}{layer}"] for name in ("W", "b", *scale_and_shift)]
            hidden, cache = forward(hidden, *arguments, *self.bn_params[layer - 1 : layer])  # there are none without a normalization
            caches.append(cache)
            if self.use_dropout:
                # without a seed the masks come from NumPy's global generator, which the notebooks seed
                hidden, cache = dropout_forward(hidden, {**self.dropout_param, "rng": np.random})
                dropout_caches.append(cache)
        last = self.num_layers
        scores, cache = affine_forward(hidden, self.params[f"W{last}"], self.params[f"b{last}"])
        if y is None:
            return scores

        loss, dscores = softmax_loss(scores, y)
        grads = {}
        dhidden, grads[f"W{last}"], grads[f"b{last}"] = affine_backward(dscores, cache)
        for layer in range(last - 1, 0, -1):
            if self.use_dropout:
                dhidden = dropout_backward(dhidden, dropout_caches.pop())
            dhidden, *gradients = backward(dhidden, caches.pop())
            grads |= {f"{name}{layer}": grad for name, grad in zip(("W", "b", *scale_and_shift), gradients, strict=True)}
        for layer in range(1, last + 1):
            loss += 0.5 * self.reg * np.sum(self.params[f"W{layer}"] ** 2)
            grads[f"W{layer}"] += self.reg * self.params[f"W{layer}"]
        return loss, grads

    def save(self, fname):
        """Write `params` to cs231n/saved/fname (safetensors, whatever the name ends in; the course writes a pickle there)."""
        _save(self.params, fname)

    def load(self, fname):
        """Take `params` from cs231n/saved/fname, where `save` wrote them; False if there is no such file."""
        params = _load(fname)
        self.params = self.params if params is None else params
        return params is not None


def _save(params, fname):
    SAVED.mkdir(parents=True, exist_ok=True)
    save_arrays(SAVED / fname, params, what="the parameters")
    print(f"{fname} saved.")


def _load(fname):
    """The arrays that `_save` wrote, or None if there are none."""
    if not (SAVED / fname).exists():
        print(f"{fname} not available.")
        return None
    try:
        params, _ = load_arrays(SAVED / fname)
    except ValueError as error:
        raise ValueError(
            f"{error}. If the course's own save wrote it, it is a pickle, which could run code when it is read: train and save again"
        ) from error
    print(f"{fname} loaded.")
    return params
