"""CS231n's helpers for images: reading them, SqueezeNet's normalization, a gentle blur."""

import numpy as np
from PIL import Image

from chainrule.kernels import conv_forward
from chainrule.visualization.images import decode_image, read_image

__all__ = [
    "SQUEEZENET_MEAN",
    "SQUEEZENET_STD",
    "blur_image",
    "deprocess_image",
    "image_from_url",
    "load_image",
    "preprocess_image",
]

SQUEEZENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
SQUEEZENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def blur_image(X):
    """X (N, 3, H, W) blurred a little: each pixel 188 / 200 of itself, 2 / 200 of those beside it, 1 / 200 of those at its corners."""
    w = np.zeros((3, 3, 3, 3), X.dtype)
    w[range(3), range(3)] = np.array([[1, 2, 1], [2, 188, 2], [1, 2, 1]]) / 200
    out, _ = conv_forward(X, w, np.zeros(3, X.dtype), {"stride": 1, "pad": 1})
    return out


def preprocess_image(img):
    """Pixels (..., 3) from 0 to 255 as SqueezeNet takes them: float32, normalized."""
    return (img.astype(np.float32) / 255.0 - SQUEEZENET_MEAN) / SQUEEZENET_STD


def deprocess_image(img, rescale=False):
    """The inverse of `preprocess_image`, as uint8; with `rescale` from the smallest to the largest value."""
    img = img * SQUEEZENET_STD + SQUEEZENET_MEAN
    if rescale:
        low, high = img.min(), img.max()
        img = (img - low) / (high - low)
    return np.clip(255 * img, 0.0, 255.0).astype(np.uint8)


def image_from_url(url):
    """The image at an address, (H, W, 3) uint8."""
    import requests

    answer = requests.get(url, timeout=30)
    answer.raise_for_status()
    return decode_image(answer.content, url)


def load_image(filename, size=None):
    """The image in a file, (H, W, 3) uint8; its shorter side `size` pixels long if that is given."""
    pixels = read_image(filename)
    if size is None:
        return pixels
    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    return np.asarray(Image.fromarray(pixels).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC))
