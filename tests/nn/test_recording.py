import numpy as np
import pytest

from chainrule.nn.recording import record_layers


@pytest.fixture
def network(nn):
    return nn.Sequential(nn.Linear(3, 5), nn.Residual(nn.Sequential(nn.Linear(5, 5), nn.Tanh())), nn.Linear(5, 2)).double()


def test_every_layer_is_recorded_in_the_order_of_the_forward_pass(network, rng):
    x, dout = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    with record_layers(network) as layers:
        out = network(x)
        dx = network.backward(dout)
    assert [layer.name for layer in layers] == ["0", "1.body.0", "1.body.1", "1.shortcut", "2"]
    assert [type(layer.module).__name__ for layer in layers] == ["Linear", "Linear", "Tanh", "Identity", "Linear"]
    assert layers[0].x is x and layers[0].dx is dx and layers[-1].out is out and layers[-1].dout is dout
    assert layers[1].out is layers[2].x and layers[2].dx is layers[1].dout


def test_recording_changes_no_number(network, rng):
    x, dout = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    out, dx = network(x), network.backward(dout)
    grads = [parameter.grad.copy() for parameter in network.parameters()]
    network.zero_grad()
    with record_layers(network):
        np.testing.assert_array_equal(network(x), out)
        np.testing.assert_array_equal(network.backward(dout), dx)
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_after_the_block_nothing_is_left_behind_even_after_an_error(network, rng):
    before = [set(vars(module)) for module in network.modules()]
    with pytest.raises(ValueError, match="Linear: x has shape"), record_layers(network) as layers:
        network(rng.standard_normal((4, 7)))
    assert [set(vars(module)) for module in network.modules()] == before
    network(rng.standard_normal((4, 3)))
    assert layers == []


def test_blocks_can_be_nested(network, rng):
    with record_layers(network) as outer:
        with record_layers(network) as inner:
            network(rng.standard_normal((4, 3)))
        network(rng.standard_normal((4, 3)))
    network(rng.standard_normal((4, 3)))
    assert (len(outer), len(inner)) == (10, 5)


def test_a_backward_pass_alone_is_recorded_with_what_it_knows(network, rng):
    network(rng.standard_normal((4, 3)))
    with record_layers(network) as layers:
        dx = network.backward(rng.standard_normal((4, 2)))
    assert [layer.name for layer in layers] == ["2", "1.body.1", "1.body.0", "1.shortcut", "0"]
    assert layers[-1].dx is dx and layers[-1].x is None


def test_a_network_of_one_layer_is_recorded(nn, rng):
    module = nn.Tanh()
    with record_layers(module) as layers:
        module(rng.standard_normal((4, 3)))
    assert [layer.name for layer in layers] == [""]
