"""A plan computes what its modules compute, step after step, in memory that it uses again."""

import copy
import dataclasses
import tracemalloc

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.kernels.workspace import Workspace
from chainrule.nn.plan import Plan

# float32: unit roundoff 6e-8 times the root of the longest sum (33 samples or features), times ten, through 3 layers and 6 updates whose
# differences add up; float64 likewise from 1.1e-16. Relative to the greatest value of each array.
IMAGE = (3, 8, 6)
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-12}


class Doubled(nn.ReLU):
    """A layer that a plan must not take for a ReLU."""

    def forward(self, x):
        return 2 * super().forward(x)

    def backward(self, dout):
        return super().backward(2 * dout)


def residual():
    return nn.Residual(nn.Sequential(nn.Linear(7, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 7)))


NETWORKS = {
    "linear": lambda: [nn.Linear(12, 5)],
    "two layers": lambda: [nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 5)],
    "batch norm": lambda: [nn.Linear(12, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5)],
    "batch norm first": lambda: [nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5)],
    "batch norm alone": lambda: [nn.Linear(12, 7), nn.BatchNorm1d(7), nn.Linear(7, 5), nn.BatchNorm1d(5)],
    "batch norm without bias": lambda: [nn.Linear(12, 7), nn.BatchNorm1d(7, bias=False), nn.ReLU(), nn.Linear(7, 5)],
    "batch norm without parameters": lambda: [nn.Linear(12, 7), nn.BatchNorm1d(7, affine=False), nn.ReLU(), nn.Linear(7, 5)],
    "batch norm without running statistics": lambda: [
        nn.Linear(12, 7),
        nn.BatchNorm1d(7, track_running_stats=False),
        nn.ReLU(),
        nn.Linear(7, 5),
    ],
    "cumulative batch norm": lambda: [nn.Linear(12, 7), nn.BatchNorm1d(7, momentum=None), nn.ReLU(), nn.Linear(7, 5)],
    "layer norm": lambda: [nn.Linear(12, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 5)],
    "dropout": lambda: [
        nn.Linear(12, 7),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(7, 6),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(6, 5),
    ],
    "other activations": lambda: [nn.Linear(12, 7), nn.GELU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 5), nn.LeakyReLU()],
    "two ReLUs": lambda: [nn.ReLU(), nn.Linear(12, 7), nn.ReLU(), nn.ReLU(), nn.Linear(7, 5)],
    "no bias": lambda: [nn.Linear(12, 7, bias=False), nn.ReLU(), nn.Linear(7, 5)],
    "nested": lambda: [nn.Sequential(nn.Linear(12, 7), nn.Sequential(nn.ReLU(), nn.Linear(7, 6))), nn.ReLU(), nn.Linear(6, 5)],
    "residual": lambda: [nn.Linear(12, 7), nn.ReLU(), residual(), nn.ReLU(), nn.Linear(7, 5)],
    "concat": lambda: [nn.Concat(nn.Linear(12, 4), nn.Sequential(nn.Linear(12, 3), nn.ReLU())), nn.Linear(7, 5)],
    "a subclass": lambda: [nn.Linear(12, 7), Doubled(), nn.Linear(7, 5)],
    "no parameters before the end": lambda: [nn.Identity(), nn.Dropout(0.1), nn.Linear(12, 5)],
}


def block(*, norm=True, shortcut=None):
    body = [nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1, bias=False)]
    return nn.Residual(nn.Sequential(*body, *([nn.BatchNorm2d(4)] if norm else [])), shortcut)


def frozen(layer):
    layer.weight.requires_grad = False
    return layer


def frozen_whole(layer):
    for parameter in layer.parameters():
        parameter.requires_grad = False
    return layer


