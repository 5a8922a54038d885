import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from chainrule.functional import mse_loss, softmax_loss, svm_loss
from chainrule.verification import check_loss

classifiers = pytest.mark.parametrize("loss_function", [softmax_loss, svm_loss])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.integers(1, 6)


def assert_loss_agrees_with_torch(loss_function, reference, x, y):
    """Loss and dx against autograd; the longest sum is the whole batch, errors are relative to the scores and to the terms of dx."""
    torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
    loss, dx = loss_function(x, y)
    scores = torch.from_numpy(x.copy()).requires_grad_()
    expected = reference(torch.nn.functional)(scores, torch.from_numpy(np.array(y)))
    expected.backward()
    tolerance = 10 * np.finfo(x.dtype).eps / 2 * np.sqrt(x.size)
    assert loss.dtype == dx.dtype == x.dtype
    assert np.shape(loss) == () and dx.shape == x.shape
    np.testing.assert_allclose(loss, expected.item(), rtol=tolerance, atol=tolerance * max(1, np.abs(x).max()))
    # dx is a difference of numbers up to 1 / N, a probability and a target, that may cancel
    np.testing.assert_allclose(dx, scores.grad.numpy(), rtol=tolerance, atol=tolerance / max(1, len(np.atleast_1d(x))))


@both_dtypes
@given(N=sizes, C=sizes, smoothing=st.sampled_from([0.0, 0.1, 1.0]), seed=st.integers(0, 1000))
def test_softmax_loss_agrees_with_torch(dtype, N, C, smoothing, seed, random_array):
    rng = np.random.default_rng(seed)
    x, y = random_array(rng, (N, C), dtype), rng.integers(0, C, N)
    assert_loss_agrees_with_torch(
        lambda x, y: softmax_loss(x, y, label_smoothing=smoothing),
        lambda F: lambda x, y: F.cross_entropy(x, y, label_smoothing=smoothing),
        x,
        y,
    )


@both_dtypes
@given(N=sizes, C=sizes, margin=st.sampled_from([0.5, 1.0, 3.0]), seed=st.integers(0, 1000))
def test_svm_loss_is_c_times_torchs_multi_margin_loss(dtype, N, C, margin, seed, random_array):
    rng = np.random.default_rng(seed)
    x, y = random_array(rng, (N, C), dtype), rng.integers(0, C, N)
    assert_loss_agrees_with_torch(
        lambda x, y: svm_loss(x, y, margin=margin), lambda F: lambda x, y: C * F.multi_margin_loss(x, y, margin=margin), x, y
    )


@both_dtypes
@given(shape=array_shapes(min_dims=0, max_dims=3, max_side=4), seed=st.integers(0, 1000))
def test_mse_loss_agrees_with_torch_on_every_shape(dtype, shape, seed, random_array):
    rng = np.random.default_rng(seed)
    x, y = np.asarray(random_array(rng, shape, dtype)), np.asarray(random_array(rng, shape, dtype))
    assert_loss_agrees_with_torch(mse_loss, lambda F: F.mse_loss, x, y)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_softmax_loss_agrees_with_central_differences(smoothing):
    rng = np.random.default_rng(0)
    check_loss(lambda x, y: softmax_loss(x, y, label_smoothing=smoothing), rng.standard_normal((5, 3)), rng.integers(0, 3, 5))


def test_the_gradient_of_svm_loss_agrees_with_central_differences():
    rng = np.random.default_rng(0)
    check_loss(svm_loss, rng.standard_normal((5, 3)), rng.integers(0, 3, 5))


def test_the_gradient_of_mse_loss_agrees_with_central_differences():
    rng = np.random.default_rng(0)
    check_loss(lambda x: mse_loss(x, np.ones((5, 3), x.dtype)), rng.standard_normal((5, 3)))


@given(arrays(np.float64, (3, 4), elements=st.floats(-10, 10)), arrays(np.float64, (3, 1), elements=st.floats(-1e3, 1e3)))
def test_classifiers_see_differences_of_scores_only(x, shift):
    y = np.array([0, 3, 1])
    loss, dx = softmax_loss(x, y)
    shifted_loss, shifted_dx = softmax_loss(x + shift, y)
    # x + shift is rounded to 1e3 * 1.1e-16; the loss has slope 1 in each score
    np.testing.assert_allclose(shifted_loss, loss, rtol=0, atol=1e-12)
    np.testing.assert_allclose(shifted_dx, dx, rtol=0, atol=1e-12)
    # six margins a row may feel that rounding; their slopes may not be compared, for a rounded score may cross the kink
    np.testing.assert_allclose(svm_loss(x + shift, y)[0], svm_loss(x, y)[0], rtol=0, atol=1e-11)


@classifiers
def test_every_row_of_the_gradient_sums_to_zero(loss_function):
    rng = np.random.default_rng(0)
    _, dx = loss_function(rng.standard_normal((8, 5)), rng.integers(0, 5, 8))
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-16)


@pytest.mark.parametrize(("loss_function", "expected"), [(softmax_loss, np.log(10)), (svm_loss, 9.0)])
def test_equal_scores_give_the_loss_of_an_untrained_network(loss_function, expected):
    loss, _ = loss_function(np.full((4, 10), 0.3), np.arange(4))
    np.testing.assert_allclose(loss, expected, rtol=1e-15)


