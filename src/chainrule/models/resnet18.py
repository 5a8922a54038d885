"""ResNet-18 for ImageNet (He et al. 2016, table 1); layers and names are those of torchvision, whose published weights load."""

from chainrule.models.checks import check_image_shape

__all__ = ["resnet18"]

Image = tuple[int, int, int]


def resnet18(nn, image: Image = (3, 32, 32), classes: int = 10):
    """7x7 conv - 3x3 max pool - four stages of two residual blocks of 64, 128, 256, 512 filters - global average pool - affine."""
    check_image_shape("resnet18", image)
    parts = {
        "conv1": nn.Conv2d(image[0], 64, 7, stride=2, padding=3, bias=False),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(),
        "maxpool": nn.MaxPool2d(3, 2, padding=1),
    }
    channels = 64
    for stage, filters in enumerate((64, 128, 256, 512), start=1):
        stride = 1 if stage == 1 else 2
        parts[f"layer{stage}"] = nn.Sequential(_block(nn, channels, filters, stride), _block(nn, filters, filters, 1))
        channels = filters
    parts |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(channels, classes)}
    return nn.Named(nn.Sequential(*parts.values()), **parts)


def _block(nn, channels, filters, stride):
    body = {
        "conv1": nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(filters),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(filters, filters, 3, padding=1, bias=False),
        "bn2": nn.BatchNorm2d(filters),
    }
    shortcut, relu2 = nn.Identity(), nn.ReLU()
    if stride != 1 or channels != filters:
        shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
    path = nn.Sequential(nn.Residual(nn.Sequential(*body.values()), shortcut), relu2)
    return nn.Named(path, **body, downsample=shortcut, relu2=relu2)
