"""What every layer asks of the gradient that it is given: to be like its output. Anything else would give a wrong gradient unnoticed."""

import numpy as np
import pytest

IMAGE = (2, 4, 6, 6)

LAYERS = {
    "Conv2d": lambda nn: nn.Conv2d(4, 3, 3),
    "ConvTranspose2d": lambda nn: nn.ConvTranspose2d(4, 3, 3),
    "MaxPool2d": lambda nn: nn.MaxPool2d(2),
    "AvgPool2d": lambda nn: nn.AvgPool2d(2),
    "AdaptiveAvgPool2d": lambda nn: nn.AdaptiveAvgPool2d(1),
    "Upsample": lambda nn: nn.Upsample(scale_factor=2),
    "BatchNorm2d": lambda nn: nn.BatchNorm2d(4),
    "GroupNorm": lambda nn: nn.GroupNorm(2, 4),
    "LayerNorm": lambda nn: nn.LayerNorm(6),
    "Dropout": lambda nn: nn.Dropout(),
    "Dropout2d": lambda nn: nn.Dropout2d(),
    "ReLU": lambda nn: nn.ReLU(),
    "Flatten": lambda nn: nn.Flatten(),
    "Linear": lambda nn: nn.Linear(6, 5),
}


@pytest.fixture(params=LAYERS)
def layer(nn, request):
    """A layer after a forward pass, and its output."""
    layer = LAYERS[request.param](nn)
    return layer, layer(np.random.default_rng(0).standard_normal(IMAGE, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.float16, np.complex64, ">f4"], ids=str)
def test_a_gradient_of_another_dtype_is_refused(layer, dtype):
    module, out = layer
    with pytest.raises(TypeError, match=rf"^{type(module).__name__}: dout is {np.dtype(dtype)}, the output was float32; convert it"):
        module.backward(out.astype(dtype))


def test_a_gradient_that_is_no_array_is_refused(layer):
    module, out = layer
    with pytest.raises(TypeError, match=f"^{type(module).__name__}: dout is of type list; expected a NumPy array, like the output"):
        module.backward(out.tolist())


def test_a_gradient_like_the_output_gives_one_like_the_input(layer):
    module, out = layer
    dx = module.backward(np.ones_like(out))
    assert (dx.shape, dx.dtype) == (IMAGE, np.float32)
