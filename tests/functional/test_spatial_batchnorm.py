import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import batchnorm_backward, batchnorm_forward, spatial_batchnorm_backward, spatial_batchnorm_forward
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def amplification(x):
    """x - mean loses |x| / std in relative accuracy, and dx divides by std once more."""
    std = np.sqrt(x.astype(np.float64).var(axis=(0, 2, 3)) + 1e-5)
    return float(np.max((1 + np.abs(x).max()) / std) ** 2)


@both_dtypes
@pytest.mark.parametrize("mode", ["train", "test"])
@given(
    layout=st.sampled_from(["contiguous", "transposed", "strided", "reversed"]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(2, 5)),
    seed=st.integers(0, 1000),
)
def test_agrees_with_torch_on_every_shape_and_layout(mode, dtype, layout, shape, seed, random_array, assert_agrees_with_torch):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng, C = np.random.default_rng(seed), shape[1]
    x, gamma, beta = (random_array(rng, size, dtype, layout) for size in (shape, (C,), (C,)))
    mean, var = rng.standard_normal(C).astype(dtype), rng.uniform(0.5, 2, C).astype(dtype)

    def forward(x, gamma, beta):
        return spatial_batchnorm_forward(x, gamma, beta, {"mode": mode, "running_mean": mean, "running_var": var})

    def reference(x, gamma, beta):
        running = (torch.from_numpy(mean.copy()), torch.from_numpy(var.copy()))
        return torch.nn.functional.batch_norm(x, *running, gamma, beta, training=mode == "train")

    assert_agrees_with_torch(
        forward,
        spatial_batchnorm_backward,
        reference,
        (x, gamma, beta),
        longest_sum=x.size // C,
        condition=amplification(x) if mode == "train" else 10,  # (x - mean) / std, of up to 7 / 0.7
    )


@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_agree_with_central_differences(mode):
    rng = np.random.default_rng(0)
    x, gamma, beta = 10 + 5 * rng.standard_normal((2, 3, 4, 5)), rng.standard_normal(3), rng.standard_normal(3)

    def forward(x, gamma, beta):
        running = {"running_mean": np.full(3, 9.0, x.dtype), "running_var": np.full(3, 20.0, x.dtype)}
        return spatial_batchnorm_forward(x, gamma, beta, {"mode": mode, **running})

    check_gradients(forward, spatial_batchnorm_backward, x, gamma, beta)


def test_channels_come_out_with_mean_beta_and_standard_deviation_gamma():
    """CS231n's check, whose gamma and beta are arrays of integers."""
    x = 4 * np.random.default_rng(0).standard_normal((2, 3, 4, 5)) + 10
    out, _ = spatial_batchnorm_forward(x, np.array([3, 4, 5]), np.array([6, 7, 8]), {"mode": "train"})
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), [6, 7, 8], rtol=1e-13)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), [3, 4, 5], rtol=1e-5)  # eps = 1e-5 beside a variance of 16


def test_the_running_averages_find_mean_and_variance_of_the_channels():
    """CS231n's check of the test mode."""
    rng, bn_param = np.random.default_rng(231), {"mode": "train"}
    for _ in range(50):
        spatial_batchnorm_forward(2.3 * rng.standard_normal((10, 4, 11, 12)) + 13, np.ones(4), np.zeros(4), bn_param)
    assert bn_param["running_mean"].shape == bn_param["running_var"].shape == (4,)
    bn_param["mode"] = "test"
    out, _ = spatial_batchnorm_forward(2.3 * rng.standard_normal((10, 4, 11, 12)) + 13, np.ones(4), np.zeros(4), bn_param)
    # 0.9**50 = 0.5 % of the zeros at the start are left, of a mean of 13 / 2.3 deviations; 1320 samples vary by 0.03
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=0.15)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3)), 1, atol=0.1)


