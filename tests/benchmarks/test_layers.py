import importlib.util
import math

import numpy as np
import pytest

from chainrule.benchmarks import layers


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Two images, in this process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(layers, "BATCH", 2)


@pytest.mark.parametrize("name", layers.LAYERS)
def test_all_contenders_compute_the_same_output_and_gradients(name):
    pytest.importorskip("torch")
    expected = list(layers.task("hand", name).check())
    assert len(expected) >= 2 * (1 + layers.CHECKED)
    for contender in layers.contenders(name)[1:]:
        found = list(layers.task(contender, name).check())
        np.testing.assert_allclose(found, expected, rtol=layers.TOLERANCE, atol=layers.TOLERANCE, err_msg=contender)


def test_winograds_shapes_have_the_direct_way_beside_them():
    assert "direct" in layers.contenders("64, 32 -> 64, 3")
    assert "direct" not in layers.contenders("3, 32 -> 32, 7")
    assert "direct" not in layers.contenders("64, 32 -> 128, 3, stride 2")
    assert "direct" not in layers.contenders("GELU, 24, 31")


def test_operations_are_those_of_three_convolutions_or_of_two_in_the_first_layer():
    assert layers.operations("64, 32 -> 128, 3, stride 2") == 3 * 2 * layers.BATCH * 128 * 16 * 16 * 64 * 9
    assert layers.operations("3, 32 -> 32, 7") == 2 * 2 * layers.BATCH * 32 * 32 * 32 * 3 * 49
    assert layers.operations("ReLU + pool, 64, 32") == 0


@pytest.mark.parametrize("name", layers.LAYERS)
def test_the_shape_of_the_output_is_what_the_table_says(name):
    from chainrule import nn

    layer = layers.LAYERS[name]
    out = layer.build(nn).eval()(np.zeros((1, *layer.shape), np.float32))
    assert out.shape == (1, *layer.out_shape)
    assert math.prod(layer.shape) > 0


def test_without_pytorch_the_kernels_are_timed_alone(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert layers.contenders("64, 32 -> 64, 3") == ["hand", "direct"]


def test_layers_are_compared_in_processes_that_serve_all_of_them(monkeypatch):
    names = ["64, 32 -> 64, 3", "3, 32 -> 24, 2"]
    tables = layers.run(names, [], threads=2, rounds=1, seconds=0.0)
    assert list(tables) == names
    assert list(tables[names[0]]) == ["hand", "direct"]
    assert list(tables[names[1]]) == ["hand"]
    for rows in tables.values():
        assert all(row["gflops"] > 0 and "peak_mib" not in row for row in rows.values())
