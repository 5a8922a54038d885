import itertools
import math
import os
import signal
import threading

import numpy as np
import pytest
import torch

from chainrule import nn, optim
from chainrule.data import Dataset, Split, augment, digits
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn
from chainrule.settings import Settings
from chainrule.training import Callback, EarlyStopping, Run, Trainer, TrainingDiverged, build_trainer, provenance
from chainrule.training.storage import load_arrays


def same_arrays(one, other):
    return list(one) == list(other) and all(np.array_equal(array, other[name]) for name, array in one.items())


# --- what it does -----------------------------------------------------------------------------------------------------------------------


def test_a_network_learns(make_trainer):
    history = make_trainer().fit(30)
    assert history.records[-1]["val_accuracy"] > 0.9
    assert history.records[-1]["train_loss"] < 0.5 * history.records[0]["train_loss"]


def test_the_record_of_an_epoch_says_what_happened(make_trainer, blobs):
    trainer = make_trainer(schedule=None)
    record = trainer.fit(2).records[1]
    validation = trainer.evaluate(blobs.val)
    assert (record["epoch"], record["step"]) == (2, 10)
    assert record["val_loss"] == validation.loss
    assert record["val_accuracy"] == validation.accuracy
    assert record["lr"] == 0.01
    assert record["seconds"] > 0


def test_the_training_loss_is_the_mean_over_the_samples_not_the_batches(network, blobs):
    losses = []

    class Listener(Callback):
        def on_step(self, trainer, loss):
            losses.append(loss)

    model = network()
    trainer = Trainer(model, blobs, optimizer=optim.SGD(model.parameters()), batch_size=20, callbacks=[Listener()])
    record = trainer.fit(1).records[0]
    assert record["train_loss"] == pytest.approx(np.average(losses, weights=[20, 20, 15]), rel=1e-14)


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_update(make_trainer, network):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    history = make_trainer(model=model, optimizer=optimizer, schedule=optim.StepLR(optimizer, 5, 0.1)).fit(2)
    assert history.column("lr") == [1.0, 0.1]


def test_the_same_seed_gives_the_same_training_and_another_one_another(make_trainer):
    one, same, other = (make_trainer(seed=seed) for seed in (1, 1, 2))
    for trainer in (one, same, other):
        trainer.fit(2)
    assert same_arrays(one.engine.model_state(), same.engine.model_state())
    assert not same_arrays(one.engine.model_state(), other.engine.model_state())


def test_fit_goes_on_where_it_left_off(make_trainer):
    at_once, in_parts = make_trainer(), make_trainer()
    at_once.fit(3)
    in_parts.fit(1)
    in_parts.fit(3)
    assert same_arrays(at_once.engine.model_state(), in_parts.engine.model_state())
    assert len(in_parts.history) == 3


def test_it_trains_in_a_thread_too(make_trainer):
    trainer = make_trainer()
    thread = threading.Thread(target=trainer.fit, args=(1,))
    thread.start()
    thread.join()
    assert len(trainer.history) == 1


def test_both_engines_have_the_same_learning_curve():
    data = digits()
    arguments = {"hidden_dims": (40, 30), "normalization": "batch", "dropout": 0.2}
    losses = {}
    for engine in ("hand", "torch"):
        settings = Settings(
            "fully-connected", arguments, engine=engine, dtype="float64", schedule="cosine", weight_decay=1e-3, epochs=3, seed=5
        )
        heard = losses[engine] = []

        class Listener(Callback):
            def on_step(self, trainer, loss, heard=heard):
                heard.append(loss)

        history = build_trainer(settings, data, callbacks=[Listener()]).fit(3)
        heard += history.column("val_loss")
    assert len(losses["hand"]) == 3 * 13 + 3
    # rounding of 1e-16 a step, amplified by Adam's division where a gradient is small; 39 steps
    np.testing.assert_allclose(losses["hand"], losses["torch"], rtol=1e-9)


# --- what it refuses --------------------------------------------------------------------------------------------------------------------


