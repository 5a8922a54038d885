import json

import pytest

from chainrule import nn
from chainrule.models import MODELS


def test_every_model_is_listed_with_its_parameters(chainrule):
    out = chainrule("models").out
    for name, build in MODELS.items():
        assert name in out
        assert f"{sum(parameter.size for parameter in build(nn).parameters()):,}" in out


@pytest.mark.parametrize("name", MODELS)
def test_its_json_has_arguments_with_defaults(chainrule, name):
    rows = {row["name"]: row for row in json.loads(chainrule("models", "--json").out)}
    assert rows["fully-connected"]["arguments"] == {"hidden_dims": [100], "normalization": None, "dropout": 0.0}
    assert "\n" not in rows[name]["description"]


def test_the_recipe_of_a_model_is_told(chainrule):
    out = " ".join(chainrule("models").out.split())
    assert "speedrun has a recipe of its own: data cifar10, label_smoothing 0.2, optimizer muon, lr 0.24" in out


def test_brackets_in_a_description_are_shown(chainrule):
    assert "[affine - norm - relu - dropout] x L - affine" in chainrule("models").out
