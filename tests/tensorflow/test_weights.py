"""Weights go between TensorFlow, PyTorch and the hand-written layers without loss, and mean the same everywhere."""

import numpy as np
import pytest

from chainrule import nn
from chainrule.tensorflow import to_tensorflow, to_torch

C, H, W = 2, 5, 4


def network():
    layers = nn.Sequential(
        *(nn.Conv2d(C, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 6, (1, 3), padding=(0, 1), bias=False), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(6 * H * W, 8), nn.ReLU(), nn.Linear(8, 7)),
    )
    return layers.reset_parameters(np.random.default_rng(0))


def test_weights_there_and_back_are_the_same():
    state_dict = network().state_dict()
    weights = to_tensorflow(state_dict, C)
    assert [array.shape for array in weights] == [(3, 3, C, 3), (3,), (1, 3, 3, 6), (6 * H * W, 8), (8,), (8, 7), (7,)]
    returned = to_torch(weights, state_dict, C)
    assert list(returned) == list(state_dict)
    for name, array in state_dict.items():
        np.testing.assert_array_equal(returned[name], array, strict=True)


def test_arrays_are_copies():
    state_dict = network().state_dict()
    for array in to_tensorflow(state_dict, C):
        array[...] = 0
    assert all(array.any() for name, array in state_dict.items() if name.endswith("weight"))


def test_the_first_affine_layer_takes_an_image_pixel_by_pixel():
    x, w = np.random.default_rng(1).standard_normal((3, C, H, W)), np.random.default_rng(2).standard_normal((7, C * H * W))
    (weight,) = to_tensorflow({"weight": w}, C)
    by_pixel = x.transpose(0, 2, 3, 1).reshape(3, -1)
    # a sum of 40 products, in another order
    np.testing.assert_allclose(by_pixel @ weight, x.reshape(3, -1) @ w.T, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(weight[:C], w[:, [0, H * W]].T)  # all channels of the first pixel


def test_an_affine_layer_behind_another_is_transposed():
    state_dict = network().state_dict()
    np.testing.assert_array_equal(to_tensorflow(state_dict, C)[-2], state_dict["7.weight"].T)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("conv.weight", (4, 2, 3, 3)), ("fc.weight", (4, 10)), ("norm.weight", (4,)), ("norm.num_batches_tracked", ()), ("w", (4, 3, 3))],
)
def test_what_does_not_fit_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"^\S+ has shape .*, which does not fit the 3 channels before it; only convolutions and affine"):
        to_tensorflow({name: np.zeros(shape)}, channels=3)
    with pytest.raises(ValueError, match=r"^\S+ has shape .*, which does not fit the 3 channels before it; only convolutions and affine"):
        to_torch([np.zeros(shape[::-1])], [name], channels=3)


def test_there_is_a_name_for_every_array():
    with pytest.raises(ValueError, match=r"^there are 7 arrays and 1 names; every array needs its own \(was the model called once\?\)$"):
        to_torch(to_tensorflow(network().state_dict(), C), ["0.weight"], C)
