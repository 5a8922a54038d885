import json
import math
import subprocess
import sys
import typing

import pytest

from chainrule import data
from chainrule.recipes import RECIPES
from chainrule.settings import OPTIMIZERS, Settings, model_arguments


@pytest.mark.parametrize(("optimizer", "defaults"), OPTIMIZERS.items())
def test_what_is_not_given_is_what_the_optimizer_has(optimizer, defaults):
    settings = Settings("two-layer", optimizer=optimizer)
    assert {name: getattr(settings, name) for name in defaults} == defaults


def test_a_recipe_holds_for_its_model_and_what_is_given_wins():
    recipe, settings = RECIPES["speedrun"], Settings("speedrun", epochs=10, lr=0.1)
    assert (settings.epochs, settings.lr) == (10, 0.1)
    assert {name: getattr(settings, name) for name in recipe} == recipe | {"epochs": 10, "lr": 0.1}
    assert Settings("two-layer").epochs == Settings("speedrun", epochs=10).epochs
    assert Settings("two-layer").groups == {}


def test_another_optimizer_than_the_recipes_begins_with_its_own_defaults():
    settings = Settings("speedrun", optimizer="sgd")
    assert (settings.lr, settings.momentum, settings.nesterov, settings.groups) == (0.05, 0.9, False, {})
    assert (settings.epochs, settings.schedule, settings.tta) == (8, "triangular", "mirror-shift")
    assert settings.without_effect() == []


def test_a_recipes_batch_is_not_larger_than_the_limit():
    assert Settings("speedrun", limit=300).batch_size == 300


@pytest.mark.parametrize("model", RECIPES)
def test_a_recipe_is_made_of_valid_settings(model):
    Settings.from_dict({"model": model} | RECIPES[model])


def test_defaults_are_copies():
    Settings("speedrun").groups["0.bias"]["lr"] = 1
    assert Settings("speedrun").groups["0.bias"]["lr"] == 106


def test_a_learning_rate_that_is_given_stays():
    assert Settings("two-layer", lr=0.3).lr == 0.3


@pytest.mark.parametrize(("limit", "expected"), [(None, 100), (20, 20), (100, 100), (5000, 100)])
def test_without_a_batch_size_a_batch_has_100_images_or_all_where_there_are_fewer(limit, expected):
    assert Settings("two-layer", limit=limit).batch_size == expected


def test_a_batch_size_that_is_given_stays():
    assert Settings("two-layer", limit=20, batch_size=30).batch_size == 30  # the trainer says what is wrong with it


def test_defaults_and_values_that_are_read_are_not_remarked_upon():
    assert Settings("two-layer").without_effect() == []
    assert Settings("two-layer", optimizer="sgd", momentum=0.5, nesterov=True).without_effect() == []
    assert Settings("two-layer", schedule="step", gamma=0.5, step_epochs=3).without_effect() == []
    assert Settings("two-layer", schedule="exponential", gamma=0.5).without_effect() == []


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ({"momentum": 0.5}, "momentum = 0.5 has no effect: it is for optimizer = sgd or muon, not adam"),
        ({"nesterov": True, "optimizer": "rmsprop"}, "nesterov = True has no effect: it is for optimizer = sgd or muon, not rmsprop"),
        ({"shift": 2}, "shift = 2 has no effect: it is for augment = True, not False"),
        ({"gamma": 0.5, "schedule": "cosine"}, "gamma = 0.5 has no effect: it is for schedule = step or exponential, not cosine"),
        ({"step_epochs": 3, "schedule": "exponential"}, "step_epochs = 3 has no effect: it is for schedule = step, not exponential"),
    ],
)
def test_a_value_that_nothing_reads_is_remarked_upon(values, remark):
    assert Settings("two-layer", **values).without_effect() == [remark]


def test_settings_survive_json():
    settings = Settings("fully-connected", {"hidden_dims": [30, 20], "normalization": "batch"}, optimizer="sgd", patience=3)
    assert settings.model_arguments["hidden_dims"] == (30, 20)
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_model_arguments_that_are_not_given_have_the_models_defaults():
    assert Settings("fully-connected").model_arguments == {"hidden_dims": (100,), "normalization": None, "dropout": 0.0}


def test_one_value_serves_where_several_may_stand():
    assert Settings("mlp", {"activations": "tanh"}).model_arguments["activations"] == ("tanh",)


def test_a_whole_number_is_taken_as_a_float():
    weight_decay = Settings("two-layer", weight_decay=1).weight_decay
    assert isinstance(weight_decay, float)


def test_the_datasets_are_those_that_can_be_loaded():
    assert typing.get_args(typing.get_type_hints(Settings)["data"]) == data.DATASETS


