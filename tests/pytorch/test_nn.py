import numpy as np
import pytest
import torch

from chainrule import nn as ours
from chainrule.pytorch import nn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize(("kind", "shape"), [("Dropout", (8, 9)), ("Dropout2d", (8, 9, 2, 3))])
def test_dropout_with_equal_generators_is_ours_bit_for_bit(kind, shape, dtype, p):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    module, twin = getattr(ours, kind)(p, rng=np.random.default_rng(1)), getattr(nn, kind)(p)
    assert repr(module) == repr(twin) == repr(getattr(torch.nn, kind)(p))
    twin.rng = np.random.default_rng(1)
    tensor = torch.from_numpy(x).requires_grad_()
    expected = twin(tensor)
    np.testing.assert_array_equal(module(x), expected.detach().numpy(), strict=True)
    dout = np.random.default_rng(2).standard_normal(x.shape).astype(dtype)
    expected.backward(torch.from_numpy(dout))
    np.testing.assert_array_equal(module.backward(dout), tensor.grad.numpy(), strict=True)


@pytest.mark.parametrize("kind", ["Dropout", "Dropout2d"])
def test_dropout_without_a_generator_is_torchs(kind):
    twin, x = getattr(nn, kind)(0.4), torch.ones(50, 40, 2, 2)
    torch.manual_seed(0)
    out = twin(x)
    torch.manual_seed(0)
    assert torch.equal(out, getattr(torch.nn, kind)(0.4)(x))


@pytest.mark.parametrize("kind", ["Dropout", "Dropout2d"])
def test_dropout_in_eval_mode_passes_on_and_draws_nothing(kind):
    twin = getattr(nn, kind)(0.4).eval()
    twin.rng = np.random.default_rng(1)
    x = torch.ones(5, 4, 2, 2)
    assert torch.equal(twin(x), x)
    assert twin.rng.random() == np.random.default_rng(1).random()


def test_residual_and_concat_compute_what_they_say():
    x = torch.randn(3, 4)
    assert torch.equal(nn.Residual(nn.Tanh())(x), x.tanh() + x)
    assert torch.equal(nn.Residual(nn.Tanh(), nn.Sigmoid())(x), x.tanh() + x.sigmoid())
    assert torch.equal(nn.Concat(nn.Tanh(), nn.Identity())(x), torch.cat([x.tanh(), x], 1))
    assert torch.equal(nn.Concat(nn.Tanh(), nn.Identity(), dim=0)(x), torch.cat([x.tanh(), x], 0))


@pytest.mark.parametrize("factor", [0.1, 3])
def test_scale_is_ours_forwards_and_backwards(factor):
    x = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    module, twin, tensor = ours.Scale(factor), nn.Scale(factor), torch.from_numpy(x).requires_grad_()
    expected = twin(tensor)
    np.testing.assert_array_equal(module(x), expected.detach().numpy(), strict=True)
    expected.backward(torch.from_numpy(x))
    np.testing.assert_array_equal(module.backward(x), tensor.grad.numpy(), strict=True)
    assert repr(module) == repr(twin)


@pytest.mark.parametrize("name", sorted(set(nn.__all__) - {"Residual", "Concat", "Named", "Dropout", "Dropout2d", "Scale"}))
def test_everything_else_is_torchs_own(name):
    assert getattr(nn, name) is getattr(torch.nn, name)
