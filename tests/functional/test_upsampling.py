import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import avg_pool_forward_naive, upsample_nearest_backward, upsample_nearest_forward
from chainrule.verification import check_gradients


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    layout=st.sampled_from(["contiguous", "transposed", "strided", "reversed"]),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    factor=st.integers(1, 4),
)
def test_agrees_with_torch_on_every_shape_and_layout(dtype, layout, shape, factor, random_array, assert_agrees_with_torch):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    # PyTorch does not interpolate an empty batch
    reference = torch.nn.Upsample(scale_factor=factor) if shape[0] else lambda x: x.repeat(1, 1, factor, factor)
    x = random_array(np.random.default_rng(0), shape, dtype, layout)
    assert_agrees_with_torch(lambda x: upsample_nearest_forward(x, factor), upsample_nearest_backward, reference, [x], longest_sum=16)


def test_gradients_agree_with_central_differences():
    check_gradients(
        lambda x: upsample_nearest_forward(x, 3), upsample_nearest_backward, np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    )


@given(factor=st.integers(1, 4))
def test_the_mean_of_every_square_is_the_pixel_it_came_from(factor):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    out, _ = upsample_nearest_forward(x, factor)
    means, _ = avg_pool_forward_naive(out, {"pool_height": factor, "pool_width": factor})
    np.testing.assert_allclose(means, x, rtol=1e-14)  # sums of at most sixteen equal numbers


def test_every_pixel_becomes_a_square():
    out, _ = upsample_nearest_forward(np.array([[[[1, 2], [3, 4]]]]), 2)
    np.testing.assert_array_equal(out[0, 0], [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])


@pytest.mark.parametrize(
    ("shape", "factor", "message"),
    [((3, 4, 5), 2, "x has shape (3, 4, 5); expected (N, C, H, W)"), ((2, 3, 4, 5), 0, "factor is 0; it must be at least 1")],
)
def test_refuses_what_cannot_be_enlarged(shape, factor, message):
    with pytest.raises(ValueError, match=re.escape(f"upsample_nearest_forward: {message}")):
        upsample_nearest_forward(np.ones(shape), factor)


def test_refuses_a_dout_of_another_shape():
    _, cache = upsample_nearest_forward(np.ones((2, 3, 4, 5)), 2)
    message = "upsample_nearest_backward: dout has shape (2, 3, 4, 5); expected (2, 3, 8, 10), the shape of the output"
    with pytest.raises(ValueError, match=re.escape(message)):
        upsample_nearest_backward(np.ones((2, 3, 4, 5)), cache)
