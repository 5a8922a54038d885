"""SqueezeNet (Iandola et al. 2016, arXiv:1602.07360), 1.0 and 1.1: as many right answers as AlexNet's, with 50 times fewer parameters.

Layers and names are those of torchvision, whose published weights load.
"""

from typing import Annotated, Literal

from chainrule.models.checks import check_image_shape

__all__ = ["squeezenet"]

Image = tuple[int, int, int]
# (filters, kernel size) of the first convolution; then "pool", or a Fire module's squeeze and expand filters (half 1x1, half 3x3)
LAYERS = {
    "1.0": ((96, 7), "pool", (16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192), (64, 256), "pool", (64, 256)),
    "1.1": ((64, 3), "pool", (16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192), (48, 192), (64, 256), (64, 256)),
}

POOLED = 8  # pixels of a side that the first pooling needs: each of three makes s // 2 of s


def squeezenet(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    version: Annotated[Literal["1.0", "1.1"], "1.1 reaches what 1.0 does with 2.4 times fewer operations"] = "1.1",
):
    """conv - relu - [pool, Fire] x 8 - dropout - 1x1 conv - relu - global average pool.

    A Fire module squeezes its channels with 1x1 filters, then expands them with 1x1 and 3x3 filters side by side. Any image is taken that
    is not too small for the three poolings.
    """
    check_image_shape("squeezenet", image)
    if version not in LAYERS:
        raise ValueError(f"squeezenet: version is {version!r}; it must be one of {', '.join(LAYERS)}")
    (filters, kernel_size), *rest = LAYERS[version]
    least = kernel_size + 2 * (POOLED - 1)
    if min(image[1:]) < least:
        raise ValueError(f"squeezenet: images of {image[1]} x {image[2]} are too small; version {version} takes {least} x {least} and more")
    layers = [nn.Conv2d(image[0], filters, kernel_size, stride=2), nn.ReLU()]
    channels = filters
    for layer in rest:
        if layer == "pool":
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        else:
            layers.append(_fire(nn, channels, *layer))
            channels = 2 * layer[1]
    features = nn.Sequential(*layers)
    classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(channels, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    flatten = nn.Flatten()
    return nn.Named(nn.Sequential(features, classifier, flatten), features=features, classifier=classifier, flatten=flatten)


def _fire(nn, channels, squeeze, expand):
    parts = {
        "squeeze": nn.Conv2d(channels, squeeze, 1),
        "squeeze_activation": nn.ReLU(),
        "expand1x1": nn.Conv2d(squeeze, expand, 1),
        "expand1x1_activation": nn.ReLU(),
        "expand3x3": nn.Conv2d(squeeze, expand, 3, padding=1),
        "expand3x3_activation": nn.ReLU(),
    }
    first, first_activation, *both = parts.values()
    expansion = nn.Concat(nn.Sequential(*both[:2]), nn.Sequential(*both[2:]))
    return nn.Named(nn.Sequential(first, first_activation, expansion), **parts)
