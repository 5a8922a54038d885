import numpy as np
import pytest
import torch

from chainrule import nn, optim
from chainrule.data import Dataset, digits
from chainrule.models.whitening import whitening_weights
from chainrule.settings import Settings
from chainrule.training import Run, build_data, build_model, build_trainer, load_run, provenance
from chainrule.training.build import _augmentation, check_same_data


@pytest.fixture(scope="module")
def data():
    return digits()


def test_data_are_those_of_the_settings():
    data = build_data(Settings("mlp", data="digits", limit=50, seed=3))
    assert data.name == "digits"
    assert len(data.train) == 50
    assert data.checksum != build_data(Settings("mlp", data="digits", limit=50, seed=4)).checksum


def test_the_network_takes_the_datas_images_and_has_its_classes(data):
    model = build_model(Settings("fully-connected", {"hidden_dims": [20], "dropout": 0.1}), data)
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert model[1].in_features == 64
    assert model[4].out_features == 10


def test_the_first_weights_come_from_the_seed(data):
    one, same, other = (build_model(Settings("mlp", seed=seed), data).state_dict() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["1.weight"], same["1.weight"])
    assert (one["1.weight"] != other["1.weight"]).any()


@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_first_weights_have_the_scale_that_was_asked_for_and_biases_are_0(data, engine):
    settings = Settings("fully-connected", {"hidden_dims": [300], "normalization": "batch"}, engine=engine, weight_scale=0.02)
    state = {name: np.asarray(array) for name, array in build_model(settings, data).state_dict().items()}
    for name in ("1.weight", "4.weight"):
        n = state[name].size
        assert state[name].std() == pytest.approx(0.02, rel=4 / np.sqrt(2 * n))  # four standard errors
        assert abs(state[name].mean()) < 4 * 0.02 / np.sqrt(n)
    assert not state["1.bias"].any() and not state["4.bias"].any()
    assert (state["2.weight"] == 1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_twin_has_the_same_first_weights(data, dtype):
    ours = build_model(Settings("fully-connected", {"normalization": "batch"}, dtype=dtype), data).state_dict()
    theirs = build_model(Settings("fully-connected", {"normalization": "batch"}, dtype=dtype, engine="torch"), data).state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor.numpy(), err_msg=name)
    assert str(ours["1.weight"].dtype) == dtype


OPTIMIZERS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad"}


@pytest.mark.parametrize("engine", ["hand", "torch"])
@pytest.mark.parametrize(("name", "kind"), OPTIMIZERS.items())
def test_the_optimizer_is_the_one_that_was_named(data, engine, name, kind):
    trainer = build_trainer(Settings("mlp", optimizer=name, lr=0.25, engine=engine), data)
    assert type(trainer.optimizer) is getattr(optim if engine == "hand" else torch.optim, kind)
    assert trainer.optimizer.param_groups[0]["lr"] == 0.25
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0


def test_sgd_has_momentum(data):
    settings = Settings("mlp", optimizer="sgd", momentum=0.8, nesterov=True)
    group = build_trainer(settings, data).optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.8, True)


@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_weights_decay_and_biases_and_norms_do_not(data, engine):
    settings = Settings("fully-connected", {"normalization": "batch"}, weight_decay=0.1, engine=engine)
    decays, stays = build_trainer(settings, data).optimizer.param_groups
    assert (decays["weight_decay"], stays["weight_decay"]) == (0.1, 0)
    assert all(len(parameter.shape) == 2 for parameter in decays["params"])
    assert all(len(parameter.shape) == 1 for parameter in stays["params"])


GROUPS = {"1.bias": {"optimizer": "adam", "lr": 0.5}, "vectors": {"lr": 0.25, "momentum": 0.1}, "matrices": {"weight_decay": 0.125}}


@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_groups_have_optimizers_and_values_of_their_own_and_the_first_that_fits_counts(data, engine):
    settings = Settings("mlp", {"hidden_dims": [9]}, optimizer="sgd", lr=0.75, groups=GROUPS, engine=engine)
    optimizer = build_trainer(settings, data).optimizer
    assert isinstance(optimizer, optim.Chain)
    vectors, matrices, adam = optimizer.param_groups
    assert (adam["lr"], "betas" in adam, [tuple(p.shape) for p in adam["params"]]) == (0.5, True, [(9,)])
    assert (vectors["lr"], vectors["momentum"], [tuple(p.shape) for p in vectors["params"]]) == (0.25, 0.1, [(10,)])
    assert (matrices["lr"], matrices["momentum"], matrices["weight_decay"]) == (0.75, 0.9, 0.125)


def test_a_group_that_fits_nothing_is_refused(data):
    with pytest.raises(ValueError, match=r"group '7\.bias' fits no parameter that is learned and left; there are 1\.weight, 1\.bias"):
        build_trainer(Settings("mlp", groups={"7.bias": {"lr": 0.1}}), data)


