import importlib.util

import numpy as np
import pytest

from chainrule.benchmarks import squeezenet
from chainrule.benchmarks.layers import CHECKED


@pytest.fixture
def small(monkeypatch):
    """Small images, in this process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(squeezenet, "IMAGE", (3, 40, 40))


@pytest.mark.parametrize("name", ["training 1", "training 5", "frozen 1", "frozen 5"])
def test_pytorch_computes_the_same_output_and_gradients(small, name):
    pytest.importorskip("torch")
    expected = list(squeezenet.task("hand", name).check())
    arrays = 2 if squeezenet.CASES[name].frozen else 2 + 52  # out and dx; weight and bias of 26 convolutions
    assert len(expected) == arrays * (1 + CHECKED)
    for contender in ("torch", "torch-channels-last"):
        found = list(squeezenet.task(contender, name).check())
        np.testing.assert_allclose(found, expected, rtol=squeezenet.TOLERANCE, atol=squeezenet.TOLERANCE, err_msg=contender)


def test_every_batch_is_computed_with_all_gradients_and_with_that_of_the_image_alone():
    assert sorted(squeezenet.CASES.values()) == [(batch, frozen) for batch in (1, 5, 25) for frozen in (False, True)]


def test_rivals_are_those_that_are_installed_and_asked_for(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "found")
    assert squeezenet.contenders() == ["hand", "torch", "torch-channels-last"]
    assert squeezenet.contenders(["numpy"]) == ["hand"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert squeezenet.contenders() == ["hand"]


def test_contenders_are_compared_in_processes():
    rows = squeezenet.run("frozen 1", [], threads=1, rounds=1, seconds=0.0)
    assert list(rows) == ["hand"]
    assert rows["hand"]["peak_mib"] > 0
