"""The homework's trainer: epochs, early stopping, checkpoints, and a network that learns a few samples by heart."""

import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from chainrule.compat.cs236781 import layers, optimizers, training  # noqa: E402
from chainrule.training.storage import load_arrays  # noqa: E402


@pytest.fixture
def loader():
    """20 random images of three classes in batches of 10, in a fixed order."""
    torch.manual_seed(42)
    return DataLoader(TensorDataset(torch.randn(20, 3, 4, 4), torch.arange(20) % 3), batch_size=10, shuffle=False)


def layer_trainer(optimizer=optimizers.VanillaSGD, **settings):
    model = layers.MLP(48, num_classes=3, hidden_features=[64] * 3, wstd=0.2)
    return training.LayerTrainer(model, layers.CrossEntropyLoss(), optimizer(model.params(), **settings))


class Scripted(training.Trainer):
    """A trainer whose losses and accuracies in each epoch are given beforehand."""

    def __init__(self, test_losses, correct=None):
        parameter = torch.zeros(3)
        super().__init__(types.SimpleNamespace(train=lambda mode: None, params=lambda: [(parameter, parameter)]))
        self.test_losses = iter(test_losses)
        self.correct = iter(correct or [1] * len(test_losses))

    def train_batch(self, batch):
        return training.BatchResult(1.0, 1)

    def test_batch(self, batch):
        self.model.params()[0][0].add_(1)  # counts the epochs, for the checkpoints
        return training.BatchResult(next(self.test_losses), next(self.correct))


ONE_BATCH = [(torch.zeros(4, 2), torch.zeros(4))]


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (optimizers.VanillaSGD, {"learn_rate": 0.1, "reg": 1e-3}),
        (optimizers.MomentumSGD, {"learn_rate": 0.02}),
        (optimizers.RMSProp, {"learn_rate": 1e-3}),
    ],
    ids=["vanilla", "momentum", "rmsprop"],
)
def test_a_network_learns_20_images_by_heart(loader, optimizer, settings):
    trainer = layer_trainer(optimizer, **settings)
    accuracies = [trainer.train_epoch(loader, verbose=False).accuracy for _ in range(40)]
    assert max(accuracies) >= 98


