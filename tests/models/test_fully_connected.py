import numpy as np
import pytest

from chainrule import nn
from chainrule.models import fully_connected, mlp, two_layer
from chainrule.nn import REFERENCE, namespace

CASES = [
    (two_layer, {}),
    (two_layer, {"hidden_dim": 7}),
    (fully_connected, {}),
    (fully_connected, {"hidden_dims": ()}),
    (fully_connected, {"hidden_dims": (9, 7, 8), "normalization": "batch"}),
    (fully_connected, {"hidden_dims": (9, 7), "normalization": "layer"}),
    (fully_connected, {"hidden_dims": (9, 7), "normalization": "batch", "dropout": 0.3}),
    (mlp, {}),
    (mlp, {"hidden_dims": (9, 8), "activations": ("tanh",)}),
    (mlp, {"hidden_dims": (9, 8, 7, 6, 5), "activations": ("relu", "leaky_relu", "sigmoid", "tanh", "gelu"), "dropout": 0.2}),
]
EVERY_MODEL = pytest.mark.parametrize(("model", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
IMAGE, CLASSES = (2, 4, 3), 6


@EVERY_MODEL
def test_keys_shapes_and_text_are_the_torch_twins(assert_same_text_and_state, model, options):
    assert_same_text_and_state(model, IMAGE, CLASSES, options)


@EVERY_MODEL
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("library", [nn, namespace(REFERENCE)], ids=["kernels", "reference"])
def test_loss_scores_and_every_gradient_are_the_torch_twins(assert_same_numbers, model, options, training, library):
    assert_same_numbers(model, IMAGE, CLASSES, options, library, training)


@pytest.mark.parametrize("normalization", ["group", "", True])
def test_an_unknown_normalization_is_refused(normalization):
    with pytest.raises(ValueError) as caught:
        fully_connected(nn, normalization=normalization)
    assert str(caught.value) == f'fully_connected: normalization is {normalization!r}; it must be "batch", "layer" or None'


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"^mlp: unknown activation 'swish'; there are relu, leaky_relu, sigmoid, tanh, gelu$"):
        mlp(nn, activations=("swish",))


def test_too_few_activations_are_refused():
    with pytest.raises(ValueError, match=r"^mlp: 2 activations for 3 hidden layers; give one for each, or one for all$"):
        mlp(nn, hidden_dims=(4, 4, 4), activations=("relu", "tanh"))


def test_images_of_another_size_are_refused_with_the_layer():
    with pytest.raises(ValueError, match=r"^Linear: x has shape \(2, 48\); expected \(N, 24\)\nin layer 2 of 4, \(1\): Linear\("):
        two_layer(nn, IMAGE)(np.zeros((2, 3, 4, 4), np.float32))
