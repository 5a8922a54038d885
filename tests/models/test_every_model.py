"""What holds for all networks of MODELS, however they are built."""

import typing

import numpy as np
import pytest

from chainrule import nn
from chainrule.models import MODELS, convnet, fully_connected, mlp, resnet, resnet18, speedrun, squeezenet, three_layer_convnet, two_layer
from chainrule.settings import model_arguments

EVERY_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def test_the_command_lines_names():
    assert list(MODELS.items()) == [
        ("two-layer", two_layer),
        ("fully-connected", fully_connected),
        ("mlp", mlp),
        ("three-layer-convnet", three_layer_convnet),
        ("convnet", convnet),
        ("resnet", resnet),
        ("speedrun", speedrun),
        ("squeezenet", squeezenet),
        ("resnet18", resnet18),
    ]


@EVERY_MODEL
def test_defaults_fit_cifar(model):
    assert model(nn).eval()(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("model", [model for name, model in MODELS.items() if name not in ("speedrun", "squeezenet")])
def test_defaults_fit_the_digits(model):
    assert model(nn, (1, 8, 8))(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 10)


@EVERY_MODEL
def test_grey_images_and_any_number_of_classes_will_do(model):
    assert model(nn, (1, 27, 26), 7).eval()(np.zeros((1, 1, 27, 26), np.float32)).shape == (1, 7)


def test_an_argument_of_several_models_takes_the_same_kind_of_value_in_each():
    """The command line has one option for all of them: `--dropout` is a number everywhere."""
    kinds = {}
    for name, model in MODELS.items():
        hints = typing.get_type_hints(model)
        for argument in model_arguments(name):
            kind = {word for word in (str, int, float, bool) if word in flattened(hints[argument])}
            assert kinds.setdefault(argument.removesuffix("_dims").removesuffix("_dim"), kind) == kind, (name, argument)


def flattened(kind):
    """The plain types that make up a hint: of tuple[int, ...] int, of Literal["a"] | None str."""
    parts = typing.get_args(kind)
    if not parts:
        return {kind if isinstance(kind, type) else type(kind)}
    return set().union(*(flattened(part) for part in parts))
