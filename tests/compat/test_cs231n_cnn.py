"""CS231n's ThreeLayerConvNet as the ConvolutionalNetworks notebook uses it: first loss, gradients, a hundred images learnt by heart."""
# ruff: noqa: NPY002 - as the notebooks, these tests seed NumPy's global generator

import numpy as np
import pytest

from chainrule.compat.cs231n import fast_layers, layer_utils, layers
from chainrule.compat.cs231n.classifiers.cnn import ThreeLayerConvNet
from chainrule.compat.cs231n.data_utils import get_CIFAR10_data
from chainrule.compat.cs231n.gradient_check import eval_numerical_gradient
from chainrule.compat.cs231n.solver import Solver
from chainrule.data import find_cifar10


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(231)


def test_a_star_import_brings_every_layer_and_the_network():
    names = {}
    exec("from chainrule.compat.cs231n.classifiers.cnn import *", names)
    assert names["ThreeLayerConvNet"] is ThreeLayerConvNet
    for module in (layers, fast_layers, layer_utils):
        for name in module.__all__:
            assert names[name] is getattr(module, name)


def test_the_first_loss_is_that_of_guessing_and_a_penalty_adds_to_it():
    model = ThreeLayerConvNet()
    X, y = np.random.randn(50, 3, 32, 32), np.random.randint(10, size=50)
    loss, _ = model.loss(X, y)
    assert loss == pytest.approx(np.log(10), abs=1e-4)  # scores of 1e-3**3 times a few hundred
    model.reg = 0.5
    squares = sum(np.sum(model.params[name].astype(float) ** 2) for name in ("W1", "W2", "W3"))
    # float32 sums of 800,000 squares of 1e-3
    assert model.loss(X, y)[0] - loss == pytest.approx(0.25 * squares, rel=1e-4)


@pytest.mark.parametrize("reg", [0.0, 0.7])
def test_gradients_agree_with_perturbing_the_parameters_in_place(reg):
    """The notebook's network of two images of 16 x 16, smaller by half; b1 keeps the ReLU and the maximum away from their kinks."""
    X, y = np.random.randn(2, 3, 8, 8), np.random.randint(10, size=2)
    model = ThreeLayerConvNet(num_filters=3, filter_size=3, input_dim=(3, 8, 8), hidden_dim=7, dtype=np.float64, weight_scale=5e-2, reg=reg)
    model.params["b1"] += 0.3
    _, grads = model.loss(X, y)
    assert sorted(grads) == sorted(model.params)
    for name in grads:
        numerical = eval_numerical_gradient(lambda _: model.loss(X, y)[0], model.params[name], verbose=False, h=1e-6)
        # the difference errs by 2e-16 * loss / 1e-6 = 1e-9 (rounding of a loss of up to 5)
        np.testing.assert_allclose(grads[name], numerical, rtol=1e-5, atol=2e-8, err_msg=name)


def test_parameters_have_the_published_names_shapes_and_dtype():
    model = ThreeLayerConvNet(input_dim=(3, 10, 9), num_filters=4, filter_size=5, hidden_dim=6, num_classes=7)
    shapes = {"W1": (4, 3, 5, 5), "b1": (4,), "W2": (4 * 5 * 4, 6), "b2": (6,), "W3": (6, 7), "b3": (7,)}
    assert {name: array.shape for name, array in model.params.items()} == shapes
    assert {array.dtype for array in model.params.values()} == {np.dtype(np.float32)}
    X, y = np.random.randn(2, 3, 10, 9), np.array([0, 6])
    assert model.loss(X).shape == (2, 7)
    assert {array.dtype for array in (model.loss(X), *model.loss(X, y)[1].values())} == {np.dtype(np.float32)}
    assert {name: array.shape for name, array in model.loss(X, y)[1].items()} == shapes


def test_weights_come_from_numpy_s_seed_at_the_given_scale():
    np.random.seed(3)
    model = ThreeLayerConvNet(weight_scale=1e-2)
    assert model.params["W2"].std() == pytest.approx(1e-2, rel=0.01)  # 800,000 draws
    assert not model.params["b1"].any()
    np.random.seed(3)
    np.testing.assert_array_equal(ThreeLayerConvNet(weight_scale=1e-2).params["W3"], model.params["W3"])


def test_an_even_filter_is_refused():
    with pytest.raises(ValueError, match="ThreeLayerConvNet: filter_size=4 is even; an odd one keeps the size of the image"):
        ThreeLayerConvNet(filter_size=4)


def test_the_solver_teaches_it_a_hundred_images():
    """As the notebook overfits it, on noisy pictures of ten patterns, three times as fast."""
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=130)
    X = rng.standard_normal((10, 3, 16, 16))[y] + rng.standard_normal((130, 3, 16, 16))
    data = {"X_train": X[:100], "y_train": y[:100], "X_val": X[100:], "y_val": y[100:]}
    model = ThreeLayerConvNet(input_dim=(3, 16, 16), num_filters=8, weight_scale=1e-2)
    solver = Solver(model, data, "adam", {"learning_rate": 3e-3}, num_epochs=15, batch_size=50, verbose=False)
    solver.train()
    assert solver.train_acc_history[-1] > 0.9
    assert solver.loss_history[-1] < solver.loss_history[0] / 3


@pytest.mark.real_data
def test_a_hundred_images_of_cifar10_are_overfitted_as_in_the_notebook(real_cifar10, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(real_cifar10))
    assert find_cifar10() is not None
    data = get_CIFAR10_data()
    few = {"X_train": data["X_train"][:100], "y_train": data["y_train"][:100], "X_val": data["X_val"], "y_val": data["y_val"]}
    solver = Solver(ThreeLayerConvNet(weight_scale=1e-2), few, "adam", {"learning_rate": 1e-3}, num_epochs=15, batch_size=50, verbose=False)
    solver.train()
    # the notebook: "very high training accuracy and comparatively low validation accuracy"
    assert solver.train_acc_history[-1] > 0.8
    assert solver.best_val_acc < 0.4
