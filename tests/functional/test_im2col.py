import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import conv_backward_im2col, conv_backward_naive, conv_forward_im2col, conv_forward_naive

sides = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    N=st.integers(0, 3),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=sides,
    stride=st.integers(1, 4),
    pad=st.integers(0, 2),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_the_matrix_product_is_the_convolution_of_the_definition(N, size, kernel, stride, pad, dtype, seed):
    rng = np.random.default_rng(seed)
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((N, 3, *size), (4, 3, *kernel), (4,)))
    conv_param = {"stride": stride, "pad": pad}
    out, cache = conv_forward_im2col(x, w, b, conv_param)
    expected, naive_cache = conv_forward_naive(x, w, b, conv_param)
    dout = rng.standard_normal(out.shape).astype(dtype)
    pairs = zip((out, *conv_backward_im2col(dout, cache)), (expected, *conv_backward_naive(dout, naive_cache)), strict=True)
    for actual, wanted in pairs:
        assert (actual.shape, actual.dtype) == (wanted.shape, wanted.dtype)
        # ten roundoffs times the root of the longest sum, that of a weight: 3 images of 13 x 13 places; terms reach 4 * 4
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=10 * np.finfo(dtype).eps * 16 * np.sqrt(3 * 13 * 13))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3, 4, 4), (4, 2, 3, 3), (4,)), "x has 3 channels (shape (2, 3, 4, 4)), w takes 2 (shape (4, 2, 3, 3))"),
        (((2, 3, 4, 4), (4, 3, 3, 3), (3,)), "b has shape (3,); expected (4,), one value for each filter of w (4, 3, 3, 3)"),
        (((2, 3, 4, 4), (4, 3, 5, 3), (4,)), "the window of 5 x 3 is larger than the image of 4 x 4"),
    ],
    ids=["channels", "bias", "window"],
)
def test_wrong_shapes_are_refused_with_their_values(shapes, message):
    with pytest.raises(ValueError, match=re.escape(f"conv_forward_im2col: {message}")):
        conv_forward_im2col(*(np.ones(shape) for shape in shapes), {"stride": 1, "pad": 0})


def test_integers_and_a_gradient_of_another_shape_are_refused():
    x, w, b, conv_param = np.ones((2, 3, 4, 4)), np.ones((4, 3, 3, 3)), np.ones(4), {"stride": 1, "pad": 0}
    with pytest.raises(TypeError, match="conv_forward_im2col: x has dtype int64"):
        conv_forward_im2col(x.astype(int), w, b, conv_param)
    _, cache = conv_forward_im2col(x, w, b, conv_param)
    with pytest.raises(ValueError, match=re.escape("conv_backward_im2col: dout has shape (2, 4, 4, 4); expected (2, 4, 2, 2)")):
        conv_backward_im2col(np.ones((2, 4, 4, 4)), cache)
