"""The normalization of convolutional networks, by the name that the command line uses."""

import math
from typing import Literal

from chainrule.search import Choices

__all__ = ["NORMALIZATIONS", "ImageNormalization", "image_normalization"]

ImageNormalization = Literal["batch", "layer", "group"]
NORMALIZATIONS = Choices((None, "batch", "layer", "group"))

GROUPS = 8  # the paper's 32 leave a channel each in the narrow networks here; groups of 4 to 16 channels do as well (Wu & He 2018, table 3)


def image_normalization(nn, normalization, channels):
    """The layer for images of so many channels.

    Parameters
    ----------
    normalization : "batch"; "layer", over all channels and pixels of an image; or "group", 8 groups of channels (as many as the number of
        channels allows)
    channels : C of the layer's input (N, C, H, W)
    """
    if normalization == "batch":
        return nn.BatchNorm2d(channels)
    if normalization == "layer":
        return nn.GroupNorm(1, channels)
    if normalization == "group":
        return nn.GroupNorm(math.gcd(GROUPS, channels), channels)
    raise ValueError(f'normalization is {normalization!r}; it must be "batch", "layer", "group" or None')
