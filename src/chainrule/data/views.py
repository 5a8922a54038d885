"""Test-time augmentation: views of an image, whose scores are averaged (Jordan 2024, arXiv:2404.00498, section 3.5)."""

from typing import NamedTuple

import numpy as np

__all__ = ["VIEWS", "View", "view"]


class View(NamedTuple):
    """How an image is looked at.

    Attributes
    ----------
    weight : of its scores in the average; those of all views add up to 1
    shift : pixels, -1, 0 or 1, by which the window moves along the diagonal; the border is mirrored
    mirrored : left and right are exchanged
    """

    weight: float
    shift: int = 0
    mirrored: bool = False


# by the name of the augmentation; "mirror-shift" is that of airbench94
VIEWS: dict[str, tuple[View, ...]] = {
    "none": (View(1.0),),
    "mirror": (View(0.5), View(0.5, mirrored=True)),
    "mirror-shift": tuple(View(0.125 if shift else 0.25, shift, mirrored) for shift in (0, -1, 1) for mirrored in (False, True)),
}


def view(images: np.ndarray, shift: int, mirrored: bool) -> np.ndarray:
    """The images (N, C, H, W) as a `View` has them, C-contiguous. Its twin for tensors is in `chainrule.pytorch.batches`."""
    if shift:
        height, width = images.shape[2:]
        around, first = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect"), 1 + shift
        images = around[:, :, first : first + height, first : first + width]
    return np.ascontiguousarray(images[..., ::-1] if mirrored else images)
