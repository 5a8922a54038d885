"""`chainrule visualize`, as a person types it: on a run of the digits, and on SqueezeNet."""

import numpy as np
import pytest
from PIL import Image

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
    assert ended.out.startswith(f"seven-{method}.png   7 (")
    assert is_picture(tmp_path / f"seven-{method}.png")
    with Image.open(tmp_path / f"seven-{method}.png") as picture:
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
    assert "fooled after" in ended.out and f"image    seven-as-{target}.png" in ended.out
    fooling = read_image(tmp_path / f"seven-as-{target}.png")
    assert network.probabilities(network.prepare(fooling)).argmax() == target
    assert is_picture(tmp_path / f"seven-as-{target}-difference.png")


def test_an_image_that_cannot_be_made_to_fool_is_no_success(chainrule, convnet, photo, tmp_path):
    network = load_network("net", runs=tmp_path / "runs")
    target = int(network.probabilities(network.prepare(read_image(photo))).argmin())
    ended = chainrule("visualize", "fool", photo, "--network", "net", "--target", target, "--steps", 1, "--learning-rate", 1e-6)
    assert ended.code == 1
    assert ended.err == "error: not fooled after 1 steps; give more --steps, or a greater --learning-rate\n"
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
    assert "3.png   3: score" in ended.out and "three.gif   4 frames" in ended.out
    assert is_picture(tmp_path / "3.png")
    with Image.open(tmp_path / "three.gif") as frames:
        assert frames.n_frames == 4


def test_filters_features_inversion_and_embedding(chainrule, convnet, photo, tmp_path):
    commands = {
        "net-filters.png": ("filters", "net"),
        "seven-features.png": ("features", "net", photo, "--layer", "0", "--layer", "1"),
        "seven-from-1.png": ("invert", photo, "--network", "net", "--layer", "1", "--steps", "20"),
        "net-embedding.png": ("embedding", "net", "--method", "pca"),
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


@pytest.mark.real_data
def test_squeezenet_explains_a_photograph(chainrule, tmp_path, shared_data):
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        Image.fromarray(file["X"][0]).save(tmp_path / "hay.jpg", quality=95)
    weights = ("--weights", shared_data / "squeezenet1_1-deepscale.pth")
    ended = chainrule("visualize", "saliency", "hay.jpg", "--class", "hay", "--method", "grad-cam", *weights)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("hay-grad-cam.png   hay (")
    assert is_picture(tmp_path / "hay-grad-cam.png")
