"""Photographs of any common format as arrays, and cut to the size that a network takes."""

import io
import os
import re
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from chainrule.training.storage import read_file

__all__ = ["decode_image", "fit", "read_image"]

LEAST_SIDE = 8  # pixels; there is nothing to see on less
MOST_PIXELS = 100_000_000  # 300 MB decoded; the header says so before anything is

_alone = threading.Lock()  # the filters of warnings are those of all threads


def read_image(path: str | os.PathLike) -> np.ndarray:
    """The image in a file, as a person sees it: turned as its EXIF data say, transparent parts on white, the first frame of several.

    Parameters
    ----------
    path : JPEG, PNG, WebP, GIF, BMP, TIFF, or whatever else Pillow reads; grey, palette, 16-bit, CMYK and transparent ones too

    Returns
    -------
    (H, W, 3) uint8, RGB

    Raises
    ------
    ValueError
        for a file that is no image, is cut or damaged, is smaller than 8 pixels a side, or has more than 100 million pixels.
    OSError
        if it cannot be read.
    """
    return decode_image(read_file(path), path)


def decode_image(content: bytes, name: str | os.PathLike) -> np.ndarray:
    """As `read_image`, of what is in memory already; `name` is what errors call it."""
    if not content:
        raise ValueError(f"{name} is empty; expected an image")
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd EXIF data, and of large images before their size is looked at here
        try:
            image = Image.open(io.BytesIO(content))
            _check_size(name, *image.size)
            pixels = np.asarray(_seen(image, name))
        except UnidentifiedImageError:
            raise ValueError(f"{name} is not an image, or of a format that is not read; JPEG and PNG are") from None
        except Image.DecompressionBombError as error:  # before there is an image to ask for its size
            raise ValueError(_too_large(name, f"{int(re.findall('[0-9]+', str(error))[0]):,} pixels")) from None
        except _Unsuitable:
            raise
        except Exception as error:  # decoders fed with nonsense fail in as many ways as there are formats
            raise ValueError(f"{name} is a damaged or truncated image ({error or type(error).__name__}); use another copy") from error
    return pixels


class _Unsuitable(ValueError):
    """A sentence that is said already."""


def _check_size(path, width, height):
    if min(width, height) < LEAST_SIDE:
        raise _Unsuitable(f"{path} has {width} x {height} pixels; an image needs at least {LEAST_SIDE} x {LEAST_SIDE}")
    if width * height > MOST_PIXELS:
        raise _Unsuitable(_too_large(path, f"{width:,} x {height:,} pixels"))


def _too_large(path, size):
    return f"{path} is too large: {size}; at most {MOST_PIXELS:,} pixels in all are read; make it smaller first"


def _seen(image, name):
    """The first frame in RGB."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey; convert("RGB") would cut off all above 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its grey values are not those of 16 bits")
        image = Image.fromarray((values // 257).astype(np.uint8))
    if image.mode == "F":  # convert("RGB") would cut off all below 0 and above 255
        values = np.asarray(image)
        if not (values.min() >= 0 and values.max() <= 1):  # NaN is neither
            raise _Unsuitable(f"{name} has grey values from {values.min():g} to {values.max():g}; of floats, those from 0 to 1 are read")
        image = Image.fromarray(np.rint(255 * values).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def fit(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image until it just covers height x width, and cut off what stands over on both sides, half of it on each.

    Antialiased and bilinear, as torchvision's Resize and CenterCrop; they round the scaled size to whole pixels before they cut, this does
    not.

    Parameters
    ----------
    pixels : (H, W, 3) uint8

    Returns
    -------
    (height, width, 3) uint8
    """
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    scale = min(rows / height, columns / width)  # pixels of the image to one of the result
    left, top = (columns - scale * width) / 2, (rows - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=box))
