import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chainrule.functional import (
    gelu_backward,
    gelu_forward,
    gelu_tanh_backward,
    gelu_tanh_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from chainrule.verification import check_gradients

PAIRS = {
    "relu": (relu_forward, relu_backward),
    "leaky_relu": (leaky_relu_forward, leaky_relu_backward),
    "sigmoid": (sigmoid_forward, sigmoid_backward),
    "tanh": (tanh_forward, tanh_backward),
    "gelu": (gelu_forward, gelu_backward),
    "gelu_tanh": (gelu_tanh_forward, gelu_tanh_backward),
}
every_pair = pytest.mark.parametrize(("forward", "backward"), PAIRS.values(), ids=PAIRS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def torch_activation(name):
    functional = pytest.importorskip("torch", reason="PyTorch is the reference here").nn.functional
    if name == "gelu_tanh":
        return lambda x: functional.gelu(x, approximate="tanh")
    return getattr(functional, name)


@pytest.mark.parametrize("name", PAIRS)
@both_dtypes
@given(shape=array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), seed=st.integers(0, 1000))
def test_agrees_with_torch_on_every_shape(name, dtype, shape, seed, random_array, assert_agrees_with_torch):
    x = 3 * random_array(np.random.default_rng(seed), shape, dtype)
    # condition: the derivative of x**3 at |x| < 12 multiplies the relative rounding error of gelu_tanh's argument by up to 12
    assert_agrees_with_torch(*PAIRS[name], torch_activation(name), (np.asarray(x, dtype),), condition=12)


@every_pair
def test_gradients_agree_with_central_differences(forward, backward):
    rng = np.random.default_rng(0)
    x = rng.choice([-1, 1], (3, 4, 5)) * rng.uniform(0.1, 3, (3, 4, 5))  # away from the kink at 0
    check_gradients(forward, backward, x)


@every_pair
@both_dtypes
def test_the_greatest_numbers_overflow_nowhere(forward, backward, dtype):
    x = np.array([np.finfo(dtype).max, np.finfo(dtype).min, 1e4, -1e4, 100, -100, 0], dtype)
    out, cache = forward(x)  # a warning would be an error here
    dx = backward(np.ones_like(x), cache)
    assert np.isfinite(out).all() and np.isfinite(dx).all()
    assert out.dtype == dx.dtype == dtype


@every_pair
def test_not_a_number_stays_visible(forward, backward):
    out, _ = forward(np.array([np.nan, 1.0]))
    assert np.isnan(out[0]) and np.isfinite(out[1])


@pytest.mark.parametrize(
    ("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.01), ("sigmoid", 0.25), ("tanh", 1.0), ("gelu", 0.5), ("gelu_tanh", 0.5)]
)
def test_the_slope_at_zero_is_pytorchs(name, slope):
    forward, backward = PAIRS[name]
    dx = backward(np.ones(1), forward(np.zeros(1))[1])
    assert dx[0] == slope


def test_relu_gives_the_numbers_published_in_the_course():
    out, cache = relu_forward(np.linspace(-0.5, 0.5, num=12).reshape(3, 4))
    expected = [[0, 0, 0, 0], [0, 0, 0.04545455, 0.13636364], [0.22727273, 0.31818182, 0.40909091, 0.5]]
    np.testing.assert_allclose(out, expected, rtol=0, atol=5.1e-9)  # published with eight decimals
    np.testing.assert_array_equal(cache, np.linspace(-0.5, 0.5, num=12).reshape(3, 4))


@given(arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)))
def test_relu_of_x_minus_relu_of_minus_x_is_x(x):
    np.testing.assert_array_equal(relu_forward(x)[0] - relu_forward(-x)[0], x)


@pytest.mark.parametrize("negative_slope", [0.0, 0.01, 0.3, np.float64(0.3), 1, 2.0])
def test_leaky_relu_keeps_float32_and_takes_any_slope(negative_slope):
    x = np.float32([-2, -0.5, 0, 0.5, 2])
    out, cache = leaky_relu_forward(x, negative_slope)
    dx = leaky_relu_backward(np.ones_like(x), cache)
    assert out.dtype == dx.dtype == np.float32
    np.testing.assert_array_equal(out, np.float32([*(np.float32(negative_slope) * x[:3]), *x[3:]]))
    np.testing.assert_array_equal(dx, np.float32([negative_slope] * 3 + [1] * 2))


def test_leaky_relu_with_slope_0_is_relu_and_with_slope_1_is_the_identity():
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_array_equal(leaky_relu_forward(x, 0.0)[0], relu_forward(x)[0])
    np.testing.assert_array_equal(leaky_relu_forward(x, 1.0)[0], x)


@given(st.floats(-700, 700))
def test_sigmoid_of_minus_x_is_one_minus_sigmoid_of_x(x):
    out, _ = sigmoid_forward(np.array([x, -x]))
    assert abs(out.sum() - 1) <= 2**-52
    # the tail keeps its digits: relative, not absolute, agreement with exp at unit roundoff
    assert math.isclose(out.min(), math.exp(-abs(x)) / (1 + math.exp(-abs(x))), rel_tol=1e-15)


@given(st.floats(-20, 20))
def test_tanh_is_a_stretched_sigmoid(x):
    # 2 s(2x) - 1: the rounding of s(2x), 1.1e-16, doubled, and that of the difference
    assert abs(tanh_forward(np.array([x]))[0] - (2 * sigmoid_forward(np.array([2 * x]))[0] - 1)) < 5e-16


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_gelu_of_x_minus_gelu_of_minus_x_is_x(name):
    x = np.linspace(-6, 6, 101)
    out, mirrored = PAIRS[name][0](x)[0], PAIRS[name][0](-x)[0]
    np.testing.assert_allclose(out - mirrored, x, rtol=0, atol=2e-15)  # P(Z <= x) + P(Z <= -x) = 1; two roundings of numbers up to 6


def test_gelu_is_x_times_the_normal_distribution_function_in_its_far_tail():
    # P(Z <= -10) = 7.619853024160527e-24 (any table of the normal distribution); 1 + erf(-10 / sqrt(2)) would be 0
    np.testing.assert_allclose(gelu_forward(np.array([-10.0]))[0], [-10 * 7.619853024160527e-24], rtol=1e-14)


def test_the_tanh_form_is_within_5e_4_of_the_exact_gelu():
    x = np.linspace(-8, 8, 4001)
    assert np.abs(gelu_forward(x)[0] - gelu_tanh_forward(x)[0]).max() < 5e-4


def test_gelu_refuses_integers():
    with pytest.raises(
        TypeError, match=re.escape("gelu_forward: x has dtype int64; expected floating point, for example x.astype(np.float32)")
    ):
        gelu_forward(np.arange(3, dtype=np.int64))
