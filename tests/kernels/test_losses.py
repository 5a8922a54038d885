"""The compiled softmax loss against its definition and against PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import functional, kernels


def case(N, C, dtype):
    rng = np.random.default_rng([N, C])
    return (3 * rng.standard_normal((N, C))).astype(dtype), rng.integers(0, C, N)


@given(
    N=st.integers(1, 30), C=st.integers(1, 20), dtype=st.sampled_from([np.float32, np.float64]), smoothing=st.sampled_from([0, 0.1, 1]),
    labels=st.sampled_from([np.int64, np.int32, np.uint8]), layout=st.sampled_from(["C", "F", "every second", "reversed", "read-only"]),
)  # fmt: skip
def test_equals_its_definition(N, C, dtype, smoothing, labels, layout, laid_out):
    x, y = case(N, C, dtype)
    loss, dx = kernels.softmax_loss(laid_out(x.copy(), layout), y.astype(labels), label_smoothing=smoothing)
    expected, expected_dx = functional.softmax_loss(x.astype(np.float64), y, label_smoothing=smoothing)
    # sums of up to 30 + 20 numbers of up to 20: fewer than 100 roundoffs
    tolerance = 100 * np.finfo(dtype).eps
    assert loss.dtype == dx.dtype == dtype
    np.testing.assert_allclose(loss, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(dx, expected_dx, rtol=tolerance, atol=tolerance / N)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_equals_torch(smoothing):
    torch = pytest.importorskip("torch")
    x, y = case(17, 10, np.float64)
    tensor = torch.from_numpy(x).requires_grad_()
    expected = torch.nn.functional.cross_entropy(tensor, torch.from_numpy(y), label_smoothing=smoothing)
    expected.backward()
    loss, dx = kernels.softmax_loss(x, y, label_smoothing=smoothing)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-14)  # means of 17 and sums of 10 numbers
    np.testing.assert_allclose(dx, tensor.grad, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_any_size_give_finite_and_right_numbers(dtype):
    x = np.array([[1e4, 0, -1e4], [-1e30, -1e30, -1e30], [0, -np.inf, 0]], dtype)
    loss, dx = kernels.softmax_loss(x, np.array([1, 2, 0]))
    np.testing.assert_allclose(loss, (1e4 + np.log(3) + np.log(2)) / 3, rtol=4 * np.finfo(dtype).eps)
    expected = np.array([[1, -1, 0], [1 / 3, 1 / 3, -2 / 3], [-1 / 2, 0, 1 / 2]]) / 3
    np.testing.assert_allclose(dx, expected, atol=4 * np.finfo(dtype).eps)


def test_nan_in_the_scores_reaches_the_loss():
    x, y = case(4, 3, np.float32)
    for place in ((1, 0), (1, 2)):
        broken = x.copy()
        broken[place] = np.nan
        assert np.isnan(kernels.softmax_loss(broken, y)[0])


def test_the_gradient_is_written_to_the_buffer_that_is_given():
    x, y = case(4, 3, np.float32)
    for buffer in (np.empty((4, 3), np.float32), np.empty((3, 4), np.float32).T):
        _, dx = kernels.softmax_loss(x, y, dx=buffer)
        assert dx is buffer
        np.testing.assert_array_equal(dx, kernels.softmax_loss(x, y)[1])


@pytest.mark.parametrize(
    ("x", "y", "smoothing", "kind", "message"),
    [
        (np.ones((2, 3)), np.array([0, 3]), 0, ValueError, r"y\[1\] is 3"),
        (np.ones((2, 3)), np.array([-1, 0]), 0, ValueError, r"y\[0\] is -1"),
        (np.ones((2, 3)), np.array([0, 2**64 - 1], np.uint64), 0, ValueError, r"y\[1\] is 18446744073709551615"),
        (np.ones((2, 3)), np.array([0.0, 1.0]), 0, TypeError, "expected integer labels"),
        (np.ones((2, 3)), np.array([0]), 0, ValueError, r"y has shape \(1,\); expected \(2,\)"),
        (np.ones((0, 3)), np.array([], int), 0, ValueError, "at least one sample"),
        (np.ones((2, 3)), np.array([0, 1]), 1.5, ValueError, "label_smoothing is 1.5"),
        (np.ones((2, 3), int), np.array([0, 1]), 0, TypeError, "expected floating point"),
        (np.ones(3), np.array([0]), 0, ValueError, "expected two axes"),
    ],
)
def test_the_errors_are_those_of_the_definition(x, y, smoothing, kind, message):
    for loss in (kernels.softmax_loss, functional.softmax_loss):
        with pytest.raises(kind, match=message):
            loss(x, y, label_smoothing=smoothing)
