"""Central differences against derivatives that are known in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chainrule.verification import numerical_gradient, numerical_gradient_array
from chainrule.verification.numerical import default_step

any_array = arrays(np.float64, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), elements=st.floats(-3, 3))


@given(any_array)
def test_the_gradient_of_a_sum_of_sines_is_the_cosine(x):
    # curvature h**2 / 6 = 6e-12 and rounding of the sum, eps * 64 / h = 2e-9 at most
    np.testing.assert_allclose(numerical_gradient(lambda x: np.sum(np.sin(x)), x), np.cos(x), rtol=0, atol=5e-9)


@given(any_array)
def test_x_is_put_back_bit_by_bit(x):
    before = x.tobytes()
    numerical_gradient(lambda x: np.sum(x**2), x)
    numerical_gradient_array(np.exp, x, np.ones(x.shape))
    assert x.tobytes() == before


@given(x=arrays(np.float64, (3, 4), elements=st.floats(-3, 3)), dout=arrays(np.float64, (3, 4), elements=st.floats(-3, 3)))
def test_the_gradient_of_an_array_is_weighted_by_dout(x, dout):
    # exp <= 20 and |dout| <= 3: curvature 60 h**2 / 6 = 4e-10, rounding 60 eps / h = 2e-9
    np.testing.assert_allclose(numerical_gradient_array(np.exp, x, dout), np.exp(x) * dout, rtol=0, atol=5e-9)


def test_the_gradient_of_a_product_with_a_matrix_is_the_product_with_its_transpose():
    rng = np.random.default_rng(0)
    x, w, dout = rng.standard_normal((2, 3)), rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    np.testing.assert_allclose(numerical_gradient_array(lambda x: x @ w, x, dout), dout @ w.T, atol=1e-9)


def test_f_may_close_over_the_array_and_ignore_its_argument():
    params = {"w": np.array([1.0, 2.0])}
    np.testing.assert_allclose(numerical_gradient(lambda _: params["w"].prod(), params["w"]), [2.0, 1.0], atol=1e-9)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda a: a.T, id="transposed"),
        pytest.param(lambda a: a[::2, ::-1], id="strided"),
        pytest.param(np.asfortranarray, id="Fortran order"),
    ],
)
def test_views_are_moved_in_place_and_keep_their_layout(view):
    memory = np.random.default_rng(0).standard_normal((4, 6))
    x = view(memory)
    np.testing.assert_allclose(numerical_gradient(lambda x: np.sum(x**3), x), 3 * x**2, atol=1e-8)


def test_an_array_without_axes_has_a_gradient_without_axes():
    gradient = numerical_gradient(lambda x: x**2, np.array(3.0))
    assert gradient.shape == ()
    assert gradient == pytest.approx(6, abs=1e-9)


def test_an_empty_array_has_an_empty_gradient_and_f_is_not_called():
    def never(x):
        raise AssertionError("called")

    assert numerical_gradient(never, np.zeros((0, 3))).shape == (0, 3)


def test_float32_is_differentiated_in_float32_with_a_step_to_match():
    x = np.array([0.5, -1.0], dtype=np.float32)
    gradient = numerical_gradient(lambda x: np.sum(np.sin(x)), x)
    assert gradient.dtype == np.float32
    # eps**(2/3) = 2.4e-5, times the constants of curvature and rounding
    np.testing.assert_allclose(gradient, np.cos(x), atol=1e-4)


def test_the_step_grows_with_x():
    np.testing.assert_allclose(default_step(np.array([0.0, -1000.0])), [6.06e-6, 6.06e-3], rtol=1e-3)


def test_a_step_of_ones_own_is_used():
    seen = []

    def f(x):
        seen.append(x[0])
        return x[0] ** 2

    assert numerical_gradient(f, np.array([1.0]), h=0.5) == [2.0]
    assert seen == [1.5, 0.5]


def test_f_may_return_the_same_memory_every_time():
    out = np.empty(2)
    np.testing.assert_allclose(numerical_gradient_array(lambda x: np.multiply(x, 3, out=out), np.ones(2), np.ones(2)), [3, 3], rtol=1e-9)


def test_x_is_put_back_when_f_raises():
    x = np.array([1.0, 2.0])

    def f(x):
        raise RuntimeError("out of order")

    with pytest.raises(RuntimeError, match="out of order"):
        numerical_gradient(f, x)
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.array([1, 2]), TypeError, "x is an array of int64; a small step needs an array of floating point numbers"),
        ([1.0, 2.0], TypeError, "x is list"),
        (np.array([1.0, np.nan]), ValueError, "not finite at 1 of 2 entries"),
        (np.broadcast_to(1.0, (3,)), ValueError, "x is read-only"),
    ],
)
def test_an_x_that_cannot_be_moved_is_refused(x, error, message):
    with pytest.raises(error, match=message):
        numerical_gradient(np.sum, x)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"f returns an array of shape \(2,\); a number is needed, or numerical_gradient_array"):
        numerical_gradient(np.exp, np.zeros(2))
    with pytest.raises(ValueError, match=r"f\(x\) has shape \(2,\), dout \(1, 2\)"):
        numerical_gradient_array(np.exp, np.zeros(2), np.zeros((1, 2)))
