"""A small network with everything in it that images go through, and its twin with the same weights."""

import numpy as np
import pytest

from chainrule import nn
from chainrule.pytorch import copy_weights
from chainrule.pytorch import nn as torch_nn

CLASSES = 7


def small_network(nn):
    """Convolutions, batch norm, a Fire module under names of its own, a residual block, pooling, an affine layer."""
    squeeze, left, right = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 6, 3, padding=1)
    relu = nn.ReLU()
    fire = nn.Named(nn.Sequential(squeeze, relu, nn.Concat(left, right)), squeeze=squeeze, relu=relu, left=left, right=right)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        fire,
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(10, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10))),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(90, CLASSES),
    )


@pytest.fixture
def rng():
    return np.random.default_rng(20266)


@pytest.fixture
def network(rng):
    """Trained for nothing, but that its running statistics are no longer 0 and 1; float64."""
    network = small_network(nn).reset_parameters(rng).double()
    network(rng.standard_normal((20, 3, 13, 12)))
    return network


@pytest.fixture
def twin(network):
    twin = small_network(torch_nn).double()
    copy_weights(network, twin)
    return twin


@pytest.fixture(params=["hand", "torch"])
def either(request, network, twin):
    return network if request.param == "hand" else twin


@pytest.fixture
def x(rng):
    return rng.standard_normal((4, 3, 13, 12))
