"""`check_module` and `check_layers` on the modules of chainrule.nn and on planted mistakes in modules."""

import copy

import numpy as np
import pytest

from chainrule import models, nn
from chainrule.verification import GradientError, check_layers, check_module, layer_inputs

REFERENCE = nn.namespace(nn.REFERENCE)
X = np.random.default_rng(0).standard_normal((5, 6))


@pytest.mark.parametrize("namespace", [pytest.param(nn, id="kernels"), pytest.param(REFERENCE, id="reference")])
@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda nn: nn.Linear(6, 4), id="Linear"),
        pytest.param(lambda nn: nn.Linear(6, 4, bias=False), id="Linear without bias"),
        pytest.param(lambda nn: nn.ReLU(), id="ReLU"),
        pytest.param(lambda nn: nn.GELU(), id="GELU"),
        pytest.param(lambda nn: nn.BatchNorm1d(6), id="BatchNorm1d"),
        pytest.param(lambda nn: nn.BatchNorm1d(6, affine=False), id="BatchNorm1d without parameters"),
        pytest.param(lambda nn: nn.LayerNorm(6), id="LayerNorm"),
        pytest.param(lambda nn: nn.Dropout(0.4), id="Dropout"),
        pytest.param(lambda nn: nn.Identity(), id="Identity"),
        pytest.param(lambda nn: nn.Residual(nn.Linear(6, 6)), id="Residual"),
        pytest.param(lambda nn: nn.Concat(nn.Linear(6, 2), nn.Tanh()), id="Concat"),
        pytest.param(lambda nn: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)), id="network"),
    ],
)
def test_a_right_module_passes_in_one_call(build, namespace):
    module = build(namespace)
    names = [array.name for array in check_module(module, X).arrays]
    assert names[: 1 + len(list(module.parameters()))] == ["dx", *(f"d{name}" for name, _ in module.named_parameters())]


def test_a_module_that_behaves_differently_in_eval_mode_is_checked_in_both():
    names = [array.name for array in check_module(REFERENCE.BatchNorm1d(6), X).arrays]
    assert names == ["dx", "dweight", "dbias", "dx (eval)", "dweight (eval)", "dbias (eval)"]
    assert [array.name for array in check_module(REFERENCE.LayerNorm(6), X).arrays] == ["dx", "dweight", "dbias"]


def test_what_is_frozen_has_no_gradient_to_check_and_stays_frozen():
    module = nn.BatchNorm1d(6)
    module.weight.requires_grad = False
    assert [array.name for array in check_module(module, X).arrays] == ["dx", "dbias", "dx (eval)", "dbias (eval)"]
    assert not module.weight.requires_grad


