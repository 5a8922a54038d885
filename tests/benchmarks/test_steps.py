import importlib.util

import numpy as np
import pytest

from chainrule.benchmarks import steps

CONVOLUTIONAL = [name for name, network in steps.NETWORKS.items() if network.model != "fully-connected"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Every network with few images, in this process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for name, network in steps.NETWORKS.items():
        monkeypatch.setitem(steps.NETWORKS, name, network._replace(batch=4))


def losses(contender, name):
    return list(steps.task(contender, name).check())


@pytest.mark.parametrize("name", steps.NETWORKS)
def test_pytorch_computes_the_same_losses(name):
    pytest.importorskip("torch")
    expected = losses("hand", name)
    formats = [contender for contender in steps.contenders(name) if contender.startswith("torch")]
    assert len(formats) == (2 if name in CONVOLUTIONAL else 1)
    for contender in formats:
        found = losses(contender, name)
        # before the first update: float32, Winograd's error 1e-5 included
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
        np.testing.assert_allclose(found, expected, rtol=steps.TOLERANCE, atol=steps.TOLERANCE)


@pytest.mark.parametrize("name", [name for name, network in steps.NETWORKS.items() if "numpy" in network.rivals])
def test_course_style_numpy_computes_the_same_losses(name):
    # float32 over at most 8192 products, and three updates
    np.testing.assert_allclose(losses("numpy", name), losses("hand", name), rtol=1e-3)


def test_the_loops_are_timed_on_one_image_and_scaled():
    task = steps.task("loops", "three-layer-convnet")
    assert task.scale == 4
    assert list(task.check()) == []
    images, labels = steps._batches(steps.NETWORKS["three-layer-convnet"], "numpy")[0]
    one = steps._course_step(steps.NETWORKS["three-layer-convnet"], "numpy")(images[:1], labels[:1])
    assert task.run(0) == pytest.approx(one, rel=1e-4)  # float32, two orders of summation


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow_computes_the_same_losses():
    np.testing.assert_allclose(losses("tensorflow", "three-layer-convnet"), losses("hand", "three-layer-convnet"), rtol=1e-3)


def test_rivals_are_those_that_are_installed_and_asked_for(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert steps.contenders("three-layer-convnet") == ["hand", "numpy", "loops"]
    assert steps.contenders("resnet") == ["hand"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "found")
    assert steps.contenders("three-layer-convnet", ["torch"]) == ["hand", "torch", "torch-channels-last"]
    assert steps.contenders("b", ["numpy", "tensorflow"]) == ["hand", "numpy"]


def test_channels_last_images_are_the_same_images():
    network = steps.NETWORKS["convnet"]
    for (images, labels), (others, same) in zip(
        steps._batches(network, "torch"), steps._batches(network, "torch-channels-last"), strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, same)
        assert others.transpose(0, 2, 3, 1).flags.c_contiguous


def test_contenders_are_compared_in_processes():
    rows = steps.run("b", ["numpy"], threads=1, rounds=1, seconds=0.0)
    assert list(rows) == ["hand", "numpy"]
    assert rows["hand"]["ratio"] == 1
    assert rows["numpy"]["peak_mib"] < rows["hand"]["peak_mib"]  # Numba and LLVM


def test_all_threads_are_compared_with_one():
    assert set(steps.scaling("b", threads=2, rounds=1, seconds=0.0)) == {"threads", "one-thread"}
