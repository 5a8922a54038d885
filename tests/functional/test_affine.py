import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.functional import affine_backward, affine_forward
from chainrule.verification import check_gradients

sizes = st.integers(1, 5)


@given(
    N=st.integers(0, 4), inner=st.lists(sizes, min_size=1, max_size=3), M=st.integers(0, 4), dtype=st.sampled_from([np.float32, np.float64])
)
def test_agrees_with_torch_on_every_shape_the_empty_batch_included(N, inner, M, dtype, random_array, assert_agrees_with_torch):
    rng, D = np.random.default_rng(0), int(np.prod(inner))
    arrays = random_array(rng, (N, *inner), dtype), random_array(rng, (D, M), dtype), random_array(rng, (M,), dtype)
    # condition: the products in a sum are up to 9 times as large as the standard deviation that the root rule speaks of
    assert_agrees_with_torch(
        affine_forward, affine_backward, lambda x, w, b: x.reshape(N, D) @ w + b, arrays, longest_sum=max(N, D, M, 1), condition=9
    )


def test_gradients_agree_with_central_differences():
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape) for shape in ((2, 3, 4), (12, 5), 5))
    check_gradients(affine_forward, affine_backward, x, w, b)


def test_gives_the_numbers_published_in_the_course():
    x = np.linspace(-0.1, 0.5, num=240).reshape(2, 4, 5, 6)
    w = np.linspace(-0.2, 0.3, num=360).reshape(120, 3)
    b = np.linspace(-0.3, 0.1, num=3)
    out, _ = affine_forward(x, w, b)
    # published with eight decimals
    np.testing.assert_allclose(out, [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]], rtol=0, atol=5.1e-9)


@given(a=st.floats(-3, 3), c=st.floats(-3, 3))
def test_is_linear_in_w_and_b_together(a, c):
    rng = np.random.default_rng(0)
    x, w1, w2, b1, b2 = (rng.standard_normal(shape) for shape in ((3, 4), (4, 2), (4, 2), 2, 2))
    combined, _ = affine_forward(x, a * w1 + c * w2, a * b1 + c * b2)
    # five products of up to 3 * 3 * 3 and unit roundoff 1.1e-16
    np.testing.assert_allclose(combined, a * affine_forward(x, w1, b1)[0] + c * affine_forward(x, w2, b2)[0], rtol=0, atol=5e-14)


def test_backward_is_the_adjoint_of_forward():
    rng = np.random.default_rng(0)
    x, w, dout = (rng.standard_normal(shape) for shape in ((6, 7), (7, 5), (6, 5)))
    out, cache = affine_forward(x, w, np.zeros(5))
    dx, dw, _ = affine_backward(dout, cache)
    # <dout, x w> = <dx, x> = <dw, w>; sums of at most 42 terms of size 10
    np.testing.assert_allclose([np.sum(dx * x), np.sum(dw * w)], np.sum(dout * out), rtol=0, atol=1e-13)


def test_the_cache_is_the_courses_x_w_b():
    x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    _, cache = affine_forward(x, w, b)
    assert all(kept is given for kept, given in zip(cache, (x, w, b), strict=True))


@pytest.mark.parametrize("shape", [(2, 1), (1, 5), (5, 1), (1,), (), (4,)])
def test_refuses_a_b_that_would_broadcast(shape):
    message = f"affine_forward: b has shape {shape}; expected (5,), one value for each column of w (3, 5)"
    with pytest.raises(ValueError, match=re.escape(message)):
        affine_forward(np.ones((2, 3)), np.ones((3, 5)), np.ones(shape))


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "message"),
    [
        ((2, 3, 4), (10, 7), "x has shape (2, 3, 4), that is 12 values a sample, but w has shape (10, 7); expected (12, M)"),
        ((2, 3), (5, 3), "x has shape (2, 3), that is 3 values a sample, but w has shape (5, 3); expected (3, M)"),
        ((2, 3), (3,), "x has shape (2, 3), that is 3 values a sample, but w has shape (3,); expected (3, M)"),
        ((), (1, 2), "x has shape (); expected a batch, (N, d_1, ..., d_k)"),
    ],
)
def test_names_both_shapes_when_x_and_w_disagree(x_shape, w_shape, message):
    with pytest.raises(ValueError, match=re.escape(f"affine_forward: {message}")):
        affine_forward(np.ones(x_shape), np.ones(w_shape), np.ones(w_shape[-1]))
