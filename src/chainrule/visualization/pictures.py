"""Small pictures for a page: pixels of images and weights, and PNG files made of them."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from chainrule.training.storage import write_file

__all__ = [
    "data_url",
    "enlarged",
    "extent",
    "heat",
    "image_pixels",
    "magnified",
    "overlay",
    "png",
    "reduced",
    "save_gif",
    "save_png",
    "weight_pixels",
]


def png(pixels, *, quick: bool = False) -> bytes:
    """A PNG file.

    Parameters
    ----------
    pixels : uint8, (H, W) greyscale, (H, W, 3) RGB or (H, W, 4) RGBA with alpha 0 for transparent
    quick : in a tenth of the time (a photograph of 224 x 224: 9 ms), a tenth larger
    """
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=not quick, compress_level=1 if quick else 9)
    return file.getvalue()


def data_url(pixels, *, quick: bool = False) -> str:
    """The picture as the `src` of an <img>: no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png(pixels, quick=quick)).decode("ascii")


def image_pixels(images, scale: float):
    """Images as 8-bit pixels.

    Parameters
    ----------
    images : (N, C, H, W); all three channels are shown of C = 3, else the first
    scale : the value that is white. If a value lies outside [0, scale], the images have no such scale: from the smallest to the largest
        of their values then.

    Returns
    -------
    (N, H, W), or (N, H, W, 3), uint8
    """
    values = images.astype(np.float64) / scale
    low, high = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else (values.min(), values.max())
    return _visible((values - low) / ((high - low) or 1.0))


def weight_pixels(weights):
    """Weights as 8-bit pixels, each tile by itself: grey is 0, black and white are minus and plus its 99th percentile of |w|.

    Parameters
    ----------
    weights : (F, C, H, W) of any finite or other floats; what is not a number is shown as 0

    Returns
    -------
    (F, H, W), or (F, H, W, 3) for C = 3, uint8
    """
    weights = np.nan_to_num(weights.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    extent = np.percentile(np.abs(weights), 99, axis=(1, 2, 3), keepdims=True)
    return _visible(0.5 + 0.5 * weights / np.where(extent > 0, extent, 1.0))


def _visible(values):
    """(N, C, H, W) in [0, 1] -> (N, H, W) or (N, H, W, 3), uint8."""
    pixels = np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return np.moveaxis(pixels, 1, -1) if pixels.shape[1] == 3 else pixels[:, 0]


def enlarged(pixels, side: int = 224):
    """A picture (H, W, ...) with every pixel repeated, as often as it takes to reach about `side` pixels; as it is where it has them."""
    times = max(1, round(side / min(pixels.shape[:2])))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def reduced(images, side: int):
    """(N, C, H, W) -> the same with H and W at most `side`, by the means of square blocks; as it is where it fits."""
    block = -(-max(images.shape[2:]) // side)
    if block == 1:
        return images
    height, width = images.shape[2:]
    rows, columns = np.arange(0, height, block), np.arange(0, width, block)
    sums = np.add.reduceat(np.add.reduceat(images.astype(np.float64), rows, axis=2), columns, axis=3)
    return sums / np.outer(np.diff(rows, append=height), np.diff(columns, append=width))  # the last blocks may be smaller


def heat(maps):
    """Numbers as colours: each map from its smallest value, black, to its 99.5th percentile, bright (matplotlib's inferno).

    Parameters
    ----------
    maps : (N, H, W), finite

    Returns
    -------
    (N, H, W, 3) uint8
    """
    from matplotlib import colormaps

    return np.round(255 * colormaps["inferno"](_relative(maps))[..., :3]).astype(np.uint8)


def magnified(before, after) -> tuple[np.ndarray, int, int]:
    """What lies between two pictures, multiplied until it is seen.

    Parameters
    ----------
    before, after : uint8, alike

    Returns
    -------
    picture : uint8, like them; grey, 128, where they agree
    factor : by how much differences are multiplied, at least 1
    greatest : difference between two numbers, before that
    """
    difference = after.astype(np.int64) - before
    greatest = int(np.abs(difference).max())
    factor = max(1, 127 // max(1, greatest))
    return (128 + np.clip(factor * difference, -128, 127)).astype(np.uint8), factor, greatest


def overlay(pixels, maps):
    """Images, grey and dimmed, under the colours of `heat`; the greater the number, the less is seen of the image.

    Parameters
    ----------
    pixels : (N, H, W) or (N, H, W, 3) uint8
    maps : (N, H, W), finite

    Returns
    -------
    (N, H, W, 3) uint8
    """
    grey = pixels if pixels.ndim == 3 else pixels @ np.array([0.299, 0.587, 0.114])
    share = 0.25 + 0.65 * _relative(maps)[..., None]
    return np.round((1 - share) * 0.8 * grey[..., None] + share * heat(maps)).astype(np.uint8)


def extent(maps):
    """What `heat` draws black, the smallest value of each map, and what as its brightest colour, its 99.5th percentile: (N, 1, 1) each.

    With the greatest value instead, a few pixels of an extreme would leave the rest dark.
    """
    low = maps.min(axis=(1, 2), keepdims=True)
    high = np.percentile(maps, 99.5, axis=(1, 2), keepdims=True)
    return low, np.where(high > low, high, maps.max(axis=(1, 2), keepdims=True))


def _relative(maps):
    """Each map between 0 and 1."""
    low, high = extent(maps)
    return np.clip((maps - low) / np.where(high > low, high - low, 1), 0, 1)


def save_png(pixels, path: Path) -> Path:
    """Write a picture, as `png` takes it, whole or not at all."""
    write_file(path, png(pixels), what="the picture")
    return path


def save_gif(frames, path: Path, *, seconds: float = 0.1) -> Path:
    """Write pictures of one size as an animation that repeats, whole or not at all; the last one stays for two seconds."""
    file = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in frames)
    durations = [round(1000 * seconds)] * len(rest) + [2000]
    first.save(file, "GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    write_file(path, file.getvalue(), what="the animation")
    return path
