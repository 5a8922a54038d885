"""Random changes of training images that keep their labels: flip, shifted crop, cutout."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["Augmentation", "Changes", "augment"]

_FLIP = 3  # what a random number is for: the streams of one seed must differ (1 and 2 are batching's)


class Changes(NamedTuple):
    """What happens to each of n images.

    Attributes
    ----------
    flipped : (n,) bool
    top, left : (n,) integers from 0 to 2 pad, where the window begins in the padded (and flipped) image; pad is no shift
    centre_y, centre_x : (n,) integers, the centre of the square that is blanked
    """

    flipped: np.ndarray
    top: np.ndarray
    left: np.ndarray
    centre_y: np.ndarray
    centre_x: np.ndarray


@dataclass(frozen=True)
class Augmentation:
    """Flip, shift and partly blank each image, independently of the others.

    1. flip: left-right with probability 1/2; or "alternate": so in the first epoch, and in each later one the other way round than in the
       one before, so that two epochs show both (Jordan 2024, arXiv:2404.00498, section 3.6);
    2. padded crop: `pad` pixels on each side, then a window of the old size at a random place among (2 pad + 1)^2 (He et al. 2016, 4.2);
    3. cutout: a square of zeros whose centre is uniform over the image, so that it may hang over the border (DeVries & Taylor 2017).

    Zero is meant as the mean pixel: it is for *normalized* images, as `batches` makes them. (torchvision's usual order pads before it
    normalizes, and so with black.)

    Parameters
    ----------
    flip : "random" (default), "alternate" or "none"
    pad : pixels, the greatest shift in each direction (default 4; 0 leaves the images in their place)
    border : what is padded: "zero" (default), or "reflect", the image mirrored at its outermost pixels (pad must be less than its side)
    cutout : pixels, the side of the square (default 0: none)
    """

    flip: Literal["random", "alternate", "none"] = "random"
    pad: int = 4
    border: Literal["zero", "reflect"] = "zero"
    cutout: int = 0

    def __post_init__(self):
        if self.flip not in ("random", "alternate", "none"):
            raise ValueError(f"Augmentation: flip is {self.flip!r}; it must be 'random', 'alternate' or 'none'")
        if self.border not in ("zero", "reflect"):
            raise ValueError(f"Augmentation: border is {self.border!r}; it must be 'zero' or 'reflect'")
        if self.pad < 0 or self.cutout < 0:
            raise ValueError(f"Augmentation: pad={self.pad}, cutout={self.cutout}; both are numbers of pixels, at least 0")

    def check(self, image_shape):
        """Refuse images (C, H, W) that are too small for the reflection."""
        side = min(image_shape[1:])
        if self.border == "reflect" and self.pad >= side:
            raise ValueError(f"Augmentation: pad is {self.pad}; a reflected border needs less than the {side} pixels of an image's side")

    def draw(self, n, image_shape, rng, flipped=None) -> Changes:
        """Choose the changes of n images (C, H, W); `flipped` (n,) says which are flipped where the choice is not made here."""
        _, height, width = image_shape
        nothing = np.zeros(n, np.int64)
        if self.flip == "random":
            flipped = rng.random(n) < 0.5
        top, left = rng.integers(0, 2 * self.pad + 1, size=(2, n)) if self.pad else (nothing, nothing)
        centre_y, centre_x = (rng.integers(0, size, size=n) if self.cutout else nothing for size in (height, width))
        return Changes(np.zeros(n, bool) if flipped is None else flipped, top, left, centre_y, centre_x)

    def flipped(self, n, seed, epoch) -> np.ndarray | None:
        """Which of the n images of a split are flipped in an epoch, if they alternate; else None."""
        if self.flip != "alternate":
            return None
        return (np.random.default_rng([seed, _FLIP]).random(n) < 0.5) ^ (epoch % 2 == 1)

    def apply(self, images, changes) -> np.ndarray:
        """The images (N, C, H, W) with these changes, a new array."""
        n, _, height, width = images.shape
        around = ((0, 0), (0, 0), (self.pad, self.pad), (self.pad, self.pad))
        out = np.pad(images, around, mode="reflect" if self.border == "reflect" else "constant")
        # the border is the same on both sides: flipping the padded image is flipping the image
        out[changes.flipped] = out[changes.flipped, :, :, ::-1]
        if self.pad:
            windows = np.lib.stride_tricks.sliding_window_view(out, (height, width), axis=(2, 3))  # (N, C, 2 pad + 1, 2 pad + 1, H, W)
            out = windows[np.arange(n), :, changes.top, changes.left]  # (N, C, H, W), a copy
        if self.cutout:
            rows = _inside(np.arange(height), changes.centre_y, self.cutout)  # (N, H)
            columns = _inside(np.arange(width), changes.centre_x, self.cutout)  # (N, W)
            square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
            np.copyto(out, 0, where=square)
        return out


def augment(
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    flip: bool = True,
    pad: int = 4,
    border: Literal["zero", "reflect"] = "zero",
    cutout: int = 0,
) -> np.ndarray:
    """Flip (at random), shift and partly blank each image, as `Augmentation` says.

    Parameters
    ----------
    images : (N, C, H, W) of any dtype; not modified
    rng : source of all randomness
    flip : whether to flip (default True)
    pad, border, cutout : of `Augmentation`

    Returns
    -------
    (N, C, H, W), a new array of the same dtype
    """
    if images.ndim != 4:
        raise ValueError(f"augment: images have the shape {images.shape}; expected (N, C, H, W)")
    augmentation = Augmentation("random" if flip else "none", pad, border, cutout)
    augmentation.check(images.shape[1:])
    return augmentation.apply(images, augmentation.draw(len(images), images.shape[1:], rng))


def _inside(positions: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """Whether each position lies in the interval of `side` pixels around each centre: (N, positions)."""
    first = centres[:, None] - side // 2
    return (positions >= first) & (positions < first + side)
