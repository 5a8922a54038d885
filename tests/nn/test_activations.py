import numpy as np
import pytest
import torch

from chainrule import nn as library

CASES = [
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.3}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
]
EVERY_ACTIVATION = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)


@EVERY_ACTIVATION
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (3,), (2, 3, 4, 5), (0, 4)], ids=str)
def test_output_and_gradient_are_torchs(nn, assert_like_torch, rng, name, arguments, shape, dtype):
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    assert_like_torch(getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments), x)


@EVERY_ACTIVATION
@pytest.mark.parametrize("value", [0.0, -0.0, 1e-30, -1e-30, 30.0, -30.0, 1e4, -1e4])
def test_kinks_and_tails_are_torchs(nn, name, arguments, value):
    module, x, tensor = getattr(nn, name)(**arguments), np.array([value]), torch.tensor([value], dtype=torch.float64, requires_grad=True)
    expected = getattr(torch.nn, name)(**arguments)(tensor)
    expected.backward(torch.ones_like(expected))
    # torch's GELUs lose their left tail in 1 + erf(x / sqrt(2)), an error of 1.1e-16 * |x|; ours keep it
    np.testing.assert_allclose(module(x), expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(module.backward(np.ones(1)), tensor.grad.numpy(), rtol=1e-12, atol=1e-14)


@EVERY_ACTIVATION
def test_a_transposed_and_strided_input_gives_the_same(nn, assert_like_torch, rng, name, arguments):
    x = rng.standard_normal((10, 14))[::2, ::-2].T
    assert_like_torch(getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments), x)


@EVERY_ACTIVATION
def test_eval_mode_changes_nothing(nn, rng, name, arguments):
    module, x = getattr(nn, name)(**arguments), rng.standard_normal((3, 4))
    np.testing.assert_array_equal(module.eval()(x), module.train()(x))


@EVERY_ACTIVATION
def test_text_is_torchs(name, arguments):
    assert repr(getattr(library, name)(**arguments)) == repr(getattr(torch.nn, name)(**arguments))


@EVERY_ACTIVATION
def test_backward_before_forward_is_refused(nn, name, arguments):
    with pytest.raises(RuntimeError, match=f"^{name}: backward was called before forward$"):
        getattr(nn, name)(**arguments).backward(np.ones((2, 3)))


def test_an_unknown_approximation_is_refused():
    with pytest.raises(ValueError, match=r"^GELU: approximate is 'erf'; it must be"):
        library.GELU("erf")


@EVERY_ACTIVATION
@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (4, 5), (2, 3, 4, 5, 1)], ids=str)
def test_a_dout_of_another_shape_is_refused(nn, name, arguments, shape):
    module = getattr(nn, name)(**arguments)
    module(np.ones((2, 3, 4, 5)))
    with pytest.raises(ValueError, match=rf"^{name}: dout has shape .*; expected \(2, 3, 4, 5\), like the output$"):
        module.backward(np.ones(shape))