def test_an_epoch_is_one_step_of_pytorch_s_network_for_each_batch(loader):
    trainer = layer_trainer(learn_rate=0.1, reg=0.01)
    linears = [layer for layer in trainer.model.sequence if isinstance(layer, layers.Linear)]
    twin = torch.nn.Sequential(torch.nn.Flatten())
    for index, linear in enumerate(linears):
        twin.append(torch.nn.Linear(linear.in_features, linear.out_features))
        twin[-1].load_state_dict({"weight": linear.w, "bias": linear.b})
        if index < len(linears) - 1:
            twin.append(torch.nn.ReLU())
    optimizer = torch.optim.SGD(twin.parameters(), 0.1, weight_decay=0.01)
    expected = []
    for X, y in loader:
        loss = torch.nn.functional.cross_entropy(twin(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    result = trainer.train_epoch(loader, verbose=False)
    np.testing.assert_allclose(result.losses, expected, rtol=1e-5)  # float32, sums of 64 terms
    for (p, _), parameter in zip(trainer.model.params(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, parameter.detach(), rtol=1e-5, atol=1e-5)


def test_an_epoch_gives_each_loss_and_the_accuracy_in_percent(loader):
    result = layer_trainer().test_epoch(loader, verbose=False)
    assert isinstance(result, training.EpochResult)
    assert len(result.losses) == 2
    assert all(isinstance(loss, float) for loss in result.losses)
    assert result.accuracy in [5.0 * count for count in range(21)]


def test_max_batches_limits_an_epoch_and_the_accuracy_counts_what_was_seen(loader):
    trainer = layer_trainer(learn_rate=0.1)
    for _ in range(30):
        result = trainer.train_epoch(loader, verbose=False, max_batches=1)
    assert len(result.losses) == 1
    assert result.accuracy == 100.0
    assert len(trainer.train_epoch(loader, verbose=False, max_batches=10).losses) == 2


def test_testing_changes_no_parameter_and_turns_dropout_off(loader):
    model = layers.MLP(48, 3, [64], dropout=0.5)
    trainer = training.LayerTrainer(model, layers.CrossEntropyLoss(), optimizers.VanillaSGD(model.params()))
    before = [p.clone() for p, _ in model.params()]
    assert trainer.test_epoch(loader, verbose=False) == trainer.test_epoch(loader, verbose=False)
    assert all(torch.equal(p, earlier) for (p, _), earlier in zip(model.params(), before, strict=True))


def test_fit_gives_a_mean_loss_and_an_accuracy_for_each_epoch(loader):
    result = layer_trainer(learn_rate=0.05).fit(loader, loader, num_epochs=4, print_every=0)
    assert isinstance(result, training.FitResult)
    assert result.num_epochs == 4
    assert [len(history) for history in result[1:]] == [4, 4, 4, 4]
    assert result.test_loss[-1] < result.test_loss[0]


@pytest.mark.parametrize(
    ("test_losses", "early_stopping", "epochs"),
    [
        ([5, 4, 4, 3, 3, 3, 3], 2, 6),
        ([5, 6, 7, 8, 9, 9, 9], 3, 4),
        ([5, 4, 3, 2, 1, 1, 1], 3, 7),
        ([5, 6, 7, 8, 9, 9, 9], None, 7),
    ],
    ids=["after two equal", "after three worse", "at the end", "never"],
)
def test_early_stopping_counts_the_epochs_in_a_row_without_a_better_test_loss(test_losses, early_stopping, epochs):
    result = Scripted(test_losses).fit(ONE_BATCH, ONE_BATCH, 7, early_stopping=early_stopping, print_every=0)
    assert result.num_epochs == epochs
    assert result.test_loss == test_losses[:epochs]


def test_a_checkpoint_is_written_whenever_the_test_accuracy_improves(tmp_path, capsys):
    Scripted([1, 1, 1, 1], correct=[1, 3, 3, 2]).fit(
        ONE_BATCH, ONE_BATCH, 4, checkpoints=str(tmp_path / "checkpoints" / "mlp"), print_every=0
    )
    assert capsys.readouterr().out.count("Saved checkpoint") == 2
    arrays, _ = load_arrays(tmp_path / "checkpoints" / "mlp.safetensors")
    np.testing.assert_array_equal(arrays["0"], [2, 2, 2])  # those of the second epoch


def test_print_every_chooses_the_epochs_that_are_printed_and_the_last_always_is(capsys):
    Scripted([1] * 6).fit(ONE_BATCH, ONE_BATCH, 6, print_every=4)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("---")] == ["--- EPOCH 1/6 ---", "--- EPOCH 5/6 ---", "--- EPOCH 6/6 ---"]
    assert lines[1] == "train: mean loss 1.000, accuracy 25.0 %, 1 batches"


def test_data_without_a_batch_are_refused():
    with pytest.raises(ValueError, match="the data of test_epoch gave no batch"):
        Scripted([1]).test_epoch([])


def torch_trainer(trainer=training.TorchTrainer, **settings):
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(48, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Linear(32, 3)
    )
    return trainer(model, torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.1, momentum=0.9), **settings)


def test_the_torch_trainer_takes_torch_s_steps(loader):
    trainer = torch_trainer(device="cpu")
    twin = torch_trainer()
    twin.model.load_state_dict(trainer.model.state_dict())
    expected = []
    for _ in range(2):
        for X, y in loader:
            loss = twin.loss_fn(twin.model(X), y)
            twin.optimizer.zero_grad()
            loss.backward()
            twin.optimizer.step()
            expected.append(loss.item())
    assert [loss for _ in range(2) for loss in trainer.train_epoch(loader, verbose=False).losses] == expected
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, twin.model.state_dict()[name]), name


def test_the_torch_trainer_learns_20_images_by_heart(loader):
    result = torch_trainer().fit(loader, loader, 20, print_every=0)
    assert result.test_acc[-1] == 100


def test_the_torch_trainer_measures_without_learning(loader):
    trainer = torch_trainer()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    result = trainer.test_epoch(loader, verbose=False)
    labels = torch.cat([y for _, y in loader])
    scores = trainer.model(torch.cat([X for X, _ in loader])).detach()
    assert np.mean(result.losses) == pytest.approx(torch.nn.functional.cross_entropy(scores, labels).item(), rel=1e-6)
    assert result.accuracy == pytest.approx(100 * (scores.argmax(1) == labels).float().mean().item())
    assert all(p.grad is None for p in trainer.model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())


def test_the_torch_trainer_s_checkpoint_is_the_state_dict(loader, tmp_path):
    trainer = torch_trainer()
    trainer.train_epoch(loader, verbose=False)
    trainer.save_checkpoint(tmp_path / "net")
    arrays, _ = load_arrays(tmp_path / "net.safetensors")
    twin = torch_trainer().model
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    assert all(torch.equal(tensor, twin.state_dict()[name]) for name, tensor in trainer.model.state_dict().items())


def test_a_classifier_says_itself_what_label_its_scores_mean(loader):
    class AlwaysTwo(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1))

        def classify_scores(self, scores):
            return torch.full((len(scores),), 2)

    model = AlwaysTwo(48, 3)
    trainer = training.ClassifierTrainer(model, torch.nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.1), "cpu")
    labels = torch.cat([y for _, y in loader])
    assert trainer.train_epoch(loader, verbose=False).accuracy == trainer.test_epoch(loader, verbose=False).accuracy
    assert trainer.test_epoch(loader, verbose=False).accuracy == 100 * (labels == 2).sum().item() / 20


def test_a_network_that_is_no_classifier_is_refused_by_its_trainer():
    with pytest.raises(
        TypeError, match=r"ClassifierTrainer: Sequential has no classify_scores\(scores\).*wrap the network in a Classifier, or"
    ):
        torch_trainer(training.ClassifierTrainer)
