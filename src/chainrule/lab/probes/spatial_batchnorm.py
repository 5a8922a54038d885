"""Probes of spatial batch normalization."""

import numpy as np

from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES", "inputs"]


def inputs(N, C, H, W, seed=0, dtype: type = np.float64):
    """x (N, C, H, W), gamma and beta (C,), dout like x; none of them near 0 or 1 on the whole, each channel on a scale of its own."""
    rng = np.random.default_rng(seed)
    scales = np.linspace(1.5, 4, C)[:, None, None]
    x = scales + scales * rng.standard_normal((N, C, H, W))
    gamma, beta = rng.uniform(1.5, 2.5, C), rng.uniform(-2, -1, C)
    return tuple(array.astype(dtype) for array in (x, gamma, beta, rng.standard_normal((N, C, H, W))))


# three pixels: of two, one goes up as the other goes down, and dx is 0 whatever dout is; the variances are 2 and 6
SMALL = (
    np.array([[1.0, 1.0, 4.0], [2.0, 8.0, 5.0]]).reshape(1, 2, 1, 3),
    np.array([2.0, 3.0]),
    np.array([0.5, -1.0]),
    np.array([[1.0, 0.5, -1.0], [0.0, 2.0, 1.0]]).reshape(1, 2, 1, 3),
)
SQUARES = (  # an image of 2 x 2, and two of them, with the same gamma and beta
    np.array([[1.0, 1.0, 4.0, 6.0], [2.0, 8.0, 5.0, 1.0]]).reshape(1, 2, 2, 2),
    *SMALL[1:3],
    np.array([[1.0, 0.5, -1.0, 3.0], [0.0, 2.0, 1.0, -2.0]]).reshape(1, 2, 2, 2),
)
TWO_IMAGES = SQUARES[0].reshape(2, 2, 1, 2), *SMALL[1:3], SQUARES[3].reshape(2, 2, 1, 2)
SMALL_AVERAGES = {"running_mean": np.array([1.0, 3.0]), "running_var": np.array([4.0, 0.25])}
AVERAGES = {"running_mean": np.array([1.0, 0.5, 2.0]), "running_var": np.array([4.0, 0.3, 1.5])}


def forward(x, gamma, beta, **bn_param):
    def observed(functions):
        param = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in bn_param.items()}
        out, _ = pair("spatial_batchnorm_forward", functions.spatial_batchnorm_forward(x, gamma, beta, param))
        return {"out": out, "running_mean": param.get("running_mean"), "running_var": param.get("running_var")}

    return observed


def two_batches(functions):
    """The running averages after two batches, which the test that follows depends on."""
    param = {"mode": "train"}
    for seed in (1, 2):
        x, gamma, beta, _ = inputs(4, 3, 2, 5, seed)
        functions.spatial_batchnorm_forward(x, gamma, beta, param)
    out, _ = pair("spatial_batchnorm_forward", functions.spatial_batchnorm_forward(x, gamma, beta, {**param, "mode": "test"}))
    return {"out": out, "running_mean": param.get("running_mean"), "running_var": param.get("running_var")}


def backward(x, gamma, beta, dout, **bn_param):
    def observed(functions):
        param = {"mode": "train", **bn_param}
        _, cache = pair("spatial_batchnorm_forward", functions.spatial_batchnorm_forward(x, gamma, beta, param))
        return results("spatial_batchnorm_backward", functions.spatial_batchnorm_backward(dout, cache), "dx", "dgamma", "dbeta")

    return observed


def probe(title, observe, arrays, *meaning, **bn_param):
    N, C, H, W = arrays[0].shape
    arguments = arrays if observe is backward else arrays[:3]
    return Probe(title, observe(*arguments, **bn_param), {"N": N, "C": C, "H": H, "W": W, "H * W": H * W, "N * H * W": N * H * W}, *meaning)


def turned(x, *others):
    """The same numbers, channels last in memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), *others


def probes(observe, *more, **mode):
    """Those that forward and backward pass have in common, and `more` of the small ones."""
    eps = "where eps is not small", "missing-term"
    return (
        probe("one image of 2 channels and 1 x 3 pixels", observe, SMALL, **mode),
        probe("one image of 2 channels and 2 x 2 pixels", observe, SQUARES, **mode),
        probe("2 images of 2 channels and 1 x 2 pixels", observe, TWO_IMAGES, **mode),
        *more,
        probe("4 images of 3 channels, 2 x 5 pixels", observe, inputs(4, 3, 2, 5), **mode),
        probe("2 images of 5 channels, 4 x 3 pixels", observe, inputs(2, 5, 4, 3, 1), **mode),
        probe("as many channels as images, rows and columns", observe, inputs(3, 3, 3, 3, 2), **mode),
        probe("one pixel an image", observe, inputs(6, 4, 1, 1, 3), "where images have one pixel", "axis", **mode),
        probe("eps = 0.5", observe, inputs(4, 3, 2, 5), *eps, eps=0.5, **mode),
        probe("channels last in memory", observe, turned(*inputs(2, 4, 3, 5, 4)), **mode),
        probe("float32", observe, inputs(3, 4, 2, 5, dtype=np.float32), "in float32", "dtype", **mode),
    )


TEST_MODE = "after a forward pass in mode 'test', where mean and variance are constants", "mode"
IN_TEST_MODE = "in mode 'test'", "mode"
GOING_ON = "where there are running averages already", "state"
PROBES = {
    "spatial_batchnorm_forward": (
        *probes(
            forward,
            probe("one image in mode 'test'", forward, SMALL, *IN_TEST_MODE, mode="test", **SMALL_AVERAGES),
            probe(
                "one image, running averages so far, momentum 0.5", forward, SMALL, *GOING_ON, mode="train", momentum=0.5, **SMALL_AVERAGES
            ),
            mode="train",
        ),
        probe(
            "running averages so far, momentum 0.7",
            forward,
            inputs(4, 3, 2, 5),
            *GOING_ON,
            mode="train",
            momentum=0.7,
            **AVERAGES,
        ),
        Probe("two batches, then mode 'test'", two_batches, {"N": 4, "C": 3}, "from the second batch on", "state"),
        probe("mode 'test'", forward, inputs(4, 3, 2, 5), *IN_TEST_MODE, mode="test", **AVERAGES),
        probe("one image of 3 channels in mode 'test'", forward, inputs(1, 3, 2, 4), *IN_TEST_MODE, mode="test", **AVERAGES),
    ),
    "spatial_batchnorm_backward": (
        *probes(
            backward, probe("one image, after a forward pass in mode 'test'", backward, SMALL, *TEST_MODE, mode="test", **SMALL_AVERAGES)
        ),
        probe("after a forward pass in mode 'test'", backward, inputs(4, 3, 2, 5), *TEST_MODE, mode="test", **AVERAGES),
    ),
}
