"""`lab train`: a learner's functions train a real network, step for step as the library's do."""

import pytest
from PIL import Image
from tests.lab.workspaces import BACKWARD, FORWARD, new_workspace, written

from chainrule.lab.labs import find_lab
from chainrule.lab.learning import RUNS
from chainrule.lab.training import TRAINABLE, TrainingFailed, picture, train
from chainrule.lab.workspace import find_workspace


def trained(folder, **options):
    return train(find_workspace(folder), find_lab("normalization"), **{"epochs": 1, "limit": 300, **options})


def test_right_functions_give_the_librarys_losses_in_every_step(tmp_path):
    (run,) = trained(written(tmp_path, FORWARD, BACKWARD))
    assert run.uses == ["layernorm"]
    assert len(run.losses["yours"]) == run.steps == 6
    assert run.losses["yours"] == pytest.approx(run.losses["library"], rel=1e-12)
    assert run.accuracy["yours"] == run.accuracy["library"]
    assert run.verdict() == "the same loss in all 6 steps, to rounding"


def test_the_learners_functions_are_what_trains(tmp_path):
    (run,) = trained(written(tmp_path, FORWARD, BACKWARD.replace("return dx / std", "return 0 * dx")))
    assert run.losses["yours"][0] == pytest.approx(run.losses["library"][0])  # before the first update
    assert run.losses["yours"][-1] != pytest.approx(run.losses["library"][-1])
    assert run.verdict().startswith("the losses part at step 2: ")


def test_half_a_layer_is_not_put_in(tmp_path):
    with pytest.raises(ValueError, match="nothing is written yet that a network of the lab normalization could use"):
        trained(written(tmp_path, FORWARD))


def test_a_loss_that_is_no_number_is_told(tmp_path):
    (run,) = trained(written(tmp_path, FORWARD, BACKWARD.replace("return dx / std", "return np.inf * dx")))
    assert run.verdict().startswith("yours diverged in step ")
    assert "yours" not in run.accuracy


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("raise IndexError('too far')", r"layernorm_backward fails: IndexError: too far \(normalization\.py:\d+\)"),
        ("import os; os._exit(1)", r"ended the whole Python interpreter \(exit status 1\)"),
        ("return dout", "the network cannot go on with what your functions gave it"),
        ("while True: pass", "takes longer than 5 seconds"),
    ],
)
def test_what_fails_in_training_is_told(tmp_path, statement, message):
    folder = written(tmp_path, FORWARD, f"\ndef layernorm_backward(dout, cache):\n    {statement}\n")
    with pytest.raises(TrainingFailed, match=message):
        trained(folder, seconds=5)


def test_the_picture_has_both_curves_and_a_description(tmp_path):
    runs = trained(written(tmp_path / "work", FORWARD, BACKWARD))
    picture(runs, tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as image:
        assert image.info["Description"].endswith("the same loss in all 6 steps, to rounding")


@pytest.mark.parametrize("lab", TRAINABLE)
def test_every_lab_trains_to_the_same_losses_with_the_solutions(tmp_path, lab):
    new_workspace(tmp_path, lab, solutions=True)
    runs = train(find_workspace(tmp_path), find_lab(lab), epochs=1, limit=100)
    assert [run.title for run in runs] == [run.title for run in RUNS[lab]]
    for run in runs:
        assert run.losses["yours"] == pytest.approx(run.losses["library"], rel=1e-9) or run.uses == ["dropout"]


def test_the_labs_said_to_train_are_those_that_do():
    assert set(TRAINABLE) == set(RUNS)
