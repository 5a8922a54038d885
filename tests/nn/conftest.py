"""Fixtures of the tests of modules: the two namespaces, and the comparison of a module with its PyTorch twin."""

import numpy as np
import pytest
import torch

from chainrule.nn import KERNELS, REFERENCE, namespace

# Relative to the greatest expected value. float32: unit roundoff 6e-8 times the root of the longest sum here (under 200 terms), times ten,
# times three for the division by a standard deviation in the norms. float64 has room to spare: the same with 1.1e-16 is 5e-14.
TOLERANCE = {"float32": 2.5e-5, "float64": 1e-12}


@pytest.fixture(params=[KERNELS, REFERENCE], ids=["kernels", "reference"])
def nn(request):
    return namespace(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20250)


@pytest.fixture
def assert_like_torch():
    return _assert_like_torch


@pytest.fixture
def assert_close():
    return _assert_close


def _assert_like_torch(module, twin, x, seed=0):
    """Output, dx, every parameter's gradient and every buffer of `module` are those of `twin`, given the same weights; x is unchanged."""
    twin.load_state_dict({name: torch.from_numpy(np.array(array, order="C")) for name, array in module.state_dict().items()})
    original = x.copy()
    tensor = torch.from_numpy(np.array(x, order="C")).requires_grad_()
    out, expected = module(x), twin(tensor)
    assert out.dtype == x.dtype
    _assert_close(out, expected.detach().numpy(), "out")

    dout = np.random.default_rng(seed).standard_normal(out.shape).astype(x.dtype)
    dx = module.backward(dout)
    expected.backward(torch.from_numpy(dout))
    assert dx.dtype == x.dtype
    _assert_close(dx, tensor.grad.numpy(), "dx")
    grads = {name: parameter.grad for name, parameter in module.named_parameters()}
    expected_grads = {name: parameter.grad for name, parameter in twin.named_parameters()}
    assert list(grads) == list(expected_grads)
    for name, grad in grads.items():
        _assert_close(grad, expected_grads[name].numpy(), f"gradient of {name}")
    for name, buffer in twin.named_buffers():
        _assert_close(module.state_dict()[name], buffer.numpy(), name)
    np.testing.assert_array_equal(x, original, err_msg="the input was modified")


def _assert_close(actual, expected, what):
    expected = np.asarray(expected)
    assert np.shape(actual) == expected.shape, what
    tolerance = TOLERANCE.get(str(expected.dtype), 0)
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * np.max(np.abs(expected), initial=0), err_msg=what, strict=True
    )
