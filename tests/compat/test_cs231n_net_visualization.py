"""CS231n's network visualization: its functions do what its formulas say, computed here by plain autograd."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from chainrule.compat.cs231n.image_utils import (
    SQUEEZENET_MEAN,
    SQUEEZENET_STD,
    blur_image,
    deprocess_image,
    image_from_url,
    load_image,
    preprocess_image,
)
from chainrule.compat.cs231n.net_visualization_pytorch import blur_image as blur_tensor
from chainrule.compat.cs231n.net_visualization_pytorch import (
    class_visualization_update_step,
    compute_saliency_maps,
    deprocess,
    jitter,
    make_fooling_image,
    preprocess,
    rescale,
)


@pytest.fixture
def model():
    torch.manual_seed(3)
    layers = [torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(216, 10)]
    return torch.nn.Sequential(*layers).double()


@pytest.fixture
def X():
    return torch.from_numpy(np.random.default_rng(4).standard_normal((5, 3, 14, 14)))


def test_saliency_maps_are_autograds(model, X):
    y = torch.tensor([3, 1, 4, 1, 5])
    image = X.clone().requires_grad_()
    model(image).gather(1, y.view(-1, 1)).sum().backward()
    saliency = compute_saliency_maps(X, y, model)
    assert isinstance(saliency, torch.Tensor)
    torch.testing.assert_close(saliency, image.grad.abs().amax(dim=1), rtol=1e-12, atol=1e-14)


def test_a_fooling_image_is_made_by_the_courses_steps(model, X):
    start = X[:1].clone()
    target = int(model(start).argmin())
    fooling = make_fooling_image(start, target, model)
    assert target == model(fooling).data.max(1)[1][0].item(), "The model is not fooled!"
    torch.testing.assert_close(start, X[:1], rtol=0, atol=0)
    image = start.clone()
    while int(model(image).argmax()) != target:
        image.requires_grad_()
        model(image)[0, target].backward()
        image = (image + image.grad / image.grad.norm()).detach()
    torch.testing.assert_close(fooling, image, rtol=1e-10, atol=1e-12)


def test_a_step_of_class_visualization_is_in_place_and_autograds(model, X):
    img, expected = X[:1].clone(), X[:1].clone().requires_grad_()
    (model(expected)[0, 7] - 1e-2 * expected.norm() ** 2).backward()
    assert class_visualization_update_step(img, model, 7, 1e-2, 5.0) is None
    torch.testing.assert_close(img, (expected + 5.0 * expected.grad / expected.grad.norm()).detach(), rtol=1e-10, atol=1e-12)


def test_preprocessing_is_undone(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 256, (224, 224, 3), np.uint8)
    x = preprocess(Image.fromarray(pixels))
    assert x.shape == (1, 3, 224, 224) and x.dtype == torch.float32
    back = np.asarray(deprocess(x, should_rescale=False)).astype(int)
    assert np.abs(back - pixels).max() <= 1  # the course cuts fractions off
    assert preprocess(Image.new("RGB", (300, 150)), size=50).shape == (1, 3, 50, 100)
    assert np.abs(deprocess_image(preprocess_image(pixels)).astype(int) - pixels).max() <= 1
    assert (SQUEEZENET_MEAN.dtype, SQUEEZENET_STD.dtype) == (np.float32, np.float32)


def test_rescaling_reaches_from_0_to_1():
    rescaled = rescale(torch.tensor([2.0, 4.0, 3.0]))
    assert rescaled.tolist() == [0.0, 1.0, 0.5]
    assert np.ptp(deprocess_image(np.random.default_rng(0).standard_normal((4, 5, 3)), rescale=True)) == 255


def test_jitter_moves_right_and_down_and_back(X):
    moved = jitter(X, 2, 1)
    assert torch.equal(moved[:, :, 1:, 2:], X[:, :, :-1, :-2])
    assert torch.equal(jitter(moved, -2, -1), X)


def test_blurs_keep_the_mean_of_an_even_image_and_smooth_a_point():
    even = torch.full((1, 3, 9, 9), 2.0)
    assert blur_tensor(even) is even
    torch.testing.assert_close(even, torch.full((1, 3, 9, 9), 2.0))
    point = np.zeros((1, 3, 5, 5))
    point[0, 1, 2, 2] = 200
    blurred = blur_image(point)
    np.testing.assert_allclose(blurred[0, 1, 1:4, 1:4], [[1, 2, 1], [2, 188, 2], [1, 2, 1]], rtol=1e-12)
    assert np.all(blurred[0, [0, 2]] == 0)


def test_images_are_read_from_files_and_addresses(tmp_path, server):
    pixels = np.random.default_rng(6).integers(0, 256, (30, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    np.testing.assert_array_equal(load_image(tmp_path / "image.png"), pixels)
    assert load_image(tmp_path / "image.png", size=10).shape == (15, 10, 3)
    server.serve(tmp_path / "image.png")
    np.testing.assert_array_equal(image_from_url(f"{server.url}image.png"), pixels)


def test_importing_them_takes_no_torch():
    program = "import sys; from chainrule.compat import install; install('cs231n'); import cs231n.net_visualization_pytorch; "
    done = subprocess.run([sys.executable, "-c", program + "assert 'torch' not in sys.modules"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
