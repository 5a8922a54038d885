import inspect

import numpy as np
import pytest
import torch

from chainrule import optim
from chainrule.nn import Parameter

CASES = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 30, "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.97}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingLR", {"T_max": 30, "eta_min": 0.01}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 40}),
    ("OneCycleLR", {"max_lr": 0.7, "total_steps": 101}),
    ("OneCycleLR", {"max_lr": [0.7, 0.2], "total_steps": 101, "pct_start": 0.1, "div_factor": 5.0, "final_div_factor": 20.0}),
]
EVERY_SCHEDULE = pytest.mark.parametrize(("name", "options"), CASES, ids=str)


def ours():
    return optim.SGD([{"params": [Parameter(np.zeros(2))], "lr": 0.3}, {"params": [Parameter(np.zeros(3))], "lr": 0.05}])


def torchs():
    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 3)]
    return torch.optim.SGD([{"params": parameters[:1], "lr": 0.3}, {"params": parameters[1:], "lr": 0.05}])


def torchs_schedule(name, options):
    return getattr(torch.optim.lr_scheduler, name)(torchs(), **options, **({"cycle_momentum": False} if name == "OneCycleLR" else {}))


def rates_over(schedule, steps):
    rates = [[group["lr"] for group in schedule.optimizer.param_groups]]
    for _ in range(steps):
        schedule.optimizer.step()  # torch warns when a schedule moves before its optimizer
        schedule.step()
        rates.append([group["lr"] for group in schedule.optimizer.param_groups])
    return np.array(rates)


# torch multiplies from step to step where we have a formula: 100 roundings at 1.1e-16, and near the end of a cosine both are tiny
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


@EVERY_SCHEDULE
def test_a_hundred_steps_are_torchs(name, options):
    np.testing.assert_allclose(
        rates_over(getattr(optim, name)(ours(), **options), 100), rates_over(torchs_schedule(name, options), 100), **CLOSE
    )


@EVERY_SCHEDULE
def test_seek_is_that_many_steps(name, options):
    expected = rates_over(getattr(optim, name)(ours(), **options), 100)
    schedule = getattr(optim, name)(ours(), **options)
    for step in (100, 0, 37, 1):
        schedule.seek(step)
        assert schedule.get_last_lr() == list(expected[step])
        assert schedule.last_epoch == step


@EVERY_SCHEDULE
def test_torchs_optimizers_are_steered_too(name, options):
    np.testing.assert_array_equal(
        rates_over(getattr(optim, name)(torchs(), **options), 20), rates_over(getattr(optim, name)(ours(), **options), 20)
    )


@pytest.mark.parametrize("milestone", [1, 10])
@pytest.mark.parametrize("after", [("CosineAnnealingLR", {"T_max": 90}), ("StepLR", {"step_size": 20})], ids=str)
def test_a_warm_up_before_another_schedule_is_torchs(after, milestone):
    def warm_up_and(module, optimizer):
        warm_up = module.LinearLR(optimizer, start_factor=0.1, total_iters=milestone)
        return module.SequentialLR(optimizer, [warm_up, getattr(module, after[0])(optimizer, **after[1])], [milestone])

    rates = rates_over(warm_up_and(optim, ours()), 90)
    np.testing.assert_allclose(rates, rates_over(warm_up_and(torch.optim.lr_scheduler, torchs()), 90), **CLOSE)


@EVERY_SCHEDULE
def test_a_schedule_after_another_begins_at_its_own_first_step(name, options):
    optimizer = ours()
    parts = [optim.ExponentialLR(optimizer, 0.9), getattr(optim, name)(optimizer, **options)]
    rates = rates_over(optim.SequentialLR(optimizer, parts, [10]), 60)
    np.testing.assert_array_equal(rates[:10], rates_over(optim.ExponentialLR(ours(), 0.9), 9))
    np.testing.assert_array_equal(rates[10:], rates_over(getattr(optim, name)(ours(), **options), 50))


def test_three_schedules_follow_one_another_and_can_be_sought():
    optimizer = ours()
    parts = [optim.LinearLR(optimizer, 0.1, 1.0, 5), optim.ExponentialLR(optimizer, 1.0), optim.StepLR(optimizer, 10)]
    schedule = optim.SequentialLR(optimizer, parts, [5, 20])
    rates = rates_over(schedule, 40)
    np.testing.assert_allclose(rates[[0, 5, 19, 20, 29, 30], 0], [0.03, 0.3, 0.3, 0.3, 0.3, 0.03], rtol=1e-12)
    schedule.seek(7)
    assert schedule.get_last_lr() == list(rates[7])


