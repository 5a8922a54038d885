import json

import numpy as np
import pytest

from chainrule.cli.console import out
from chainrule.training import Run, load_run


def test_it_says_how_good_a_run_is(chainrule, trained):
    ended = chainrule("evaluate", "fc")
    assert ended.code == 0
    assert ended.out.startswith("fc (best checkpoint) on 269 test images of digits\naccuracy ")
    assert "row: label, column: prediction" in ended.out


def test_on_a_narrow_screen_the_accuracies_of_the_classes_are_whole_and_the_confusion_left_out(chainrule, trained, monkeypatch):
    monkeypatch.setattr(out, "width", 40)
    ended = chainrule("evaluate", "fc")
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in ended.out.splitlines() if line.startswith("│")]
    assert [name for name, _ in rows] == list("0123456789")
    assert all(share.endswith(" %") for _, share in rows)
    assert all(len(line) <= 40 for line in ended.out.splitlines() if line.startswith("│"))
    assert "the confusion matrix needs a screen of " in ended.out


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_its_json_is_what_the_network_does(chainrule, trained, tmp_path, split, checkpoint):
    found = json.loads(chainrule("evaluate", "fc", "--split", split, "--checkpoint", checkpoint, "--json").out)
    _, data, trainer = load_run(Run.open(tmp_path / "runs", "fc"), checkpoint=checkpoint)
    expected = trainer.evaluate(data.split(split))
    assert found["images"] == len(data.split(split)) == np.sum(found["confusion"])
    assert found["accuracy"] == expected.accuracy == np.trace(found["confusion"]) / found["images"]
    assert found["loss"] == expected.loss
    assert found["per_class"] == expected.per_class().tolist()
    assert (found["run"], found["split"], found["checkpoint"]) == ("fc", split, checkpoint)


def test_views_of_each_image_are_averaged_on_request(chainrule, trained, tmp_path):
    found = json.loads(chainrule("evaluate", "fc", "--tta", "mirror-shift", "--json").out)
    _, _, trainer = load_run(Run.open(tmp_path / "runs", "fc"))
    expected = trainer.evaluate("test", tta="mirror-shift")
    assert (found["tta"], found["accuracy"], found["loss"]) == ("mirror-shift", expected.accuracy, expected.loss)
    assert "with test-time augmentation (mirror)\n" in chainrule("evaluate", "fc", "--tta", "mirror").out


def test_a_run_that_is_not_there_is_an_error_with_the_nearest(chainrule, trained):
    ended = chainrule("evaluate", "fcc")
    assert ended.code == 1
    assert ended.err == "error: there is no run 'fcc' in runs; did you mean fc?\n"


def test_after_a_divergence_in_the_first_epoch_the_message_names_the_checkpoint_that_there_is(chainrule):
    chainrule("train", "two-layer", "--optimizer", "sgd", "--lr", "1e25", "--name", "div")
    ended = chainrule("evaluate", "div")
    assert ended.code == 1
    assert "run 'div' has no checkpoint 'best' in runs/div/checkpoints; there is another: --checkpoint last" in ended.err
    assert chainrule("evaluate", "div", "--checkpoint", "last").code == 0
    assert chainrule("report", "div", "--checkpoint", "last").out == "runs/div/report.html\n"


def test_a_damaged_checkpoint_is_an_error(chainrule, trained, tmp_path):
    path = tmp_path / "runs" / "fc" / "checkpoints" / "best" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    ended = chainrule("evaluate", "fc")
    assert ended.code == 1
    assert "it is truncated or another's" in ended.err


def test_another_split_is_wrong_usage(chainrule, trained):
    assert chainrule("evaluate", "fc", "--split", "exam").code == 2


def test_a_run_of_the_torch_engine_is_evaluated_with_it(chainrule):
    assert chainrule("train", "two-layer", "--engine", "torch", "--epochs", "1", "--name", "twin").code == 0
    assert json.loads(chainrule("evaluate", "twin", "--json").out)["images"] == 269
