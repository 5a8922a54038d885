"""A network that learns CIFAR-10 in a few epochs: that of airbench94 (Jordan 2024), written once as a function of an `nn` namespace.

What makes it quick: filters that whiten 2x2 patches, computed from the training images and then fixed; norms without a scale; convolutions
that begin as the identity. Source: KellerJordan/cifar10-airbench, airbench94_muon.py; "94% on CIFAR-10 in 3.29 Seconds on a Single GPU",
arXiv:2404.00498, sections 3.1 to 3.3.
"""

from typing import Annotated

from chainrule.models.checks import check_image_shape, check_numbers
from chainrule.search import Choices

__all__ = ["PATCH", "speedrun"]

Image = tuple[int, int, int]
PATCH = 2  # side of the patches that are whitened
LAST_POOL = 3
WIDTHS = Choices(((32, 64, 64), (64, 128, 128), (64, 256, 256)))


def speedrun(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    widths: Annotated[tuple[int, ...], "channels of each block of two convolutions", WIDTHS] = (64, 256, 256),
):
    """whitening conv - gelu - [conv - pool - norm - gelu - conv - norm - gelu] x 3 - pool - affine (airbench94).

    `chainrule.models.whitening.first_weights` makes the weights that it is meant to start from.
    """
    check_image_shape("speedrun", image)
    check_numbers("speedrun", "widths", widths)
    channels, height, width = image
    rows, columns = ((size - PATCH + 1) >> len(widths) for size in (height, width))
    if min(rows, columns) < LAST_POOL:
        least = (LAST_POOL << len(widths)) + PATCH - 1
        raise ValueError(
            f"speedrun: images of {height} x {width} are too small for {len(widths)} blocks, each of which halves them, and a last "
            f"{LAST_POOL} x {LAST_POOL} pooling; they must be at least {least} x {least}: give fewer widths"
        )
    whitened = 2 * channels * PATCH**2
    whitening = nn.Conv2d(channels, whitened, PATCH)
    whitening.weight.requires_grad = False
    layers, channels = [whitening, nn.GELU()], whitened
    for filters in widths:
        layers += [
            nn.Conv2d(channels, filters, 3, padding="same", bias=False),
            nn.MaxPool2d(2),
            *_norm_gelu(nn, filters),
            nn.Conv2d(filters, filters, 3, padding="same", bias=False),
            *_norm_gelu(nn, filters),
        ]
        channels = filters
    features = channels * (rows // LAST_POOL) * (columns // LAST_POOL)
    head = [nn.MaxPool2d(LAST_POOL), nn.Flatten(), nn.Linear(features, classes, bias=False), nn.Scale(1 / features)]
    return nn.Sequential(*layers, *head)


def _norm_gelu(nn, channels):
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad = False  # it stays 1
    return norm, nn.GELU()