WRONG = [
    ({}, "the settings name no model; add model = one of two-layer"),
    (["model"], r"the settings are \['model'\]; they must be names with values"),
    ({"model": "fully_conected"}, r"no model 'fully_conected' \(did you mean fully-connected\?\)"),
    ({"model": ["mlp"]}, r"no model \['mlp'\]"),
    ({"model": "mlp", "batchsize": 5}, r"unknown setting 'batchsize' \(did you mean batch_size[a-z_ ]*\?\)$"),
    ({"model": "mlp", "zzz": 5}, r"unknown setting 'zzz'; `chainrule train --help` lists what there is$"),
    ({"model": "mlp", "hidden": [5]}, r"unknown setting 'hidden' \(an argument of the model goes under model_arguments, as hidden_dims\)"),
    ({"model": "mlp", "model_arguments": {"hidden": [5]}}, r"mlp has no argument 'hidden' \(did you mean hidden_dims\?\)"),
    ({"model": "mlp", "hidden_dims": [5]}, r"unknown setting 'hidden_dims' \(an argument of the model goes under model_arguments\)"),
    ({"model": "mlp", "model_arguments": [5]}, r"model_arguments is \[5\]; it must be names with values"),
    ({"model": "mlp", "model_arguments": {"hiden_dims": [5]}}, r"mlp has no argument 'hiden_dims' \(did you mean hidden_dims\?\)"),
    ({"model": "mlp", "model_arguments": {"hidden_dims": ["a"]}}, "hidden_dims is 'a'; it must be a whole number"),
    ({"model": "mlp", "model_arguments": {"activations": ["rellu"]}}, r"activations is 'rellu' \(did you mean relu"),
    ({"model": "two-layer", "model_arguments": {"hidden_dim": [9, 9]}}, r"hidden_dim is \[9, 9\]; it must be a whole number"),
    ({"model": "mlp", "epochs": 0}, "epochs is 0; it must be at least 1"),
    ({"model": "mlp", "epochs": 2.5}, "epochs is 2.5; it must be a whole number"),
    ({"model": "mlp", "epochs": True}, "epochs is True; it must be a whole number"),
    ({"model": "mlp", "epochs": None}, "epochs is None; it must be a whole number"),
    ({"model": "mlp", "lr": 0}, "lr is 0.0; it must be above 0"),
    ({"model": "mlp", "lr": math.inf}, "lr is inf; it must be a finite number"),
    ({"model": "mlp", "weight_decay": math.nan}, "weight_decay is nan; it must be a finite number"),
    ({"model": "mlp", "lr": "fast"}, "lr is 'fast'; it must be a number"),
    ({"model": "mlp", "momentum": 1.5}, "momentum is 1.5; it must be at most 1"),
    ({"model": "mlp", "augment": 1}, "augment is 1; it must be true or false"),
    ({"model": "mlp", "optimizer": "adan"}, r"optimizer is 'adan' \(did you mean adam"),
    ({"model": "mlp", "data": "mnist"}, "data is 'mnist'; it must be one of digits, cifar10"),
    ({"model": "mlp", "groups": {"*.bias": 0.1}}, r"groups is \{'\*.bias': 0.1\}; it must be names of parameters with settings"),
    (
        {"model": "mlp", "groups": {"vectors": {"learning_rate": 1}}},
        "group 'vectors' has no setting 'learning_rate'; it takes optimizer, lr",
    ),
    ({"model": "mlp", "groups": {"vectors": {"lr": -1.0}}}, "group 'vectors': lr is -1.0; it must be above 0"),
    ({"model": "mlp", "groups": {"vectors": {"ns_steps": 0}}}, "group 'vectors': ns_steps is 0; it must be above 0"),
    ({"model": "mlp", "groups": {"vectors": {"optimizer": "adan"}}}, r"group 'vectors': optimizer is 'adan' \(did you mean adam"),
    (
        {"model": "mlp", "groups": {"vectors": {"epochs": 3}}},
        "group 'vectors' has epochs of its own, which are for schedule = triangular, not constant",
    ),
    ({"model": "mlp", "ema": 1.0}, "ema is 1.0; it must be at most 0.999999"),
    ({"model": "mlp", "tta": "flip"}, "tta is 'flip'; it must be one of none, mirror, mirror-shift"),
    ({"model": "mlp", "shift": -1}, "shift is -1; it must be at least 0"),
    ({"model": "mlp", "loss": "hinge", "label_smoothing": 0.1}, "label_smoothing is 0.1, but the hinge loss has none"),
    ({"model": "mlp", "schedule": "one-cycle", "warmup_epochs": 1}, "one-cycle schedule has a warm-up of its own"),
    ({"model": "mlp", "engine": "torch", "statistics": True}, "statistics are those of the hand-written layers"),
]


@pytest.mark.parametrize(("values", "message"), WRONG)
def test_a_wrong_setting_is_refused_with_what_it_must_be(values, message):
    with pytest.raises(ValueError, match=message):
        Settings.from_dict(values)


def test_the_arguments_of_a_model_are_those_beyond_image_and_classes():
    assert list(model_arguments("fully-connected")) == ["hidden_dims", "normalization", "dropout"]


def test_settings_need_no_numpy_so_that_help_comes_at_once():
    code = "import sys, chainrule.settings; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_cifar10_can_hold_out_another_number_of_images():
    assert Settings("mlp", data="cifar10", validation=5000).validation == 5000
    with pytest.raises(ValueError, match="validation is 100, but the split of digits is fixed"):
        Settings("mlp", data="digits", validation=100)
