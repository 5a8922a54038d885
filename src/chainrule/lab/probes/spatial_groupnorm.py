"""Probes of group normalization."""

import numpy as np

from chainrule.lab.probes import spatial_batchnorm
from chainrule.lab.probing import Probe, pair, results

__all__ = ["PROBES"]


def inputs(N, C, H, W, seed=0, dtype: type = np.float64):
    """x (N, C, H, W), gamma and beta (1, C, 1, 1), dout like x."""
    x, gamma, beta, dout = spatial_batchnorm.inputs(N, C, H, W, seed, dtype)
    return x, gamma[None, :, None, None], beta[None, :, None, None], dout


def forward(x, gamma, beta, dout, G, **gn_param):
    def observed(functions):
        out, _ = pair("spatial_groupnorm_forward", functions.spatial_groupnorm_forward(x, gamma, beta, G, dict(gn_param)))
        return {"out": out}

    return observed


def backward(x, gamma, beta, dout, G, **gn_param):
    def observed(functions):
        _, cache = pair("spatial_groupnorm_forward", functions.spatial_groupnorm_forward(x, gamma, beta, G, dict(gn_param)))
        return results("spatial_groupnorm_backward", functions.spatial_groupnorm_backward(dout, cache), "dx", "dgamma", "dbeta")

    return observed


SMALL = (
    np.array([[1.0, 3.0], [2.0, 6.0], [2.0, 8.0], [5.0, 5.0]]).reshape(1, 4, 1, 2),
    np.array([2.0, 3.0, 1.0, 2.0]).reshape(1, 4, 1, 1),
    np.array([0.5, -1.0, 2.0, 0.0]).reshape(1, 4, 1, 1),
    np.array([[1.0, 0.5], [0.0, 2.0], [-1.0, 1.0], [0.5, 3.0]]).reshape(1, 4, 1, 2),
)

TWO_IMAGES = (
    np.concatenate([SMALL[0], SMALL[0][:, ::-1, :, ::-1] + np.arange(1.0, 9.0).reshape(1, 4, 1, 2)]),
    *SMALL[1:3],
    np.concatenate([SMALL[3], SMALL[3][:, ::-1]]),
)
PIXEL = tuple(
    np.array(values).reshape(1, 6, 1, 1)
    for values in (
        [1.0, 1.0, 4.0, 2.0, 8.0, 5.0],
        [2.0, 3.0, 1.5, 1.0, 2.0, 0.5],
        [0.5, -1.0, 2.0, 0.0, 1.0, -2.0],
        [1.0, 0.5, -1.0, 0.0, 2.0, 1.0],
    )
)


def probes(observe):
    """Those of the forward or the backward pass."""

    def probe(title, arrays, G, *meaning, **gn_param):
        N, C, H, W = arrays[0].shape
        sizes = {"N": N, "C": C, "G": G, "C / G": C // G, "H * W": H * W, "C / G * H * W": C // G * H * W}
        return Probe(title, observe(*arrays, G, **gn_param), sizes, *meaning)

    x, *others = inputs(2, 6, 3, 4, seed=5)
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), *others
    return (
        probe("one image of 4 channels and 1 x 2 pixels, 2 groups", SMALL, 2),
        probe("2 images of 4 channels and 1 x 2 pixels, 2 groups", TWO_IMAGES, 2),
        probe("one image of 6 channels and one pixel, 2 groups", PIXEL, 2),
        probe("2 images of 6 channels, 3 groups", inputs(2, 6, 4, 5), 3),
        probe("3 images of 6 channels, 2 groups", inputs(3, 6, 2, 5, seed=1), 2),
        probe("4 images of 4 channels and 4 x 4 pixels, 2 groups", inputs(4, 4, 4, 4, seed=2), 2),
        probe("one group", inputs(2, 3, 4, 5, seed=3), 1, "for one group, where it is layer norm", "axis"),
        probe("as many groups as channels", inputs(2, 3, 4, 5, seed=4), 3, "for groups of one channel, where it is instance norm", "axis"),
        probe("one image", inputs(1, 8, 2, 3, seed=6), 2, "for a single image", "wrong-statistic"),
        probe("eps = 0.5", inputs(2, 6, 3, 4), 3, "where eps is not small", "missing-term", eps=0.5),
        probe("channels last in memory", turned, 2),
        probe("float32", inputs(2, 6, 3, 5, dtype=np.float32), 3, "in float32", "dtype"),
    )


PROBES = {"spatial_groupnorm_forward": probes(forward), "spatial_groupnorm_backward": probes(backward)}