@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_muon_moves_weights_and_adam_biases(data, engine):
    muon, adam = build_trainer(Settings("mlp", optimizer="muon", engine=engine), data).optimizer.param_groups
    assert (muon["ns_steps"], muon["lr"], muon["momentum"], muon["nesterov"]) == (5, 0.02, 0.95, True)
    assert (adam["lr"], "betas" in adam) == (1e-3, True)
    assert all(len(parameter.shape) == 2 for parameter in muon["params"])


@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_the_recipe_of_speedrun_is_airbenchs(photographs, engine):
    settings = Settings("speedrun", {"widths": [8, 8, 8]}, engine=engine)
    trainer = build_trainer(settings, photographs)
    biases, norms, head, filters = sorted(
        trainer.optimizer.param_groups, key=lambda group: (len(group["params"][0].shape), len(group["params"]))
    )[:4]
    assert len(biases["params"]) == len(head["params"]) == 1 and len(norms["params"]) == len(filters["params"]) == 6
    assert (filters["lr"], filters["momentum"], filters["ns_steps"], filters["normalize_weights"]) == (0.24, 0.6, 3, True)
    # airbench's own numbers are for the sum over a batch of 2000: lr * (g_sum + wd * w) = 2000 lr * (g_mean + wd / 2000 * w)
    for group, lr in ((biases, 0.053), (norms, 0.053), (head, 0.67)):
        assert group["lr"] == pytest.approx(2000 * lr)
        assert group["weight_decay"] == pytest.approx(2e-6 * 2000 / lr / 2000)
        assert (group["momentum"], group["nesterov"]) == (0.85, True)
    trainer.schedule.seek(3 * trainer.steps_per_epoch)
    assert biases["lr"] == 0
    assert norms["lr"] == pytest.approx(106 * 5 / 8)


def test_speedrun_begins_with_whitening_filters_of_the_training_images(photographs):
    model = build_model(Settings("speedrun", {"widths": [8, 8, 8]}, dtype="float64"), photographs)
    expected = whitening_weights(photographs.normalize(photographs.train.images, np.float64))
    np.testing.assert_array_equal(model.state_dict()["0.weight"], expected)


@pytest.fixture(scope="module")
def photographs():
    """40 images of noise in the shape of CIFAR-10."""
    rng = np.random.default_rng(0)

    def draw(count):
        return rng.integers(0, 256, (count, 3, 32, 32)).astype(np.uint8), np.arange(count) % 10

    return Dataset.from_arrays("noise", train=draw(2000), val=draw(10), test=draw(10))


def rates(data, **settings):
    """The learning rate of every step of 4 epochs of 13 steps."""
    trainer = build_trainer(Settings("mlp", epochs=4, lr=1.0, **settings), data)
    found = []
    for _ in range(4 * 13):
        found.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.schedule.step()
    return np.array(found)


