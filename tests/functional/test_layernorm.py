import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule.functional import batchnorm_forward, layernorm_backward, layernorm_forward
from chainrule.verification import check_gradients

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def amplification(x):
    """x - mean loses |x| / std in relative accuracy, and dx divides by std once more."""
    std = np.sqrt(x.astype(np.float64).var(axis=1) + 1e-5)
    return float(np.max((1 + np.abs(x).max(initial=0)) / std, initial=1) ** 2)


@both_dtypes
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "reversed"])
@given(N=st.integers(0, 5), D=st.integers(1, 6), seed=st.integers(0, 1000))
def test_agrees_with_torch_on_every_shape_and_layout(layout, dtype, N, D, seed, random_array, assert_agrees_with_torch):
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    rng = np.random.default_rng(seed)
    x, gamma, beta = (random_array(rng, shape, dtype, layout) for shape in ((N, D), (D,), (D,)))
    assert_agrees_with_torch(
        lambda x, gamma, beta: layernorm_forward(x, gamma, beta, {}),
        layernorm_backward,
        lambda x, gamma, beta: torch.nn.functional.layer_norm(x, (D,), gamma, beta),
        (x, gamma, beta),
        longest_sum=max(N, D),
        condition=amplification(x),
    )


def test_gradients_agree_with_central_differences():
    rng = np.random.default_rng(0)
    x, gamma, beta = 3 + 2 * rng.standard_normal((4, 6)), rng.standard_normal(6), rng.standard_normal(6)
    check_gradients(lambda x, gamma, beta: layernorm_forward(x, gamma, beta, {"eps": 1e-3}), layernorm_backward, x, gamma, beta)


@given(x=arrays(np.float64, (4, 6), elements=st.floats(-3, 3)), shift=st.floats(-5, 5))
def test_ignores_a_shift_of_the_row(x, shift):
    out, _ = layernorm_forward(x, np.ones(6), np.zeros(6), {})
    shifted, _ = layernorm_forward(x + shift, np.ones(6), np.zeros(6), {})
    # rounding of x + shift (4e-15 with the mean), amplified by at most 1 / sqrt(eps) = 316
    np.testing.assert_allclose(shifted, out, rtol=0, atol=2e-12)


@given(scale=st.floats(0.1, 100))
def test_ignores_the_scale_of_the_row(scale):
    x = np.random.default_rng(0).standard_normal((4, 6))
    out, _ = layernorm_forward(x, np.ones(6), np.zeros(6), {"eps": 0.0})
    scaled, _ = layernorm_forward(scale * x, np.ones(6), np.zeros(6), {"eps": 0.0})
    np.testing.assert_allclose(scaled, out, rtol=0, atol=1e-14)  # a few roundings of numbers up to 3


def test_is_batch_normalization_of_the_transposed_x():
    x = np.random.default_rng(0).standard_normal((4, 6))
    rows, _ = layernorm_forward(x, np.ones(6), np.zeros(6), {})
    columns, _ = batchnorm_forward(x.T, np.ones(4), np.zeros(4), {"mode": "train"})
    np.testing.assert_allclose(rows, columns.T, rtol=0, atol=1e-14)


def test_each_sample_is_normalized_on_its_own():
    x = np.random.default_rng(0).standard_normal((4, 6))
    together, _ = layernorm_forward(x, np.ones(6), np.zeros(6), {})
    alone, _ = layernorm_forward(x[2:3], np.ones(6), np.zeros(6), {})
    np.testing.assert_array_equal(together[2:3], alone)


def test_rows_come_out_with_mean_0_and_standard_deviation_1():
    x = 5 + 3 * np.random.default_rng(0).standard_normal((4, 60))
    out, _ = layernorm_forward(x, np.ones(60), np.zeros(60), {"mode": "train"})  # the course passes a mode, too
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(out.std(axis=1), 1, rtol=1e-5)  # eps = 1e-5 beside a variance of 9


def test_integer_gamma_and_beta_and_a_numpy_eps_keep_the_dtype_of_x():
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    out, cache = layernorm_forward(x, np.array([3, 3, 3]), np.array([5, 5, 5]), {"eps": np.float64(1e-5)})
    gradients = layernorm_backward(np.ones_like(x), cache)
    assert out.dtype == np.float32 and all(gradient.dtype == np.float32 for gradient in gradients)


@pytest.mark.parametrize("name", ["gamma", "beta"])
@pytest.mark.parametrize("shape", [(1,), (3, 1), (2, 3), (1, 3), (), (4,)])
def test_refuses_parameters_that_would_broadcast(name, shape):
    arguments = {"gamma": np.ones(3), "beta": np.ones(3)} | {name: np.ones(shape)}
    message = f"layernorm_forward: {name} has shape {shape}; expected (3,), one value for each column of x (2, 3)"
    with pytest.raises(ValueError, match=re.escape(message)):
        layernorm_forward(np.ones((2, 3)), **arguments, ln_param={})


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((2, 0)), ValueError, "x has shape (2, 0); the statistics of a row need at least one column"),
        (np.ones(3), ValueError, "x has shape (3,); expected two axes"),
        (np.ones((2, 3), np.int64), TypeError, "x has dtype int64; expected floating point"),
    ],
)
def test_refuses_an_x_without_statistics(x, error, message):
    with pytest.raises(error, match=re.escape(f"layernorm_forward: {message}")):
        layernorm_forward(x, np.ones(x.shape[-1]), np.zeros(x.shape[-1]), {})