def linear(out, in_features=6):
    layers = nn.Flatten(), nn.Linear(in_features, 8), nn.ReLU(), nn.Linear(8, out)
    return nn.Sequential(*layers).reset_parameters(np.random.default_rng(0))


def test_a_network_for_other_images_is_refused_with_the_layer(make_trainer):
    with pytest.raises(ValueError, match=r"Linear: x has shape \(2, 6\); expected \(N, 7\)") as error:
        make_trainer(model=linear(3, in_features=7))
    assert error.value.__notes__ == [
        "in layer 2 of 4, (1): Linear(in_features=7, out_features=8, bias=True)",
        "of the network Sequential(4 layers), given images (2, 1, 2, 3) of blobs",
    ]


def test_a_torch_network_for_other_images_is_refused_too(blobs):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, 3))
    with pytest.raises(ValueError, match=r"mat1 and mat2 shapes cannot be multiplied \(2x6 and 7x3\)"):
        Trainer(model, blobs, optimizer=torch.optim.SGD(model.parameters()), batch_size=11)


def test_a_network_with_too_many_or_too_few_scores_is_refused(make_trainer):
    with pytest.raises(ValueError, match=r"into scores \(2, 4\); blobs has 3 classes, so it must be \(2, 3\)"):
        make_trainer(model=linear(4))
    with pytest.raises(ValueError, match="x has scores of 1 classes; expected labels from 0 to 0"):
        make_trainer(model=linear(1))


def test_something_that_is_no_network_is_refused(blobs, network):
    with pytest.raises(TypeError, match=r"model is of type function; it must be a Module of chainrule\.nn or of torch\.nn"):
        Trainer(lambda x: x, blobs, optimizer=optim.SGD(network().parameters()), batch_size=11)


def test_an_optimizer_of_another_network_is_refused(make_trainer, network):
    with pytest.raises(ValueError, match="the optimizer holds parameters that are not the model's"):
        make_trainer(optimizer=optim.SGD(network().parameters()))


@pytest.mark.parametrize("batch_size", [0, 56])
def test_the_batch_size_lies_between_one_and_the_number_of_samples(network, blobs, batch_size):
    model = network()
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}; it must be a whole number between 1 and the 55 training samples"):
        Trainer(model, blobs, optimizer=optim.SGD(model.parameters()), batch_size=batch_size)


@pytest.mark.parametrize("batch_size", ["10", 2.5, None])
def test_a_batch_size_that_is_no_whole_number_is_refused(network, blobs, batch_size):
    model = network()
    with pytest.raises(TypeError, match=f"^batch_size is {batch_size!r}; it must be a whole number between 1 and the 55 training samples$"):
        Trainer(model, blobs, optimizer=optim.SGD(model.parameters()), batch_size=batch_size)


def test_arrays_in_place_of_a_dataset_are_refused_with_what_makes_one(make_trainer, blobs):
    with pytest.raises(TypeError, match=r"^data is of type tuple; it must be a Dataset: Dataset\.from_arrays\(\"name\", train="):
        make_trainer(data=(blobs.train.images, blobs.train.labels))


def test_what_is_no_optimizer_is_refused(make_trainer):
    with pytest.raises(TypeError, match=r"^optimizer is the class SGD; give an object of it: SGD\(model\.parameters\(\)\)$"):
        make_trainer(optimizer=optim.SGD)
    with pytest.raises(TypeError, match=r"^optimizer is of type str; it must be one of chainrule\.optim"):
        make_trainer(optimizer="adam")


def test_a_split_to_evaluate_may_be_given_by_its_name(make_trainer, blobs):
    trainer = make_trainer()
    np.testing.assert_array_equal(trainer.evaluate("test").scores, trainer.evaluate(blobs.test).scores)
    np.testing.assert_array_equal(trainer.evaluate().labels, blobs.val.labels)
    with pytest.raises(ValueError, match="no split 'tets'; there are train, val and test"):
        trainer.evaluate("tets")


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [
        (1, "batch_size 1 is too small for batch normalization; take 4"),
        (27, "batch_size 27 leaves a last batch of 1 of the 55 training samples, which is too small for batch normalization; take 28"),
    ],
)
def test_a_batch_of_one_sample_is_refused_where_it_would_be_normalized(network, blobs, batch_size, message):
    model = network()
    with pytest.raises(ValueError, match=message):
        Trainer(model, blobs, optimizer=optim.SGD(model.parameters()), batch_size=batch_size)


