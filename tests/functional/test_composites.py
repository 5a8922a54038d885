import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import (
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_forward,
    affine_ln_relu_backward,
    affine_ln_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
    conv_bn_relu_backward,
    conv_bn_relu_forward,
    conv_forward_naive,
    conv_relu_backward,
    conv_relu_forward,
    conv_relu_pool_backward,
    conv_relu_pool_forward,
    max_pool_forward_naive,
    relu_forward,
    spatial_batchnorm_forward,
)
from chainrule.verification import check_gradients


def five_arrays(random_array, dtype=np.float64, N=6, M=4):
    """x (N, 2, 3), w (6, M), b, gamma, beta (M,), in the order in which the composites take them."""
    rng = np.random.default_rng(0)
    return [random_array(rng, shape, dtype) for shape in ((N, 2, 3), (6, M), (M,), (M,), (M,))]


@given(N=st.integers(0, 5), M=st.integers(1, 5))
def test_affine_relu_agrees_with_torch(N, M, random_array, assert_agrees_with_torch):
    arrays = five_arrays(random_array, N=N, M=M)[:3]
    assert_agrees_with_torch(
        affine_relu_forward, affine_relu_backward, lambda x, w, b: (x.reshape(N, 6) @ w + b).relu(), arrays, longest_sum=6, condition=9
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_affine_bn_relu_agrees_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    assert_agrees_with_torch(
        lambda *arrays: affine_bn_relu_forward(*arrays, {"mode": "train"}),
        affine_bn_relu_backward,
        lambda x, w, b, gamma, beta: F.batch_norm(x.flatten(1) @ w + b, None, None, gamma, beta, training=True).relu(),
        five_arrays(random_array, dtype),
        longest_sum=6,
        condition=30,  # scores of up to 9 are centred, and divided by their standard deviation twice
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_affine_ln_relu_agrees_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    assert_agrees_with_torch(
        lambda *arrays: affine_ln_relu_forward(*arrays, {}),
        affine_ln_relu_backward,
        lambda x, w, b, gamma, beta: F.layer_norm(x.flatten(1) @ w + b, (4,), gamma, beta).relu(),
        five_arrays(random_array, dtype),
        longest_sum=6,
        condition=30,  # scores of up to 9 are centred, and divided by their standard deviation twice
    )


def test_gradients_agree_with_central_differences(random_array):
    x, w, b, gamma, beta = five_arrays(random_array)
    check_gradients(affine_relu_forward, affine_relu_backward, x, w, b)
    check_gradients(
        lambda x, w, b, gamma, beta: affine_ln_relu_forward(x, w, b, gamma, beta, {}), affine_ln_relu_backward, x, w, b, gamma, beta
    )


@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_of_affine_bn_relu_agree_with_central_differences(mode, random_array):
    x, w, b, gamma, beta = five_arrays(random_array)

    def forward(x, w, b, gamma, beta):
        running = {"running_mean": np.full(4, 0.3, x.dtype), "running_var": np.full(4, 2.0, x.dtype)}
        return affine_bn_relu_forward(x, w, b, gamma, beta, {"mode": mode, **running})

    check_gradients(forward, affine_bn_relu_backward, x, w, b, gamma, beta)


def test_a_composite_is_its_parts_one_after_the_other(random_array):
    x, w, b, _, _ = five_arrays(random_array)
    np.testing.assert_array_equal(affine_relu_forward(x, w, b)[0], relu_forward(affine_forward(x, w, b)[0])[0])


def test_a_bias_before_batch_normalization_gets_no_gradient(random_array):
    arrays = five_arrays(random_array)
    out, cache = affine_bn_relu_forward(*arrays, {"mode": "train"})
    _, _, db, _, _ = affine_bn_relu_backward(np.random.default_rng(1).standard_normal(out.shape), cache)
    np.testing.assert_allclose(db, 0, atol=1e-14)


def test_the_running_averages_land_in_the_dictionary(random_array):
    arrays, bn_param = five_arrays(random_array), {"mode": "train"}
    affine_bn_relu_forward(*arrays, bn_param)
    scores, _ = affine_forward(*arrays[:3])
    np.testing.assert_allclose(bn_param["running_mean"], 0.1 * scores.mean(axis=0), rtol=1e-14)


CONV_PARAM = {"stride": 1, "pad": 1}
POOL_PARAM = {"pool_height": 2, "pool_width": 2, "stride": 2}


def images_and_filters(random_array, dtype=np.float64):
    """x (2, 3, 8, 6), w (4, 3, 3, 3), b, gamma, beta (4,), in the order in which the composites take them."""
    rng = np.random.default_rng(0)
    return [random_array(rng, shape, dtype) for shape in ((2, 3, 8, 6), (4, 3, 3, 3), (4,), (4,), (4,))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conv_relu_and_conv_relu_pool_agree_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    arrays = images_and_filters(random_array, dtype)[:3]
    # sums of at most 96 numbers, for the weights; terms of up to 9
    assert_agrees_with_torch(
        lambda x, w, b: conv_relu_forward(x, w, b, CONV_PARAM),
        conv_relu_backward,
        lambda x, w, b: F.conv2d(x, w, b, 1, 1).relu(),
        arrays,
        longest_sum=96,
        condition=9,
    )
    assert_agrees_with_torch(
        lambda x, w, b: conv_relu_pool_forward(x, w, b, CONV_PARAM, POOL_PARAM),
        conv_relu_pool_backward,
        lambda x, w, b: F.max_pool2d(F.conv2d(x, w, b, 1, 1).relu(), 2),
        arrays,
        longest_sum=96,
        condition=9,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_conv_bn_relu_agrees_with_torch(dtype, random_array, assert_agrees_with_torch):
    F = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    assert_agrees_with_torch(
        lambda *arrays: conv_bn_relu_forward(*arrays, CONV_PARAM, {"mode": "train"}),
        conv_bn_relu_backward,
        lambda x, w, b, gamma, beta: F.batch_norm(F.conv2d(x, w, b, 1, 1), None, None, gamma, beta, training=True).relu(),
        images_and_filters(random_array, dtype),
        longest_sum=96,
        condition=30,  # scores of up to 20 are centred and divided by their standard deviation of 5
    )


def test_gradients_of_the_convolutional_composites_agree_with_central_differences(random_array):
    x, w, b, gamma, beta = images_and_filters(random_array)
    check_gradients(lambda x, w, b: conv_relu_forward(x, w, b, CONV_PARAM), conv_relu_backward, x, w, b)
    check_gradients(lambda x, w, b: conv_relu_pool_forward(x, w, b, CONV_PARAM, POOL_PARAM), conv_relu_pool_backward, x, w, b)
    check_gradients(
        lambda x, w, b, gamma, beta: conv_bn_relu_forward(x, w, b, gamma, beta, CONV_PARAM, {"mode": "train"}),
        conv_bn_relu_backward,
        *(x, w, b, gamma, beta),
    )


def test_a_convolutional_composite_is_its_parts_one_after_the_other(random_array):
    x, w, b, gamma, beta = images_and_filters(random_array)
    scores, _ = conv_forward_naive(x, w, b, CONV_PARAM)
    positive, _ = relu_forward(scores)
    np.testing.assert_array_equal(conv_relu_forward(x, w, b, CONV_PARAM)[0], positive)
    pooled, _ = max_pool_forward_naive(positive, POOL_PARAM)
    np.testing.assert_array_equal(conv_relu_pool_forward(x, w, b, CONV_PARAM, POOL_PARAM)[0], pooled)
    bn_param, own_bn_param = {"mode": "train"}, {"mode": "train"}
    normalized, _ = spatial_batchnorm_forward(scores, gamma, beta, bn_param)
    out, _ = conv_bn_relu_forward(x, w, b, gamma, beta, CONV_PARAM, own_bn_param)
    np.testing.assert_array_equal(out, relu_forward(normalized)[0])
    np.testing.assert_array_equal(own_bn_param["running_var"], bn_param["running_var"])


def test_a_convolution_without_a_bias_has_no_gradient_of_it(random_array):
    x, w, _, gamma, beta = images_and_filters(random_array)
    for forward, backward, arguments in (
        (conv_relu_forward, conv_relu_backward, (CONV_PARAM,)),
        (conv_relu_pool_forward, conv_relu_pool_backward, (CONV_PARAM, POOL_PARAM)),
        (conv_bn_relu_forward, conv_bn_relu_backward, (gamma, beta, CONV_PARAM, {"mode": "train"})),
    ):
        out, cache = forward(x, w, None, *arguments)
        assert backward(out, cache)[2] is None
