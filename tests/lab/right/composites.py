"""Right affine layers with ReLU, none of them the library's."""

import numpy as np

from chainrule.functional import affine_backward, affine_forward


def in_one_go(x, w, b):
    out = np.maximum(0, np.dot(x.reshape(len(x), -1), w) + b)
    return out, (x, w, out > 0)


def in_one_go_backward(dout, cache):
    x, w, passes = cache
    masked = np.where(passes, dout, 0)
    return np.dot(masked, w.T).reshape(x.shape), np.dot(x.reshape(len(x), -1).T, masked), masked.sum(0)


def through_the_output(x, w, b):
    out, cache = affine_forward(x, w, b)
    out[out < 0] = 0
    return out, [cache, out]


def through_the_output_backward(dout, cache):
    affine_cache, out = cache
    return affine_backward(dout * np.sign(out), affine_cache)


def recomputing(x, w, b):
    return np.einsum("nd,dm->nm", x.reshape(len(x), -1), w).__add__(b).clip(0), {"x": x, "w": w, "b": b}


def recomputing_backward(dout, cache):
    x, w, b = cache["x"].reshape(len(dout), -1), cache["w"], cache["b"]
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(b.shape)
    for n in range(len(x)):
        for m in range(len(b)):
            if sum(x[n] * w[:, m]) + b[m] > 0:
                dx[n] += dout[n, m] * w[:, m]
                dw[:, m] += dout[n, m] * x[n]
                db[m] += dout[n, m]
    return dx.reshape(cache["x"].shape), dw, db


RIGHT = [
    ("in one go", {"affine_relu_forward": in_one_go, "affine_relu_backward": in_one_go_backward}),
    ("the mask from the output", {"affine_relu_forward": through_the_output, "affine_relu_backward": through_the_output_backward}),
    ("computed again on the way back", {"affine_relu_forward": recomputing, "affine_relu_backward": recomputing_backward}),
]