def fire(channels):
    left, right = nn.Sequential(nn.Conv2d(4, 5, 1), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
    return nn.Sequential(nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Concat(left, right))


# for images of 3 x 8 x 6
IMAGE_NETWORKS = {
    "convolutions": lambda: [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3, stride=2, bias=False)],
    "conv, ReLU, pool": lambda: [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 1), nn.ReLU()],
    "conv, pool, ReLU": lambda: [nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 5, 2), nn.MaxPool2d(2)],
    "overlapping pool": lambda: [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(4, 5, 2)],
    "conv, norm, ReLU": lambda: [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.GELU()],
    "group norm": lambda: [nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.GroupNorm(3, 6)],
    "frozen parameters": lambda: [frozen(nn.Conv2d(3, 4, 3)), frozen(nn.BatchNorm2d(4)), nn.GELU(), frozen(nn.Conv2d(4, 5, 3))],
    "frozen layers": lambda: [
        frozen_whole(nn.Conv2d(3, 4, 3)),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        frozen_whole(nn.Conv2d(5, 5, 3, padding=1)),
        nn.ReLU(),
        frozen_whole(nn.BatchNorm2d(5)),
        nn.GELU(),
    ],
    "a frozen residual": lambda: [nn.Conv2d(3, 4, 3, padding=1), frozen_whole(block()), nn.ReLU()],
    "residual": lambda: [nn.Conv2d(3, 4, 3, padding=1), block(), nn.ReLU(), block(), nn.ReLU()],
    "residual with a shortcut": lambda: [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Sequential(block(shortcut=nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))), nn.ReLU()),
    ],
    "residual without a norm": lambda: [nn.Conv2d(3, 4, 3, padding=1), block(norm=False), nn.ReLU()],
    "residual without a ReLU": lambda: [nn.Conv2d(3, 4, 3, padding=1), block(), block(), nn.AvgPool2d(2)],
    "residual first": lambda: [nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))), nn.ReLU()],
    "concat": lambda: [fire(3), nn.Concat(nn.Conv2d(9, 2, 1), nn.Identity(), nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.ReLU())), fire(20)],
    "concat of rows": lambda: [nn.Conv2d(3, 4, 3), nn.Concat(nn.Conv2d(4, 4, 1), nn.ReLU(), dim=2)],
    "concat with a frozen branch": lambda: [nn.Concat(frozen_whole(nn.Conv2d(3, 4, 1)), nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()))],
    "norm alone in a residual": lambda: [nn.Conv2d(3, 4, 3), nn.Residual(nn.BatchNorm2d(4)), nn.ReLU()],
}


def make(name, dtype):
    if name in NETWORKS:
        layers = [nn.Flatten(), *NETWORKS[name]()]
    else:
        layers = [*IMAGE_NETWORKS[name](), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        features = nn.Sequential(*layers)(np.zeros((2, *IMAGE), np.float32)).shape[1]
        layers.append(nn.Linear(features, 5))
    model = nn.Sequential(*layers).reset_parameters(np.random.default_rng(0))
    if dtype is np.float64:
        model.double()
    rng = np.random.default_rng(1)
    for parameter in model.parameters():  # away from the 0 and 1 that norms begin with
        parameter.data += rng.uniform(0.1, 0.3, parameter.shape).astype(dtype)
    return model


def set_generators(model, step):
    generator = np.random.default_rng([2, step])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.rng = generator


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*NETWORKS, *IMAGE_NETWORKS])
def test_a_plan_is_its_modules(name, dtype):
    planned, plain = make(name, dtype), make(name, dtype)
    plan, workspace = Plan(planned), Workspace()
    learned = [[parameter for parameter in model.parameters() if parameter.requires_grad] for model in (planned, plain)]
    optimizers = [optim.SGD(parameters, lr=0.05, momentum=0.9) for parameters in learned]
    rng = np.random.default_rng(3)
    for step, samples in enumerate([8, 33, 5, 33, 2, 8]):
        x = rng.standard_normal((samples, 3, 4) if name in NETWORKS else (samples, *IMAGE)).astype(dtype)
        dout, original = rng.standard_normal((samples, 5)).astype(dtype), x.copy()
        for model, optimizer in zip((planned, plain), optimizers, strict=True):
            model.train()
            set_generators(model, step)
            optimizer.zero_grad()
        with workspace:
            out = plan.forward(x)
            plan.backward(dout)
        assert_close(out, plain(x), "out")
        plain.backward(dout)
        for key, parameter, other in trained(planned, plain):
            assert_close(parameter.grad, other.grad, f"gradient of {key} in step {step}")
        for optimizer in optimizers:
            optimizer.step()
        for key, array in planned.state_dict().items():
            assert_close(array, plain.state_dict()[key], f"{key} after step {step}")
        np.testing.assert_array_equal(x, original)
    for model in (planned, plain):
        model.eval()
    assert_close(plan.evaluate(x), plain(x), "scores in eval mode")


@pytest.mark.parametrize("name", [*NETWORKS, *IMAGE_NETWORKS])
def test_a_plan_gives_the_gradient_of_the_input_when_asked(name):
    planned, plain = make(name, np.float64), make(name, np.float64)
    rng = np.random.default_rng(3)
    x, dout = rng.standard_normal((7, 3, 4) if name in NETWORKS else (7, *IMAGE)), rng.standard_normal((7, 5))
    plan, found = Plan(planned), []
    for _ in range(2):
        for model in (planned, plain):
            set_generators(model, 0)
        plan.forward(x)
        found.append(plan.backward(dout, need_dx=True))
        plain(x)
        assert_close(found[-1], plain.backward(dout), "dx")
        frozen_whole(planned)  # the same bits without the gradients of the parameters
        planned.zero_grad()
    np.testing.assert_array_equal(*found)
    assert all(parameter.grad is None for parameter in planned.parameters())
    plan.forward(x)
    assert plan.backward(dout) is None


