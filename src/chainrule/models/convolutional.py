"""Plain convolutional networks, each written once as a function of an `nn` namespace."""

from typing import Annotated

from chainrule.models.checks import check_image_shape, check_number, check_numbers
from chainrule.models.normalization import NORMALIZATIONS, ImageNormalization, image_normalization
from chainrule.search import Choices, Range

__all__ = ["convnet", "three_layer_convnet"]

Image = tuple[int, int, int]
CHANNELS = Choices(((16, 32), (32, 64), (16, 32, 64), (32, 64, 128), (64, 128, 256)))


def three_layer_convnet(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    filters: Annotated[int, "filters of the convolution", Range(16, 128, log=True)] = 32,
    kernel_size: Annotated[int, "side of the filters, odd", Choices((3, 5, 7))] = 7,
    hidden_dim: Annotated[int, "width of the hidden layer", Range(50, 400, log=True)] = 100,
):
    """conv - relu - 2x2 max pool - affine - relu - affine (CS231n assignment 2)."""
    check_image_shape("three_layer_convnet", image)
    channels, height, width = image
    for name, value in (("filters", filters), ("kernel_size", kernel_size), ("hidden_dim", hidden_dim)):
        check_number("three_layer_convnet", name, value)
    if kernel_size % 2 == 0:
        raise ValueError(f"three_layer_convnet: kernel_size is {kernel_size}; it must be odd, so that padding keeps the image's size")
    if min(height, width) < 2:
        raise ValueError(f"three_layer_convnet: images of {height} x {width} are too small for the 2 x 2 pooling")
    return nn.Sequential(
        nn.Conv2d(channels, filters, kernel_size, padding=kernel_size // 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(filters * (height // 2) * (width // 2), hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, classes),
    )


def convnet(
    nn,
    image: Image = (3, 32, 32),
    classes: int = 10,
    *,
    channels: Annotated[tuple[int, ...], "filters of each block; a 2x2 pooling follows every block", CHANNELS] = (32, 64, 128),
    convolutions: Annotated[int, "convolutions of each block", Range(1, 3)] = 1,
    hidden_dims: Annotated[tuple[int, ...], "width of each hidden layer", Choices(((), (100,), (200,), (400,)))] = (),
    normalization: Annotated[ImageNormalization | None, "normalize before each activation", NORMALIZATIONS] = None,
    dropout: Annotated[float, "probability to drop a hidden value", Range(0.0, 0.5)] = 0.0,
):
    """[[conv - norm - relu] x M - 2x2 max pool] x N - [affine - relu] x L - affine, of any depth.

    The filters are 3x3, and dropout comes before each affine layer.
    """
    check_image_shape("convnet", image)
    width, height, breadth = image
    check_numbers("convnet", "channels", channels)
    check_numbers("convnet", "hidden_dims", hidden_dims)
    check_number("convnet", "convolutions", convolutions)
    possible = min(height, breadth).bit_length() - 1  # halvings that leave a pixel
    if len(channels) > possible:
        raise ValueError(
            f"convnet: images of {height} x {breadth} can be halved {possible} times, and there are {len(channels)} blocks, each with a "
            f"pooling; give at most {possible} numbers of channels"
        )
    layers = []
    for filters in channels:
        for _ in range(convolutions):
            # a normalization has a shift of its own
            layers.append(nn.Conv2d(width, filters, 3, padding=1, bias=normalization is None))
            if normalization is not None:
                layers.append(image_normalization(nn, normalization, filters))
            layers.append(nn.ReLU())
            width = filters
        layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    width *= (height >> len(channels)) * (breadth >> len(channels))
    for hidden_dim in hidden_dims:
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers += [nn.Linear(width, hidden_dim), nn.ReLU()]
        width = hidden_dim
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(width, classes))
