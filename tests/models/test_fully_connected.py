import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import MODELS, fully_connected, mlp, two_layer
from chainrule.nn import REFERENCE, namespace
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn

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
def test_keys_shapes_and_text_are_the_torch_twins(model, options):
    ours, twin = model(nn, IMAGE, CLASSES, **options), model(torch_nn, IMAGE, CLASSES, **options)
    assert {name: array.shape for name, array in ours.state_dict().items()} == {
        name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()
    }
    assert list(ours.state_dict()) == list(twin.state_dict())
    assert repr(ours) == repr(twin)


@EVERY_MODEL
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("library", [nn, namespace(REFERENCE)], ids=["kernels", "reference"])
def test_loss_scores_and_every_gradient_are_the_torch_twins(model, options, training, library):
    rng = np.random.default_rng(1)
    ours = model(library, IMAGE, CLASSES, **options).double().reset_parameters(rng)
    twin = model(torch_nn, IMAGE, CLASSES, **options).double()
    copy_weights(ours, twin)
    for network in (ours, twin):
        network.train(training)
        for module in network.modules():
            if isinstance(module, nn.Dropout | torch_nn.Dropout):
                module.rng = np.random.default_rng(5)
    x, labels = rng.standard_normal((8, *IMAGE)), rng.integers(0, CLASSES, 8)

    criterion = library.CrossEntropyLoss()
    scores = ours(x)
    loss = criterion(scores, labels)
    dx = ours.backward(criterion.backward())
    tensor = torch.from_numpy(x).requires_grad_()
    expected = twin(tensor)
    expected_loss = torch_nn.CrossEntropyLoss()(expected, torch.from_numpy(labels))
    expected_loss.backward()

    assert loss == pytest.approx(expected_loss.item(), rel=1e-12)
    # sums of at most 24 terms in up to six layers: 1e-14 of the values, and a few times that behind the divisions of the norms;
    # atol, because a bias before a norm has a gradient of 0
    close = {"rtol": 1e-10, "atol": 1e-13}
    np.testing.assert_allclose(scores, expected.detach().numpy(), **close)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), **close)
    for (name, parameter), reference in zip(ours.named_parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(parameter.grad, reference.grad.numpy(), **close, err_msg=name)


def test_the_command_lines_names():
    assert list(MODELS.items()) == [("two-layer", two_layer), ("fully-connected", fully_connected), ("mlp", mlp)]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_defaults_fit_cifar(model):
    assert model(nn)(np.zeros((2, 3, 32, 32), np.float32)).shape == (2, 10)


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