def test_a_batch_of_one_sample_is_fine_without_batch_normalization(blobs):
    model = linear(3)
    Trainer(model, blobs, optimizer=optim.SGD(model.parameters()), batch_size=1).fit(1)


def test_zero_epochs_are_refused(make_trainer):
    with pytest.raises(ValueError, match="epochs is 0; it must be at least 1"):
        make_trainer().fit(0)


BAD_AUGMENTATIONS = [
    (lambda images, rng: images.astype(np.float64), TypeError, "Linear: x is float64, the parameters are float32"),
    (lambda images, rng: images[:, :, :, :2], ValueError, r"Linear: x has shape \(11, 4\); expected \(N, 6\)"),
    (lambda images, rng: images[:5], ValueError, r"y has shape \(11,\); expected \(5,\)"),
]


@pytest.mark.parametrize(("spoil", "kind", "message"), BAD_AUGMENTATIONS)
def test_an_augmentation_that_spoils_the_images_is_told_apart_from_the_network(make_trainer, spoil, kind, message):
    with pytest.raises(kind, match=message):
        make_trainer(augment=spoil).fit(1)


# --- divergence -------------------------------------------------------------------------------------------------------------------------


def test_nan_in_the_images_is_found_where_it_comes_from(make_trainer):
    def spoil(images, rng):
        images[3, 0, 1, 2] = np.nan
        return images

    message = r"the loss became nan at step 1 \(epoch 1\); the images of this batch have NaN or infinite values: look at the augmentation"
    with pytest.raises(TrainingDiverged, match=message):
        make_trainer(augment=spoil).fit(1)


def test_nan_in_a_dataset_is_refused_before_anything_is_made_of_it():
    images = np.zeros((4, 1, 2, 2), np.float32)
    images[2, 0, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"images\[2, 0, 1, 0\] is nan; expected finite numbers"):
        Split(images, np.zeros(4, np.int64))


class SpoilAt(Callback):
    """Makes a parameter NaN or infinite after some step."""

    def __init__(self, step, value, index=5):
        self.step, self.value, self.index = step, value, index

    def on_step(self, trainer, loss):
        if trainer.step == self.step:
            trainer.model[self.index].weight.data[0, 0] = self.value


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_training_stops_at_a_loss_that_is_no_number_and_keeps_the_last_good_checkpoint(make_trainer, make_run, value):
    run = make_run()
    with run.lock():
        trainer = make_trainer(run, checkpoint_every=0.0, callbacks=[SpoilAt(8, value)])
        trainer.checkpoint_every = math.inf
        message = (
            r"the loss became (nan|inf) at step 9 \(epoch 2\); the last good checkpoint, of step 0, is kept in .*run/checkpoints; try a "
        )
        with pytest.raises(TrainingDiverged, match=message + r"lower learning rate \(it is 0\.01\), gradient clipping, or normalization"):
            trainer.fit(3)
        fresh = make_trainer(run)
        fresh.resume()
        assert all(np.isfinite(array).all() for array in fresh.engine.model_state().values())
        assert len(fresh.fit(3)) == 3


def test_a_parameter_that_is_no_number_is_found_before_it_is_saved(make_trainer, make_run):
    run = make_run()
    with run.lock():
        trainer = make_trainer(run, checkpoint_every=0.0, callbacks=[SpoilAt(7, np.nan)])
        message = r"parameter 5\.weight became NaN or infinite at step 8 \(epoch 2\); the last good checkpoint, of step 6, is kept"
        with pytest.raises(TrainingDiverged, match=message):
            trainer.fit(3)
    arrays, _ = load_arrays(run.path / "checkpoints" / "last" / "model.safetensors")
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_learning_rate_that_is_far_too_high_is_noticed_without_a_run(make_trainer):
    model = linear(3)
    trainer = make_trainer(model=model, optimizer=optim.SGD(model.parameters(), lr=1e30))
    with pytest.raises(TrainingDiverged, match=r"try a lower learning rate \(it is 1e\+30\)"):
        trainer.fit(3)


