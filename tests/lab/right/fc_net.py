"""Right fully connected networks, none of them the library's."""

import numpy as np

from chainrule.functional import affine_backward, affine_forward, affine_relu_backward, affine_relu_forward, softmax_loss


class InAList:
    """Layers counted from 0, caches in a list, the penalty in one sum."""

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
    ):
        self.reg, self.dtype, self.depth = reg, dtype, len(hidden_dims) + 1
        widths = [input_dim] + list(hidden_dims) + [num_classes]
        rng = np.random.default_rng(seed)
        self.params = {}
        for i in range(self.depth):
            self.params["W" + str(i + 1)] = rng.normal(0, weight_scale, size=(widths[i], widths[i + 1])).astype(dtype)
            self.params["b" + str(i + 1)] = np.zeros(widths[i + 1], dtype=dtype)

    def loss(self, X, y=None):
        out, caches = X.astype(self.dtype), []
        for i in range(self.depth):
            layer = affine_relu_forward if i < self.depth - 1 else affine_forward
            out, cache = layer(out, self.params[f"W{i + 1}"], self.params[f"b{i + 1}"])
            caches.append(cache)
        if y is None:
            return out
        loss, dout = softmax_loss(out, y)
        grads = {}
        for i in reversed(range(self.depth)):
            layer = affine_relu_backward if i < self.depth - 1 else affine_backward
            dout, dw, db = layer(dout, caches[i])
            grads[f"W{i + 1}"], grads[f"b{i + 1}"] = dw + self.reg * self.params[f"W{i + 1}"], db
        loss += sum(np.square(self.params[name]).sum() for name in grads if "W" in name) * self.reg / 2
        return loss, grads


class Recursive:
    """Each layer calls the next one and gets its gradient back; matrix operations alone."""

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
    ):
        self.reg = reg
        self.params, fan_in = {}, input_dim
        for layer, width in enumerate((*hidden_dims, num_classes), 1):
            self.params.update({f"W{layer}": np.random.normal(scale=weight_scale, size=(fan_in, width)), f"b{layer}": np.zeros(width)})  # noqa: NPY002
            fan_in = width
        self.params = {name: np.array(value, dtype) for name, value in self.params.items()}

    def loss(self, X, y=None):
        grads = {}

        def through(x, layer):
            """Scores or loss from here on, and the gradient of x."""
            w, b = self.params[f"W{layer}"], self.params[f"b{layer}"]
            before = np.einsum("nd,dm->nm", x, w) + b
            last = f"W{layer + 1}" not in self.params
            if last:
                if y is None:
                    return before, None
                log_p = before - np.logaddexp.reduce(before, axis=1, keepdims=True)
                result, dbefore = -log_p[range(len(y)), y].mean(), np.exp(log_p)
                dbefore[range(len(y)), y] -= 1
                dbefore = dbefore / len(y)
            else:
                result, dbefore = through(before.clip(min=0), layer + 1)
                if y is None:
                    return result, None
                dbefore = np.where(before > 0, dbefore, 0)
            grads[f"W{layer}"], grads[f"b{layer}"] = np.einsum("nd,nm->dm", x, dbefore) + self.reg * w, np.einsum("nm->m", dbefore)
            return result + 0.5 * self.reg * np.vdot(w, w), np.einsum("nm,dm->nd", dbefore, w)

        result, _ = through(X.reshape(X.shape[0], -1), 1)
        return result if y is None else (result, grads)


RIGHT = [
    ("caches in a list", {"FullyConnectedNet": InAList}),
    ("recursive, of matrix operations", {"FullyConnectedNet": Recursive}),
]
