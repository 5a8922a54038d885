import inspect
import typing
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from chainrule.cli.options import ManyValues, given_settings, with_settings
from chainrule.settings import Settings


@pytest.fixture
def parse():
    """The options that a command line gives, as the commands get them."""
    got = {}
    app = typer.Typer()

    @app.command(cls=ManyValues)
    @with_settings("training")
    def command(model: Annotated[str | None, typer.Argument()] = None, name: str | None = None, **options):
        got.update(model=model, name=name, options=options)

    def run(*args):
        ended = CliRunner().invoke(app, args, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return got

    return run


def test_what_was_not_said_is_left_out(parse):
    got = parse("mlp")
    assert given_settings(got["model"], got["options"]) == {"model": "mlp"}


def test_every_setting_is_an_option(parse):
    options = parse("mlp")["options"]
    names = set(typing.get_type_hints(Settings)) - {"model", "model_arguments", "groups"}
    assert names <= set(options)


@pytest.mark.parametrize(
    "args",
    [
        ["mlp", "--hidden", "512", "256", "--name", "fc"],
        ["--hidden", "512", "256", "mlp", "--name", "fc"],
        ["mlp", "--hidden", "512", "--hidden", "256", "--name", "fc"],
        ["mlp", "--name", "fc", "--hidden", "512", "256"],
    ],
)
def test_several_values_may_follow_an_option(parse, args):
    got = parse(*args)
    assert (got["model"], got["name"], got["options"]["hidden"]) == ("mlp", "fc", [512, 256])


def test_words_go_on_with_words(parse):
    assert parse("mlp", "--activations", "relu", "tanh", "--seed", "3")["options"]["activations"] == ["relu", "tanh"]


@pytest.mark.parametrize(
    ("model", "hidden", "expected"),
    [
        ("two-layer", [30], {"hidden_dim": 30}),
        ("fully-connected", [30], {"hidden_dims": [30]}),
        ("two-layer", [3, 4], {"hidden_dim": [3, 4]}),
    ],
)
def test_the_width_of_hidden_layers_has_one_option_for_all_models(model, hidden, expected):
    assert given_settings(model, {"hidden": hidden})["model_arguments"] == expected


def test_an_option_takes_the_choices_of_the_model_with_the_most(parse):
    got = parse("convnet", "--normalization", "group")
    assert given_settings(got["model"], got["options"])["model_arguments"] == {"normalization": "group"}


def test_an_argument_with_choices_that_may_be_left_out_is_left_out_by_name(parse):
    got = parse("resnet", "--normalization", "none")  # whose default is "batch"
    assert given_settings(got["model"], got["options"])["model_arguments"] == {"normalization": None}


def test_a_flag_of_a_model_can_be_set_and_taken_back(parse):
    for flag, value in (("--bottleneck", True), ("--no-bottleneck", False)):
        got = parse("resnet", flag)
        assert given_settings(got["model"], got["options"])["model_arguments"] == {"bottleneck": value}


def test_a_flag_can_be_taken_back(parse):
    assert parse("mlp", "--no-augment")["options"]["augment"] is False
    assert parse("mlp", "--augment")["options"]["augment"] is True


def test_the_signature_lists_every_option_once():
    @with_settings("training")
    def command(model: str, **options):
        pass

    names = list(inspect.signature(command).parameters)
    assert len(names) == len(set(names))
    assert "options" not in names
