"""Fixtures of the tests of the PyTorch side: a network and its twin, each in its engine."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from chainrule import nn, optim
from chainrule.models import fully_connected
from chainrule.pytorch import TorchEngine, copy_weights
from chainrule.pytorch import nn as torch_nn
from chainrule.training.engine import HandEngine


@pytest.fixture(scope="package", autouse=True)
def one_thread_of_torch():
    """Networks this small only make torch's threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def twin_engines():
    """twin_engines(optimizer, optimizer_options, dtype=..., clip_norm=..., **model_options) -> (ours, PyTorch's), with the same weights."""

    def make(optimizer, optimizer_options, *, dtype="float64", clip_norm=None, model=fully_connected, **model_options):
        networks = [model(library, (2, 3, 4), 5, **model_options) for library in (nn, torch_nn)]
        networks[0].reset_parameters(np.random.default_rng(0))
        for network in networks:
            network.double() if dtype == "float64" else network.float()
        copy_weights(*networks)
        return [
            engine(
                network,
                library.CrossEntropyLoss(),
                getattr(optimizers, optimizer)(network.parameters(), **optimizer_options),
                clip_norm=clip_norm,
            )
            for engine, network, library, optimizers in zip(
                (HandEngine, TorchEngine), networks, (nn, torch_nn), (optim, torch.optim), strict=True
            )
        ]

    return make


@pytest.fixture
def torch_engine():
    """torch_engine(dtype=..., **options of the engine) -> PyTorch's, always with the same weights."""

    def make(*, dtype="float64", **options):
        network = copied(fully_connected(torch_nn, (2, 3, 4), 5, hidden_dims=(9,)), dtype)
        return TorchEngine(network, torch_nn.CrossEntropyLoss(), torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9), **options)

    def copied(twin, dtype):
        copy_weights(fully_connected(nn, (2, 3, 4), 5, hidden_dims=(9,)).reset_parameters(np.random.default_rng(0)), twin)
        return twin.double() if dtype == "float64" else twin

    return make


@pytest.fixture
def batches():
    """batches(count, dtype) -> [(images, labels, rng), ...]: a batch, and the function that makes the generator of its dropout masks."""

    def make(count, dtype="float64"):
        rng = np.random.default_rng(3)
        teacher = rng.standard_normal((24, 5))
        images = rng.standard_normal((count, 16, 2, 3, 4)).astype(dtype)
        labels = (images.reshape(count, 16, 24) @ teacher).argmax(axis=2)
        return [
            SimpleNamespace(images=images[step], labels=labels[step], rng=lambda step=step: np.random.default_rng([9, step]))
            for step in range(count)
        ]

    return make
