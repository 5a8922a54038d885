"""The Solver as the notebooks use it: overfitting 50 images, comparing update rules, keeping the best parameters."""
# ruff: noqa: NPY002 - as the notebooks, these tests seed NumPy's global generator

import numpy as np
import pytest

from chainrule.compat.cs231n import optim
from chainrule.compat.cs231n.classifiers.fc_net import FullyConnectedNet, TwoLayerNet
from chainrule.compat.cs231n.solver import Solver
from chainrule.training.storage import load_arrays


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(231)


@pytest.fixture
def data():
    """50 images to learn by heart and 30 others, of four classes that differ in their mean."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((4, 3, 4, 4))
    y = rng.integers(4, size=80)
    X = means[y] + rng.standard_normal((80, 3, 4, 4))
    return {"X_train": X[:50], "y_train": y[:50], "X_val": X[50:], "y_val": y[50:]}


@pytest.mark.parametrize("hidden", [[100, 100], [50, 50, 50, 50]], ids=["three layers", "five layers"])
def test_a_network_learns_50_images_by_heart(data, hidden):
    model = FullyConnectedNet(hidden, 48, 4, weight_scale=0.15, dtype=np.float64)
    solver = Solver(model, data, print_every=10, num_epochs=20, batch_size=25, optim_config={"learning_rate": 0.1}, verbose=False)
    solver.train()
    assert solver.train_acc_history[-1] == 1.0
    assert solver.loss_history[-1] < solver.loss_history[0] / 10


@pytest.mark.parametrize(("rule", "learning_rate"), [("sgd", 1e-1), ("sgd_momentum", 5e-2), ("rmsprop", 1e-3), ("adam", 1e-3)])
def test_every_update_rule_trains(data, rule, learning_rate):
    model = FullyConnectedNet([100] * 3, 48, 4, weight_scale=5e-2)
    solver = Solver(model, data, rule, {"learning_rate": learning_rate}, num_epochs=15, batch_size=10, verbose=False)
    solver.train()
    assert np.mean(solver.loss_history[-5:]) < 0.5 * solver.loss_history[0]


def test_histories_hold_every_step_and_one_measurement_more_than_epochs(data):
    solver = Solver(TwoLayerNet(48, 20, 4), data, num_epochs=3, batch_size=10, verbose=False)
    solver.train()
    assert len(solver.loss_history) == 15
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 4
    assert solver.epoch == 3


def test_the_model_ends_with_the_parameters_that_validated_best(data):
    model = TwoLayerNet(48, 50, 4, weight_scale=0.1)
    solver = Solver(model, data, optim_config={"learning_rate": 1.0}, num_epochs=10, batch_size=10, verbose=False)
    solver.train()
    assert model.params is solver.best_params
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc == max(solver.val_acc_history)


def test_a_step_is_the_update_rule_applied_to_a_batch_drawn_with_numpy_s_generator(data):
    model = TwoLayerNet(48, 20, 4, weight_scale=0.1, reg=0.1)
    before = {name: w.copy() for name, w in model.params.items()}
    np.random.seed(5)
    solver = Solver(model, data, optim_config={"learning_rate": 0.3}, num_epochs=1, batch_size=50, num_train_samples=None, verbose=False)
    solver.train()
    np.random.seed(5)
    batch = np.random.choice(50, 50)
    model.params = before
    _, grads = model.loss(data["X_train"][batch], data["y_train"][batch])
    for name in before:
        np.testing.assert_array_equal(solver.best_params[name], optim.sgd(before[name], grads[name], {"learning_rate": 0.3})[0])


def test_a_rule_of_one_s_own_is_found_once_it_is_in_cs231n_optim(data, monkeypatch):
    monkeypatch.setattr(optim, "signs", lambda w, dw, config: (w - config["learning_rate"] * np.sign(dw), config), raising=False)
    solver = Solver(TwoLayerNet(48, 20, 4), data, "signs", {"learning_rate": 1e-2}, num_epochs=5, batch_size=10, verbose=False)
    solver.train()
    assert solver.loss_history[-1] < solver.loss_history[0]


def test_learning_rates_decay_after_every_epoch_and_the_given_dictionary_stays(data):
    config = {"learning_rate": 1e-2}
    solver = Solver(TwoLayerNet(48, 20, 4), data, optim_config=config, lr_decay=0.5, num_epochs=3, batch_size=10, verbose=False)
    solver.train()
    assert {settings["learning_rate"] for settings in solver.optim_configs.values()} == {1e-2 / 8}
    assert config == {"learning_rate": 1e-2}


def test_verbose_prints_losses_and_accuracies(data, capsys):
    Solver(TwoLayerNet(48, 20, 4), data, num_epochs=2, batch_size=10, print_every=5).train()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(")")[0] for line in lines] == [
        *("(Iteration 1 / 10", "(Epoch 0 / 2", "(Epoch 1 / 2"),
        *("(Iteration 6 / 10", "(Epoch 2 / 2"),
    ]


def test_accuracy_is_the_share_of_right_answers_of_all_samples_or_of_so_many(data):
    class Constant:
        params = {}  # noqa: RUF012

        def loss(self, X):
            return np.tile([0.0, 1.0, 0.0, 0.0], (len(X), 1))

    solver = Solver(Constant(), data)
    X, y = data["X_train"], data["y_train"]
    assert solver.check_accuracy(X, y, batch_size=7) == np.mean(y == 1)
    np.random.seed(5)
    sampled = solver.check_accuracy(X, y, num_samples=10)
    np.random.seed(5)
    assert sampled == np.mean(y[np.random.choice(50, 10)] == 1)


def test_a_checkpoint_holds_parameters_and_histories_and_no_pickle(data, tmp_path):
    model = TwoLayerNet(48, 20, 4)
    solver = Solver(model, data, num_epochs=1, batch_size=25, checkpoint_name=str(tmp_path / "net"), verbose=False)
    solver.train()
    arrays, metadata = load_arrays(tmp_path / "net_epoch_1.safetensors")
    np.testing.assert_array_equal(arrays["loss_history"], solver.loss_history)
    assert {"W1", "b1", "W2", "b2"} < set(arrays)
    assert '"update_rule": "sgd"' in metadata["settings"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 1e-3, "epochs": 4}, r"unrecognized arguments epochs, learning_rate"),
        ({"update_rule": "adagrad"}, r"no update rule is called 'adagrad' in cs231n.optim; there are adam, rmsprop, sgd, sgd_momentum"),
        ({"update_rule": "np"}, r"no update rule is called 'np'"),
    ],
    ids=["unknown argument", "unknown rule", "a name that is no rule"],
)
def test_what_it_does_not_know_is_refused(data, arguments, message):
    with pytest.raises(ValueError, match=message):
        Solver(TwoLayerNet(48, 20, 4), data, **arguments)
