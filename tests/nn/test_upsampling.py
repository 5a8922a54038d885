import numpy as np
import pytest
import torch

from chainrule.nn import Upsample
from chainrule.verification import check_module


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [1, 2, 3.0])
def test_upsampling_is_torchs(nn, assert_like_torch, rng, factor, dtype):
    module, twin = nn.Upsample(scale_factor=factor), torch.nn.Upsample(scale_factor=factor)
    assert repr(module) == repr(twin)
    assert_like_torch(module, twin, rng.standard_normal((2, 3, 4, 5)).astype(dtype))


def test_gradients_are_those_of_differences(nn, rng):
    check_module(nn.Upsample(scale_factor=2), rng.standard_normal((2, 3, 2, 3)))


def test_average_pooling_undoes_it(nn, rng):
    x = rng.standard_normal((2, 3, 4, 5))
    # a mean of nine equal numbers
    np.testing.assert_allclose(nn.AvgPool2d(3)(nn.Upsample(scale_factor=3)(x)), x, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale_factor": 2, "mode": "bilinear"}, "mode is 'bilinear'; only \"nearest\" is offered"),
        ({"size": (4, 4)}, "size is (4, 4); only scale_factor is offered: give how many times as large the image becomes"),
        ({"scale_factor": 1.5}, "scale_factor is 1.5; it must be a whole number of at least 1: pixels are repeated"),
        ({"scale_factor": 0}, "scale_factor is 0; it must be a whole number of at least 1: pixels are repeated"),
        ({"scale_factor": (2, 3)}, "scale_factor is (2, 3); it must be a whole number of at least 1: pixels are repeated"),
        ({}, "scale_factor is None; it must be a whole number of at least 1: pixels are repeated"),
    ],
    ids=str,
)
def test_what_is_not_offered_is_refused(arguments, message):
    with pytest.raises(ValueError) as caught:
        Upsample(**arguments)
    assert str(caught.value) == f"Upsample: {message}"


def test_wrong_input_and_dout_are_refused(nn):
    module = nn.Upsample(scale_factor=2)
    with pytest.raises(ValueError, match=r"^Upsample: x has shape \(3, 4, 4\); expected \(N, C, H, W\); is the batch axis missing"):
        module(np.zeros((3, 4, 4)))
    module(np.zeros((2, 3, 4, 5)))
    with pytest.raises(ValueError, match=r"^Upsample: dout has shape \(2, 3, 4, 5\); expected \(2, 3, 8, 10\), like the output$"):
        module.backward(np.zeros((2, 3, 4, 5)))
