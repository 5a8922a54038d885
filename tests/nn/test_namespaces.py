import dataclasses
import inspect

import numpy as np
import pytest
import torch

from chainrule import nn as library
from chainrule.nn import KERNELS, REFERENCE, Module, Pair, namespace
from chainrule.pytorch import nn as torch_nn

NAMES = sorted(vars(namespace(REFERENCE)))
TORCHS_NAMES = [name for name in NAMES if name not in ("Residual", "Concat", "Named", "Scale")]  # torch.nn has no such modules
# what torch's constructors take and ours do not
LEFT_OUT = {
    "ReLU": {"inplace"},
    "LeakyReLU": {"inplace"},
    "Dropout": {"inplace"},
    "Dropout2d": {"inplace"},
    "Upsample": {"align_corners", "recompute_scale_factor"},
    "CrossEntropyLoss": {"weight", "size_average", "ignore_index", "reduce", "reduction"},
    "MultiMarginLoss": {"p", "weight", "size_average", "reduce", "reduction"},
    "MSELoss": {"size_average", "reduce", "reduction"},
}


def arguments(kind):
    parameters = inspect.signature(kind).parameters.values()
    return {
        parameter.name: parameter for parameter in parameters if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def test_all_namespaces_offer_the_same_names():
    assert set(NAMES) == set(vars(namespace(KERNELS))) == set(torch_nn.__all__) - {"Module"}
    assert set(NAMES) <= set(library.__all__)


@pytest.mark.parametrize("name", TORCHS_NAMES)
def test_arguments_have_torchs_names_and_defaults(name):
    ours, theirs = arguments(getattr(library, name)), arguments(getattr(torch.nn, name))
    assert theirs.keys() - ours.keys() - {"device", "dtype"} == LEFT_OUT.get(name, set())
    assert ours.keys() - theirs.keys() <= {"dtype", "rng"}
    for argument in ours.keys() & theirs.keys() - {"dtype"}:
        assert ours[argument].default == theirs[argument].default


@pytest.mark.parametrize("name", TORCHS_NAMES)
def test_arguments_by_position_are_torchs(name):
    ours, theirs = arguments(getattr(library, name)), arguments(getattr(torch.nn, name))
    positional = [argument for argument, parameter in ours.items() if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == list(theirs)[: len(positional)]


@pytest.mark.parametrize("name", ["Residual", "Concat", "Named", "Scale"])
def test_the_modules_that_torch_lacks_have_twins_with_the_same_arguments(name):
    assert str(inspect.signature(getattr(library, name))) == str(inspect.signature(getattr(torch_nn, name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_a_namespace_is_the_librarys_over_another_table(name):
    kind = getattr(namespace(REFERENCE), name)
    assert issubclass(kind, getattr(library, name)) and kind.__name__ == name
    assert kind.functions is REFERENCE and getattr(library, name).functions is KERNELS
    assert issubclass(kind, Module)


def test_a_table_with_a_function_of_ones_own_is_computed_with():
    calls = []

    def my_relu_forward(x):
        calls.append("forward")
        return np.maximum(x, 0), x

    def my_relu_backward(dout, x):
        calls.append("backward")
        return dout * (x > 0)

    nn = namespace(dataclasses.replace(REFERENCE, relu=Pair(my_relu_forward, my_relu_backward)))
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    network.backward(network(np.ones((2, 3), np.float32)))
    assert calls == ["forward", "backward"]


def test_kernels_and_reference_agree_on_a_whole_network(rng):
    def network(nn):
        layers = nn.Linear(12, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Linear(9, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 5)
        return nn.Sequential(*layers).double().reset_parameters(np.random.default_rng(1))

    x, labels = rng.standard_normal((6, 12)), rng.integers(0, 5, 6)
    results = []
    for table in (KERNELS, REFERENCE):
        nn = namespace(table)
        model, criterion = network(nn), nn.CrossEntropyLoss(label_smoothing=0.1)
        loss = criterion(model(x), labels)
        dx = model.backward(criterion.backward())
        results.append([np.array(loss), dx, *(parameter.grad for parameter in model.parameters())])
    for ours, reference in zip(*results, strict=True):
        # seven layers of sums of at most 12 terms, divided by standard deviations of about 0.3; a bias before a norm has a gradient of 0
        np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-14)
