"""`chainrule visualize`, as a person types it: on a run of the digits, and on SqueezeNet."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from chainrule import nn
from chainrule.models import squeezenet
from chainrule.training.storage import save_arrays
from chainrule.visualization import load_network, read_image


@pytest.fixture
def convnet(chainrule):
    """The run "net", a small convolutional network on the digits."""
    ended = chainrule("train", "convnet", "--channels", "8", "--epochs", "2", "--name", "net")
    assert ended.code == 0, ended.err


@pytest.fixture
def photo(tmp_path):
    """A photograph of a seven, almost."""
    pixels = np.full((40, 48, 3), 20, np.uint8)
    pixels[6:11, 12:36] = 235
    for row in range(10, 36):
        pixels[row, 33 - row // 2 : 38 - row // 2] = 235
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    return tmp_path / "seven.png"


def is_picture(path):
    with Image.open(path) as picture:
        return picture.format == "PNG" and len(picture.getcolors(1 << 24)) > 5


@pytest.mark.parametrize("method", ["gradient", "smoothgrad", "integrated-gradients", "grad-cam", "guided"])
def test_saliency_of_every_method(chainrule, convnet, photo, tmp_path, method):
    ended = chainrule("visualize", "saliency", photo, "--network", "net", "--class", "7", "--method", method)
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"seven-{method}-7-net.png   7 (")
    assert is_picture(tmp_path / f"seven-{method}-7-net.png")
    with Image.open(tmp_path / f"seven-{method}-7-net.png") as picture:
        assert picture.text["Description"].startswith(f"seven.png: {method} of net for 7")


def test_without_a_class_the_predicted_one_is_explained_and_engines_agree(chainrule, convnet, photo):
    hand, twin = (chainrule("visualize", "saliency", photo, "--network", "net", "--engine", engine) for engine in ("hand", "torch"))
    assert hand.code == twin.code == 0
    assert hand.out == twin.out


def test_a_fooling_image_fools_as_a_file(chainrule, convnet, photo, tmp_path):
    network = load_network("net", runs=tmp_path / "runs")
    target = int(network.probabilities(network.prepare(read_image(photo))).argmin())
    ended = chainrule("visualize", "fool", photo, "--network", "net", "--target", target)
    assert ended.code == 0, ended.err
    assert "fooled after" in ended.out and f"image    seven-as-{target}-net.png" in ended.out
    fooling = read_image(tmp_path / f"seven-as-{target}-net.png")
    assert network.probabilities(network.prepare(fooling)).argmax() == target
    assert is_picture(tmp_path / f"seven-as-{target}-net-difference.png")


def test_an_image_that_cannot_be_made_to_fool_is_no_success(chainrule, convnet, photo, tmp_path):
    network = load_network("net", runs=tmp_path / "runs")
    target = int(network.probabilities(network.prepare(read_image(photo))).argmin())
    ended = chainrule("visualize", "fool", photo, "--network", "net", "--target", target, "--steps", 1, "--learning-rate", 1e-6)
    assert ended.code == 1
    assert ended.err == "error: not fooled after 1 step; try more --steps, or another --learning-rate\n"
    assert not list(tmp_path.glob("seven-as-*"))


def test_an_image_that_is_the_target_already_is_refused(chainrule, convnet, photo, tmp_path):
    network = load_network("net", runs=tmp_path / "runs")
    seen = int(network.probabilities(network.prepare(read_image(photo))).argmax())
    ended = chainrule("visualize", "fool", photo, "--network", "net", "--target", seen)
    assert ended.code == 1
    assert ended.err == f"error: {photo} is taken for {seen} as it is; choose another target\n"


def test_a_class_is_drawn_with_its_frames(chainrule, convnet, tmp_path):
    ended = chainrule("visualize", "class", "--target", "3", "--network", "net", "--steps", 25, "--frames", "three.gif")
    assert ended.code == 0, ended.err
    assert "3-net.png   3: score" in ended.out and "three.gif   4 frames" in ended.out
    assert is_picture(tmp_path / "3-net.png")
    with Image.open(tmp_path / "three.gif") as frames:
        assert frames.n_frames == 4


def test_filters_features_inversion_and_embedding(chainrule, convnet, photo, tmp_path):
    commands = {
        "net-filters.png": ("filters", "net"),
        "seven-features-0-1-net.png": ("features", "net", photo, "--layer", "0", "--layer", "1"),
        "seven-from-1-net.png": ("invert", photo, "--network", "net", "--layer", "1", "--steps", "20"),
        "net-embedding-pca.png": ("embedding", "net", "--method", "pca"),
    }
    for name, command in commands.items():
        ended = chainrule("visualize", *command)
        assert ended.code == 0, ended.err
        assert ended.out.startswith(f"{name}   ")
        assert is_picture(tmp_path / name)


def test_bad_input_is_one_line_and_leaves_nothing_behind(chainrule, convnet, photo, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    before = sorted(tmp_path.iterdir())
    for command, message in {
        ("saliency", "text.jpg", "--network", "net"): "text.jpg is not an image",
        ("saliency", "nothing.jpg", "--network", "net"): "nothing.jpg",
        ("saliency", photo, "--network", "net", "--class", "cat"): "no class is called 'cat'",
        ("saliency", photo, "--network", "nett"): "no network is called 'nett'",
        ("fool", photo, "--network", "net", "--target", "10"): "class 10 does not exist; there are 0 to 9",
        ("fool", photo, "--network", "net", "--target", "9", "--learning-rate", "0"): "learning_rate is 0.0; it must be greater than 0",
        ("invert", photo, "--network", "net", "--layer", "conv9"): "net has no layer 'conv9'",
        ("features", "net", photo, "--layer", "conv9"): "net has no layer 'conv9'",
        ("embedding", "nett"): "there is no run 'nett'",
        ("saliency", photo, "--network", "net", "--output", "missing/x.png"): "missing",
    }.items():
        ended = chainrule("visualize", *command)
        assert ended.code == 1
        assert ended.err.startswith("error: ") and message in ended.err and ended.err.count("\n") == 1, ended.err
        assert ended.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_that_is_taken_for_another_class_is_said_to_be(chainrule, convnet):
    # noise, hardly changed: it is taken for one class, so for at most one of these two
    ended = [chainrule("visualize", "class", "--target", target, "--network", "net", "--steps", 1) for target in (0, 1)]
    assert [run.code for run in ended] == [0, 0]
    assert any(re.search(r"; taken for \d, [\d.]+ %$", run.out.strip()) for run in ended)


@pytest.mark.parametrize(
    "command",
    [
        ("saliency", "seven.png", "--network", "net", "--class"),
        ("saliency", "seven.png", "--network", "net", "--method", "smoothgrad", "--seed"),
        ("class", "--target", "3", "--network", "net", "--steps", "1", "--seed"),
        ("invert", "seven.png", "--layer", "1", "--network", "net", "--steps", "1", "--seed"),
        ("features", "net", "seven.png", "--layer"),
        ("filters", "net", "--checkpoint"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_pictures_of_different_things_have_different_names(chainrule, convnet, photo, tmp_path, command):
    before = set(tmp_path.iterdir())
    for value in ("best", "last") if command[-1] == "--checkpoint" else ("0", "1"):
        ended = chainrule("visualize", *command, value)
        assert ended.code == 0, ended.err
    assert len(set(tmp_path.iterdir()) - before) == 2


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("saliency", "seven.png", "--output", "seven.png"), "seven.png is what is read; it would be lost"),
        (("saliency", "seven.png", "--output", "./link.png"), "link.png is what is read"),
        (("fool", "x-difference.png", "--target", "3", "--output", "x.png"), "x-difference.png is what is read"),
        (("saliency", "seven.png", "--output", "pipe.png"), "pipe.png is a pipe or a device, not a file; it is not replaced"),
        (("saliency", "seven.png", "--output", "runs"), "runs is a folder; name a file in it, of the kind .png"),
        (("saliency", "seven.png", "--output", ""), ". is a folder; name a file in it"),
        (("saliency", "seven.png", "--output", "x.jpg"), "x.jpg would be a PNG file by another name; call it x.png"),
        (("class", "--target", "3", "--frames", "x.mp4"), "x.mp4 would be a GIF file by another name; call it x.gif"),
        (("class", "--target", "3", "--frames", "none/x.gif"), "none/x.gif cannot be written: there is no folder none"),
        (("invert", "seven.png", "--layer", "0", "--output", "none/x.png"), "none/x.png cannot be written: there is no folder none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_must_not_or_cannot_be_written_is_refused_before_anything_is_computed(
    chainrule, convnet, photo, tmp_path, monkeypatch, command, message
):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("seven.png")
    (tmp_path / "x-difference.png").write_bytes(photo.read_bytes())
    for computing in ("saliency", "make_fooling_image", "class_visualization_steps", "feature_inversion_steps"):
        monkeypatch.setattr(f"chainrule.visualization.{computing}", lambda *_, **__: pytest.fail("it computes"))
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}
    ended = chainrule("visualize", *command, "--network", "net")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith("error: ") and message in ended.err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_may_not_be_changed_is_noticed_first(chainrule, convnet, photo, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, *_, **__: str(path) != ".")
    ended = chainrule("visualize", "saliency", photo, "--network", "net", "--output", "x.png")
    assert (ended.code, ended.err) == (1, "error: x.png cannot be written: the folder . may not be changed\n")


@pytest.mark.parametrize(
    "command",
    [
        ("saliency", "seven.png"),
        ("fool", "seven.png", "--target", "goose"),
        ("class", "--target", "goose"),
        ("invert", "seven.png", "--layer", "4"),
        ("features", "squeezenet1_1", "seven.png"),
        ("filters", "squeezenet1_1"),
    ],
    ids=lambda command: command[0],
)
def test_a_network_that_is_no_numbers_makes_no_picture(chainrule, photo, tmp_path, command):
    state = squeezenet(nn, (3, 224, 224), 1000).reset_parameters(np.random.default_rng(0)).state_dict()
    save_arrays(tmp_path / "nan.safetensors", {name: array * np.nan for name, array in state.items()})
    before = sorted(tmp_path.iterdir())
    ended = chainrule("visualize", *command, "--weights", "nan.safetensors")
    assert (ended.code, ended.out) == (1, "")
    assert "of squeezenet1_1 has numbers that are not finite" in ended.err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.real_data
def test_squeezenet_explains_a_photograph(chainrule, tmp_path, shared_data):
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        Image.fromarray(file["X"][0]).save(tmp_path / "hay.jpg", quality=95)
    weights = ("--weights", shared_data / "squeezenet1_1-deepscale.pth")
    ended = chainrule("visualize", "saliency", "hay.jpg", "--class", "hay", "--method", "grad-cam", *weights)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("hay-grad-cam-hay.png   hay (")
    assert is_picture(tmp_path / "hay-grad-cam-hay.png")
