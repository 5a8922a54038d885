import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.experiments.space import choice_text, place, search_space
from chainrule.models import MODELS
from chainrule.search import Choices, Range
from chainrule.settings import Settings, model_arguments

TWO_LAYER = {"model": "two-layer"}


def test_the_space_is_read_from_the_models_and_the_trainers_arguments():
    space = search_space(TWO_LAYER, {})
    assert space.keys() == {"lr", "weight_decay", "schedule", "batch_size", "hidden_dim"}
    assert space["hidden_dim"] == Range(25, 800, log=True)
    assert (space["lr"].low, space["lr"].high) == pytest.approx((1e-3 / 30, 1e-3 * 30))


def test_a_batch_is_not_larger_than_the_images_there_are():
    assert search_space(TWO_LAYER | {"limit": 120}, {})["batch_size"] == Choices((50, 100))
    assert search_space(TWO_LAYER | {"limit": 20}, {})["batch_size"] == Choices((20,))


def test_what_is_given_is_not_searched():
    space = search_space(TWO_LAYER | {"lr": 0.1, "model_arguments": {"hidden_dim": 50}}, {})
    assert not {"lr", "hidden_dim"} & space.keys()


@pytest.mark.parametrize("model", MODELS)
def test_every_value_worth_trying_is_one_that_the_settings_take(model):
    values = {"model": model}
    for name, worth in search_space(values, {}).items():
        ends = worth.values if isinstance(worth, Choices) else (worth.low, worth.high)
        for end in ends:
            Settings.from_dict(place(values, {name: end}))


@pytest.mark.parametrize("model", MODELS)
def test_every_argument_of_a_model_that_changes_its_size_is_searched(model):
    hints = typing.get_type_hints(MODELS[model])
    sizes = {name for name in model_arguments(model) if int in (hints[name], *typing.get_args(hints[name]))}
    assert sizes <= search_space({"model": model}, {}).keys()


def test_a_person_says_what_to_search():
    said = {"lr": "0.001..0.1", "momentum": "0.5..0.9", "optimizer": "sgd, adam", "hidden": "50..60", "nesterov": "on, off"}
    space = search_space(TWO_LAYER, said)
    assert space["lr"] == Range(0.001, 0.1, log=True)
    assert space["momentum"] == Range(0.5, 0.9)
    assert space["optimizer"] == Choices(("sgd", "adam"))
    assert space["hidden_dim"] == Range(50, 60)
    assert space["nesterov"] == Choices((True, False))


def test_several_numbers_are_one_choice_and_none_is_none():
    space = search_space({"model": "convnet"}, {"channels": "8, 8 16", "normalization": "none, batch", "hidden": "none, 20"})
    assert space["channels"] == Choices(((8,), (8, 16)))
    assert space["normalization"] == Choices((None, "batch"))
    assert space["hidden_dims"] == Choices(((), (20,)))


def test_with_several_optimizers_the_rate_ranges_over_the_defaults_of_all():
    space = search_space(TWO_LAYER, {"optimizer": "sgd,adam"})
    assert (space["lr"].low, space["lr"].high) == pytest.approx((1e-3 / 30, 0.05 * 30))


WRONG = {
    "an unknown name": ({"rate": "0.1..1"}, "neither a setting nor an argument of two-layer"),
    "what is no hyperparameter": ({"data": "digits,cifar10"}, "neither a setting nor an argument of two-layer"),
    "a fixed name": ({"epochs": "1..5"}, "epochs is fixed"),
    "an empty range": ({"lr": "0.1..0.1"}, "must be less than the last"),
    "no number": ({"lr": "small..large"}, "could not convert"),
    "a range of words": ({"optimizer": "adam..sgd"}, "only numbers have a range"),
    "a value that does not fit": ({"optimizer": "adam,adm"}, "did you mean adam"),
    "a bound that does not fit": ({"momentum": "0.5..2.0"}, "momentum is 2.0; it must be at most 1"),
    "neither on nor off": ({"nesterov": "yes,no"}, "neither on nor off"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_searched_is_refused(what):
    said, message = WRONG[what]
    with pytest.raises(ValueError) as error:
        search_space(TWO_LAYER | {"epochs": 3}, said)
    assert message in str(error.value)


def test_nothing_to_search_is_refused():
    names = ("weight_decay", "schedule", "batch_size")
    fixed = {name: getattr(Settings("two-layer"), name) for name in names} | {"lr": 0.1, "model_arguments": {"hidden_dim": 5}}
    with pytest.raises(ValueError, match="everything is fixed"):
        search_space(TWO_LAYER | fixed, {})


@given(st.lists(st.integers(1, 999), max_size=4).map(tuple))
def test_the_text_of_a_choice_tells_it_from_others(value):
    assert choice_text(value) != choice_text((*value, 1))
    assert choice_text(value) == (" ".join(map(str, value)) or "none")