@pytest.mark.parametrize("make_layer", [lambda: nn.Linear(4, 3), lambda: nn.Conv2d(4, 3, 2), lambda: nn.Conv2d(4, 3, 1, bias=False)])
@pytest.mark.parametrize("planned", [False, True])
def test_the_gradients_of_a_frozen_layer_are_not_computed(make_layer, planned):
    def unexpected(*arguments, **options):
        raise AssertionError("gradients of frozen parameters were computed")

    layer = frozen_whole(make_layer())
    entries = {"affine", "affine_relu", "conv", "conv_relu"}
    refusing = {name: getattr(nn.KERNELS, name)._replace(backward=unexpected, backward_parameters=unexpected) for name in entries}
    model = nn.Sequential(layer, nn.ReLU())
    functions = dataclasses.replace(nn.KERNELS, **refusing)
    for module in model.modules():
        module.functions = functions
    x = np.random.default_rng(0).standard_normal((2, 4) if isinstance(layer, nn.Linear) else (2, 4, 3, 3)).astype(np.float32)
    if planned:
        plan = Plan(model)
        dx = plan.backward(np.ones_like(plan.forward(x)), need_dx=True)
    else:
        dx = model.backward(np.ones_like(model(x)))
    assert dx.shape == x.shape


def trained(planned, plain):
    for (key, parameter), other in zip(planned.named_parameters(), plain.parameters(), strict=True):
        if parameter.requires_grad:
            yield key, parameter, other
        else:
            assert parameter.grad is None and other.grad is None


def assert_close(actual, expected, what):
    assert actual.dtype == expected.dtype, what
    tolerance = TOLERANCE.get(expected.dtype.type, 0)
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(initial=0), err_msg=what, strict=True
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_with_several_axes_go_through_the_modules(dtype):
    def model():
        network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(6, 5))
        network.reset_parameters(np.random.default_rng(0))
        return network.double() if dtype is np.float64 else network

    planned, plain = model(), model()
    plan = Plan(planned)
    rng = np.random.default_rng(1)
    for samples in (2, 4):
        x, dout = rng.standard_normal((samples, 3, 4)).astype(dtype), rng.standard_normal((samples, 3, 5)).astype(dtype)
        planned.zero_grad()
        plain.zero_grad()
        assert_close(plan.forward(x), plain(x), "out")
        plan.backward(dout)
        plain.backward(dout)
        for (key, parameter), other in zip(planned.named_parameters(), plain.parameters(), strict=True):
            assert_close(parameter.grad, other.grad, key)


def test_the_gradient_of_a_shared_parameter_is_the_sum_of_its_uses():
    def model():
        one, other = nn.Linear(4, 4), nn.Linear(4, 4)
        other.weight = one.weight
        return nn.Sequential(one, nn.ReLU(), other).reset_parameters(np.random.default_rng(0)).double()

    planned = model()
    plain = copy.deepcopy(planned)
    x, dout = np.random.default_rng(1).standard_normal((2, 5, 4))
    plan = Plan(planned)
    plan.forward(x)
    plan.backward(dout)
    plain(x)
    plain.backward(dout)
    np.testing.assert_allclose(planned[0].weight.grad, plain[0].weight.grad, rtol=1e-12)


def test_neighbours_run_together():
    def kinds(*layers):
        return [type(step).__name__ for step in Plan(nn.Sequential(*layers)).steps]

    assert kinds(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)) == ["_Step", "_Affine", "_Affine"]
    assert kinds(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.1)) == ["_Affine", "_RowNorm", "_Step"]
    assert kinds(nn.Sequential(nn.Linear(4, 3)), nn.ReLU()) == ["_Affine"]
    assert kinds(nn.Linear(4, 3), Doubled()) == ["_Affine", "_Step"]
    assert kinds(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)) == ["_Conv", "_Step"]
    assert kinds(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)) == ["_Conv", "_ImageNorm", "_Step"]
    assert kinds(block(), nn.ReLU(), nn.GroupNorm(2, 4), nn.ReLU()) == ["_Residual", "_GroupNorm"]
    assert kinds(block(norm=False), nn.ReLU()) == ["_Residual", "_Step"]
    assert kinds(fire(3)) == ["_Conv", "_Concat"]
    assert [[type(step).__name__ for step in branch] for branch in Plan(fire(3)).steps[1].branches] == [["_Conv"], ["_Conv"]]