def test_the_module_and_x_are_left_as_they_are():
    module = REFERENCE.BatchNorm1d(6).eval()
    before, x = copy.deepcopy(module.state_dict()), X.astype(np.float32)
    check_module(module, x)
    assert not module.training
    assert all(np.array_equal(before[name], array) and before[name].dtype == array.dtype for name, array in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert np.array_equal(x, X.astype(np.float32))


# --- planted mistakes -----------------------------------------------------------------------------------------------------------------


class Overwriting(nn.Linear):
    def backward(self, dout):
        self.zero_grad()
        return super().backward(dout)


class ForgetsTheBias(nn.Linear):
    def backward(self, dout):
        dx = super().backward(dout)
        self.bias.grad = None
        return dx


class ReturnsNothing(nn.Linear):
    def backward(self, dout):
        super().backward(dout)


class TransposedSquare(nn.Linear):
    def backward(self, dout):
        dx = super().backward(dout)
        self.weight.grad = self.weight.grad.T.copy()
        return dx


class WrongInEvalMode(nn.BatchNorm1d):
    def backward(self, dout):
        dx = super().backward(dout)
        return dx if self.training else dx * self.weight.data  # the scale is in dx already


class AlwaysAsInTraining(nn.Dropout):
    def backward(self, dout):
        return super().backward(dout) if self.training else dout * dout.dtype.type(1 - self.p)


class WithoutGamma(nn.BatchNorm1d):
    def backward(self, dout):
        return super().backward(dout / self.weight.data)


class NewMask(nn.Dropout):
    def backward(self, dout):
        return np.where(np.random.default_rng().random(dout.shape) < self.p, dout.dtype.type(0), dout / dout.dtype.type(1 - self.p))


class DoublePrecision(nn.ReLU):
    def backward(self, dout):
        return super().backward(dout).astype(np.float64)


class ChangesItsWeight(nn.Linear):
    def backward(self, dout):
        dx = super().backward(dout)
        self.weight.data[0, 1] += 0.5
        return dx


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Overwriting(6, 4), "^Overwriting: dweight after two backward passes is not twice that of one; gradients add up until zero_grad"),
        (ForgetsTheBias(6, 4), r"^ForgetsTheBias: dbias is NoneType; an array like bias, \(4,\), is needed"),
        (ReturnsNothing(6, 4), r"^ReturnsNothing: dx is NoneType; an array like x, \(5, 6\), is needed"),
        (TransposedSquare(6, 6), "^TransposedSquare: dweight is wrong: it is the transpose of the right gradient"),
        (WrongInEvalMode(6), "^WrongInEvalMode in eval mode, in a network .*: dz is wrong"),
        (AlwaysAsInTraining(0.4), "^AlwaysAsInTraining in eval mode: dx is wrong: it is 1.66667 times too small"),
        (WithoutGamma(6), "^WithoutGamma, in a network"),
        (NewMask(0.4), "^NewMask: dx"),
        (DoublePrecision(), "^DoublePrecision, in float32: dx is float64 for a float32 x"),
        (ChangesItsWeight(6, 4), r"^ChangesItsWeight: backward changes weight: weight\[0, 1\] was"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_planted_mistake_in_a_module_is_rejected(module, sentence):
    with pytest.raises(GradientError, match=sentence):
        check_module(module, X)


class Noise(nn.Module):
    """Multiplies by a factor that somebody else draws."""

    factor = None

    def forward(self, x):
        if self.factor is None:
            self.factor = np.random.default_rng().random(dtype=np.float32) + 1
        self._cache, self.factor = self.factor, None
        return x * x.dtype.type(self._cache)

    def backward(self, dout):
        return dout * dout.dtype.type(self.cached())


def test_randomness_of_ones_own_is_fixed_by_prepare():
    with pytest.raises(GradientError, match="forward gives another output on the same inputs; fix its random numbers"):
        check_module(Noise(), X)
    check_module(Noise(), X, prepare=lambda module: setattr(module, "factor", 1.5))


# --- networks -------------------------------------------------------------------------------------------------------------------------


def network(namespace):
    return models.fully_connected(namespace, image=(3, 4, 4), hidden_dims=(20, 15), normalization="batch", dropout=0.3)


IMAGES = np.random.default_rng(1).standard_normal((4, 3, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("namespace", [pytest.param(nn, id="kernels"), pytest.param(REFERENCE, id="reference")])
def test_every_layer_of_a_network_is_checked_at_its_own_activations(namespace):
    titles = [report.title for report in check_layers(network(namespace), IMAGES)]
    assert titles == [
        *("0 Flatten", "1 Linear", "2 BatchNorm1d", "3 ReLU", "4 Dropout"),
        *("5 Linear", "6 BatchNorm1d", "7 ReLU", "8 Dropout", "9 Linear"),
    ]


def test_the_input_of_a_layer_is_the_output_of_the_layer_before():
    model = nn.Sequential(nn.Linear(6, 4), nn.Residual(nn.Sequential(nn.ReLU(), nn.Linear(4, 4))), nn.Tanh())
    inputs = {name: (layer, x) for name, layer, x in layer_inputs(model, X)}
    assert list(inputs) == ["0", "1.body.0", "1.body.1", "1.shortcut", "2"]
    assert inputs["0"][0] is model[0]
    model.double()
    np.testing.assert_array_equal(inputs["1.shortcut"][1], model[0](X))
    np.testing.assert_array_equal(inputs["1.body.1"][1], np.maximum(model[0](X), 0))
    np.testing.assert_array_equal(inputs["2"][1], model[1](model[0](X)))


def test_recording_leaves_no_trace_in_the_model():
    model = network(nn)
    before = copy.deepcopy(model.state_dict())
    list(layer_inputs(model, IMAGES))
    assert all("forward" not in vars(module) for module in model.modules())
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_a_mistake_in_one_layer_of_a_network_is_found_and_the_layer_named():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), TransposedSquare(5, 5), nn.Linear(5, 3))
    with pytest.raises(GradientError, match="dweight is wrong: it is the transpose") as raised:
        check_layers(model, X)
    assert raised.value.__notes__ == ["in layer 2 of Sequential, on its input (5, 5)"]
