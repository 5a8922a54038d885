import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.nn import Parameter
from chainrule.optim import SGD, clip_grad_norm_, decay_groups
from chainrule.pytorch import nn as torch_nn


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("max_norm", [0.5, 5.0, 1e3, 0.0])
def test_norm_and_clipped_gradients_are_torchs(make_parameters, set_gradients, dtype, max_norm):
    ours, theirs = make_parameters(dtype)
    set_gradients(ours, theirs, np.random.default_rng(0), skip={1})
    norm = clip_grad_norm_(ours, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    # torch sums the squares in the gradients' own dtype, about 200 of them
    tolerance = {np.float64: 1e-14, np.float32: 1e-6}[dtype]
    assert type(norm) is float and norm == pytest.approx(expected.item(), rel=tolerance)
    for parameter, twin in zip(ours, theirs, strict=True):
        if twin.grad is None:
            assert parameter.grad is None
        else:
            np.testing.assert_allclose(parameter.grad, twin.grad.numpy(), rtol=tolerance, strict=True)


def test_without_any_gradient_the_norm_is_zero(make_parameters):
    assert clip_grad_norm_(make_parameters()[0], 1.0) == 0.0


def test_parameters_may_come_from_a_generator_and_the_optimizer_sees_the_clipped_gradient():
    parameter = Parameter(np.zeros(4))
    optimizer = SGD([parameter], lr=1.0)
    parameter.accumulate(np.full(4, 3.0))
    clip_grad_norm_((p for p in [parameter]), 1.0)
    optimizer.step()
    np.testing.assert_allclose(parameter.data, -0.5, rtol=1e-6)  # 1 / (6 + 1e-6) of 3


def network(namespace):
    return namespace.Sequential(namespace.Linear(6, 5), namespace.BatchNorm1d(5), namespace.LayerNorm(5), namespace.Linear(5, 3))


@pytest.mark.parametrize("namespace", [nn, torch_nn], ids=["ours", "torch's"])
def test_matrices_decay_and_biases_and_scales_do_not(namespace):
    model = network(namespace)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, others = decay_groups(model, 0.01)
    assert [names[id(parameter)] for parameter in decaying["params"]] == ["0.weight", "3.weight"]
    assert len(others["params"]) == 6
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.01, 0.0)


def test_a_group_without_parameters_is_left_out():
    assert len(decay_groups(nn.Linear(3, 2, bias=False), 0.01)) == 1
