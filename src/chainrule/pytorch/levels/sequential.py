"""Level 3, a list of layers: enough wherever the data go straight through. It is trained as a class is."""

from torch import nn

__all__ = ["three_layer_convnet", "two_layer_fc"]


def two_layer_fc(input_size, hidden_size, num_classes):
    """affine - relu - affine, without biases; x is flattened. Weights begin as draws from N(0, 2 / fan_in)."""
    return _initialised(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(input_size, hidden_size, bias=False),
            nn.ReLU(),
            nn.Linear(hidden_size, num_classes, bias=False),
        )
    )


def three_layer_convnet(in_channel, channel_1, channel_2, num_classes, side=32):
    """conv 5x5 - relu - conv 3x3 - relu - affine, for images (in_channel, side, side); the padding keeps their size.

    Weights begin as draws from N(0, 2 / fan_in), biases at 0.
    """
    return _initialised(
        nn.Sequential(
            nn.Conv2d(in_channel, channel_1, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(channel_1, channel_2, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channel_2 * side * side, num_classes),
        )
    )


def _initialised(network):
    """Weights ~ N(0, 2 / fan_in), biases 0."""
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.zeros_(parameter)
    return network
