import inspect

import numpy as np
import pytest
import torch

from chainrule import optim
from chainrule.nn import Parameter

CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "maximize": True, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.02, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "betas": (0.8, 0.9)}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.05, "maximize": True}),
    ("Adam", {"lr": 0.02, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.0}),
    ("AdamW", {"lr": 0.02, "amsgrad": True, "maximize": True, "betas": (0.8, 0.9)}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.05}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.8}),
    ("RMSprop", {"lr": 0.02, "centered": True, "alpha": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.8, "weight_decay": 0.05, "maximize": True}),
    ("RMSprop", {"lr": 0.02, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
]
EVERY_OPTION = pytest.mark.parametrize(("name", "options"), CASES, ids=str)
# one case for each kind of state
EVERY_STATE = pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
        ("Adam", {"lr": 0.02}),
        ("AdamW", {"lr": 0.02, "amsgrad": True}),
        ("RMSprop", {"lr": 0.02, "momentum": 0.8, "centered": True}),
        ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    ],
    ids=str,
)
# 50 steps, each with some ten roundings at 1.1e-16 or 6e-8 of numbers around 1: 50 * 10 * roundoff if all went the same way.
# A centered RMSprop subtracts two averages and loses about one digit more.
TOLERANCE = {np.float64: 1e-12, np.float32: 3e-5}


def both(name, options, ours, theirs):
    return getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)


def as_arrays(torch_state):
    """A torch state with arrays in place of tensors, as `chainrule.pytorch` hands it over."""
    state = {
        index: {name: value.numpy().copy() for name, value in entry.items() if value is not None}
        for index, entry in torch_state["state"].items()
    }
    return {"state": state, "param_groups": torch_state["param_groups"]}


def as_tensors(state):
    tensors = {
        index: {name: torch.from_numpy(np.array(value, order="C")) for name, value in entry.items()}
        for index, entry in state["state"].items()
    }
    return {"state": tensors, "param_groups": state["param_groups"]}


@pytest.fixture
def run(set_gradients, assert_same_parameters):
    """run(ours, theirs, optimizers, steps) takes steps with both and compares the parameters after the last."""

    def steps_of_both(ours, theirs, optimizers, steps=50, seed=0, skip=lambda step: ()):
        rng = np.random.default_rng(seed)
        for step in range(steps):
            set_gradients(ours, theirs, rng, skip(step))
            for optimizer in optimizers:
                optimizer.step()
        assert_same_parameters(ours, theirs, TOLERANCE[ours[0].dtype.type])

    return steps_of_both


@EVERY_OPTION
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fifty_steps_are_torchs(make_parameters, run, name, options, dtype):
    ours, theirs = make_parameters(dtype)
    run(ours, theirs, both(name, options, ours, theirs))


