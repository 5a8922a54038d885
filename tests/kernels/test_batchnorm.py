"""Compiled batch normalization against its definition and against PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import functional, kernels
from chainrule.kernels.batchnorm import SERIAL
from chainrule.verification import check_gradients

SIZES = st.integers(1, 40)
LAYOUT = st.sampled_from(["C", "F", "every second", "reversed", "read-only"])


def case(N, D, dtype, seed=0):
    rng = np.random.default_rng([seed, N, D])
    arrays = rng.standard_normal((N, D)), rng.uniform(0.5, 2, D), rng.standard_normal(D), rng.standard_normal((N, D))
    return [array.astype(dtype) for array in arrays]


def assert_close(actual, expected, dtype, N):
    """A hundred roundoffs times the root of the number of samples: sums over the batch, divided by a standard deviation of 0.1 or more."""
    assert actual.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps * np.sqrt(N)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


@given(
    N=st.integers(2, 40), D=SIZES, dtype=st.sampled_from([np.float32, np.float64]), mode=st.sampled_from(["train", "test"]), layout=LAYOUT
)
def test_equals_its_definition(N, D, dtype, mode, layout, laid_out):
    x, gamma, beta, dout = case(N, D, dtype)
    # every feature with a spread of at least 1, so that its standard deviation does not magnify rounding
    x[0], x[1] = x[0] + 2, x[1] - 2
    x, dout = laid_out(x, layout), laid_out(dout, layout)
    ours = {"mode": mode, "momentum": 0.7, "running_mean": beta.copy(), "running_var": gamma.copy()}
    theirs = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in ours.items()}
    kept = x.copy()
    out, cache = kernels.batchnorm_forward(x, gamma, beta, ours)
    expected, expected_cache = functional.batchnorm_forward(x, gamma, beta, theirs)
    assert_close(out, expected, dtype, N)
    for name in ("running_mean", "running_var"):
        assert_close(ours[name], theirs[name], dtype, N)
    for actual, wanted in zip(kernels.batchnorm_backward(dout, cache), functional.batchnorm_backward(dout, expected_cache), strict=True):
        assert_close(actual, wanted, dtype, N)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("shape", [(17, 23), (300, 700)])
def test_with_relu_is_the_one_after_the_other(shape, threads):
    x, gamma, beta, dout = case(*shape, np.float64)
    out, cache = kernels.batchnorm_relu_forward(x, gamma, beta, {"mode": "train"})
    normalized, norm_cache = kernels.batchnorm_forward(x, gamma, beta, {"mode": "train"})
    np.testing.assert_array_equal(out, np.maximum(normalized, 0))
    gradients = kernels.batchnorm_relu_backward(dout, cache)
    for actual, expected in zip(gradients, kernels.batchnorm_backward(dout * (normalized > 0), norm_cache), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_equals_torch():
    torch = pytest.importorskip("torch")
    x, gamma, beta, dout = case(19, 7, np.float64)
    layer = torch.nn.BatchNorm1d(7, dtype=torch.float64)
    layer.load_state_dict(layer.state_dict() | {"weight": torch.from_numpy(gamma), "bias": torch.from_numpy(beta)})
    inputs = torch.from_numpy(x).requires_grad_()
    torch.relu(layer(inputs)).backward(torch.from_numpy(dout))
    _, cache = kernels.batchnorm_relu_forward(x, gamma, beta, {"mode": "train"})
    expected = inputs.grad, layer.weight.grad, layer.bias.grad
    for actual, wanted in zip(kernels.batchnorm_relu_backward(dout, cache), expected, strict=True):
        assert_close(actual, wanted.numpy(), np.float64, 19)


@pytest.mark.parametrize("mode", ["train", "test"])
def test_gradients_agree_with_central_differences(mode):
    x, gamma, beta, _ = case(6, 5, np.float64)
    running = {"running_mean": beta / 2, "running_var": gamma}

    def forward(x, gamma, beta):
        return kernels.batchnorm_forward(x, gamma, beta, {"mode": mode, **running})

    check_gradients(forward, kernels.batchnorm_backward, x, gamma, beta)


def test_momentum_0_leaves_the_statistics_of_the_batch_in_the_dictionary():
    x, gamma, beta, _ = case(50, 6, np.float64)
    bn_param = {"mode": "train", "momentum": 0.0}
    kernels.batchnorm_forward(x, gamma, beta, bn_param)
    np.testing.assert_allclose(bn_param["running_mean"], x.mean(axis=0), rtol=1e-13, atol=1e-15)  # sums of 50 numbers
    np.testing.assert_allclose(bn_param["running_var"], x.var(axis=0), rtol=1e-13)


def test_results_are_the_same_bits_for_every_number_of_threads():
    x, gamma, beta, dout = case(300, 333, np.float32)
    assert x.size > SERIAL
    before, results = kernels.threads(), set()
    for number in {1, before}:
        kernels.set_threads(number)
        out, cache = kernels.batchnorm_relu_forward(x, gamma, beta, {"mode": "train"})
        results.add(b"".join(array.tobytes() for array in (out, *kernels.batchnorm_relu_backward(dout, cache))))
    kernels.set_threads(before)
    assert len(results) == 1


def test_a_large_mean_does_not_spoil_the_variance():
    x, gamma, beta, _ = case(100, 4, np.float32)
    out, _ = kernels.batchnorm_forward(x + np.float32(1000), gamma, beta, {"mode": "train"})
    expected, _ = functional.batchnorm_forward((x + np.float32(1000)).astype(np.float64), gamma, beta, {"mode": "train"})
    # x itself is rounded to 1000 * 6e-8; its mean errs by about as much
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-3)


def test_results_are_written_to_the_buffers_that_are_given():
    x, gamma, beta, dout = case(9, 5, np.float32)
    for order in ("C", "F"):
        out, dx, dgamma, dbeta = np.empty((9, 5), np.float32, order), np.empty((9, 5), np.float32, order), *np.empty((2, 5), np.float32)
        expected, _ = kernels.batchnorm_relu_forward(x, gamma, beta, {"mode": "train"})
        result, cache = kernels.batchnorm_relu_forward(x, gamma, beta, {"mode": "train"}, out=out)
        assert result is out
        np.testing.assert_array_equal(out, expected)
        gradients = kernels.batchnorm_relu_backward(dout, cache, dx=dx, dgamma=dgamma, dbeta=dbeta)
        for gradient, buffer in zip(gradients, (dx, dgamma, dbeta), strict=True):
            assert gradient is buffer
        for gradient, value in zip(gradients, kernels.batchnorm_relu_backward(dout, cache), strict=True):
            np.testing.assert_array_equal(gradient, value)


@pytest.mark.parametrize("dtypes", [("f2", "f2"), ("f8", "f4")])
def test_what_the_kernels_do_not_take_is_computed_by_the_definition(dtypes):
    x, gamma, beta, dout = case(9, 5, np.float64)
    x, gamma = x.astype(dtypes[0]), gamma.astype(dtypes[1])
    out, cache = kernels.batchnorm_forward(x, gamma, beta, {"mode": "train"})
    expected, expected_cache = functional.batchnorm_forward(x, gamma, beta, {"mode": "train"})
    np.testing.assert_array_equal(out, expected)
    for actual, wanted in zip(kernels.batchnorm_backward(dout, cache), functional.batchnorm_backward(dout, expected_cache), strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize(
    ("x", "bn_param", "message"),
    [
        (np.ones((3, 4)), {}, "set it to 'train' or 'test'"),
        (np.ones((3, 5)), {"mode": "train"}, r"gamma has shape \(4,\); expected \(5,\)"),
        (np.ones((0, 4)), {"mode": "train"}, "at least one sample"),
        (np.ones((3, 4, 1)), {"mode": "train"}, "expected two axes"),
        (np.ones((3, 4)), {"mode": "test", "running_mean": np.ones(3)}, r"running_mean has shape \(3,\)"),
    ],
)
def test_the_errors_are_those_of_the_definition(x, bn_param, message):
    for forward in (kernels.batchnorm_forward, kernels.batchnorm_relu_forward):
        with pytest.raises(ValueError, match=message):
            forward(x, np.ones(4), np.ones(4), dict(bn_param))


def test_a_gradient_of_another_shape_is_refused():
    x, gamma, beta, _ = case(3, 4, np.float64)
    _, cache = kernels.batchnorm_forward(x, gamma, beta, {"mode": "train"})
    with pytest.raises(ValueError, match=r"dout has shape \(4, 3\); expected \(3, 4\)"):
        kernels.batchnorm_backward(np.ones((4, 3)), cache)
