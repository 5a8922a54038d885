import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import squeezenet
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn

# torchvision's parameters, without its classes: 1,248,424 and 1,235,496 for 1,000 classes
PARAMETERS = {"1.0": 1_248_424, "1.1": 1_235_496}


@pytest.mark.parametrize("version", PARAMETERS)
def test_it_has_torchvisions_keys_and_parameters(version):
    network = squeezenet(nn, classes=1000, version=version)
    assert sum(parameter.size for parameter in network.parameters()) == PARAMETERS[version]
    keys = list(network.state_dict())
    assert keys[:4] == ["features.0.weight", "features.0.bias", "features.3.squeeze.weight", "features.3.squeeze.bias"]
    assert keys[-2:] == ["classifier.1.weight", "classifier.1.bias"]
    assert "features.12.expand3x3.weight" in keys


@pytest.mark.parametrize("version", PARAMETERS)
@pytest.mark.parametrize("side", ["least", "odd"])
def test_the_smallest_images_it_takes_are_those_that_pytorch_takes(version, side):
    least = {"1.0": 21, "1.1": 17}[version]
    rng = np.random.default_rng(0)
    side = least if side == "least" else least + 10
    network = squeezenet(nn, (3, side, side + 1), 7, version=version).reset_parameters(rng).double().eval()
    twin = squeezenet(torch_nn, (3, side, side + 1), 7, version=version).double().eval()
    copy_weights(network, twin)
    x = rng.standard_normal((2, 3, side, side + 1))
    np.testing.assert_allclose(network(x), twin(torch.from_numpy(x)).detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("version", PARAMETERS)
def test_an_image_too_small_for_it_is_refused(version):
    with pytest.raises(ValueError, match=r"squeezenet: images of 16 x 99 are too small; version 1.\d takes \d\d x \d\d and more"):
        squeezenet(nn, (3, 16, 99), version=version)


def test_a_version_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"squeezenet: version is '1.2'; it must be one of 1.0, 1.1"):
        squeezenet(nn, version="1.2")
