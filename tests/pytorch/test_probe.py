"""PyTorch's networks looked into: the answers are those of the hand-written twin."""

import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import resnet18, squeezenet
from chainrule.nn.probe import HandProbe
from chainrule.pytorch import TorchProbe, copy_weights
from chainrule.pytorch import nn as torch_nn

SIDE = 40


@pytest.fixture(params=[squeezenet, resnet18], ids=["squeezenet", "resnet18"])
def pair(request):
    rng = np.random.default_rng(6)
    network = request.param(nn, (3, SIDE, SIDE), 5).reset_parameters(rng).double()
    network(rng.standard_normal((4, 3, SIDE, SIDE)))
    twin = request.param(torch_nn, (3, SIDE, SIDE), 5).double()
    copy_weights(network, twin)
    return HandProbe(network), TorchProbe(twin)


@pytest.fixture
def x():
    return np.random.default_rng(7).standard_normal((3, 3, SIDE, SIDE))


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


def softmax_slope(scores):
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("question", ["gradient", "guided_gradient"])
def test_scores_and_gradients_are_those_of_the_hand_written_twin(pair, x, question):
    ours, theirs = (getattr(probe, question)(x, softmax_slope) for probe in pair)
    for actual, expected in zip(ours, theirs, strict=True):
        assert_close(actual, expected)
    assert_close(pair[0].scores(x), pair[1].scores(x))
    assert pair[0].dtype == pair[1].dtype == np.float64


def test_every_layer_has_the_twins_output_and_gradient(pair, x):
    ours, theirs = (probe.layers(x, dscores=softmax_slope) for probe in pair)
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name].kind == theirs[name].kind
        assert_close(ours[name].out, theirs[name].out)
        assert_close(ours[name].gradient, theirs[name].gradient)


def test_names_and_parameters_are_the_same(pair):
    ours, theirs = pair
    assert set(ours.names()) == set(theirs.names())
    assert ours.parameters().keys() == theirs.parameters().keys()


def test_the_gradient_from_a_layer_inside_is_the_twins(pair, x):
    name = {"features": "features.4", "conv1": "layer2"}[pair[0].names()[1]]
    ours, theirs = (probe.gradient_from(x, name, lambda out: out**2) for probe in pair)
    for actual, expected in zip(ours, theirs, strict=True):
        assert_close(actual, expected)


def test_looking_leaves_mode_and_gradients_as_they_were(pair, x):
    _, probe = pair
    module = probe.module
    module.train()
    next(module.parameters()).requires_grad = False
    list(module.children())[-1].eval()
    modes = [part.training for part in module.modules()]
    probe.gradient(x, softmax_slope), probe.guided_gradient(x, softmax_slope), probe.layers(x)
    assert [part.training for part in module.modules()] == modes
    assert [parameter.requires_grad for parameter in module.parameters()][:2] == [False, True]
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(part._forward_hooks or part._backward_hooks for part in module.modules())


def test_layers_that_work_in_place_are_looked_into_as_others_are(x):
    def network(inplace):
        torch.manual_seed(3)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace=inplace), torch.nn.Flatten(), torch.nn.LazyLinear(2))

    plain, inplace = (network(flag).double() for flag in (False, True))
    for module in (plain, inplace):
        module(torch.from_numpy(x))
    inplace.load_state_dict(plain.state_dict())
    for question in ("gradient", "guided_gradient"):
        for ours, expected in zip(*(getattr(TorchProbe(module), question)(x, softmax_slope) for module in (inplace, plain)), strict=True):
            np.testing.assert_array_equal(ours, expected)
    for ours, expected in zip(*(TorchProbe(module).layers(x, dscores=softmax_slope).values() for module in (inplace, plain)), strict=True):
        np.testing.assert_array_equal(ours.out, expected.out)
        np.testing.assert_allclose(ours.gradient, expected.gradient, rtol=1e-14)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"the network is of type int; expected a Module of chainrule.nn or of torch.nn"):
        TorchProbe(3)
