"""Probes of convolution: the same for the naive functions and for the fast ones."""

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES"]


def inputs(N, C, H, W, F, KH, KW, seed=0, dtype: type = np.float64):
    """x (N, C, H, W), w (F, C, KH, KW), b (F,); b is not near 0."""
    rng = np.random.default_rng(seed)
    x, w = 0.5 + rng.standard_normal((N, C, H, W)), 0.2 + rng.standard_normal((F, C, KH, KW))
    b = rng.uniform(1, 2, F) * np.where(np.arange(F) % 2, -1, 1)
    return tuple(array.astype(dtype) for array in (x, w, b))


def forward(name, x, w, b, stride, pad):
    return lambda functions: {"out": pair(name, getattr(functions, name)(x, w, b, {"stride": stride, "pad": pad}))[0]}


def backward(name, x, w, b, stride, pad):
    forward_name = name.replace("backward", "forward")
    places = [(x.shape[axis] + 2 * pad - w.shape[axis]) // stride + 1 for axis in (2, 3)]
    shape = len(x), len(w), *places
    # small ones can be read off the example; random numbers would be no clearer there
    dout = np.arange(1.0, np.prod(shape) + 1).reshape(shape) if x.size <= 16 else np.random.default_rng(9).standard_normal(shape)
    dout = dout.astype(x.dtype)

    def observed(functions):
        _, cache = pair(forward_name, getattr(functions, forward_name)(x, w, b, {"stride": stride, "pad": pad}))
        return results(name, getattr(functions, name)(dout, cache), "dx", "dw", "db")

    return observed


def turned(x, w, b):
    """The same numbers, laid out otherwise in memory."""
    return np.ascontiguousarray(x.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0), np.asfortranarray(w), b


SMALL = (
    np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 4.0], [0.0, 2.0, 5.0]]).reshape(1, 1, 3, 3),
    np.array([[1.0, 2.0], [0.0, -1.0]]).reshape(1, 1, 2, 2),
    np.array([10.0]),
)
FRAMED = (  # halves, which an array of integers would lose
    np.array([[1.0, 2.0], [3.0, 5.0]]).reshape(1, 1, 2, 2),
    np.array([[0.5, 1.0], [-1.0, 2.0]]).reshape(1, 1, 2, 2),
    np.array([10.0]),
)
STRIDED = (
    np.array([[1.0, 2.0, 0.0, 3.0], [4.0, 1.0, 5.0, 2.0], [0.0, 6.0, 1.0, 1.0], [2.0, 3.0, 7.0, 0.0]]).reshape(1, 1, 4, 4),
    *SMALL[1:],
)
WIDE = np.array([[1.0, 2.0, 0.0, 3.0], [4.0, 1.0, 5.0, 2.0], [0.0, 6.0, 1.0, 1.0]]).reshape(1, 1, 3, 4), *SMALL[1:]
TALL_FILTER = SMALL[0], np.array([1.0, 2.0]).reshape(1, 1, 2, 1), SMALL[2]
TWO_FILTERS = (
    np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 4.0]]).reshape(1, 1, 2, 3),
    np.array([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [1.0, 1.0]]]).reshape(2, 1, 2, 2),
    np.array([10.0, 20.0]),
)
TWO_CHANNELS = (
    np.array([[[1.0, 2.0, 0.0], [3.0, 1.0, 4.0]], [[2.0, 0.0, 1.0], [1.0, 5.0, 3.0]]]).reshape(1, 2, 2, 3),
    np.array([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.0], [1.0, 1.0]]]).reshape(1, 2, 2, 2),
    np.array([10.0]),
)
TWO_IMAGES = TWO_CHANNELS[0].reshape(2, 1, 2, 3), *SMALL[1:]
TWO_OF_BOTH = TWO_CHANNELS[0].reshape(2, 1, 2, 3), *TWO_FILTERS[1:]


def probes(observe, name):
    """Those of a forward or a backward pass."""

    def probe(title, arrays, stride, pad, *meaning):
        (N, C, _, _), (F, _, KH, KW) = arrays[0].shape, arrays[1].shape
        return Probe(title, observe(name, *arrays, stride, pad), {"N": N, "C": C, "F": F, "KH": KH, "KW": KW}, *meaning)

    padded, strided = ("where there is padding", "off-by-one"), ("where the stride is not 1", "off-by-one")
    return (
        probe("an image of 3 x 3, a filter of 2 x 2", SMALL, 1, 0),
        probe("an image of 2 x 2, pad 1", FRAMED, 1, 1, *padded),
        probe("an image of 4 x 4, stride 2", STRIDED, 2, 0, *strided),
        probe("an image of 3 x 4, a filter of 2 x 2", WIDE, 1, 0),
        probe("an image of 3 x 3, a filter of 2 x 1", TALL_FILTER, 1, 0),
        probe("an image of 2 x 3, 2 filters", TWO_FILTERS, 1, 0),
        probe("an image of 2 channels", TWO_CHANNELS, 1, 0),
        probe("2 images of 2 x 3", TWO_IMAGES, 1, 0),
        probe("2 images of 2 x 3, 2 filters", TWO_OF_BOTH, 1, 0),
        probe("2 images of 3 channels, 4 filters of 3 x 2", inputs(2, 3, 7, 5, 4, 3, 2), 1, 0),
        probe("pad 1", inputs(2, 3, 6, 4, 5, 3, 2, 1), 1, 1, *padded),
        probe("pad 2, square images and filters", inputs(3, 2, 5, 5, 4, 3, 3, 2), 1, 2, *padded),
        probe("stride 2", inputs(2, 3, 7, 6, 4, 3, 2, 3), 2, 0, *strided),
        probe("stride 2 and pad 1, with a row left over", inputs(2, 3, 6, 9, 4, 3, 3, 4), 2, 1, *strided),
        probe("stride 3, longer than the filter", inputs(3, 2, 8, 7, 4, 2, 2, 5), 3, 0, *strided),
        probe("one image of one channel, one filter", inputs(1, 1, 4, 6, 1, 2, 3, 6), 1, 1),
        probe("a filter as large as the image", inputs(2, 3, 4, 3, 5, 4, 3, 7), 1, 0),
        probe("a filter of 1 x 1", inputs(2, 5, 3, 4, 3, 1, 1, 8), 1, 0),
        probe("as many filters as columns of the output", inputs(2, 3, 5, 6, 4, 3, 3, 10), 1, 0),
        probe("x and w in another order in memory", turned(*inputs(2, 3, 5, 4, 3, 3, 2, 9)), 1, 1),
        probe("float32", inputs(2, 3, 6, 5, 4, 3, 3, dtype=np.float32), 1, 1, "in float32", "dtype"),
    )


PROBES = {
    "conv_forward_naive": probes(forward, "conv_forward_naive"),
    "conv_backward_naive": probes(backward, "conv_backward_naive"),
    "conv_forward_im2col": probes(forward, "conv_forward_im2col"),
    "conv_backward_im2col": probes(backward, "conv_backward_im2col"),
}