def test_the_reference_namespace_runs_as_it_is():
    reference = nn.namespace(nn.REFERENCE)
    plan = Plan(reference.Sequential(reference.Linear(4, 3), reference.ReLU()))
    assert [type(step).__name__ for step in plan.steps] == ["_Step", "_Step"]


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_nothing_large_is_allocated_after_the_first_step_in_a_workspace(loss):
    layers = nn.Linear(100, 300), nn.BatchNorm1d(300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 10)
    model = nn.Sequential(*layers)
    plan, criterion, optimizer = Plan(model), loss(), optim.Adam(model.parameters())
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((2000, 100), np.float32), rng.integers(10, size=2000)

    def step(forward, backward):
        optimizer.zero_grad()
        criterion(forward(x), labels)
        backward(criterion.backward())
        optimizer.step()

    def planned_step():
        with workspace:
            step(plan.forward, plan.backward)

    workspace, activation = Workspace(), 2000 * 300 * 4  # bytes
    with_plan = peak(planned_step)
    # the kernels have one array of this size for a moment (dout where ReLU let it pass), and scratch of about 1.3 MB whatever the batch is
    assert with_plan < 2 * activation
    assert with_plan < 0.4 * peak(lambda: step(model.forward, model.backward))


def peak(step):
    """Bytes that a step allocates, at the most at once, after two to warm up."""
    step()
    step()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_batch_that_does_not_fit_is_refused_with_the_layer():
    plan = Plan(nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2)))
    with pytest.raises(ValueError, match=r"Linear: x has shape \(2, 5\); expected \(N, 4\)") as error:
        plan.forward(np.zeros((2, 5), np.float32))
    assert error.value.__notes__ == ["in layer 2 of 4, (1.0): Linear(in_features=4, out_features=3, bias=True)"]


def test_a_fault_in_a_branch_names_the_layer_and_the_branches():
    plan = Plan(nn.Sequential(nn.ReLU(), nn.Concat(nn.Identity(), nn.Sequential(nn.ReLU(), nn.Linear(4, 3)))))
    with pytest.raises(ValueError, match=r"Linear: x has shape \(2, 5\)") as error:
        plan.forward(np.zeros((2, 5), np.float32))
    inner, outer = error.value.__notes__
    assert inner == "in layer 2 of 2, (1.1): Linear(in_features=4, out_features=3, bias=True)"
    assert outer == "in layer 2 of 2, (1): Concat(...)"


def test_a_network_without_parameters_has_nothing_to_do_in_its_backward_pass():
    plan = Plan(nn.Sequential(nn.Flatten(), nn.ReLU()))
    out = plan.forward(np.array([[-1.0, 2.0]]))
    np.testing.assert_array_equal(out, [[0.0, 2.0]])
    plan.backward(np.ones((1, 2)))


class Returns(nn.Module):
    """A layer that somebody wrote: it passes x on, and `dx` back."""

    def __init__(self, dx):
        self.dx = dx

    def forward(self, x):
        return x

    def backward(self, dout):
        return self.dx


@pytest.mark.parametrize(("dx", "given"), [(None, "None"), (np.zeros((1, 3)), r"shape \(1, 3\)"), (np.zeros(3), r"shape \(3,\)")])
def test_a_backward_that_returns_no_gradient_of_its_input_is_refused_with_the_layer(dx, given):
    plan = Plan(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), Returns(dx), nn.Linear(3, 2)))
    plan.forward(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match=rf"^Returns: backward returned {given}; expected dx, .* of shape \(2, 3\)\n") as error:
        plan.backward(np.zeros((2, 2), np.float32))
    assert error.value.__notes__ == ["in layer 3 of 4, (2): Returns()"]


def test_the_first_layer_with_parameters_may_return_nothing():
    class Scale(Returns):
        def __init__(self):
            self.weight, self.dx = nn.Parameter(np.ones(4, np.float32)), None

    plan = Plan(nn.Sequential(nn.Flatten(), Scale(), nn.Linear(4, 2)))
    plan.forward(np.zeros((2, 4), np.float32))
    plan.backward(np.zeros((2, 2), np.float32))


def test_a_fault_in_a_backward_pass_names_the_layer():
    class Faulty(nn.ReLU):
        def backward(self, dout):
            raise KeyError("x_hat")

    plan = Plan(nn.Sequential(nn.Linear(4, 3), nn.Sequential(Faulty()), nn.Linear(3, 2)))
    plan.forward(np.zeros((2, 4), np.float32))
    with pytest.raises(KeyError) as error:
        plan.backward(np.zeros((2, 2), np.float32))
    assert error.value.__notes__ == ["in layer 2 of 3, (1.0): Faulty()"]
