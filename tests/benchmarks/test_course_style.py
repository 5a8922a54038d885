"""The baseline learns: its losses and gradients are PyTorch's."""

import numpy as np
import pytest

from chainrule.benchmarks import course_style

torch = pytest.importorskip("torch")

# sums of up to 100 products in float64: 1e-16 times 10 times 10
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def tensor(array):
    return torch.tensor(array, requires_grad=True)


@pytest.mark.parametrize("way", ["im2col", "loops"])
@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 1), (1, 0), (2, 2)])
def test_a_convolution_is_that_of_pytorch(way, stride, pad):
    forward, backward = {
        "im2col": (course_style.conv_forward, course_style.conv_backward),
        "loops": (course_style.conv_forward_loops, course_style.conv_backward_loops),
    }[way]
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 3, 7, 5)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
    out, cache = forward(x, w, b, {"stride": stride, "pad": pad})
    tensors = [tensor(array) for array in (x, w, b)]
    expected = torch.nn.functional.conv2d(*tensors, stride, pad)
    np.testing.assert_allclose(out, expected.detach().numpy(), **EXACT)
    dout = rng.standard_normal(out.shape)
    for grad, wanted in zip(backward(dout, cache), torch.autograd.grad(expected, tensors, torch.tensor(dout)), strict=True):
        np.testing.assert_allclose(grad, wanted.numpy(), **EXACT)


@pytest.mark.parametrize("way", ["tiles", "loops"])
def test_max_pooling_is_that_of_pytorch(way):
    forward, backward = {
        "tiles": (course_style.max_pool_forward, course_style.max_pool_backward),
        "loops": (course_style.max_pool_forward_loops, course_style.max_pool_backward_loops),
    }[way]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 6, 4))
    out, cache = forward(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    image = tensor(x)
    expected = torch.nn.functional.max_pool2d(image, 2)
    np.testing.assert_array_equal(out, expected.detach().numpy())
    dout = rng.standard_normal(out.shape)
    (wanted,) = torch.autograd.grad(expected, image, torch.tensor(dout))
    np.testing.assert_array_equal(backward(dout, cache), wanted.numpy())


@pytest.mark.parametrize("loops", [False, True])
def test_the_three_layer_convnet_has_pytorchs_loss_and_gradients(loops):
    rng = np.random.default_rng(0)
    shapes = {"W1": (4, 3, 3, 3), "b1": (4,), "W2": (4 * 3 * 2, 5), "b2": (5,), "W3": (5, 3), "b3": (3,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((2, 3, 6, 4)), np.array([2, 0])
    loss, grads = course_style.ThreeLayerConvNet(params, loops=loops).loss(x, y)

    p = {name: tensor(value) for name, value in params.items()}
    hidden = torch.nn.functional.max_pool2d(torch.relu(torch.nn.functional.conv2d(torch.tensor(x), p["W1"], p["b1"], padding=1)), 2)
    scores = torch.relu(hidden.flatten(1) @ p["W2"] + p["b2"]) @ p["W3"] + p["b3"]
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(y))
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-12)
    for name, wanted in zip(p, torch.autograd.grad(expected, list(p.values())), strict=True):
        np.testing.assert_allclose(grads[name], wanted.numpy(), **EXACT, err_msg=name)
