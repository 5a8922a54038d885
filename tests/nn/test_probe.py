"""What one asks of a network from outside; that PyTorch's twin gives the same answers is tested in tests/pytorch/test_probe.py."""

import numpy as np
import pytest

from chainrule.nn import REFERENCE, namespace
from chainrule.nn.probe import HandProbe
from chainrule.verification import numerical_gradient


@pytest.fixture
def network(nn, rng):
    body = nn.Sequential(nn.Linear(5, 5), nn.ReLU())
    network = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Residual(body), nn.Dropout(0.5), nn.Linear(5, 2)).double()
    network(rng.standard_normal((9, 3)))
    return network


def weighted(weights):
    return lambda scores: weights * np.ones_like(scores)


def test_the_gradient_of_the_input_is_that_of_differences(network, rng):
    x, weights = rng.standard_normal((4, 3)), rng.standard_normal(2)
    probe = HandProbe(network)
    scores, dx = probe.gradient(x, weighted(weights))
    np.testing.assert_array_equal(scores, probe.scores(x))
    expected = numerical_gradient(lambda x: np.sum(probe.scores(x) * weights), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


def test_looking_leaves_mode_parameters_gradients_and_statistics_as_they_were(network, rng):
    network.train()
    dict(network.named_modules())["3"].eval()
    network.backward(np.ones_like(network(rng.standard_normal((4, 3)))))
    next(network.parameters()).requires_grad = False
    before = [(module.training, module._cache is None) for module in network.modules()]
    state = {name: array.copy() for name, array in network.state_dict().items()}
    grads = [parameter.grad.copy() for parameter in network.parameters()]
    probe, x = HandProbe(network), rng.standard_normal((4, 3))
    probe.scores(x)
    probe.gradient(x, weighted(1.0))
    probe.guided_gradient(x, weighted(1.0))
    probe.layers(x, dscores=weighted(1.0))
    probe.gradient_from(x, "2", lambda out: out)
    with pytest.raises(ValueError, match="Linear: x has shape"):
        probe.gradient(rng.standard_normal((4, 7)), weighted(1.0))
    assert [module.training for module in network.modules()] == [training for training, _ in before]
    assert [parameter.requires_grad for parameter in network.parameters()] == [False] + [True] * (len(grads) - 1)
    assert all("functions" not in vars(module) for module in network.modules())
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_layers_have_their_outputs_and_the_gradients_there(network, rng):
    x = rng.standard_normal((4, 3))
    probe = HandProbe(network)
    layers = probe.layers(x, ["2", "3", "5"], weighted(1.0))
    assert [layer.kind for layer in layers.values()] == ["ReLU", "Residual", "Linear"]
    np.testing.assert_array_equal(layers["5"].out, probe.scores(x))
    np.testing.assert_array_equal(layers["5"].gradient, np.ones((4, 2)))
    np.testing.assert_allclose(layers["3"].gradient, np.ones((4, 2)) @ network[5].weight.data, rtol=1e-14)
    assert probe.layers(x)["0"].gradient is None


def test_the_gradient_from_a_layer_inside_needs_nothing_behind_it(network, rng):
    x = rng.standard_normal((4, 3))
    probe = HandProbe(network)
    out, dx = probe.gradient_from(x, "3", lambda out: 2 * out)
    np.testing.assert_array_equal(out, probe.layers(x, ["3"])["3"].out)
    expected = numerical_gradient(lambda x: np.sum(probe.layers(x, ["3"])["3"].out ** 2), x)
    np.testing.assert_allclose(dx, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


def test_a_layer_that_is_not_there_or_on_a_branch_is_refused(network, rng):
    probe = HandProbe(network)
    with pytest.raises(ValueError, match="there is no 17 in this Sequential"):
        probe.layers(rng.standard_normal((4, 3)), ["0", "17"])
    with pytest.raises(ValueError, match="there is no 17 in this Sequential"):
        probe.gradient_from(rng.standard_normal((4, 3)), "17", lambda out: out)
    with pytest.raises(ValueError, match=r"3.body.0 lies on one of several ways through a Residual; name the Residual"):
        probe.gradient_from(rng.standard_normal((4, 3)), "3.body.0", lambda out: out)


def test_guided_gradients_go_through_a_table_of_ones_own(rng):
    """d relu = [x > 0] dout [dout > 0], of two layers by hand."""
    nn = namespace(REFERENCE)
    network = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    x = rng.standard_normal((4, 3))
    _, dx = HandProbe(network).guided_gradient(x, weighted(1.0))
    first, _, last = network
    hidden = x @ first.weight.data.T + first.bias.data
    dhidden = np.ones((4, 2)) @ last.weight.data
    np.testing.assert_allclose(dx, (dhidden * (dhidden > 0) * (hidden > 0)) @ first.weight.data, rtol=1e-12, atol=1e-15)
