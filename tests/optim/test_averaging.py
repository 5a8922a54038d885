from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from chainrule import optim
from chainrule.nn import Parameter

WRAPPERS = {"Lookahead": lambda optimizer: optim.Lookahead(optimizer, k=3, alpha=0.4), "EMA": lambda optimizer: optim.EMA(optimizer, 0.8)}
EVERY_WRAPPER = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
# 50 steps of some ten roundings of numbers around 1
TOLERANCE = 1e-12


@EVERY_WRAPPER
def test_arrays_and_tensors_go_alike(make_parameters, set_gradients, assert_same_parameters, wrap):
    ours, theirs = make_parameters()
    pair, rng = (wrap(optim.Adam(ours, lr=0.02)), wrap(torch.optim.Adam(theirs, lr=0.02))), np.random.default_rng(0)
    for _ in range(50):
        set_gradients(ours, theirs, rng)
        for optimizer in pair:
            optimizer.step()
    assert_same_parameters(ours, theirs, TOLERANCE)
    for one, other in zip(pair[0].copies, pair[1].copies, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=TOLERANCE, atol=TOLERANCE)


def test_lookahead_goes_back_a_share_of_the_way_every_k_steps():
    parameter = Parameter(np.array([0.0]))
    optimizer = optim.Lookahead(optim.SGD([parameter], lr=1.0), k=4, alpha=0.25)
    places = []
    for _ in range(9):
        optimizer.zero_grad()
        parameter.accumulate(np.array([-1.0]))
        optimizer.step()
        places.append(float(parameter.data[0]))
    assert places == [1, 2, 3, 1, 2, 3, 4, 2, 3]


def test_the_average_is_torchs():
    model = torch.nn.Linear(3, 2).double()
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.7))
    parameters = [Parameter(tensor.detach().numpy().copy()) for tensor in model.parameters()]
    ours, theirs = optim.EMA(optim.SGD(parameters, lr=0.1), 0.7), torch.optim.SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(20):
        for parameter, twin in zip(parameters, model.parameters(), strict=True):
            parameter.grad = rng.standard_normal(parameter.shape)
            twin.grad = torch.from_numpy(parameter.grad.copy())
        ours.step()
        theirs.step()
        average.update_parameters(model)
    for copy, expected in zip(ours.copies, average.module.parameters(), strict=True):
        np.testing.assert_allclose(copy, expected.detach().numpy(), rtol=TOLERANCE)


@pytest.mark.parametrize("kind", ["ours", "torch's"])
def test_swapping_exchanges_weights_and_averages_and_twice_is_nothing(make_parameters, set_gradients, kind):
    ours, theirs = make_parameters()
    parameters, inner = (ours, optim.SGD(ours, lr=0.1)) if kind == "ours" else (theirs, torch.optim.SGD(theirs, lr=0.1))
    optimizer = optim.EMA(inner, 0.5)
    optimizer.swap()  # before the first step there is nothing to exchange
    for seed in range(3):
        set_gradients(ours, theirs, np.random.default_rng(seed))
        optimizer.step()
    weights, averages = [deepcopy(p.data) for p in parameters], deepcopy(optimizer.copies)
    optimizer.swap()
    for parameter, copy, weight, average in zip(parameters, optimizer.copies, weights, averages, strict=True):
        np.testing.assert_array_equal(parameter.data, average)
        np.testing.assert_array_equal(copy, weight)
    optimizer.swap()
    for parameter, weight in zip(parameters, weights, strict=True):
        np.testing.assert_array_equal(parameter.data, weight)


@EVERY_WRAPPER
@pytest.mark.parametrize("interruption", [0, 4])
def test_a_loaded_state_continues_bit_for_bit(make_parameters, set_gradients, wrap, interruption):
    results = []
    for interrupted in (False, True):
        ours, theirs = make_parameters()
        optimizer, rng = wrap(optim.SGD(ours, lr=0.1, momentum=0.9)), np.random.default_rng(0)
        for step in range(8):
            if interrupted and step == interruption:
                state = optimizer.state_dict()
                ours = [Parameter(parameter.data.copy(order="K")) for parameter in ours]
                optimizer = wrap(optim.SGD(ours, lr=0.1, momentum=0.9))
                optimizer.load_state_dict(state)
            set_gradients(ours, theirs, rng)
            optimizer.step()
        results.append([*(parameter.data for parameter in ours), *optimizer.copies])
    for uninterrupted, resumed in zip(*results, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def stepped():
    """An EMA of two parameters after one step, and its state."""
    parameters = [Parameter(np.zeros(2)), Parameter(np.zeros(3))]
    optimizer = optim.EMA(optim.SGD(parameters, lr=0.1))
    for parameter in parameters:
        parameter.accumulate(np.ones(parameter.shape))
    optimizer.step()
    return optimizer, optimizer.state_dict()


def test_a_state_without_some_averages_is_refused():
    optimizer, state = stepped()
    del state["state"][1]["average"]
    with pytest.raises(ValueError, match="EMA: the state of parameter 1 has no average"):
        optimizer.load_state_dict(state)


def test_an_average_of_another_shape_is_refused():
    optimizer, state = stepped()
    state["state"][1]["average"] = np.zeros(4)
    with pytest.raises(ValueError, match=r"EMA: average of parameter 1 has shape \(4,\); the parameter has \(3,\)"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize("steps", [None, 5, -1, "2"])
def test_a_count_of_steps_that_cannot_be_is_refused(steps):
    optimizer = optim.Lookahead(optim.SGD([Parameter(np.zeros(2))]), k=5)
    state = optimizer.state_dict()
    state["param_groups"][0]["lookahead_steps"] = steps
    with pytest.raises(ValueError, match=r"Lookahead: lookahead_steps of the state is .*; it must be 0 to 4"):
        optimizer.load_state_dict(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda inner: optim.Lookahead(inner, k=0), "Lookahead: k is 0; it must be at least 1"),
        (lambda inner: optim.Lookahead(inner, alpha=0), "Lookahead: alpha is 0; it must be above 0 and at most 1"),
        (lambda inner: optim.EMA(inner, decay=1.0), "EMA: decay is 1.0; it must be at least 0 and below 1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make(optim.SGD([Parameter(np.zeros(2))]))
