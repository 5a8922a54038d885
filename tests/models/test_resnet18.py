import numpy as np
import torch

from chainrule import nn
from chainrule.models import resnet18
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn


def test_it_has_torchvisions_keys_and_parameters():
    network = resnet18(nn, classes=1000)
    assert sum(parameter.size for parameter in network.parameters()) == 11_689_512  # as torchvision's documentation says
    keys = list(network.state_dict())
    assert len(keys) == 122
    assert keys[:2] == ["conv1.weight", "bn1.weight"]
    assert "layer2.0.downsample.1.running_var" in keys
    assert "layer1.0.downsample.0.weight" not in keys
    assert keys[-2:] == ["fc.weight", "fc.bias"]


def test_scores_are_its_twins():
    rng = np.random.default_rng(0)
    network = resnet18(nn, classes=5).reset_parameters(rng).double().eval()
    twin = resnet18(torch_nn, classes=5).double().eval()
    copy_weights(network, twin)
    x = rng.standard_normal((2, 3, 40, 33))
    np.testing.assert_allclose(network(x), twin(torch.from_numpy(x)).detach().numpy(), rtol=1e-10, atol=1e-12)