@EVERY_OPTION
def test_parameters_without_a_gradient_in_some_steps_stay_and_keep_their_own_count(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    run(ours, theirs, both(name, options, ours, theirs), skip=lambda step: {step % 3, 5} if step % 2 else ())


@EVERY_STATE
def test_a_parameter_that_never_has_a_gradient_stays_and_its_neighbours_move(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    before = ours[1].data.copy()
    run(ours, theirs, both(name, options, ours, theirs), steps=5, skip=lambda step: {1})
    np.testing.assert_array_equal(ours[1].data, before)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_groups_have_settings_of_their_own(make_parameters, run, name):
    ours, theirs = make_parameters()

    def groups(parameters):
        return [{"params": parameters[:2], "weight_decay": 0.3}, {"params": parameters[2:5], "lr": 0.2}, {"params": parameters[5:]}]

    run(ours, theirs, both(name, {"lr": 0.05}, groups(ours), groups(theirs)))


@EVERY_STATE
def test_a_learning_rate_changed_between_steps_counts_from_the_next_step(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    for step in range(4):
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.03 / (step + 1)
        run(ours, theirs, optimizers, steps=5, seed=step)


@EVERY_STATE
def test_replaced_values_are_noticed(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    run(ours, theirs, optimizers, steps=3)
    for parameter, twin in zip(ours, theirs, strict=True):
        parameter.data = parameter.data * 0.5 + 1
        twin.data = twin.data * 0.5 + 1
    run(ours, theirs, optimizers, steps=3, seed=1)


@EVERY_STATE
def test_gradients_that_the_user_assigns_are_noticed(make_parameters, assert_same_parameters, name, options):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    rng = np.random.default_rng(0)
    for _ in range(5):
        for parameter, twin in zip(ours, theirs, strict=True):
            parameter.grad = rng.standard_normal(parameter.shape)
            twin.grad = torch.tensor(parameter.grad)
        for optimizer in optimizers:
            optimizer.step()
    assert_same_parameters(ours, theirs, 1e-12)


def test_a_gradient_of_the_wrong_shape_is_refused():
    parameter = Parameter(np.zeros((2, 3)))
    optimizer = optim.SGD([parameter])
    parameter.grad = np.zeros(3)
    with pytest.raises(ValueError, match=r"^a gradient has shape \(3,\); its parameter has \(2, 3\)"):
        optimizer.step()


def test_gradients_accumulate_over_backward_passes_until_zero_grad():
    parameter = Parameter(np.zeros(3))
    optimizer = optim.SGD([parameter], lr=1.0)
    parameter.accumulate(np.ones(3))
    parameter.accumulate(np.ones(3))
    optimizer.step()
    np.testing.assert_array_equal(parameter.data, -2)
    optimizer.zero_grad()
    assert parameter.grad is None
    optimizer.step()
    np.testing.assert_array_equal(parameter.data, -2)


def test_a_new_optimizer_over_the_same_parameters_takes_over(make_parameters, run):
    ours, theirs = make_parameters()
    first = both("Adam", {}, ours, theirs)
    run(ours, theirs, first, steps=3)
    run(ours, theirs, both("SGD", {"lr": 0.1}, ours, theirs), steps=3)
    run(ours, theirs, first, steps=3)


# --- state ------------------------------------------------------------------------------------------------------------------------


@EVERY_STATE
@pytest.mark.parametrize("steps", [0, 3])
def test_the_state_has_torchs_structure_and_values(make_parameters, run, name, options, steps):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    run(ours, theirs, optimizers, steps=steps, skip=lambda step: {1})
    state, expected = (optimizer.state_dict() for optimizer in optimizers)
    assert list(state) == list(expected)
    assert list(state["state"]) == sorted(expected["state"])
    for index, entry in expected["state"].items():
        assert list(state["state"][index]) == list(entry)
        for key, tensor in entry.items():
            np.testing.assert_allclose(state["state"][index][key], tensor.numpy(), rtol=1e-12, atol=1e-15, strict=True)
    for group, expected_group in zip(state["param_groups"], expected["param_groups"], strict=True):
        assert group == {key: expected_group[key] for key in group}
        assert expected_group.keys() - group.keys() <= {"foreach", "differentiable", "capturable", "fused", "decoupled_weight_decay"}


@EVERY_STATE
def test_torchs_state_is_loaded_and_both_continue_alike(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    run(ours, theirs, optimizers, steps=4, skip=lambda step: {1})
    fresh = getattr(optim, name)(ours)
    fresh.load_state_dict(as_arrays(optimizers[1].state_dict()))
    run(ours, theirs, (fresh, optimizers[1]), steps=10, seed=1)


@EVERY_STATE
def test_torch_loads_our_state_and_both_continue_alike(make_parameters, run, name, options):
    ours, theirs = make_parameters()
    optimizers = both(name, options, ours, theirs)
    run(ours, theirs, optimizers, steps=4, skip=lambda step: {1})
    fresh = getattr(torch.optim, name)(theirs)
    fresh.load_state_dict(as_tensors(optimizers[0].state_dict()))
    run(ours, theirs, (optimizers[0], fresh), steps=10, seed=1)


@EVERY_STATE
def test_a_loaded_state_continues_bit_for_bit(make_parameters, set_gradients, name, options):
    results = []
    for interrupted in (False, True):
        ours, theirs = make_parameters()
        optimizer = getattr(optim, name)(ours, **options)
        rng = np.random.default_rng(0)
        for step in range(8):
            if interrupted and step == 4:
                state = optimizer.state_dict()
                ours = [Parameter(parameter.data.copy()) for parameter in ours]
                optimizer = getattr(optim, name)(ours)
                optimizer.load_state_dict(state)
            set_gradients(ours, theirs, rng, skip={1} if step < 2 else ())
            optimizer.step()
        results.append([parameter.data for parameter in ours])
    for uninterrupted, resumed in zip(*results, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_the_state_is_a_copy(make_parameters, set_gradients):
    ours, theirs = make_parameters()
    optimizer = optim.Adam(ours)
    set_gradients(ours, theirs, np.random.default_rng(0))
    optimizer.step()
    state = optimizer.state_dict()
    before = state["state"][0]["exp_avg"].copy()
    optimizer.step()
    np.testing.assert_array_equal(state["state"][0]["exp_avg"], before)


BAD_STATES = {
    "other groups": (
        lambda state: state["param_groups"][0]["params"].pop(),
        "Adam: the state has groups of [2] parameters, this optimizer of [3]",
    ),
    "another shape": (
        lambda state: state["state"][2].update(exp_avg=np.zeros(5)),
        "Adam: exp_avg of parameter 2 has shape (5,); the parameter has (4,)",
    ),
    "missing": (
        lambda state: state["state"][1].pop("exp_avg_sq"),
        "Adam: the state of parameter 1 has exp_avg, step; expected exp_avg, exp_avg_sq, step",
    ),
    "another kind": (
        lambda state: state["state"].update({1: {"step": np.array(1.0), "sum": np.zeros(3)}}),
        "Adam: the state of parameter 1 has step, sum; expected exp_avg, exp_avg_sq, step",
    ),
    "out of range": (lambda state: state["param_groups"][0].update(lr=-1.0), "Adam: lr is -1.0; it must be at least 0"),
}


@pytest.mark.parametrize(("change", "message"), BAD_STATES.values(), ids=BAD_STATES)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_changed(change, message):
    def optimizer_after(steps):
        parameters = [Parameter(np.full(size, 0.5)) for size in (2, 3, 4)]
        optimizer = optim.Adam(parameters)
        for _ in range(steps):
            for parameter in parameters:
                parameter.grad = np.ones(parameter.shape)
            optimizer.step()
        return optimizer

    target, state = optimizer_after(1), optimizer_after(3).state_dict()
    before = target.state_dict()
    change(state)
    with pytest.raises(ValueError) as caught:
        target.load_state_dict(state)
    assert str(caught.value) == message
    after = target.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for index, entry in before["state"].items():
        for key, array in entry.items():
            np.testing.assert_array_equal(after["state"][index][key], array)


# --- arguments --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_arguments_have_torchs_names_order_and_defaults(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (optim, torch.optim))
    positional = [argument for argument, parameter in ours.items() if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == list(theirs)[: len(positional)]
    assert {argument: parameter.default for argument, parameter in ours.items()} == {
        argument: theirs[argument].default for argument in ours
    }
    assert theirs.keys() - ours.keys() <= {"foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}


BAD_ARGUMENTS = [
    (lambda p: optim.SGD([]), "SGD: the list of parameters is empty"),
    (lambda p: optim.SGD([{"params": [p]}, {"params": []}]), "SGD: group 1 has no parameters; leave it out"),
    (lambda p: optim.Adam([p], lr=-0.1), "Adam: lr is -0.1; it must be at least 0"),
    (lambda p: optim.Adam([p], lr=float("nan")), "Adam: lr is nan; it must be at least 0"),
    (lambda p: optim.AdamW([p], betas=(0.9, 1.0)), "AdamW: betas are (0.9, 1.0); each must be at least 0 and below 1"),
    (lambda p: optim.RMSprop([p], weight_decay=-1), "RMSprop: weight_decay is -1; it must be at least 0"),
    (lambda p: optim.RMSprop([p], alpha=-1), "RMSprop: alpha is -1; it must be at least 0"),
    (lambda p: optim.Adagrad([p], lr_decay=-1), "Adagrad: lr_decay is -1; it must be at least 0"),
    (lambda p: optim.SGD([p], nesterov=True), "SGD: nesterov needs momentum > 0 and dampening 0"),
    (lambda p: optim.SGD([p, p]), "SGD: a parameter appears twice; each may be in one group only"),
    (
        lambda p: optim.SGD([{"params": [p], "learning_rate": 0.1}]),
        "SGD: unknown setting 'learning_rate' in a group; there are lr, momentum, dampening, weight_decay, nesterov, maximize",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD_ARGUMENTS, ids=[message for _, message in BAD_ARGUMENTS])
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError) as caught:
        make(Parameter(np.zeros(3)))
    assert str(caught.value) == message


@EVERY_STATE
def test_text_lists_the_settings_as_torch_does(make_parameters, name, options):
    ours, theirs = make_parameters()
    text, expected = (repr(optimizer) for optimizer in both(name, options, ours, theirs))
    kept = [line for line in expected.splitlines() if line.split(":")[0].strip() in text]
    # torch writes a default of 0 where ours is 0.0
    assert [line.replace(": 0.0", ": 0") for line in text.splitlines()] == [line.replace(": 0.0", ": 0") for line in kept]