STEPS = np.arange(52)
SCHEDULES = {
    "constant": ({}, np.ones(52)),
    "step": ({"step_epochs": 2, "gamma": 0.5}, np.where(STEPS < 26, 1.0, 0.5)),
    "exponential": ({"gamma": 0.01}, 0.01 ** (STEPS / 52)),
    "triangular": ({"warmup_epochs": 1.0}, np.where(STEPS < 13, 1 / 13 + STEPS / 13 * (1 - 1 / 13), 1 - (STEPS - 13) / 39)),
    "cosine": ({}, (1 + np.cos(np.pi * STEPS / 52)) / 2),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_learning_rate_goes_as_the_schedule_says(data, name):
    settings, expected = SCHEDULES[name]
    np.testing.assert_allclose(rates(data, schedule=name, **settings), expected, rtol=1e-12)


def test_the_one_cycle_schedule_goes_up_to_the_rate_and_down(data):
    found = rates(data, schedule="one-cycle")
    assert found.max() == pytest.approx(1.0, rel=0.01)  # the top lies between two steps
    assert found[0] == pytest.approx(1 / 25)
    assert found[-1] < 1e-5


def test_warm_up_is_linear_and_the_schedule_follows(data):
    found = rates(data, schedule="cosine", warmup_epochs=1)
    np.testing.assert_allclose(found[:13], 1 / 13 + np.arange(13) / 13 * (1 - 1 / 13), rtol=1e-12)
    np.testing.assert_allclose(found[13:], (1 + np.cos(np.pi * np.arange(39) / 39)) / 2, rtol=1e-12)


@pytest.mark.parametrize("engine", ["hand", "torch"])
@pytest.mark.parametrize(("loss", "kind"), [("cross-entropy", "CrossEntropyLoss"), ("hinge", "MultiMarginLoss")])
def test_the_loss_is_the_one_that_was_named(data, engine, loss, kind):
    assert type(build_trainer(Settings("mlp", loss=loss, engine=engine), data).engine.criterion).__name__ == kind


def test_augmentation_changes_training_images_alone(data):
    trainer = build_trainer(Settings("mlp", cutout=4), data)
    images, _ = next(trainer.training_batches())
    plain, _ = next(build_trainer(Settings("mlp"), data).training_batches())
    assert images.shape == plain.shape
    assert (images != plain).any(axis=(1, 2, 3)).all()
    assert (images == plain).any(axis=(1, 2, 3)).all()  # cut out, not flipped or shifted


def shifts(side, rng, augmentation):
    """What an augmentation does to an image with a single white pixel in the middle, 500 times: the places where that pixel comes."""
    images = np.zeros((500, 1, side, side))
    images[:, :, side // 2, side // 2] = 1
    changed = augmentation.apply(images, augmentation.draw(500, (1, side, side), rng))
    return np.argwhere(changed[:, 0])[:, 1:] - side // 2


@pytest.mark.parametrize(("side", "greatest"), [(8, 1), (32, 4)])
def test_images_are_shifted_by_an_eighth_of_their_side_at_most(side, greatest):
    augmentation = _augmentation(Settings("mlp", augment=True), (1, side, side))
    assert np.abs(shifts(side, np.random.default_rng(0), augmentation)).max() == greatest


@pytest.mark.parametrize(("name", "flipped"), [("digits", False), ("cifar10", True)])
def test_photographs_are_mirrored_and_digits_are_not(name, flipped):
    ramp = np.broadcast_to(np.arange(1.0, 33.0), (50, 1, 32, 32))  # rises from left to right, and falls in a mirror
    augmentation = _augmentation(Settings("mlp", data=name, augment=True), (1, 32, 32))
    out = augmentation.apply(ramp, augmentation.draw(50, (1, 32, 32), np.random.default_rng(0)))
    assert (out[:, 0, 16, 20] < out[:, 0, 16, 12]).any() == flipped


@pytest.mark.parametrize("cutout", [8, 9])
def test_a_square_that_leaves_nothing_of_the_image_is_refused(data, cutout):
    with pytest.raises(ValueError, match=f"cutout is {cutout}; it must be less than the 8 pixels of an image's side"):
        build_trainer(Settings("mlp", cutout=cutout), data)


def test_a_shift_that_leaves_nothing_of_the_image_is_refused(data):
    with pytest.raises(ValueError, match="shift is 8; it must be less than the 8 pixels of an image's side"):
        build_trainer(Settings("mlp", augment=True, shift=8), data)


@pytest.fixture
def finished(tmp_path, data):
    """A run of two epochs, and its trainer."""
    settings = Settings("fully-connected", {"hidden_dims": [16], "normalization": "batch"}, epochs=2)
    run = Run.create(tmp_path, "fc", provenance(settings, data))
    with run.lock():
        trainer = build_trainer(settings, data, run=run)
        trainer.fit(2)
    return run, trainer


def test_a_run_gives_back_its_network(finished, data):
    run, trainer = finished
    settings, loaded_data, loaded = load_run(run, checkpoint="last")
    assert settings.model == "fully-connected"
    assert loaded_data.checksum == data.checksum
    assert isinstance(loaded.model, nn.Sequential)
    np.testing.assert_array_equal(loaded.evaluate().scores, trainer.evaluate().scores)


def test_the_best_checkpoint_is_the_one_of_the_best_epoch(finished):
    run, trainer = finished
    _, _, loaded = load_run(run)
    assert loaded.evaluate().accuracy == trainer.history.best()["val_accuracy"]


def test_other_data_are_refused_with_the_difference(finished):
    run, _ = finished
    with pytest.raises(ValueError, match=r"not the data that run 'fc' was trained on: images was .*1259.*, is .*500.*; checksum was"):
        check_same_data(run, digits(limit=500))


def test_a_run_that_names_no_data_is_refused(finished, data):
    run, _ = finished
    run.config["data"] = "digits"
    with pytest.raises(ValueError, match="does not say on which data"):
        check_same_data(run, data)


def test_a_checkpoint_of_another_architecture_is_refused_with_the_difference(finished):
    run, _ = finished
    run.config["settings"]["model_arguments"]["hidden_dims"] = [17]
    with pytest.raises(ValueError, match=r"1\.weight has shape \(16, 64\), this network has \(17, 64\)"):
        load_run(run)


def test_settings_that_are_none_are_refused(finished):
    run, _ = finished
    run.config["settings"] = [1]
    with pytest.raises(ValueError, match=r"the settings are \[1\]; they must be names with values"):
        load_run(run)
