import numpy as np
import pytest
import torch

from chainrule import nn
from chainrule.models import speedrun
from chainrule.models.whitening import first_weights, whitening_weights
from chainrule.pytorch import nn as torch_nn
from chainrule.pytorch import to_arrays, to_tensors


@pytest.fixture(scope="module")
def images():
    """Smooth, so that neighbouring pixels and the channels hang together as those of photographs do."""
    rng = np.random.default_rng(0)
    coarse = rng.standard_normal((200, 3, 6, 6)) + 2 * rng.standard_normal((200, 1, 6, 6))
    fine = coarse.repeat(3, axis=2).repeat(3, axis=3)
    return (fine + 0.3 * rng.standard_normal(fine.shape)).astype(np.float32)


def test_answers_to_patches_are_uncorrelated_and_of_one_size(images):
    weights = whitening_weights(images, eps=0.0).astype(np.float64)
    assert weights.shape == (24, 3, 2, 2)
    answers = torch.nn.functional.conv2d(torch.from_numpy(images).double(), torch.from_numpy(weights)).numpy()
    flat = answers.transpose(0, 2, 3, 1).reshape(-1, 24)
    moments = flat.T @ flat / len(flat)
    # the filters are rounded to float32, and the eigenvalues span two orders of magnitude
    np.testing.assert_allclose(moments[:12, :12], np.eye(12), atol=1e-4)
    np.testing.assert_allclose(moments[:12, 12:], -np.eye(12), atol=1e-4)


def test_it_is_airbenchs_computation(images):
    """init_whiten of airbench94_muon.py, in float64."""
    tensor = torch.from_numpy(images).double()
    patches = tensor.unfold(2, 2, 1).unfold(3, 2, 1).transpose(1, 3).reshape(-1, 3, 2, 2)
    flat = patches.reshape(len(patches), -1)
    eigenvalues, eigenvectors = torch.linalg.eigh(flat.T @ flat / len(flat), UPLO="U")
    expected = (eigenvectors.T.reshape(-1, 3, 2, 2) / torch.sqrt(eigenvalues.view(-1, 1, 1, 1) + 5e-4)).numpy()
    weights = whitening_weights(images.astype(np.float64))
    signs = np.sign((weights[:12] * expected).sum(axis=(1, 2, 3), keepdims=True))  # an eigenvector's is arbitrary
    # the patches' products are summed in another order, and the least eigenvalue is far below the greatest
    np.testing.assert_allclose(weights[:12], signs * expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_array_equal(weights[12:], -weights[:12])


def test_directions_without_variance_are_not_blown_up():
    weights = whitening_weights(np.ones((3, 1, 4, 4)))
    assert np.isfinite(weights).all() and np.abs(weights).max() <= 1 / np.sqrt(5e-4)


def test_first_weights_whiten_pass_on_and_have_scores_of_one_size(images):
    network = speedrun(nn, (3, 25, 25), 10, widths=(30, 20, 40)).reset_parameters(np.random.default_rng(1))
    before = {name: array.copy() for name, array in network.state_dict().items()}
    state = first_weights(network.state_dict(), images)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)  # the state that was given is left as it is

    network.load_state_dict(state)
    np.testing.assert_array_equal(network[0].weight.data, whitening_weights(images))
    x = np.random.default_rng(2).standard_normal((2, 24, 6, 5)).astype(np.float32)
    np.testing.assert_array_equal(network[2](x)[:, :24], x)  # 24 channels, 30 filters: the first 24 are the identity
    x = np.random.default_rng(2).standard_normal((2, 30, 6, 5)).astype(np.float32)
    np.testing.assert_array_equal(network[9](x), x[:, :20])  # 30 channels, 20 filters
    np.testing.assert_array_equal(state["2.weight"][24:], before["2.weight"][24:])  # the others are those that were drawn
    head = f"{len(network) - 2}.weight"
    assert state[head].std(ddof=1) == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(state[head] / before[head], 1 / before[head].std(ddof=1), rtol=1e-6)


def test_the_twin_takes_them_too(images):
    options = {"image": (3, 25, 25), "widths": (5, 6, 7)}
    twin, ours = speedrun(torch_nn, **options), speedrun(nn, **options)
    state = first_weights(to_arrays(twin.state_dict()), images)
    twin.load_state_dict(to_tensors(state))
    ours.load_state_dict(state)
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, twin.state_dict()[name].numpy(), err_msg=name)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 1, 4), (3, 4, 4)], ids=str)
def test_images_without_a_patch_are_refused(shape):
    with pytest.raises(ValueError) as caught:
        whitening_weights(np.zeros(shape))
    assert str(caught.value) == f"whitening_weights: images have shape {shape}; expected (N, C, H, W), at least one, 2 x 2 or larger"
