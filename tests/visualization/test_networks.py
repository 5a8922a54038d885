"""A real pretrained network in both engines, on real photographs."""

import numpy as np
import pytest
import torch

from chainrule.visualization import load_network


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data / "squeezenet1_1-deepscale.pth"


@pytest.fixture(scope="module")
def photographs(shared_data):
    """(25, 224, 224, 3) uint8 and their classes."""
    with np.load(shared_data / "imagenet_val_25.npz") as file:
        return file["X"], file["y"]


def prepared(network, images):
    return np.concatenate([network.prepare(image) for image in images])


@pytest.mark.real_data
def test_squeezenet_names_as_many_photographs_as_its_authors_weights_do(weights, photographs):
    images, labels = photographs
    network = load_network(weights=weights)
    order = network.scores(prepared(network, images)).argsort(axis=1)[:, ::-1]
    assert (order[:, 0] == labels).sum() == 13
    assert (order[:, :5] == labels[:, None]).any(axis=1).sum() == 20


@pytest.mark.real_data
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_logits_are_those_of_pytorch(dtype, tolerance, weights, photographs):
    network, twin = (load_network(weights=weights, engine=engine) for engine in ("hand", "torch"))
    if dtype == "float64":
        network.module.double(), twin.module.double()
    x = prepared(network, photographs[0])
    assert x.dtype == network.dtype == twin.dtype == dtype
    logits = network.module(x)
    expected = twin.module(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(network.scores(x), twin.scores(x), rtol=0, atol=tolerance)