def test_a_schedule_of_a_resumed_optimizer_starts_from_the_first_rate():
    optimizer = ours()
    expected = rates_over(optim.StepLR(optimizer, 3), 9)
    resumed = ours()
    resumed.load_state_dict(optimizer.state_dict())
    schedule = optim.StepLR(resumed, 3)
    schedule.seek(9)
    assert schedule.get_last_lr() == list(expected[9])


@pytest.mark.parametrize("name", ["StepLR", "ExponentialLR", "CosineAnnealingLR", "LinearLR", "OneCycleLR", "SequentialLR"])
def test_arguments_have_torchs_names_order_and_defaults(name):
    ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (optim, torch.optim.lr_scheduler))
    positional = [argument for argument, parameter in ours.items() if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == list(theirs)[: len(positional)]
    for argument, parameter in ours.items():
        assert parameter.default == theirs[argument].default or (argument == "total_steps" and parameter.default is parameter.empty)


BAD_ARGUMENTS = [
    (lambda o: optim.StepLR(o, 0), "StepLR: step_size is 0; it must be at least 1"),
    (lambda o: optim.CosineAnnealingLR(o, 0), "CosineAnnealingLR: T_max is 0; it must be at least 1"),
    (lambda o: optim.LinearLR(o, 0.0), "LinearLR: start_factor is 0.0; it must be above 0 and at most 1"),
    (lambda o: optim.LinearLR(o, 0.5, 1.5), "LinearLR: end_factor is 1.5; it must be at least 0 and at most 1"),
    (lambda o: optim.OneCycleLR(o, 0.1, 0), "OneCycleLR: total_steps is 0; it must be at least 1"),
    (
        lambda o: optim.OneCycleLR(o, [0.1, 0.2, 0.3], 10),
        "OneCycleLR: max_lr has 3 values for 2 groups; give one for each, or one for all",
    ),
    (lambda o: optim.SequentialLR(o, [optim.StepLR(o, 3)], [2]), "SequentialLR: 1 schedules need 0 milestones, not 1"),
    (
        lambda o: optim.SequentialLR(o, [optim.StepLR(ours(), 3)], []),
        "SequentialLR: the schedules belong to different optimizers; make all of them with the same one",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD_ARGUMENTS, ids=[message for _, message in BAD_ARGUMENTS])
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError) as caught:
        make(ours())
    assert str(caught.value) == message


def test_a_triangle_is_torchs_two_lines():
    theirs = torchs()
    up = torch.optim.lr_scheduler.LinearLR(theirs, 0.2, 1.0, 25)
    down = torch.optim.lr_scheduler.LinearLR(theirs, 1.0, 0.1, 75)
    expected = rates_over(torch.optim.lr_scheduler.SequentialLR(theirs, [up, down], [25]), 110)
    np.testing.assert_allclose(
        rates_over(optim.TriangularLR(ours(), 100, peak=0.25, start_factor=0.2, end_factor=0.1), 110), expected, **CLOSE
    )


def test_each_group_may_have_an_end_of_its_own():
    rates = rates_over(optim.TriangularLR(ours(), [40, 10]), 50)
    steps = np.arange(51)
    np.testing.assert_allclose(
        rates, np.stack([0.3 * np.maximum(0, 1 - steps / 40), 0.05 * np.maximum(0, 1 - steps / 10)], axis=1), **CLOSE
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_steps": 0}, "TriangularLR: total_steps is 0; it must be at least 1"),
        ({"total_steps": [3]}, "TriangularLR: total_steps has 1 values for 2 groups; give one for each, or one for all"),
        ({"total_steps": 3, "peak": 1.5}, "TriangularLR: peak is 1.5; it is a share of the steps, from 0 to 1"),
        ({"total_steps": 3, "end_factor": -1}, "TriangularLR: start_factor is 0.0, end_factor -1; both must be at least 0"),
    ],
)
def test_a_triangle_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        optim.TriangularLR(ours(), **options)
