"""Compiled layer normalization against its definition and against PyTorch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import functional, kernels
from chainrule.kernels.layernorm import SERIAL
from chainrule.verification import check_gradients

LAYOUT = st.sampled_from(["C", "F", "every second", "reversed", "read-only"])


def case(N, D, dtype):
    rng = np.random.default_rng([N, D])
    arrays = rng.standard_normal((N, D)), rng.uniform(0.5, 2, D), rng.standard_normal(D), rng.standard_normal((N, D))
    return [array.astype(dtype) for array in arrays]


def assert_close(actual, expected, dtype, longest_sum):
    """A hundred roundoffs times the root of the longest sum, divided by a standard deviation of 0.1 or more."""
    assert actual.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps * np.sqrt(longest_sum)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


@given(N=st.integers(1, 30), D=st.integers(2, 70), dtype=st.sampled_from([np.float32, np.float64]), layout=LAYOUT)
def test_equals_its_definition(N, D, dtype, layout, laid_out):
    x, gamma, beta, dout = case(N, D, dtype)
    x[:, 0], x[:, 1] = x[:, 0] + 2, x[:, 1] - 2  # no row without spread
    x, dout = laid_out(x, layout), laid_out(dout, layout)
    out, cache = kernels.layernorm_forward(x, gamma, beta, {"eps": 1e-3})
    expected, expected_cache = functional.layernorm_forward(x, gamma, beta, {"eps": 1e-3})
    assert_close(out, expected, dtype, D)
    for actual, wanted in zip(kernels.layernorm_backward(dout, cache), functional.layernorm_backward(dout, expected_cache), strict=True):
        assert_close(actual, wanted, dtype, N + D)


def test_equals_torch(threads):
    torch = pytest.importorskip("torch")
    x, gamma, beta, dout = case(300, 200, np.float64)
    assert x.size > SERIAL
    inputs = [torch.from_numpy(array).requires_grad_() for array in (x, gamma, beta)]
    out = torch.nn.functional.layer_norm(inputs[0], (200,), inputs[1], inputs[2])
    out.backward(torch.from_numpy(dout))
    actual, cache = kernels.layernorm_forward(x, gamma, beta, {})
    assert_close(actual, out.detach().numpy(), np.float64, 200)
    for gradient, tensor in zip(kernels.layernorm_backward(dout, cache), inputs, strict=True):
        assert_close(gradient, tensor.grad.numpy(), np.float64, 500)


def test_gradients_agree_with_central_differences():
    x, gamma, beta, _ = case(4, 7, np.float64)
    check_gradients(lambda *arrays: kernels.layernorm_forward(*arrays, {}), kernels.layernorm_backward, x, gamma, beta)


def test_results_are_the_same_bits_for_every_number_of_threads():
    x, gamma, beta, dout = case(333, 300, np.float32)
    before, results = kernels.threads(), set()
    for number in {1, before}:
        kernels.set_threads(number)
        out, cache = kernels.layernorm_forward(x, gamma, beta, {})
        results.add(b"".join(array.tobytes() for array in (out, *kernels.layernorm_backward(dout, cache))))
    kernels.set_threads(before)
    assert len(results) == 1


def test_results_are_written_to_the_buffers_that_are_given():
    x, gamma, beta, dout = case(9, 5, np.float32)
    out, dx, dgamma, dbeta = np.empty((9, 5), np.float32), np.empty((5, 9), np.float32).T, *np.empty((2, 5), np.float32)
    result, cache = kernels.layernorm_forward(x, gamma, beta, {}, out=out)
    gradients = kernels.layernorm_backward(dout, cache, dx=dx, dgamma=dgamma, dbeta=dbeta)
    assert result is out
    for gradient, buffer, value in zip(gradients, (dx, dgamma, dbeta), kernels.layernorm_backward(dout, cache), strict=True):
        assert gradient is buffer
        np.testing.assert_array_equal(gradient, value)


def test_what_the_kernels_do_not_take_goes_to_the_definition():
    x, gamma, beta, dout = case(9, 5, np.float16)
    out, cache = kernels.layernorm_forward(x, gamma, beta, {})
    expected, expected_cache = functional.layernorm_forward(x, gamma, beta, {})
    np.testing.assert_array_equal(out, expected)
    for actual, wanted in zip(kernels.layernorm_backward(dout, cache), functional.layernorm_backward(dout, expected_cache), strict=True):
        np.testing.assert_array_equal(actual, wanted)
    with pytest.raises(ValueError, match=r"gamma has shape \(4,\); expected \(5,\)"):
        kernels.layernorm_forward(x, gamma[:4], beta, {})
    with pytest.raises(TypeError, match="expected floating point"):
        kernels.layernorm_forward(x.astype(int), gamma, beta, {})
