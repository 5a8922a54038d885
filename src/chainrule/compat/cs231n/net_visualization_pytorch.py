"""CS231n's network visualization, on a PyTorch network and tensors; the same on arrays and hand-written networks: chainrule.visualization.

PyTorch is imported when a function is called, so that the rest of the course's material runs without it.
"""

import numpy as np

from chainrule.compat.cs231n.image_utils import SQUEEZENET_MEAN, SQUEEZENET_STD
from chainrule.visualization import probe, saliency_maps
from chainrule.visualization.attribution import one_hot

__all__ = [
    "blur_image",
    "class_visualization_update_step",
    "compute_saliency_maps",
    "deprocess",
    "jitter",
    "make_fooling_image",
    "preprocess",
    "rescale",
]


def compute_saliency_maps(X, y, model):
    """max over channels of |d score of y / d X|: X (N, 3, H, W), y (N,) -> (N, H, W)."""
    return _like(X, saliency_maps(model, _array(X), _array(y)))


def make_fooling_image(X, target_y, model):
    """X (1, 3, H, W) changed until `model` sees target_y: up to 100 steps of length 1 along the gradient of the target's score."""
    looked, image = probe(model), _array(X).copy()
    for _ in range(100):
        scores, dX = looked.gradient(image, lambda scores: one_hot(scores, [target_y]))
        if scores.argmax() == target_y:
            break
        image += 1.0 * dX / np.linalg.norm(dX)
    return _like(X, image)


def class_visualization_update_step(img, model, target_y, l2_reg, learning_rate):
    """One step of gradient ascent on score(img) - l2_reg * |img|^2, the gradient divided by its norm; changes img (1, 3, H, W) in place."""
    image = _array(img)
    _, dimg = probe(model).gradient(image, lambda scores: one_hot(scores, [target_y]))
    dimg = dimg - 2 * l2_reg * image
    img.data += learning_rate * _like(img, dimg / np.linalg.norm(dimg))


def preprocess(img, size=224):
    """A PIL image as SqueezeNet takes it, (1, 3, H, W), its shorter side `size` pixels long."""
    from PIL import Image

    scale = size / min(img.size)
    scaled = img.convert("RGB").resize((round(img.width * scale), round(img.height * scale)), Image.Resampling.BILINEAR)
    pixels = (np.asarray(scaled, np.float32) / 255 - SQUEEZENET_MEAN) / SQUEEZENET_STD
    return _tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None])


def deprocess(img, should_rescale=True):
    """The first image of (N, 3, H, W) as a PIL image; rescaled to the whole range, or clipped to what can be shown."""
    from PIL import Image

    pixels = _array(img)[0].transpose(1, 2, 0) * SQUEEZENET_STD + SQUEEZENET_MEAN
    pixels = rescale(pixels) if should_rescale else np.clip(pixels, 0, 1)
    return Image.fromarray((255 * pixels).astype(np.uint8))


def rescale(x):
    """x from 0, its smallest value, to 1, its largest."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low)


def blur_image(X, sigma=1):
    """X (N, 3, H, W) blurred by a Gaussian of that many pixels, in place."""
    from scipy.ndimage import gaussian_filter

    return X.copy_(_like(X, gaussian_filter(_array(X), (0, 0, sigma, sigma))))


def jitter(X, ox, oy):
    """X (N, 3, H, W) moved by ox pixels to the right and oy down; what leaves comes in at the other side."""
    return X.roll((oy, ox), (2, 3))


def _array(tensor):
    return tensor.detach().cpu().numpy()


def _tensor(array):
    import torch

    return torch.from_numpy(array)


def _like(tensor, array):
    """The array as a tensor of the dtype and on the device of `tensor`."""
    return _tensor(np.ascontiguousarray(array)).to(tensor)
