import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from chainrule.weights import PUBLISHED


@pytest.fixture
def photographs(shared_data, tmp_path):
    """hay.png and gorilla.png, two of cs231n's validation images."""
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        for name, index in (("hay", 0), ("gorilla", 7)):
            Image.fromarray(file["X"][index]).save(tmp_path / f"{name}.png")


@pytest.fixture
def weights(shared_data):
    return shared_data / "squeezenet1_1-deepscale.pth"


def trouble(ended):
    """What is said on stderr, but for the first use of kernels."""
    return [line for line in ended.err.splitlines() if not line.startswith("compiling the kernels")]


@pytest.mark.real_data
@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_each_image_has_its_most_probable_classes(chainrule, photographs, weights, engine):
    ended = chainrule("predict", "hay.png", "gorilla.png", "--weights", weights, "--engine", engine, "--top", "2")
    assert (ended.code, trouble(ended)) == (0, [])
    hay, first, _, gorilla, second, _ = ended.out.splitlines()
    assert (hay, gorilla) == ("hay.png", "gorilla.png")
    assert first == "   99.9 %   958  hay"
    assert second == "   96.5 %   366  gorilla, Gorilla gorilla"


@pytest.mark.real_data
def test_json_has_numbers_and_the_errors_too(chainrule, photographs, weights):
    ended = chainrule("predict", "hay.png", "none.png", "--weights", weights, "--json")
    hay, none = json.loads(ended.out)
    assert (hay["image"], len(hay["classes"])) == ("hay.png", 5)
    assert hay["classes"][0] == {"index": 958, "name": "hay", "probability": pytest.approx(0.9994, abs=0.0001)}
    assert none == {"image": "none.png", "error": "none.png: no such file or directory"}
    assert (ended.code, trouble(ended)) == (1, ["error: none.png: no such file or directory"])


@pytest.mark.real_data
def test_a_bad_file_is_one_line_and_the_others_are_done(chainrule, photographs, weights, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "folder").mkdir()
    ended = chainrule("predict", "text.jpg", "folder", "hay.png", "--weights", weights, "--top", "1")
    assert ended.code == 1
    assert ended.out == "hay.png\n   99.9 %   958  hay\n"
    assert trouble(ended) == [
        "error: text.jpg is not an image, or of a format that is not read; JPEG and PNG are",
        "error: folder: is a directory",
    ]


@pytest.mark.real_data
def test_weights_of_another_network_are_one_line(chainrule, photographs, weights):
    ended = chainrule("predict", "hay.png", "--network", "resnet18", "--weights", weights)
    assert ended.code == 1
    assert ended.err == f"error: {weights}: these are not the weights of resnet18: conv1.weight is missing; and more\n"


def test_a_run_names_its_own_classes(chainrule, trained, tmp_path):
    Image.fromarray(np.full((30, 20, 3), 255, np.uint8)).save(tmp_path / "white.png")
    ended = chainrule("predict", "white.png", "--network", "fc", "--top", "99")
    assert ended.code == 0
    assert sorted(line.split()[-1] for line in ended.out.splitlines()[1:]) == list("0123456789")
    shares = [float(line.split()[0]) for line in ended.out.splitlines()[1:]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_run_without_a_best_checkpoint_is_looked_at_by_its_last(chainrule, trained, tmp_path):
    Image.fromarray(np.full((30, 20, 3), 255, np.uint8)).save(tmp_path / "white.png")
    shutil.rmtree(tmp_path / "runs" / "fc" / "checkpoints" / "best")
    ended = chainrule("predict", "white.png", "--network", "fc")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "has no checkpoint 'best'" in ended.err and "there is another: --checkpoint last" in ended.err
    ended = chainrule("predict", "white.png", "--network", "fc", "--checkpoint", "last")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "white.png")


