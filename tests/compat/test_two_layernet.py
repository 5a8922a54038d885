"""HLCV's network against its published numbers, numerical gradients and the same network in PyTorch."""
# ruff: noqa: NPY002 - as the script, these tests seed NumPy's global generator

import numpy as np
import pytest

from chainrule.compat.cs231n.gradient_check import eval_numerical_gradient
from chainrule.compat.hlcv.two_layernet import TwoLayerNet


def toy_network():
    np.random.seed(0)
    return TwoLayerNet(4, 10, 3, std=1e-1)


def toy_data():
    np.random.seed(1)
    return 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])


def test_probabilities_and_loss_are_the_published_ones():
    (X, y), net = toy_data(), toy_network()
    probabilities = net.loss(X)
    # published with 8 decimals; the script seeds NumPy's generator and expects the weights from it
    np.testing.assert_allclose(probabilities[0], [0.36446210, 0.22911264, 0.40642526], rtol=0, atol=5e-9)
    np.testing.assert_allclose(probabilities[4], [0.36328815, 0.32279939, 0.31391246], rtol=0, atol=5e-9)
    assert net.loss(X, y, reg=0.05)[0] == pytest.approx(1.30378789133, abs=1e-11)


def test_gradients_agree_with_perturbing_the_parameters_in_place():
    (X, y), net = toy_data(), toy_network()
    _, grads = net.loss(X, y, reg=0.05)
    for name, grad in grads.items():
        numerical = eval_numerical_gradient(lambda _: net.loss(X, y, reg=0.05)[0], net.params[name], verbose=False)
        np.testing.assert_allclose(grad, numerical, rtol=1e-6, atol=2e-9, err_msg=name)  # h**2 = 1e-10 times a curvature of up to 10


def test_loss_and_gradients_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    (X, y), net = toy_data(), toy_network()
    loss, grads = net.loss(X, y, reg=0.3)
    params = {name: torch.tensor(array, requires_grad=True) for name, array in net.params.items()}
    scores = torch.relu(torch.tensor(X) @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]
    penalty = 0.3 * ((params["W1"] ** 2).sum() + (params["W2"] ** 2).sum())  # no factor 1/2
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(y)) + penalty
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-14)
    for name, tensor in params.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), rtol=1e-12, atol=1e-14)  # sums of 5 terms of size 1, rounded
    np.testing.assert_allclose(net.loss(X), torch.softmax(scores, dim=1).detach().numpy(), rtol=1e-13)


def test_huge_scores_give_probabilities_and_no_overflow():
    X, _ = toy_data()
    probabilities = toy_network().loss(1e6 * X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_training_learns_the_toy_data():
    (X, y), net = toy_data(), toy_network()
    stats = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100)
    assert stats["loss_history"][-1] < 0.02  # what the script asks for
    np.testing.assert_array_equal(net.predict(X), y)
    assert stats["val_acc_history"][-1] == 1.0


def test_accuracies_are_measured_and_the_rate_decays_once_an_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4)), rng.integers(3, size=60)
    stats = toy_network().train(X, y, X[:20], y[:20], num_iters=10, batch_size=20)  # 3 steps an epoch: after steps 1, 4, 7, 10
    assert len(stats["loss_history"]) == 10
    assert len(stats["train_acc_history"]) == len(stats["val_acc_history"]) == 4


def test_the_learning_rate_is_multiplied_by_the_decay_after_an_epoch():
    X, y = toy_data()
    once, ten_times = toy_network(), toy_network()
    for net, num_iters in ((once, 1), (ten_times, 10)):
        np.random.seed(5)
        net.train(X, y, X, y, learning_rate=1e-2, learning_rate_decay=0, num_iters=num_iters, batch_size=5)
    for name, array in once.params.items():  # after the first epoch, of one step, the rate is 0
        np.testing.assert_array_equal(ten_times.params[name], array)
    assert (once.params["W1"] != toy_network().params["W1"]).any()


def test_verbose_prints_the_loss_every_hundred_steps(capsys):
    X, y = toy_data()
    toy_network().train(X, y, X, y, num_iters=201, verbose=True)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        *("iteration 0 / 201", "iteration 100 / 201"),
        "iteration 200 / 201",
    ]
