"""Probes of max pooling."""

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES"]


def numbers(*shape, seed=0, dtype: type = np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def setting(height, width, stride):
    return {"pool_height": height, "pool_width": width, "stride": stride}


def forward(x, *window):
    return lambda functions: {"out": pair("max_pool_forward_naive", functions.max_pool_forward_naive(x, setting(*window)))[0]}


def backward(x, height, width, stride):
    places = [(size - side) // stride + 1 for size, side in ((x.shape[2], height), (x.shape[3], width))]
    shape = *x.shape[:2], *places
    # small ones can be read off the example
    dout = np.arange(10.0, 10 * np.prod(shape) + 10, 10).reshape(shape) if x.size <= 16 else np.random.default_rng(9).standard_normal(shape)
    dout = dout.astype(x.dtype)

    def observed(functions):
        _, cache = pair("max_pool_forward_naive", functions.max_pool_forward_naive(x, setting(height, width, stride)))
        return results("max_pool_backward_naive", functions.max_pool_backward_naive(dout, cache), "dx")

    return observed


SMALL = np.array([[1.0, 2.0, 0.0, -5.0], [4.0, 3.0, -1.0, -2.0]]).reshape(1, 1, 2, 4)
OVERLAPPING = np.array([[1.0, 2.0, 0.0], [3.0, 6.0, 4.0], [0.0, 5.0, 7.0]]).reshape(1, 1, 3, 3)
WIDE = np.array([[1.0, 2.0, 0.0, 3.0], [8.0, 1.0, 5.0, 2.0], [0.0, 6.0, 7.0, 4.0]]).reshape(1, 1, 3, 4)
BELOW_ZERO = np.array([[-1.0, -2.5, -4.0, -3.0], [-0.5, -3.0, -1.5, -6.0]]).reshape(1, 1, 2, 4)
WITH_GAPS = np.array([[1.0, 2.0, 9.0, 0.0, 5.0], [4.0, 3.0, 8.0, 6.0, 1.0]]).reshape(1, 1, 2, 5)
REST = np.array([[1.0, 2.0, 9.0], [4.0, 3.0, 8.0], [7.0, 6.0, 5.0]]).reshape(1, 1, 3, 3)
PARTS = np.array([[1.0, 2.0, 0.0, 5.0], [4.0, 3.0, 6.0, 1.0], [2.0, 9.0, 3.0, 1.0], [5.0, 0.0, 8.0, 7.0]])
# of one kind only: equal maxima in every window, also next to one another
TIES = np.array(
    [
        [2.0, 2.0, 0.0, 1.0, 5.0],
        [2.0, 1.0, 1.0, 1.0, 5.0],
        [0.0, 3.0, 4.0, 0.0, 5.0],
        [3.0, 0.0, 0.0, 4.0, 5.0],
    ]
).reshape(1, 1, 4, 5)


def probes(observe):
    """Those of the forward or the backward pass."""

    def probe(title, x, height, width, stride, *meaning):
        N, C, H, W = x.shape
        sizes = {"N": N, "C": C, "H": H, "W": W, "pool_height": height, "pool_width": width}
        return Probe(title, observe(x, height, width, stride), sizes, *meaning)

    overlapping, gaps = ("where windows overlap", "missing-term"), ("where the stride is longer than the window", "off-by-one")
    rest, negative = ("where the windows leave a rest", "off-by-one"), ("where all numbers are below 0", "numerics")
    return (
        probe("an image of 2 x 4, windows of 2 x 2", SMALL, 2, 2, 2),
        probe("an image of 2 x 4, all numbers below 0", BELOW_ZERO, 2, 2, 2, *negative),
        probe("an image of 3 x 3, windows of 2 x 2 at stride 1", OVERLAPPING, 2, 2, 1, *overlapping),
        probe("an image of 3 x 4, windows of 2 x 1 at stride 1", WIDE, 2, 1, 1, "where the window is not square", "transpose"),
        probe("an image of 3 x 4, windows of 1 x 2 at stride 1", WIDE, 1, 2, 1, "where the window is not square", "transpose"),
        probe("an image of 2 x 5, windows of 2 x 2 at stride 3", WITH_GAPS, 2, 2, 3, *gaps),
        probe("an image of 3 x 3, of which a row and a column are left over", REST, 2, 2, 2, *rest),
        probe("an image of 2 channels", PARTS.reshape(1, 2, 2, 4), 2, 2, 2),
        probe("2 images of 2 x 4", PARTS.reshape(2, 1, 2, 4), 2, 2, 2),
        probe("an image of 4 x 4", PARTS.reshape(1, 1, 4, 4), 2, 2, 2),
        probe("2 images of 3 channels", numbers(2, 3, 6, 4), 2, 2, 2),
        probe("windows of 3 x 2", numbers(2, 3, 11, 7, seed=1), 3, 2, 3, "where the window is not square", "transpose"),
        probe("windows of 2 x 3", numbers(3, 2, 7, 11, seed=2), 2, 3, 3, "where the window is not square", "transpose"),
        probe("windows that overlap", numbers(2, 3, 7, 5, seed=3), 3, 3, 1, *overlapping),
        probe("windows that overlap by one", numbers(3, 2, 7, 9, seed=4), 3, 3, 2, *overlapping),
        probe(
            "windows with gaps between them",
            numbers(2, 3, 8, 9, seed=5),
            2,
            2,
            3,
            *gaps,
        ),
        probe("a row and a column left over", numbers(2, 3, 5, 7, seed=6), 2, 2, 2, *rest),
        probe("all numbers below 0", -1 - np.abs(numbers(2, 2, 4, 6, seed=7)), 2, 2, 2, *negative),
        probe("one image, as large as the window", numbers(1, 3, 3, 4, seed=8), 3, 4, 1),
        probe("equal maxima in a window", TIES, 2, 2, 1, "where a window has several equal maxima", "scale"),
        probe("equal maxima, windows side by side", TIES[:, :, :, :4], 2, 2, 2, "where a window has several equal maxima", "scale"),
        probe("x in another order in memory", numbers(6, 4, 3, 2, seed=10).transpose(3, 2, 0, 1), 2, 2, 2),
        probe("float32", numbers(2, 3, 6, 4, seed=11, dtype=np.float32), 2, 2, 2, "in float32", "dtype"),
    )


PROBES = {"max_pool_forward_naive": probes(forward), "max_pool_backward_naive": probes(backward)}
