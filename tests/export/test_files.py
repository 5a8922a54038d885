"""Parameters in files of others: read back with their own libraries."""

import json

import numpy as np
import pytest
import safetensors.numpy

from chainrule import nn
from chainrule.data import load
from chainrule.export import write_network
from chainrule.models import fully_connected

torch = pytest.importorskip("torch")

DATA = load("digits")


@pytest.fixture
def network():
    return fully_connected(nn, (1, 8, 8), 10, normalization="batch").reset_parameters(np.random.default_rng(0))


def test_safetensors_hold_parameters_and_notes(network, tmp_path):
    path = tmp_path / "model.safetensors"
    write_network(network, DATA, path, "safetensors", {"made by": "a test"})
    for name, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, network.state_dict()[name])
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata()["made by"] == "a test"
        assert json.loads(file.metadata()["classes"]) == list(DATA.classes)


def test_pytorch_reads_its_own_without_running_code_and_computes_the_same(network, tmp_path):
    from chainrule.pytorch import nn as torch_nn

    path = tmp_path / "model.pt"
    write_network(network, DATA, path, "torch")
    loaded = torch.load(path, weights_only=True)
    twin = fully_connected(torch_nn, (1, 8, 8), 10, normalization="batch").eval()
    twin.load_state_dict(loaded["state_dict"])
    images = DATA.normalize(DATA.test.images[:20])
    np.testing.assert_allclose(twin(torch.from_numpy(images)).detach(), network.eval()(images), rtol=1e-4, atol=1e-5)  # float32
    assert json.loads(loaded["image_shape"]) == [1, 8, 8]


def test_another_format_is_refused(network, tmp_path):
    with pytest.raises(ValueError, match="format is 'h5'; it must be one of onnx, safetensors, torch"):
        write_network(network, DATA, tmp_path / "model.h5", "h5")
