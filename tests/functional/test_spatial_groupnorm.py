import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import layernorm_forward, spatial_batchnorm_forward, spatial_groupnorm_backward, spatial_groupnorm_forward
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def amplification(x, G):
    """x - mean loses |x| / std in relative accuracy, and dx divides by std once more."""
    std = np.sqrt(x.astype(np.float64).reshape(len(x), G, math.prod(x.shape[1:]) // G).var(axis=2) + 1e-5)
    return float(np.max((1 + np.abs(x).max(initial=0)) / std, initial=1) ** 2)


@both_dtypes
@given(
    layout=st.sampled_from(["contiguous", "transposed", "strided", "reversed"]),
    N=st.integers(0, 3),
    G=st.integers(1, 3),
    channels_each=st.integers(1, 3),
    size=st.tuples(st.integers(1, 5), st.integers(2, 5)),
    seed=st.integers(0, 1000),
)
def test_agrees_with_torch_on_every_shape_and_layout(
    dtype, layout, N, G, channels_each, size, seed, random_array, assert_agrees_with_torch
):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng, C = np.random.default_rng(seed), G * channels_each
    x, gamma, beta = (random_array(rng, shape, dtype, layout) for shape in ((N, C, *size), (1, C, 1, 1), (1, C, 1, 1)))
    assert_agrees_with_torch(
        lambda x, gamma, beta: spatial_groupnorm_forward(x, gamma, beta, G, {}),
        spatial_groupnorm_backward,
        lambda x, gamma, beta: torch.nn.functional.group_norm(x, G, gamma.flatten(), beta.flatten()),
        (x, gamma, beta),
        longest_sum=max(N, channels_each) * size[0] * size[1],
        condition=amplification(x, G),
    )


@pytest.mark.parametrize("G", [1, 2, 3, 6])
def test_gradients_agree_with_central_differences(G):
    rng = np.random.default_rng(0)
    x, gamma, beta = 12 + 5 * rng.standard_normal((2, 6, 4, 5)), *rng.standard_normal((2, 1, 6, 1, 1))
    check_gradients(lambda x, gamma, beta: spatial_groupnorm_forward(x, gamma, beta, G, {}), spatial_groupnorm_backward, x, gamma, beta)


def test_groups_of_each_sample_come_out_with_mean_0_and_standard_deviation_1():
    """CS231n's check."""
    x = 4 * np.random.default_rng(0).standard_normal((2, 6, 4, 5)) + 10
    out, _ = spatial_groupnorm_forward(x, np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 2, {})
    groups = out.reshape(2, 2, -1)
    np.testing.assert_allclose(groups.mean(axis=2), 0, atol=1e-13)
    np.testing.assert_allclose(groups.std(axis=2), 1, rtol=1e-5)  # eps = 1e-5 beside a variance of 16


def test_one_group_is_layer_normalization_of_the_whole_sample():
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 5))
    out, _ = spatial_groupnorm_forward(x, np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 1, {})
    np.testing.assert_array_equal(out.reshape(2, -1), layernorm_forward(x.reshape(2, -1), np.ones(120), np.zeros(120), {})[0])


def test_a_group_for_each_channel_is_batch_normalization_of_a_batch_of_one():
    x = np.random.default_rng(0).standard_normal((1, 6, 4, 5))
    out, _ = spatial_groupnorm_forward(x, np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 6, {"eps": 1e-3})
    expected, _ = spatial_batchnorm_forward(x, np.ones(6), np.zeros(6), {"mode": "train", "eps": 1e-3})
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)


@given(shift=st.floats(-5, 5))
def test_ignores_a_shift_of_a_group(shift):
    x = np.random.default_rng(0).standard_normal((2, 6, 4, 5))
    shifted = x.copy()
    shifted[:, 2:4] += shift
    arguments = np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 3, {}
    # rounding of x + shift, 1e-15, in units of a standard deviation near 1
    np.testing.assert_allclose(spatial_groupnorm_forward(shifted, *arguments)[0], spatial_groupnorm_forward(x, *arguments)[0], atol=2e-14)


def test_each_sample_is_normalized_on_its_own():
    x = np.random.default_rng(0).standard_normal((3, 6, 4, 5))
    arguments = np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 2, {}
    np.testing.assert_array_equal(spatial_groupnorm_forward(x, *arguments)[0][1:2], spatial_groupnorm_forward(x[1:2], *arguments)[0])


def test_integer_gamma_and_beta_keep_the_dtype_of_x():
    x, ones = np.random.default_rng(0).standard_normal((2, 4, 3, 3)).astype(np.float32), np.ones((1, 4, 1, 1), int)
    out, cache = spatial_groupnorm_forward(x, 3 * ones, 5 * ones, 2, {"eps": np.float64(1e-5)})
    assert {array.dtype for array in (out, *spatial_groupnorm_backward(out, cache))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["gamma", "beta"])
@pytest.mark.parametrize("shape", [(6,), (1, 6), (6, 1, 1), (2, 6, 1, 1), (1, 1, 1, 1), ()])
def test_refuses_parameters_that_would_broadcast(name, shape):
    arguments = {"gamma": np.ones((1, 6, 1, 1)), "beta": np.ones((1, 6, 1, 1))} | {name: np.ones(shape)}
    message = f"spatial_groupnorm_forward: {name} has shape {shape}; expected (1, 6, 1, 1), one value for each channel of x (2, 6, 4, 5)"
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_groupnorm_forward(np.ones((2, 6, 4, 5)), **arguments, G=2, gn_param={})


@pytest.mark.parametrize("G", [0, -2, 4, 12])
def test_refuses_groups_that_do_not_divide_the_channels(G):
    message = f"spatial_groupnorm_forward: G is {G}; it must divide the 6 channels of x (2, 6, 4, 5)"
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_groupnorm_forward(np.ones((2, 6, 4, 5)), np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), G, {})


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 6)), ValueError, "x has shape (2, 6); expected (N, C, H, W)"),
        (np.ones((2, 6, 4, 5), int), TypeError, "x has dtype int64; expected floating point"),
        (np.ones((2, 6, 0, 5)), ValueError, "x has shape (2, 6, 0, 5); the statistics of a group need at least one pixel"),
    ],
)
def test_refuses_what_has_no_statistics(x, error, message):
    with pytest.raises(error, match=re.escape(f"spatial_groupnorm_forward: {message}")):
        spatial_groupnorm_forward(x, np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 2, {})


def test_refuses_a_dout_of_another_shape():
    _, cache = spatial_groupnorm_forward(np.ones((2, 6, 4, 5)), np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1)), 2, {})
    message = "spatial_groupnorm_backward: dout has shape (2, 6, 5, 4); expected (2, 6, 4, 5), the shape of the output"
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_groupnorm_backward(np.ones((2, 6, 5, 4)), cache)
