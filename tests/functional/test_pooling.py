import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import (
    adaptive_avg_pool_backward,
    adaptive_avg_pool_forward,
    avg_pool_backward_naive,
    avg_pool_forward_naive,
    conv_forward_naive,
    global_avg_pool_backward,
    global_avg_pool_forward,
    max_pool_backward_naive,
    max_pool_forward_naive,
)
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
LAYOUTS = ["contiguous", "transposed", "strided", "reversed"]
windows = dict(
    layout=st.sampled_from(LAYOUTS),
    N=st.integers(0, 3),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    ceil_mode=st.booleans(),
    seed=st.integers(0, 1000),
)


def pool_param_of(kernel, **settings):
    return {"pool_height": kernel[0], "pool_width": kernel[1], **settings}


def at_most_half(pad, kernel):
    return tuple(min(side, points // 2) for side, points in zip(pad, kernel, strict=True))


@both_dtypes
@given(**windows, dilation=st.integers(1, 2))
def test_the_maximum_agrees_with_torch_on_every_geometry_and_layout(
    layout, dtype, N, size, kernel, stride, pad, ceil_mode, seed, dilation, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    kernel = tuple(min(points, 3) for points in kernel)  # 3 points two apart reach over the smallest image, of 5
    pad = at_most_half(pad, kernel)
    pool_param = pool_param_of(kernel, stride=stride, pad=pad, dilation=dilation, ceil_mode=ceil_mode)
    assert_agrees_with_torch(
        lambda x: max_pool_forward_naive(x, pool_param),
        max_pool_backward_naive,
        lambda x: torch.nn.functional.max_pool2d(x, kernel, stride, pad, dilation, ceil_mode),
        [random_array(np.random.default_rng(seed), (N, 3, *size), dtype, layout)],
        longest_sum=9,  # an element can be the maximum of nine windows
    )


@both_dtypes
@given(**windows, count_include_pad=st.booleans())
def test_the_mean_agrees_with_torch_on_every_geometry_and_layout(
    layout, dtype, N, size, kernel, stride, pad, ceil_mode, seed, count_include_pad, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    pad = at_most_half(pad, kernel)
    pool_param = pool_param_of(kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    assert_agrees_with_torch(
        lambda x: avg_pool_forward_naive(x, pool_param),
        avg_pool_backward_naive,
        lambda x: torch.nn.functional.avg_pool2d(x, kernel, stride, pad, ceil_mode, count_include_pad),
        [random_array(np.random.default_rng(seed), (N, 3, *size), dtype, layout)],
        longest_sum=16,
    )


@both_dtypes
@given(
    layout=st.sampled_from(LAYOUTS),
    N=st.integers(0, 3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    output_size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_the_adaptive_mean_agrees_with_torch_on_every_size_and_layout(
    layout, dtype, N, size, output_size, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    assert_agrees_with_torch(
        lambda x: adaptive_avg_pool_forward(x, output_size),
        adaptive_avg_pool_backward,
        lambda x: torch.nn.functional.adaptive_avg_pool2d(x, output_size),
        [random_array(np.random.default_rng(0), (N, 3, *size), dtype, layout)],
        longest_sum=81,
    )


@both_dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_global_mean_agrees_with_torch(layout, dtype, random_array, assert_agrees_with_torch):
    assert_agrees_with_torch(
        global_avg_pool_forward,
        global_avg_pool_backward,
        lambda x: x.mean(dim=(2, 3)),
        [random_array(np.random.default_rng(0), (2, 3, 5, 4), dtype, layout)],
        longest_sum=20,
    )


@pytest.mark.parametrize(
    "pool_param",
    [
        pool_param_of((2, 2), stride=2),
        pool_param_of((3, 2), stride=(2, 1), pad=1),
        pool_param_of((2, 3), stride=3, ceil_mode=True),
        pool_param_of((2, 2), stride=1, dilation=2),
    ],
    ids=["course", "overlapping and padded", "hanging over", "dilated"],
)
@pytest.mark.parametrize(
    ("forward", "backward"),
    [(max_pool_forward_naive, max_pool_backward_naive), (avg_pool_forward_naive, avg_pool_backward_naive)],
    ids=["maximum", "mean"],
)
def test_gradients_agree_with_central_differences(forward, backward, pool_param):
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    check_gradients(lambda x: forward(x, pool_param), backward, x)


def test_gradients_of_adaptive_and_global_means_agree_with_central_differences():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    check_gradients(lambda x: adaptive_avg_pool_forward(x, (4, 3)), adaptive_avg_pool_backward, x)
    check_gradients(global_avg_pool_forward, global_avg_pool_backward, x)


def test_the_published_example():
    """CS231n's ConvolutionalNetworks notebook: evenly spaced numbers; its table, of 8 decimals."""
    x = np.linspace(-0.3, 0.4, num=2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    out, _ = max_pool_forward_naive(x, {"pool_width": 2, "pool_height": 2, "stride": 2})
    expected = [
        [
            [[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]],
            [[-0.14526316, -0.13052632], [-0.08631579, -0.07157895]],
            [[-0.02736842, -0.01263158], [0.03157895, 0.04631579]],
        ],
        [
            [[0.09052632, 0.10526316], [0.14947368, 0.16421053]],
            [[0.20842105, 0.22315789], [0.26736842, 0.28210526]],
            [[0.32631579, 0.34105263], [0.38526316, 0.4]],
        ],
    ]
    np.testing.assert_allclose(out, expected, rtol=0, atol=6e-9)


def test_of_equal_maxima_the_first_in_reading_order_gets_the_gradient():
    x = np.array([[1.0, 3, 3, 0], [3, 0, 2, 3]]).reshape(1, 1, 2, 4)
    _, cache = max_pool_forward_naive(x, pool_param_of((2, 2)))
    dx = max_pool_backward_naive(np.array([[[[5.0, 7]]]]), cache)
    np.testing.assert_array_equal(dx[0, 0], [[0, 5, 7, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("value", [np.nan, -np.inf], ids=["NaN wins", "minus infinity is larger than the padding"])
def test_what_is_not_finite_is_treated_as_torch_does(value):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    x = np.array([[value, value, 9.0], [1, value, 2], [value, 0, 0]]).reshape(1, 1, 3, 3)
    tensor = torch.from_numpy(x.copy()).requires_grad_()
    expected = torch.nn.functional.max_pool2d(tensor, 2, 2, 1)
    (dx,) = torch.autograd.grad(expected, tensor, torch.arange(1.0, 5, dtype=torch.float64).reshape(1, 1, 2, 2))
    out, cache = max_pool_forward_naive(x, pool_param_of((2, 2), pad=1))
    np.testing.assert_array_equal(out, expected.detach().numpy())
    if np.isnan(value):  # PyTorch lets the last NaN of a window have the gradient, we the first
        return
    np.testing.assert_array_equal(max_pool_backward_naive(np.arange(1.0, 5).reshape(1, 1, 2, 2), cache), dx.numpy())


@given(shift=st.floats(-5, 5), scale=st.floats(0, 5), seed=st.integers(0, 100))
def test_the_maximum_moves_with_every_increasing_map(shift, scale, seed):
    x = np.random.default_rng(seed).standard_normal((2, 3, 5, 4))
    pool_param = pool_param_of((2, 3), stride=1)
    np.testing.assert_array_equal(
        max_pool_forward_naive(scale * x + shift, pool_param)[0], scale * max_pool_forward_naive(x, pool_param)[0] + shift
    )


def test_the_mean_is_a_depthwise_convolution_with_equal_weights():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    out, _ = avg_pool_forward_naive(x, pool_param_of((3, 2), stride=2, pad=1))
    expected, _ = conv_forward_naive(x, np.full((3, 1, 3, 2), 1 / 6), None, {"stride": 2, "pad": 1, "groups": 3})
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15 * 6)  # sums of six numbers around 1


@pytest.mark.parametrize(
    ("forward", "backward"), [(max_pool_forward_naive, max_pool_backward_naive), (avg_pool_forward_naive, avg_pool_backward_naive)]
)
def test_what_windows_that_do_not_overlap_send_back_is_what_came_in(forward, backward):
    x, dout = np.random.default_rng(0).standard_normal((2, 3, 6, 8)), np.random.default_rng(1).standard_normal((2, 3, 3, 4))
    dx = backward(dout, forward(x, pool_param_of((2, 2)))[1])
    sums = dx.reshape(2, 3, 3, 2, 4, 2).sum(axis=(3, 5))
    np.testing.assert_allclose(sums, dout, rtol=0, atol=1e-15)


def test_an_adaptive_mean_to_one_pixel_is_the_global_one_and_to_the_image_s_size_the_identity():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    np.testing.assert_array_equal(adaptive_avg_pool_forward(x, 1)[0][:, :, 0, 0], global_avg_pool_forward(x)[0])
    np.testing.assert_array_equal(adaptive_avg_pool_forward(x, (6, 5))[0], x)


def test_an_adaptive_mean_to_a_divisor_is_the_mean_of_plain_windows():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 8))
    plain, _ = avg_pool_forward_naive(x, pool_param_of((2, 4)))
    np.testing.assert_allclose(adaptive_avg_pool_forward(x, (3, 2))[0], plain, rtol=0, atol=1e-15 * 8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: max_pool_forward_naive(x.astype(int), pool_param_of((2, 2))), TypeError, "max_pool_forward_naive: x has dtype int64"),
        (lambda x: avg_pool_forward_naive(x.astype(int), pool_param_of((2, 2))), TypeError, "avg_pool_forward_naive: x has dtype int64"),
        (lambda x: adaptive_avg_pool_forward(x.astype(int), 1), TypeError, "adaptive_avg_pool_forward: x has dtype int64"),
        (lambda x: global_avg_pool_forward(x.astype(int)), TypeError, "global_avg_pool_forward: x has dtype int64"),
        (
            lambda x: max_pool_forward_naive(x, pool_param_of((7, 2))),
            ValueError,
            "max_pool_forward_naive: the window of 7 x 2 is larger than the image of 6 x 5, 6 x 5 with padding",
        ),
        (
            lambda x: avg_pool_forward_naive(x[0], pool_param_of((2, 2))),
            ValueError,
            "avg_pool_forward_naive: x has shape (3, 6, 5); expected (N, C, H, W)",
        ),
        (lambda x: adaptive_avg_pool_forward(x[0], 1), ValueError, "adaptive_avg_pool_forward: x has shape (3, 6, 5)"),
        (lambda x: global_avg_pool_forward(x[0]), ValueError, "global_avg_pool_forward: x has shape (3, 6, 5)"),
        (
            lambda x: adaptive_avg_pool_forward(x, (2, 0)),
            ValueError,
            "adaptive_avg_pool_forward: output_size is (2, 0); it must be at least 1",
        ),
        (
            lambda x: adaptive_avg_pool_forward(x[:, :, :0], 1),
            ValueError,
            "adaptive_avg_pool_forward: x has shape (2, 3, 0, 5); the mean of an image needs at least one pixel",
        ),
        (lambda x: global_avg_pool_forward(x[..., :0]), ValueError, "global_avg_pool_forward: x has shape (2, 3, 6, 0); the mean of an"),
    ],
)
def test_what_cannot_be_pooled_is_refused(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(np.ones((2, 3, 6, 5)))


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        (lambda x: max_pool_forward_naive(x, pool_param_of((2, 2))), max_pool_backward_naive, (2, 3, 3, 2)),
        (lambda x: avg_pool_forward_naive(x, pool_param_of((2, 2))), avg_pool_backward_naive, (2, 3, 3, 2)),
        (lambda x: adaptive_avg_pool_forward(x, 4), adaptive_avg_pool_backward, (2, 3, 4, 4)),
        (global_avg_pool_forward, global_avg_pool_backward, (2, 3)),
    ],
)
def test_refuses_a_dout_of_another_shape(forward, backward, expected):
    _, cache = forward(np.ones((2, 3, 6, 5)))
    message = f"{backward.__name__}: dout has shape (2, 1); expected {expected}, the shape of the output"
    with pytest.raises(ValueError, match=re.escape(message)):
        backward(np.ones((2, 1)), cache)
