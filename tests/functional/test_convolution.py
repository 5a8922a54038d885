import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import (
    affine_forward,
    conv_backward_naive,
    conv_forward_naive,
    conv_transpose_backward_naive,
    conv_transpose_forward_naive,
)
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
geometries = dict(
    N=st.integers(0, 3),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=pairs,
    stride=pairs,
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)


@both_dtypes
@given(**geometries, layout=st.sampled_from(["contiguous", "transposed", "strided", "reversed"]))
def test_agrees_with_torch_on_every_geometry_and_layout(
    dtype, layout, N, size, kernel, stride, pad, dilation, groups, bias, seed, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng = np.random.default_rng(seed)
    shapes = ((N, 4, *size), (8, 4 // groups, *kernel), (8,))
    arrays = [random_array(rng, shape, dtype, layout) for shape in shapes[: 3 if bias else 2]]
    conv_param = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}

    def forward(x, w, b=None):
        return conv_forward_naive(x, w, b, conv_param)

    def backward(dout, cache):
        gradients = conv_backward_naive(dout, cache)
        assert bias or gradients[2] is None
        return gradients if bias else gradients[:2]

    def reference(x, w, b=None):
        return torch.nn.functional.conv2d(x, w, b, stride, pad, dilation, groups)

    # the longest sum is that of a weight's gradient, over all places and samples; its terms reach 4 * 4
    assert_agrees_with_torch(forward, backward, reference, arrays, longest_sum=max(N, 1) * 13 * 13, condition=16)


@both_dtypes
@given(**geometries, output_pad=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_the_transposed_convolution_agrees_with_torch_on_every_geometry(
    dtype, N, size, kernel, stride, pad, dilation, groups, bias, seed, output_pad, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    output_pad = tuple(min(extra, step - 1) for extra, step in zip(output_pad, stride, strict=True))
    rng = np.random.default_rng(seed)
    shapes = ((N, 4, *size), (4, 3, *kernel), (3 * groups,))
    arrays = [random_array(rng, shape, dtype) for shape in shapes[: 3 if bias else 2]]
    conv_param = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups, "output_pad": output_pad}

    def forward(x, w, b=None):
        return conv_transpose_forward_naive(x, w, b, conv_param)

    def backward(dout, cache):
        gradients = conv_transpose_backward_naive(dout, cache)
        assert bias or gradients[2] is None
        return gradients if bias else gradients[:2]

    def reference(x, w, b=None):
        return torch.nn.functional.conv_transpose2d(x, w, b, stride, pad, output_pad, groups, dilation)

    # the longest sum is that of a weight's gradient, over all places and samples (with a bias, over the output's); terms reach 4 * 4
    assert_agrees_with_torch(forward, backward, reference, arrays, longest_sum=max(N, 1) * 31 * 31, condition=16)


def some_arrays(groups=1, transposed=False):
    rng = np.random.default_rng(0)
    w_shape = (4, 3, 3, 2) if transposed else (6, 4 // groups, 3, 2)
    return 1 + rng.standard_normal((2, 4, 5, 6)), rng.standard_normal(w_shape), rng.standard_normal(3 * groups if transposed else 6)


@pytest.mark.parametrize(
    "conv_param",
    [
        {"stride": 1, "pad": 1},
        {"stride": (2, 1), "pad": (0, 2)},
        {"stride": 2, "pad": ((1, 0), (0, 2))},
        {"dilation": 2, "pad": 2},
        {"groups": 2},
        {"groups": 1, "stride": 3},
    ],
    ids=["course", "rows and columns", "four sides", "dilated", "groups", "gaps between windows"],
)
class TestGradients:
    def test_agree_with_central_differences(self, conv_param):
        arrays = some_arrays(conv_param.get("groups", 1))
        check_gradients(lambda x, w, b: conv_forward_naive(x, w, b, conv_param), conv_backward_naive, *arrays)

    def test_of_the_transposed_convolution_agree_too(self, conv_param):
        arrays = some_arrays(conv_param.get("groups", 1), transposed=True)
        check_gradients(lambda x, w, b: conv_transpose_forward_naive(x, w, b, conv_param), conv_transpose_backward_naive, *arrays)


def test_the_published_example():
    """CS231n's ConvolutionalNetworks notebook: evenly spaced numbers, stride 2, pad 1; its table, of 8 decimals."""
    x = np.linspace(-0.1, 0.5, num=2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    w = np.linspace(-0.2, 0.3, num=3 * 3 * 4 * 4).reshape(3, 3, 4, 4)
    out, _ = conv_forward_naive(x, w, np.linspace(-0.1, 0.2, num=3), {"stride": 2, "pad": 1})
    expected = [
        [
            [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
            [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
            [[0.50813986, 0.54309974], [0.64082444, 0.67101435]],
        ],
        [
            [[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
            [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
            [[2.36270298, 2.36904306], [2.38090835, 2.38247847]],
        ],
    ]
    np.testing.assert_allclose(out, expected, rtol=0, atol=6e-9)


def test_a_filter_with_a_single_one_shifts_the_image():
    x = np.random.default_rng(0).standard_normal((1, 1, 5, 4))
    w = np.zeros((1, 1, 3, 3))
    w[0, 0, 0, 2] = 1  # out[i, j] = x[i - 1, j + 1]: a cross-correlation, the filter is not flipped
    out, _ = conv_forward_naive(x, w, None, {"pad": 1})
    np.testing.assert_array_equal(out[0, 0, 1:, :-1], x[0, 0, :-1, 1:])
    np.testing.assert_array_equal(out[0, 0, 0], 0)
    np.testing.assert_array_equal(out[0, 0, :, -1], 0)


def test_a_window_as_large_as_the_image_is_an_affine_layer():
    x, w, b = np.random.default_rng(0).standard_normal((3, 2, 4, 5)), np.random.default_rng(1).standard_normal((6, 2, 4, 5)), np.arange(6.0)
    out, _ = conv_forward_naive(x, w, b, {})
    # sums of forty, in another order
    np.testing.assert_allclose(out[:, :, 0, 0], affine_forward(x, w.reshape(6, -1).T, b)[0], rtol=0, atol=1e-13)


@given(stride=st.integers(1, 4), pad=st.integers(0, 2), seed=st.integers(0, 100))
def test_stride_s_is_stride_1_with_every_s_th_place_taken(stride, pad, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    every, _ = conv_forward_naive(x, w, None, {"pad": pad})
    strided, _ = conv_forward_naive(x, w, None, {"pad": pad, "stride": stride})
    np.testing.assert_allclose(strided, every[:, :, ::stride, ::stride], rtol=0, atol=1e-13)  # sums of eighteen


@given(dilation=st.integers(1, 3), seed=st.integers(0, 100))
def test_dilation_is_a_larger_filter_with_zeros_between_its_points(dilation, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 3, 9, 8)), rng.standard_normal((4, 3, 3, 2))
    spread = np.zeros((4, 3, 2 * dilation + 1, dilation + 1))
    spread[:, :, ::dilation, ::dilation] = w
    dilated, _ = conv_forward_naive(x, w, None, {"dilation": dilation})
    np.testing.assert_allclose(dilated, conv_forward_naive(x, spread, None, {})[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups_are_convolutions_side_by_side(groups):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 6, 5, 4)), rng.standard_normal((12, 6 // groups, 3, 2))
    together, _ = conv_forward_naive(x, w, None, {"groups": groups})
    parts = zip(np.split(x, groups, axis=1), np.split(w, groups), strict=True)
    np.testing.assert_array_equal(together, np.concatenate([conv_forward_naive(*part, None, {})[0] for part in parts], axis=1))


@given(factor=st.floats(-10, 10), seed=st.integers(0, 100))
def test_the_output_is_linear_in_w_and_in_x(factor, seed):
    rng = np.random.default_rng(seed)
    x, other_x = rng.standard_normal((2, 2, 3, 5, 4))
    w, other_w = rng.standard_normal((2, 4, 3, 3, 2))

    def conv(x, w):
        return conv_forward_naive(x, w, None, {"stride": 2, "pad": 1})[0]

    # values up to 10 * 30, some roundings each
    np.testing.assert_allclose(conv(x, w + factor * other_w), conv(x, w) + factor * conv(x, other_w), rtol=0, atol=1e-12)
    np.testing.assert_allclose(conv(x + factor * other_x, w), conv(x, w) + factor * conv(other_x, w), rtol=0, atol=1e-12)


@given(seed=st.integers(0, 100), stride=st.integers(1, 3), pad=st.integers(0, 1), groups=st.sampled_from([1, 2]))
def test_the_transposed_convolution_is_the_transpose(seed, stride, pad, groups):
    """<conv(x), y> = <x, conv_transpose(y)> for all x and y."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 4, 7, 8)), rng.standard_normal((6, 4 // groups, 3, 2))
    conv_param = {"stride": stride, "pad": pad, "groups": groups}
    out, _ = conv_forward_naive(x, w, None, conv_param)
    y = rng.standard_normal(out.shape)
    output_pad = ((7 + 2 * pad - 3) % stride, (8 + 2 * pad - 2) % stride)  # the rows and columns that no window reached
    back, _ = conv_transpose_forward_naive(y, w, None, {**conv_param, "output_pad": output_pad})
    assert np.sum(out * y) == pytest.approx(np.sum(x * back), rel=1e-12, abs=1e-10)  # a thousand terms of up to 100


def test_no_images_give_no_outputs_and_gradients_of_zero():
    x, w, b = np.ones((0, 4, 5, 6)), np.ones((6, 4, 3, 2)), np.ones(6)
    out, cache = conv_forward_naive(x, w, b, {})
    dx, dw, db = conv_backward_naive(out, cache)
    assert out.shape == (0, 6, 3, 5)
    assert dx.shape == x.shape
    assert not dw.any()
    assert not db.any()


def test_integer_weights_and_a_float64_bias_keep_the_dtype_of_x():
    x, w, b = np.ones((2, 1, 4, 4), np.float32), np.ones((3, 1, 2, 2), np.int64), np.array([0, 128, 0.5])
    out, cache = conv_forward_naive(x, w, b, {})
    assert {array.dtype for array in (out, *conv_backward_naive(out, cache))} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(out[0, :, 0, 0], [4, 132, 4.5])


X, W_, B = np.ones((2, 4, 5, 6)), np.ones((4, 4, 3, 2)), np.ones(4)


@pytest.mark.parametrize(
    ("forward", "name"), [(conv_forward_naive, "conv_forward_naive"), (conv_transpose_forward_naive, "conv_transpose_forward_naive")]
)
class TestRefusals:
    def test_an_x_of_integers(self, forward, name):
        with pytest.raises(TypeError, match=f"{name}: x has dtype int64; expected floating point"):
            forward(X.astype(np.int64), W_, B, {})

    @pytest.mark.parametrize("shape", [(1,), (4, 1), (1, 4), (5,)])
    def test_a_bias_that_would_broadcast(self, forward, name, shape):
        with pytest.raises(ValueError, match=re.escape(f"{name}: b has shape {shape}; expected (4,), one value for each")):
            forward(X, W_, np.ones(shape), {})

    def test_a_geometry_that_cannot_be(self, forward, name):
        with pytest.raises(ValueError, match=re.escape(f"{name}: conv_param['stride'] is 0")):
            forward(X, W_, B, {"stride": 0})


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        (conv_forward_naive, conv_backward_naive, (2, 4, 3, 5)),
        (conv_transpose_forward_naive, conv_transpose_backward_naive, (2, 4, 7, 7)),
    ],
)
def test_refuses_a_dout_of_another_shape(forward, backward, expected):
    _, cache = forward(X, W_, B, {})
    message = f"{backward.__name__}: dout has shape (2, 4, 1, 1); expected {expected}, the shape of the output"
    with pytest.raises(ValueError, match=re.escape(message)):
        backward(np.ones((2, 4, 1, 1)), cache)
