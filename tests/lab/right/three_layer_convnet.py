"""Right three-layer networks, none of them the library's."""
# ruff: noqa: NPY002 - weights come from NumPy's global generator

import numpy as np

from chainrule import functional


class OfLayers:
    """Composed of the library's composite layers; the penalty over the names of the parameters."""

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
        channels, height, width = input_dim
        features = num_filters * (height // 2) * (width // 2)
        sizes = [(num_filters, channels, filter_size, filter_size), (features, hidden_dim), (hidden_dim, num_classes)]
        self.reg, self.dtype, self.params = reg, dtype, {}
        for layer, size in enumerate(sizes, start=1):
            self.params[f"W{layer}"] = np.random.normal(0, weight_scale, size).astype(dtype)
            self.params[f"b{layer}"] = np.zeros(size[0] if layer == 1 else size[1], dtype)

    def loss(self, X, y=None):
        p = self.params
        pad = p["W1"].shape[-1] // 2
        pooling = {"pool_height": 2, "pool_width": 2, "stride": 2}
        out, cache1 = functional.conv_relu_pool_forward(X.astype(self.dtype), p["W1"], p["b1"], {"stride": 1, "pad": pad}, pooling)
        out, cache2 = functional.affine_relu_forward(out, p["W2"], p["b2"])
        out, cache3 = functional.affine_forward(out, p["W3"], p["b3"])
        if y is None:
            return out
        loss, dout = functional.softmax_loss(out, y)
        grads = {}
        dout, grads["W3"], grads["b3"] = functional.affine_backward(dout, cache3)
        dout, grads["W2"], grads["b2"] = functional.affine_relu_backward(dout, cache2)
        _, grads["W1"], grads["b1"] = functional.conv_relu_pool_backward(dout, cache1)
        for name, value in p.items():
            if value.ndim > 1:
                loss = loss + self.reg / 2 * np.vdot(value, value)
                grads[name] = grads[name] + self.reg * value
        return loss, grads


class PooledFirst:
    """The maximum before the ReLU, which gives the same; float64 inside, whatever dtype is."""

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
        C, H, W = input_dim
        rng = np.random.RandomState(np.random.randint(1000))
        self.params = dict(
            b1=np.zeros(num_filters),
            b2=np.zeros(hidden_dim),
            b3=np.zeros(num_classes),
            W1=rng.standard_normal((num_filters, C, filter_size, filter_size)) * weight_scale,
            W2=rng.standard_normal((num_filters * (H // 2) * (W // 2), hidden_dim)) * weight_scale,
            W3=rng.standard_normal((hidden_dim, num_classes)) * weight_scale,
        )
        for name in self.params:
            self.params[name] = self.params[name].astype(dtype)
        self.reg = reg

    def loss(self, X, y=None):
        W1, W2, W3 = (self.params[name].astype(float) for name in ("W1", "W2", "W3"))
        size = W1.shape[2]
        padded = np.pad(X, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (2, 3))
        image = np.einsum("nchwkl,fckl->nfhw", windows, W1) + self.params["b1"][:, None, None]
        N, F, H, W = image.shape
        tiles = image[:, :, : H // 2 * 2, : W // 2 * 2].reshape(N, F, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, -1, 4)
        chosen = tiles.argmax(axis=2)[..., None]
        pooled = np.take_along_axis(tiles, chosen, 2)[..., 0]
        a = pooled.clip(min=0)
        h = (a @ W2 + self.params["b2"]).clip(min=0)
        scores = h @ W3 + self.params["b3"]
        if y is None:
            return scores
        logs = scores - np.log(np.exp(scores).sum(axis=1))[:, None]
        loss = -sum(logs[n, y[n]] for n in range(N)) / N + 0.5 * self.reg * sum((w**2).sum() for w in (W1, W2, W3))
        d = (np.exp(logs) - np.eye(scores.shape[1])[y]) / N
        dh = (d @ W3.T) * np.sign(h)
        dtiles = np.zeros(tiles.shape)
        np.put_along_axis(dtiles, chosen, ((dh @ W2.T) * (a > 0))[..., None], 2)
        dimage = np.zeros(image.shape)
        dimage[:, :, : H // 2 * 2, : W // 2 * 2] = (
            dtiles.reshape(N, F, H // 2, W // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, F, H // 2 * 2, W // 2 * 2)
        )
        grads = {"W3": h.T @ d + self.reg * W3, "W2": a.T @ dh + self.reg * W2, "b3": d.sum(0), "b2": dh.sum(0)}
        grads |= {"W1": np.einsum("nfhw,nchwkl->fckl", dimage, windows) + self.reg * W1, "b1": dimage.sum((0, 2, 3))}
        return loss, grads


RIGHT = [("of layers", {"ThreeLayerConvNet": OfLayers}), ("pooled before the ReLU", {"ThreeLayerConvNet": PooledFirst})]
