from dataclasses import replace

import pytest

from chainrule.experiments import MEASURES, read_study, shipped_studies
from chainrule.settings import Settings


def test_a_study_has_a_cell_for_every_combination_and_seed_all_conditions_first(small):
    study = read_study(small)
    assert study.name == "small"
    assert study.axes == {"lr": ["0.001", "0.02"], "normalization": ["none", "batch"]}
    assert [cell.name for cell in study.cells][:5] == [
        "lr-0.001_normalization-none_seed-0",
        "lr-0.001_normalization-batch_seed-0",
        "lr-0.02_normalization-none_seed-0",
        "lr-0.02_normalization-batch_seed-0",
        "lr-0.001_normalization-none_seed-1",
    ]
    assert len(study.cells) == 8
    expected = Settings(
        "fully-connected",
        model_arguments={"hidden_dims": [8], "normalization": "batch"},
        data="digits",
        limit=60,
        epochs=2,
        batch_size=20,
        lr=0.02,
        seed=1,
    )
    assert study.cells[-1].settings == expected


def test_named_settings_of_an_axis_are_set_together(small):
    small.write_text(
        small.read_text().replace('normalization = ["none", "batch"]', "")
        + '[grid.network]\n"two layers" = { model = "two-layer", hidden_dims = [] }\n'
        + 'deep = { hidden_dims = [8, 8], optimizer = "sgd" }\n'
    )
    with pytest.raises(ValueError, match="hidden_dims"):  # which two-layer does not take
        read_study(small)
    small.write_text(small.read_text().replace('model = "two-layer", hidden_dims = []', "dropout = 0.5"))
    cells = read_study(small).cells
    assert [cell.settings.model_arguments["hidden_dims"] for cell in cells[:2]] == [(8,), (8, 8)]
    assert [cell.settings.optimizer for cell in cells[:2]] == ["adam", "sgd"]
    assert cells[0].name == "lr-0.001_network-two-layers_seed-0"


def test_seeds_and_settings_can_be_given_over_the_file(small):
    study = read_study(small, seeds=5, settings={"epochs": 7})
    assert study.seeds == [0, 1, 2, 3, 4]
    assert {cell.settings.epochs for cell in study.cells} == {7}
    small_cells = read_study(small).cells
    assert [replace(cell.settings, epochs=2) for cell in study.cells[:8]] == [cell.settings for cell in small_cells]


def test_the_full_size_replaces_values_and_axes(small):
    small.write_text(small.read_text() + "[full]\nseeds = 1\n[full.base]\nepochs = 50\n[full.grid]\nlr = [0.1, 0.2, 0.3]\n")
    study = read_study(small, full=True)
    assert study.name == "small-full"
    assert len(study.cells) == 6
    assert {cell.settings.epochs for cell in study.cells} == {50}


@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_can_be_tried_on_the_digits(name):
    settings = read_study(name, settings={"data": "digits", "epochs": 1}).cells[0].settings
    assert settings.data == "digits"
    assert settings.validation is None


def test_rates_of_opposite_exponents_are_told_apart(small):
    small.write_text(small.read_text().replace("lr = [0.001, 0.02]", "lr = [1e30, 1e-30]"))
    assert [cell.name[:9] for cell in read_study(small).cells[::2]] == ["lr-1e30_n", "lr-1e-30_"] * 2


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", shipped_studies())
def test_shipped_studies_can_be_read_in_both_sizes(name, full):
    study = read_study(name, full=full)
    assert study.question.endswith("?")
    assert study.source
    assert len(study.seeds) >= 3
    assert study.measure in MEASURES


CHANGES = {
    "an unknown key": ("question", "questoin", "unknown key 'questoin'"),
    "no question": ('question = "Does a small rate learn less?"', "", "no question"),
    "no grid": ("[grid]", "[gird]", "unknown key 'gird'"),
    "an empty axis": ("lr = [0.001, 0.02]", "lr = []", "axis 'lr'"),
    "an axis that is no list": ("lr = [0.001, 0.02]", "lr = 0.001", "axis 'lr'"),
    "an unknown setting": ("lr = [0.001, 0.02]", "rate = [0.001, 0.02]", "'rate' is neither a setting"),
    "a wrong value": ("lr = [0.001, 0.02]", "lr = [0.001, -1.0]", "lr is -1.0; it must be above 0"),
    "an argument of another model": ("hidden_dims = [8]", "width = 4", "'width' is neither a setting"),
    "an unknown model": ('model = "fully-connected"', 'model = "fully"', "there is no model 'fully'"),
    "no model": ('model = "fully-connected"', "", "name no model"),
    "a seed": ("limit = 60", "limit = 60\nseed = 1", "seeds = 3"),
    "no seeds": ("seeds = 2", "seeds = 0", "seeds is 0"),
    "an unknown measure": ("seeds = 2", 'seeds = 2\nmeasure = "accuracy"', "measure is 'accuracy'"),
    "an unknown x": ("seeds = 2", 'seeds = 2\nx = "epochs"', "x is 'epochs'"),
    "values of one name": ("lr = [0.001, 0.02]", "lr = [0.001, 0.001]", "two values of axis 'lr' are written alike"),
    "names that look alike": ("lr = [0.001, 0.02]", "lr = [0.02, 0.020000001]", "two values of axis 'lr' are written alike"),
    "an x that is no name": ("seeds = 2", "seeds = 2\nx = ['lr']", "x is ['lr']"),
    "too many cells": ("seeds = 2", "seeds = 1000000000", "4,000,000,000 cells"),
    "names that differ in signs alone": ("lr = [0.001, 0.02]", 'n."a b" = { lr = 0.1 }\nn."a-b" = { lr = 0.2 }', "are written alike"),
    "a mistake under [full]": ("[grid]", "[full.base]\nnosuch = 3\n[grid]", "'nosuch' is neither a setting"),
    "no TOML": ("seeds = 2", "seeds =", "is not a TOML file"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_wrong_with_a_file_is_said_before_any_training(small, what):
    before, after, message = CHANGES[what]
    small.write_text(small.read_text().replace(before, after))
    with pytest.raises(ValueError, match=r"small\.toml") as error:
        read_study(small)
    assert message in str(error.value)


def test_a_setting_that_varies_cannot_be_fixed(small):
    with pytest.raises(ValueError, match="lr is what this study varies"):
        read_study(small, settings={"lr": 0.1})


def test_an_unknown_study_names_those_there_are():
    with pytest.raises(ValueError, match="depth"):
        read_study("dpeth")


def test_a_study_without_a_full_size_says_so(small):
    with pytest.raises(ValueError, match="no \\[full\\] size"):
        read_study(small, full=True)
