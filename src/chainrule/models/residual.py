"""Residual networks for small images (He et al. 2016, section 4.2), written once as a function of an `nn` namespace."""

from typing import Annotated

from chainrule.models.checks import check_image_shape, check_number, check_numbers
from chainrule.models.normalization import NORMALIZATIONS, ImageNormalization, image_normalization
from chainrule.search import Choices, Range

__all__ = ["resnet"]

Image = tuple[int, int, int]
BLOCKS = Choices(((1, 1), (2, 2), (1, 1, 1), (2, 2, 2), (3, 3, 3)))
EXPANSION = 4  # of a bottleneck: its output has so many times the channels that its 3x3 convolution has


def resnet(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    blocks: Annotated[tuple[int, ...], "residual blocks of each stage", BLOCKS] = (
        2,
        2,
        2,
    ),
    width: Annotated[int, "channels of the first stage; each further one has twice as many", Range(8, 64, log=True)] = 16,
    bottleneck: Annotated[bool, "blocks of 1x1 - 3x3 - 1x1 convolutions with four times the channels, instead of 3x3 - 3x3"] = False,
    shortcuts: Annotated[bool, "off: the plain network of the same layers, for comparison"] = True,
    normalization: Annotated[ImageNormalization | None, "normalize before each activation", NORMALIZATIONS] = "batch",
    dropout: Annotated[float, "probability to drop a hidden value", Range(0.0, 0.3)] = 0.0,
):
    """conv - stages of residual blocks - global average pool - affine; blocks 3 3 3 are ResNet-20.

    Every stage but the first begins with stride 2, at half the resolution of the one before. Where a block changes the shape, its shortcut
    is a 1x1 convolution and a norm (the paper's option B; its networks for CIFAR-10 pad with zeros, option A, which has 2,752 parameters
    less in ResNet-20). A bottleneck's stride sits on its 3x3 convolution, as in torchvision. Dropout drops channels, between the
    convolutions of a block.
    """
    check_image_shape("resnet", image)
    check_numbers("resnet", "blocks", blocks)
    check_number("resnet", "width", width)
    if not blocks:
        raise ValueError("resnet: blocks is empty; give the number of blocks of each stage, at least one")

    channels = image[0]
    layers = [*_conv_norm(nn, normalization, channels, width, 3), nn.ReLU()]
    channels = width
    for stage, count in enumerate(blocks):
        inner = width << stage
        outer = EXPANSION * inner if bottleneck else inner
        for block in range(count):
            stride = 2 if stage and not block else 1
            body = _bottleneck if bottleneck else _basic
            path = nn.Sequential(*body(nn, normalization, dropout, channels, inner, stride))
            if shortcuts:
                changes = stride != 1 or channels != outer
                path = nn.Residual(path, nn.Sequential(*_conv_norm(nn, normalization, channels, outer, 1, stride)) if changes else None)
            layers.append(nn.Sequential(path, nn.ReLU()))
            channels = outer
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _basic(nn, normalization, dropout, channels, inner, stride):
    return [
        *_conv_norm(nn, normalization, channels, inner, 3, stride),
        nn.ReLU(),
        *_dropout(nn, dropout),
        *_conv_norm(nn, normalization, inner, inner, 3),
    ]


def _bottleneck(nn, normalization, dropout, channels, inner, stride):
    return [
        *_conv_norm(nn, normalization, channels, inner, 1),
        nn.ReLU(),
        *_dropout(nn, dropout),
        *_conv_norm(nn, normalization, inner, inner, 3, stride),
        nn.ReLU(),
        *_dropout(nn, dropout),
        *_conv_norm(nn, normalization, inner, EXPANSION * inner, 1),
    ]


def _conv_norm(nn, normalization, channels, filters, kernel_size, stride=1):
    convolution = nn.Conv2d(channels, filters, kernel_size, stride, padding=kernel_size // 2, bias=normalization is None)
    return [convolution] if normalization is None else [convolution, image_normalization(nn, normalization, filters)]


def _dropout(nn, dropout):
    return [nn.Dropout2d(dropout)] if dropout else []