def test_a_validation_loss_that_is_no_number_is_noticed(make_trainer):
    class SpoilAtTheEnd(Callback):
        def on_step(self, trainer, loss):
            if trainer.step == 5:
                trainer.model[2].running_var[...] = np.nan

    with pytest.raises(TrainingDiverged, match=r"the validation loss became nan at step 6 \(epoch 1\)"):
        make_trainer(callbacks=[SpoilAtTheEnd()]).fit(1)


def test_a_first_loss_far_from_that_of_guessing_is_remarked_upon(make_trainer):
    model = linear(3)
    model[3].weight.data[...] *= 100
    with pytest.warns(UserWarning, match=r"the first loss is \d+\.\d\d; a network that knows nothing yet has about ln\(3\) = 1\.10"):
        make_trainer(model=model).fit(1)


# --- the run folder ---------------------------------------------------------------------------------------------------------------------


def test_a_run_has_its_log_and_both_checkpoints(make_trainer, make_run):
    run = make_run()
    with run.lock():
        history = make_trainer(run).fit(3)
    records = run.metrics()
    assert [record for record in records if "epoch" in record] == history.records
    assert [record["step"] for record in records if "epoch" not in record] == [2, 4, 6, 8, 10, 12, 14]
    state = run.load_state("last")
    assert (state["epoch"], state["batch"], state["step"], state["complete"]) == (3, 0, 15, True)
    assert run.load_state("best")["best"] == history.best()


def test_a_run_is_not_written_without_its_lock(make_trainer, make_run):
    with pytest.raises(RuntimeError, match="without its lock"):
        make_trainer(make_run()).fit(1)


def test_a_run_that_has_a_checkpoint_is_not_started_over(make_trainer, make_run):
    run = make_run()
    with run.lock():
        make_trainer(run).fit(1)
        with pytest.raises(ValueError, match=r"run 'run' has a checkpoint already; call resume\(\) before fit\(\), or make another run"):
            make_trainer(run).fit(1)


def test_ctrl_c_finishes_the_update_saves_and_says_so(make_trainer, make_run):
    class CtrlC(Callback):
        def on_step(self, trainer, loss):
            if trainer.step == 7:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    run = make_run()
    with run.lock():
        with pytest.raises(KeyboardInterrupt):
            make_trainer(run, callbacks=[CtrlC()]).fit(3)
        assert signal.getsignal(signal.SIGINT) is before
        assert run.load_state("last")["step"] == 7
        resumed, uninterrupted = make_trainer(run), make_trainer()
        resumed.resume()
        resumed.fit(3)
        uninterrupted.fit(3)
    assert same_arrays(resumed.engine.model_state(), uninterrupted.engine.model_state())


def test_the_second_ctrl_c_does_not_wait(make_trainer):
    class CtrlCTwice(Callback):
        def on_step(self, trainer, loss):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        make_trainer(callbacks=[CtrlCTwice()]).fit(1)


# --- digits -----------------------------------------------------------------------------------------------------------------------------


def test_a_whole_run_of_settings_writes_its_provenance(tmp_path):
    data = digits(limit=60)
    settings = Settings("two-layer", {"hidden_dim": 9}, batch_size=20, epochs=1, patience=1)
    run = Run.create(tmp_path, None, provenance(settings, data), stem="two-layer-digits")
    with run.lock():
        trainer = build_trainer(settings, data, run=run)
        trainer.fit(settings.epochs)
    assert Settings.from_dict(Run.open(tmp_path, "two-layer-digits-1").config["settings"]) == settings
    assert any(isinstance(callback, EarlyStopping) for callback in trainer.callbacks)


