"""The check cells of CS231n's ConvolutionalNetworks notebook: every fast layer against the naive one, on the notebook's own shapes."""

import re

import numpy as np
import pytest

from chainrule.compat.cs231n import fast_layers
from chainrule.compat.cs231n.layers import conv_backward_naive, conv_forward_naive, max_pool_backward_naive, max_pool_forward_naive


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def assert_same(actual, expected, longest_sum):
    # ten unit roundoffs times the root of the length of the sum, whose terms reach 4 * 4
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * 1.1e-16 * 16 * np.sqrt(longest_sum))


@pytest.mark.parametrize("kind", ["fast", "im2col", "strides"])
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "conv_param"),
    [
        ((10, 3, 31, 31), (25, 3, 3, 3), {"stride": 2, "pad": 1}),
        ((4, 3, 5, 5), (2, 3, 3, 3), {"stride": 1, "pad": 1}),
        ((2, 3, 7, 6), (4, 3, 4, 2), {"stride": 2, "pad": 0}),  # leaves a rest
    ],
    ids=["the notebook's, of ten images", "the notebook's backward pass", "odd sizes"],
)
def test_a_convolution_agrees_with_the_naive_one(kind, x_shape, w_shape, conv_param):
    x, w, b = numbers(*x_shape), numbers(*w_shape, seed=1), numbers(w_shape[0], seed=2)
    expected, naive_cache = conv_forward_naive(x, w, b, conv_param)
    out, cache = getattr(fast_layers, f"conv_forward_{kind}")(x, w, b, conv_param)
    assert out.shape == expected.shape
    assert_same(out, expected, longest_sum=27)
    dout = numbers(*out.shape, seed=3)
    gradients = getattr(fast_layers, f"conv_backward_{kind}")(dout, cache)
    for gradient, wanted in zip(gradients, conv_backward_naive(dout, naive_cache), strict=True):
        assert gradient.shape == wanted.shape
        assert_same(gradient, wanted, longest_sum=10 * 16 * 16)


@pytest.mark.parametrize(
    ("kind", "size", "pool_param"),
    [
        *((kind, (32, 32), {"pool_height": 2, "pool_width": 2, "stride": 2}) for kind in ("fast", "reshape", "im2col")),
        *((kind, (9, 8), {"pool_height": 3, "pool_width": 2, "stride": 1}) for kind in ("fast", "im2col")),
    ],
)
def test_a_maximum_agrees_with_the_naive_one(kind, size, pool_param):
    x = np.round(2 * numbers(4, 3, *size))  # with equal maxima in most windows
    expected, naive_cache = max_pool_forward_naive(x, pool_param)
    out, cache = getattr(fast_layers, f"max_pool_forward_{kind}")(x, pool_param)
    np.testing.assert_array_equal(out, expected)
    dout = numbers(*out.shape, seed=3)
    gradient = getattr(fast_layers, f"max_pool_backward_{kind}")(dout, cache)
    assert_same(gradient, max_pool_backward_naive(dout, naive_cache), longest_sum=6)


@pytest.mark.parametrize(
    ("size", "pool_param"),
    [
        ((5, 4), {"pool_height": 2, "pool_width": 2, "stride": 2}),
        ((4, 4), {"pool_height": 2, "pool_width": 2, "stride": 1}),
        ((4, 6), {"pool_height": 2, "pool_width": 3, "stride": 2}),
    ],
    ids=["a rest", "overlapping", "not square"],
)
def test_reshaping_refuses_windows_that_do_not_tile_the_image(size, pool_param):
    message = (
        f"max_pool_forward_reshape: windows of 2 x {pool_param['pool_width']} at stride {pool_param['stride']} "
        f"do not tile an image of {size[0]} x {size[1]}; use max_pool_forward_fast"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        fast_layers.max_pool_forward_reshape(numbers(2, 3, *size), pool_param)


def test_a_layer_leaves_its_input_as_it_is():
    x, w, b = numbers(2, 3, 6, 6), numbers(4, 3, 3, 3, seed=1), numbers(4, seed=2)
    for array in (x, w, b):
        array.setflags(write=False)
    for kind in ("fast", "im2col", "strides"):
        getattr(fast_layers, f"conv_forward_{kind}")(x, w, b, {"stride": 1, "pad": 1})
    for kind in ("fast", "reshape", "im2col"):
        getattr(fast_layers, f"max_pool_forward_{kind}")(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