def test_is_batch_normalization_of_images_of_one_pixel():
    rng = np.random.default_rng(0)
    x, gamma, beta, dout = rng.standard_normal((6, 4)), rng.standard_normal(4), rng.standard_normal(4), rng.standard_normal((6, 4))
    rows, cache = batchnorm_forward(x, gamma, beta, {"mode": "train"})
    pixels, spatial_cache = spatial_batchnorm_forward(x[:, :, None, None], gamma, beta, {"mode": "train"})
    np.testing.assert_array_equal(pixels[:, :, 0, 0], rows)
    dx, dgamma, dbeta = batchnorm_backward(dout, cache)
    dpixels, spatial_dgamma, spatial_dbeta = spatial_batchnorm_backward(dout[:, :, None, None], spatial_cache)
    np.testing.assert_allclose(dpixels[:, :, 0, 0], dx, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(spatial_dgamma, dgamma)
    np.testing.assert_array_equal(spatial_dbeta, dbeta)


def test_where_a_pixel_lies_does_not_matter():
    rng = np.random.default_rng(0)
    x, permuted = rng.standard_normal((2, 3, 4, 5)), rng.permutation(20)
    shuffled = x.reshape(2, 3, 20)[:, :, permuted].reshape(x.shape)
    out, _ = spatial_batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train"})
    expected = out.reshape(2, 3, 20)[:, :, permuted].reshape(x.shape)
    actual, _ = spatial_batchnorm_forward(shuffled, np.ones(3), np.zeros(3), {"mode": "train"})
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-14)  # sums of forty in another order


@pytest.mark.parametrize("name", ["gamma", "beta", "running_mean", "running_var"])
@pytest.mark.parametrize("shape", [(1,), (3, 1), (1, 3, 1, 1), (), (4,)])
def test_refuses_parameters_and_averages_of_another_shape(name, shape):
    values = {"gamma": np.ones(3), "beta": np.ones(3), "running_mean": np.ones(3), "running_var": np.ones(3)} | {name: np.ones(shape)}
    gamma, beta = values.pop("gamma"), values.pop("beta")
    message = f"spatial_batchnorm_forward: {name} has shape {shape}; expected (3,), one value for each channel of x (2, 3, 4, 5)"
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_batchnorm_forward(np.ones((2, 3, 4, 5)), gamma, beta, {"mode": "train", **values})


@pytest.mark.parametrize(
    ("x", "bn_param", "error", "message"),
    [
        (np.ones((2, 3)), {"mode": "train"}, ValueError, "x has shape (2, 3); expected (N, C, H, W)"),
        (np.ones((2, 3, 4, 5), int), {"mode": "train"}, TypeError, "x has dtype int64; expected floating point"),
        (np.ones((2, 3, 4, 5)), {}, ValueError, "bn_param['mode'] is None; set it to 'train' or 'test'"),
        (
            np.ones((0, 3, 4, 5)),
            {"mode": "train"},
            ValueError,
            "x has shape (0, 3, 4, 5); the statistics of a batch need at least one pixel",
        ),
    ],
)
def test_refuses_what_has_no_statistics(x, bn_param, error, message):
    with pytest.raises(error, match=re.escape(f"spatial_batchnorm_forward: {message}")):
        spatial_batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)


def test_no_images_are_fine_in_test_mode():
    out, cache = spatial_batchnorm_forward(np.ones((0, 3, 4, 5)), np.ones(3), np.zeros(3), {"mode": "test"})
    assert out.shape == spatial_batchnorm_backward(out, cache)[0].shape == (0, 3, 4, 5)


def test_refuses_a_dout_of_another_shape():
    _, cache = spatial_batchnorm_forward(np.ones((2, 3, 4, 5)), np.ones(3), np.zeros(3), {"mode": "train"})
    message = "spatial_batchnorm_backward: dout has shape (2, 4, 5, 3); expected (2, 3, 4, 5), the shape of the output"
    with pytest.raises(ValueError, match=re.escape(message)):
        spatial_batchnorm_backward(np.ones((2, 4, 5, 3)), cache)
