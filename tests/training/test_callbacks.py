import csv

import numpy as np
import pytest

from chainrule.training import Callback, EarlyStopping, LayerStatistics, TensorBoard
from chainrule.training.callbacks import write_csv


class ValidationAccuracies(Callback):
    """Puts other accuracies into the epochs' records, and other losses (default: 1 in every epoch)."""

    def __init__(self, accuracies, losses=None):
        self.accuracies = accuracies
        self.losses = losses or [1.0] * len(accuracies)

    def on_epoch(self, trainer, record):
        row = record["epoch"] - 1
        record["val_accuracy"], record["val_loss"] = self.accuracies[row], self.losses[row]


@pytest.mark.parametrize(
    ("patience", "accuracies", "epochs"),
    [(1, [0.5, 0.5, 0.9], 2), (2, [0.5, 0.4, 0.6, 0.6, 0.5, 0.9], 5), (3, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6)],
)
def test_training_stops_when_validation_accuracy_has_not_improved_for_so_many_epochs(make_trainer, patience, accuracies, epochs):
    trainer = make_trainer(callbacks=[ValidationAccuracies(accuracies), EarlyStopping(patience)])
    assert len(trainer.fit(6)) == epochs
    assert (trainer.stopped is None) == (epochs == 6)


def test_the_same_accuracy_at_a_lower_loss_is_better_too(make_trainer):
    trainer = make_trainer(callbacks=[ValidationAccuracies([0.5] * 5, [1.0, 0.9, 0.8, 0.8, 0.9]), EarlyStopping(2)])
    assert len(trainer.fit(5)) == 5
    assert trainer.stopped.endswith("(best in epoch 3)")


def test_the_reason_names_the_best_epoch(make_trainer):
    trainer = make_trainer(callbacks=[ValidationAccuracies([0.5, 0.9, 0.1, 0.2]), EarlyStopping(2)])
    trainer.fit(9)
    assert trainer.stopped == "no better validation accuracy for 2 epochs (best in epoch 2)"


def test_patience_is_at_least_one_epoch():
    with pytest.raises(ValueError, match="patience is 0; it must be at least 1 epoch"):
        EarlyStopping(0)


def test_statistics_of_layers_do_not_change_training(make_trainer):
    plain, watched = make_trainer(), make_trainer(callbacks=[LayerStatistics()])
    for trainer in (plain, watched):
        trainer.fit(4)
    for name, array in plain.engine.model_state().items():
        np.testing.assert_array_equal(array, watched.engine.model_state()[name], err_msg=name)
    for one, other in zip(plain.history, watched.history, strict=True):
        assert one["train_loss"] == other["train_loss"]
        assert one["val_loss"] == other["val_loss"]


def test_statistics_are_those_of_each_layer_on_validation_images(make_trainer, blobs):
    trainer = make_trainer(callbacks=[LayerStatistics(samples=9)])
    layers = trainer.fit(1).records[0]["layers"]
    assert list(layers) == ["0 Flatten", "1 Linear", "2 BatchNorm1d", "3 ReLU", "4 Dropout", "5 Linear"]
    trainer.model.eval()
    images = blobs.normalize(blobs.val.images[:9])
    out = trainer.model[1](trainer.model[0](images))
    assert layers["1 Linear"]["mean"] == pytest.approx(float(out.mean()), rel=1e-6)
    assert layers["1 Linear"]["std"] == pytest.approx(float(out.std()), rel=1e-6)
    assert layers["5 Linear"]["grad_rms"] > 0


def test_a_unit_that_never_fires_is_dead(make_trainer, network):
    model = network()
    model[2].bias.data[:2] = -100  # before ReLU: 2 of 8
    trainer = make_trainer(model=model, lr=1e-6, callbacks=[LayerStatistics()])
    assert trainer.fit(1).records[0]["layers"]["3 ReLU"]["dead"] == 0.25


def test_statistics_are_refused_for_a_torch_network(blobs):
    import torch

    from chainrule.training import Trainer

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 3))
    trainer = Trainer(model, blobs, optimizer=torch.optim.SGD(model.parameters()), batch_size=11, callbacks=[LayerStatistics()])
    with pytest.raises(TypeError, match=r"LayerStatistics looks into networks of chainrule\.nn; this one is a Sequential"):
        trainer.fit(1)


def test_callbacks_are_told_of_every_step_epoch_and_end(make_trainer):
    calls = []

    class Listener(Callback):
        def on_start(self, trainer):
            calls.append("start")

        def on_step(self, trainer, loss):
            calls.append(trainer.step)

        def on_epoch(self, trainer, record):
            calls.append(f"epoch {record['epoch']}")

        def on_end(self, trainer):
            calls.append("end")

    make_trainer(callbacks=[Listener()]).fit(2)
    assert calls == ["start", 1, 2, 3, 4, 5, "epoch 1", 6, 7, 8, 9, 10, "epoch 2", "end"]


def test_on_end_is_called_after_an_error_too(make_trainer):
    ended = []

    class Fails(Callback):
        def on_step(self, trainer, loss):
            raise OSError("the disk is gone")

        def on_end(self, trainer):
            ended.append(True)

    with pytest.raises(OSError, match="the disk is gone"):
        make_trainer(callbacks=[Fails()]).fit(1)
    assert ended


def test_epochs_are_written_as_csv(tmp_path, make_trainer):
    history = make_trainer(callbacks=[LayerStatistics()]).fit(3)
    write_csv(tmp_path / "metrics.csv", history)
    with open(tmp_path / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["val_loss"]) for row in rows] == history.column("val_loss")
    assert "layers" not in rows[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard.*", "ignore::UserWarning:google.*")
def test_tensorboard_reads_what_was_written(tmp_path, make_trainer):
    history = make_trainer(callbacks=[LayerStatistics(), TensorBoard(tmp_path)]).fit(3)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert {"train_loss", "val_accuracy", "lr", "layers/3 ReLU/dead"} <= set(events.Tags()["scalars"])
    written = events.Scalars("val_loss")
    assert [event.step for event in written] == [1, 2, 3]
    # event files hold float32
    np.testing.assert_allclose([event.value for event in written], history.column("val_loss"), rtol=1e-7)


def test_without_tensorboard_its_callback_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install chainrule\[torch,tensorboard\]"):
        TensorBoard(tmp_path)