@pytest.mark.parametrize("size", [20, 55])
def test_augmented_training_is_repeatable(make_trainer, network, blobs, size):
    def trained():
        model = network()
        shift = lambda images, rng: augment(images, rng, flip=True, pad=1)  # noqa: E731
        trainer = Trainer(model, blobs, optimizer=optim.SGD(model.parameters(), lr=0.1), batch_size=size, augment=shift)
        return trainer.fit(2).column("train_loss")

    assert trained() == trained()


def test_every_sample_is_seen_once_an_epoch(make_trainer, blobs):
    seen = [labels for _, labels in make_trainer().training_batches()]
    assert [len(labels) for labels in seen] == [11] * 5
    np.testing.assert_array_equal(np.bincount(np.concatenate(seen)), np.bincount(blobs.train.labels))


def test_datasets_of_ones_own_arrays_train():
    rng = np.random.default_rng(0)
    parts = {part: (rng.standard_normal((20, 5)), rng.integers(2, size=20)) for part in ("train", "val", "test")}
    data = Dataset.from_arrays("mine", **parts)
    model = nn.Sequential(nn.Flatten(), nn.Linear(5, 2)).reset_parameters(rng).double()
    trainer = Trainer(model, data, optimizer=optim.SGD(model.parameters(), lr=0.1), batch_size=4)
    losses = trainer.fit(20).column("train_loss")
    assert all(later < earlier for earlier, later in itertools.pairwise(losses[:3]))


@pytest.fixture
def torch_trainer(blobs):
    """Makes a Trainer of PyTorch's engine that defers, as on a GPU, or does not: 5 updates an epoch, looked at after every third."""

    def make(run=None, *, defers, lr=0.05, **options):
        ours, twin = (names.Sequential(names.Flatten(), names.Linear(6, 8), names.ReLU(), names.Linear(8, 3)) for names in (nn, torch_nn))
        copy_weights(ours.reset_parameters(np.random.default_rng(0)), twin)
        optimizer = torch.optim.SGD(twin.parameters(), lr=lr)
        trainer = Trainer(twin, blobs, optimizer=optimizer, batch_size=11, run=run, log_every=3, **options)
        trainer.engine.defers = defers
        return trainer

    return make


def test_losses_that_are_read_late_give_the_same_log(torch_trainer, make_run):
    metrics = []
    for name, defers in (("at-once", False), ("late", True)):
        run = make_run(name)
        with run.lock():
            torch_trainer(run, defers=defers).fit(3)
        metrics.append([{key: value for key, value in record.items() if key != "seconds"} for record in run.metrics()])
    assert metrics[0] == metrics[1]
    assert len(metrics[0]) == 3 + 5


def test_a_checkpoint_within_an_epoch_has_the_losses_that_were_not_read_yet(torch_trainer, make_run):
    run = make_run()

    class Save(Callback):
        def on_step(self, trainer, loss):
            if trainer.step == 7:
                trainer.save()
                raise KeyboardInterrupt

    with run.lock():
        with pytest.raises(KeyboardInterrupt):
            torch_trainer(run, defers=True, callbacks=[Save()], checkpoint_every=math.inf).fit(2)
        resumed = torch_trainer(run, defers=True)
        resumed.resume()
        assert resumed.step == 7
        found = resumed.fit(2).column("train_loss")
    assert found == torch_trainer(defers=False).fit(2).column("train_loss")


def test_a_loss_that_is_no_number_is_found_at_the_next_look(torch_trainer):
    class SpoilTheFirst(Callback):
        def on_step(self, trainer, loss):
            self.last = trainer.step
            if trainer.step == 1:
                trainer.model[1].weight.data[0, 0] = np.nan

    spoil = SpoilTheFirst()
    with pytest.raises(TrainingDiverged, match=r"the loss became nan at step 2 \(epoch 1\)"):
        torch_trainer(defers=True, callbacks=[spoil]).fit(1)
    assert spoil.last == 2  # it is seen after the third
