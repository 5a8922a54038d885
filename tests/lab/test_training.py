"""`lab train`: a learner's functions train a real network, step for step as the library's do."""

import importlib
import re

import pytest
from PIL import Image
from tests.lab.workspaces import BACKWARD, FORWARD, LABS_HERE, new_workspace, written

from chainrule.lab.labs import find_lab
from chainrule.lab.training import TRAINABLE, picture, train
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
    assert trained(written(tmp_path, FORWARD)) == []


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
        ("while True: pass", r"one step takes longer than 5 seconds; does a loop not end\? \(normalization\.py:\d+\)"),
        ("if len(dout): raise NotImplementedError", "layernorm_backward is not written yet"),
    ],
)
def test_what_fails_in_training_is_told(tmp_path, statement, message):
    folder = written(tmp_path, FORWARD, f"\ndef layernorm_backward(dout, cache):\n    {statement}\n")
    (run,) = trained(folder, seconds=5)
    assert re.search(message, run.verdict())
    assert (len(run.losses["library"]), "yours" in run.accuracy) == (6, False)


def test_a_network_that_fails_does_not_keep_the_next_from_training(tmp_path):
    file = new_workspace(tmp_path, "optimization", solutions=True) / "optim.py"
    file.write_text(file.read_text() + "\n\ndef rmsprop(w, dw, config=None):\n    raise ValueError('later')\n")
    runs = train(find_workspace(tmp_path), find_lab("optimization"), epochs=1, limit=100)
    assert [bool(run.fault) for run in runs] == [False, False, True, False]


def test_data_that_are_not_there_are_no_fault_of_the_functions(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="no complete CIFAR-10") as caught:
        trained(written(tmp_path / "work", FORWARD, BACKWARD), data="cifar10")
    assert "your functions" not in str(caught.value)


def test_loops_that_know_of_one_number_for_both_axes_train(tmp_path):
    file = new_workspace(tmp_path, "convolution", solutions=True) / "convolution.py"
    file.write_text(
        file.read_text()
        + """

def conv_forward_im2col(x, w, b, conv_param):
    raise NotImplementedError


def conv_forward_naive(x, w, b, conv_param):
    stride, pad = int(conv_param["stride"]), int(conv_param["pad"])
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    out = np.einsum("nchwij,fcij->nfhw", windows, w) + b[:, None, None]
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = int(conv_param["stride"]), int(conv_param["pad"])
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = np.s_[:, :, i * stride : i * stride + w.shape[2], j * stride : j * stride + w.shape[3]]
            dw += np.einsum("nf,ncij->fcij", dout[:, :, i, j], padded[window])
            dpadded[window] += np.einsum("nf,fcij->ncij", dout[:, :, i, j], w)
    return dpadded[:, :, pad : padded.shape[2] - pad, pad : padded.shape[3] - pad], dw, dout.sum(axis=(0, 2, 3))
"""
    )
    (run,) = train(find_workspace(tmp_path), find_lab("convolution"), epochs=1, limit=100)
    assert (run.uses, run.verdict()) == (["conv", "max_pool"], "the same loss in all 2 steps, to rounding")


def test_the_picture_has_both_curves_and_a_description(tmp_path):
    runs = trained(written(tmp_path / "work", FORWARD, BACKWARD))
    picture(runs, tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as image:
        assert image.info["Description"].endswith("the same loss in all 6 steps, to rounding")


@pytest.mark.parametrize("lab", [lab for lab in TRAINABLE if lab in LABS_HERE])
def test_every_lab_trains_to_the_same_losses_with_the_solutions(tmp_path, lab):
    new_workspace(tmp_path, lab, solutions=True)
    runs = train(find_workspace(tmp_path), find_lab(lab), epochs=1, limit=100)
    assert [run.title for run in runs] == [run.title for run in importlib.import_module(TRAINABLE[lab]).RUNS[lab]]
    for run in runs:
        assert not run.fault
        assert run.losses["yours"] == pytest.approx(run.losses["library"], rel=1e-9) or run.uses == ["dropout"]