def test_whether_a_file_can_be_read_is_found_out_by_reading_it(chainrule, trained, tmp_path, monkeypatch):
    Image.fromarray(np.full((30, 20, 3), 255, np.uint8)).save(tmp_path / "white.png")

    def refuse(path, *rest, **options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as unreadable:
        unreadable.setattr("os.access", lambda path, *_, **__: str(path) != "white.png")
        unreadable.setattr("chainrule.visualization.images.read_file", refuse)
        unreadable.setattr("chainrule.weights.torch_file.read_file", refuse)
        image = chainrule("predict", "white.png", "--network", "fc")
        weights = chainrule("predict", "white.png", "--weights", "white.png")
    assert (image.code, image.err) == (weights.code, weights.err) == (1, "error: white.png: permission denied\n")


@pytest.mark.real_data
def test_published_weights_are_kept_in_the_data_folder_that_is_named(chainrule, photographs, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr("chainrule.weights.published.URL", "http://127.0.0.1:9/")
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", replace(PUBLISHED["squeezenet1_1"], file="squeezenet1_1-4a20db5c.pth"))
    (tmp_path / "data" / "weights").mkdir(parents=True)
    shutil.copy(weights, tmp_path / "data" / "weights" / "squeezenet1_1-4a20db5c.pth")
    ended = chainrule("predict", "hay.png", "--top", "1", "--data-folder", "data")
    assert (ended.code, ended.out) == (0, "hay.png\n   99.9 %   958  hay\n")
    assert (tmp_path / "data" / "weights" / "squeezenet1_1.safetensors").is_file()
    assert not (tmp_path / "empty").exists()


def test_a_network_that_does_not_exist_is_an_error_with_those_that_do(chainrule, trained, tmp_path):
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    ended = chainrule("predict", "white.png", "--network", "resnet81")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "error: no network is called 'resnet81': neither of the published ones (squeezenet1_0, squeezenet1_1, resnet18) "
        "nor of the 1 runs in runs; did you mean resnet18?\n"
    )


def test_without_a_network_the_first_run_says_what_to_do(chainrule, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("chainrule.weights.published.URL", "http://127.0.0.1:9/")
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    ended = chainrule("predict", "white.png")
    assert ended.code == 1
    assert ended.err == (
        "error: could not download http://127.0.0.1:9/squeezenet1_1-b8a52dc0.pth: cannot reach 127.0.0.1; try again, or fetch the file by "
        f"other means and put it into {tmp_path}/data/weights, or give it with --weights FILE\n"
    )


@pytest.mark.real_data
def test_the_first_run_says_what_it_downloads(chainrule, photographs, weights, server, monkeypatch, tmp_path):
    server.serve(weights, "squeezenet1_1-4a20db5c.pth")
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("chainrule.weights.published.URL", server.url)
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", replace(PUBLISHED["squeezenet1_1"], file="squeezenet1_1-4a20db5c.pth"))
    first, second = (chainrule("predict", "hay.png", "--top", "1") for _ in range(2))
    assert first.out == second.out == "hay.png\n   99.9 %   958  hay\n"
    assert trouble(first)[0] == "downloading the weights of squeezenet1_1, once; they are kept"
    assert trouble(second) == []


def seconds(*command, cwd):
    """The shortest of four runs: the first may compile kernels."""
    found = []
    for _ in range(4):
        begin = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=cwd, check=True, capture_output=True)
        found.append(time.perf_counter() - begin)
    return min(found)


@pytest.mark.slow
@pytest.mark.real_data
def test_a_network_that_is_there_answers_within_two_seconds(chainrule, photographs, weights, tmp_path):
    needed = seconds("-m", "chainrule", "predict", "hay.png", "--weights", str(weights), cwd=tmp_path)
    # alone on two cores 1.3 s, twice as long as importing Numba; where others compute, too, it was up to 3.3 times
    assert needed < max(2, 4 * seconds("-c", "import numba", cwd=tmp_path))


def test_an_image_that_is_not_there_is_told_before_weights_are_fetched(chainrule, monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "empty"))
    ended = chainrule("predict", "none.png")
    assert (ended.code, ended.err) == (1, "error: there is no none.png; name image files\n")