@classifiers
def test_the_loss_is_a_mean_so_a_batch_twice_over_has_the_same(loss_function):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, 3)), rng.integers(0, 3, 4)
    loss, dx = loss_function(x, y)
    doubled_loss, doubled_dx = loss_function(np.concatenate([x, x]), np.concatenate([y, y]))
    np.testing.assert_allclose(doubled_loss, loss, rtol=1e-15)
    np.testing.assert_allclose(doubled_dx[:4], dx / 2, rtol=1e-15)


@both_dtypes
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_softmax_loss_is_finite_and_right_for_huge_scores(dtype, size):
    x = np.array([[size, 0.0, -size]], dtype)
    for label, expected in enumerate((0.0, size, 2 * size)):
        loss, dx = softmax_loss(x, np.array([label]))
        np.testing.assert_allclose(loss, expected, rtol=1e-6)
        assert np.isfinite(dx).all()


def test_softmax_loss_takes_a_score_of_minus_infinity_for_a_class_that_is_ruled_out():
    loss, dx = softmax_loss(np.array([[0.0, -np.inf, 0.0]]), np.array([0]))
    np.testing.assert_allclose(loss, np.log(2))
    np.testing.assert_allclose(dx, [[-0.5, 0, 0.5]])


def test_softmax_loss_of_a_certain_and_right_network_is_a_positive_zero():
    loss, _ = softmax_loss(np.array([[1e3, 0.0]]), np.array([0]))
    assert loss == 0 and not np.signbit(loss)  # it would be shown as -0.000


def test_full_smoothing_forgets_the_label():
    x = np.random.default_rng(0).standard_normal((3, 4))
    loss, dx = softmax_loss(x, np.array([0, 1, 2]), label_smoothing=1.0)
    other_loss, other_dx = softmax_loss(x, np.array([3, 3, 3]), label_smoothing=1.0)
    assert loss == other_loss
    np.testing.assert_array_equal(dx, other_dx)


def test_svm_loss_is_zero_where_every_margin_is_met_exactly():
    loss, dx = svm_loss(np.array([[2.0, 1.0, 1.0]]), np.array([0]))
    assert loss == 0
    np.testing.assert_array_equal(dx, np.zeros((1, 3)))


@classifiers
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_may_be_of_any_integer_dtype_or_a_list(loss_function, dtype):
    x = np.random.default_rng(0).standard_normal((3, 4))
    loss, dx = loss_function(x, [2, 0, 3])
    other_loss, other_dx = loss_function(x, np.array([2, 0, 3], dtype))
    assert loss == other_loss
    np.testing.assert_array_equal(dx, other_dx)


@classifiers
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((3, 4)), [0, 4, 1], ValueError, "y[1] is 4, but x has scores of 4 classes; expected labels from 0 to 3"),
        (np.zeros((3, 4)), [0, 1, -1], ValueError, "y[2] is -1, but x has scores of 4 classes; expected labels from 0 to 3"),
        (np.zeros((3, 4)), [0.0, 1.0, 2.0], TypeError, "y has dtype float64; expected integer labels, for example y.astype(np.int64)"),
        (np.zeros((3, 4)), [True, False, True], TypeError, "y has dtype bool; expected integer labels"),
        (np.zeros((3, 4)), [[0], [1], [2]], ValueError, "y has shape (3, 1); expected (3,), one label for each row of x (3, 4)"),
        (np.zeros((3, 4)), [0, 1], ValueError, "y has shape (2,); expected (3,), one label for each row of x (3, 4)"),
        (np.zeros((3, 4)), 0, ValueError, "y has shape (); expected (3,)"),
        (np.zeros((0, 4)), [], ValueError, "x has shape (0, 4); the mean over a batch needs at least one sample"),
        (np.zeros(4), [0], ValueError, "x has shape (4,); expected two axes"),
        (np.zeros((3, 4), np.int64), [0, 1, 2], TypeError, "x has dtype int64; expected floating point"),
        (np.zeros((3, 0)), [0, 0, 0], ValueError, "y[0] is 0, but x has scores of 0 classes"),
    ],
)
def test_classifiers_refuse_what_has_no_meaning(loss_function, x, y, error, message):
    with pytest.raises(error, match=re.escape(f"{loss_function.__name__}: {message}")):
        loss_function(x, y)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, np.nan])
def test_softmax_loss_refuses_a_share_outside_0_to_1(smoothing):
    with pytest.raises(ValueError, match=re.escape(f"label_smoothing is {smoothing}; expected a share of the target, in [0, 1]")):
        softmax_loss(np.zeros((1, 2)), [0], label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((3, 1)), np.zeros(3), ValueError, "y has shape (3,); expected (3, 1), the shape of x"),
        (np.zeros((3, 1)), np.zeros((3, 4)), ValueError, "y has shape (3, 4); expected (3, 1), the shape of x"),
        (np.zeros((3, 0)), np.zeros((3, 0)), ValueError, "x has shape (3, 0); a mean needs at least one element"),
        (np.zeros(3, np.int64), np.zeros(3), TypeError, "x has dtype int64; expected floating point"),
    ],
)
def test_mse_loss_refuses_what_has_no_meaning(x, y, error, message):
    with pytest.raises(error, match=re.escape(f"mse_loss: {message}")):
        mse_loss(x, y)


def test_mse_loss_keeps_the_dtype_of_the_predictions():
    loss, dx = mse_loss(np.ones(3, np.float32), np.array([0, 1, 2]))
    assert loss.dtype == dx.dtype == np.float32
