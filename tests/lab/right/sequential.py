"""Right lists of layers, none of them the library's."""

from collections import OrderedDict

import torch
from torch import nn


def named_layers(input_size, hidden_size, num_classes):
    layers = OrderedDict(
        rows=nn.Flatten(start_dim=1),
        first=nn.Linear(input_size, hidden_size, bias=False),
        active=nn.ReLU(inplace=True),
        second=nn.Linear(hidden_size, num_classes, bias=False),
    )
    with torch.no_grad():
        for layer in (layers["first"], layers["second"]):
            layer.weight.normal_(std=(2 / layer.in_features) ** 0.5)
    return nn.Sequential(layers)


def nested(input_size, hidden_size, num_classes):
    hidden = nn.Sequential(nn.Flatten(), nn.Linear(input_size, hidden_size, bias=False), nn.Threshold(0, 0))
    network = nn.Sequential(hidden, nn.Linear(hidden_size, num_classes, bias=False))
    network.apply(lambda layer: nn.init.kaiming_normal_(layer.weight, nonlinearity="relu") if isinstance(layer, nn.Linear) else None)
    return network


def appended(in_channel, channel_1, channel_2, num_classes, side=32):
    network, channels = nn.Sequential(), in_channel
    for filters, size in ((channel_1, 5), (channel_2, 3)):
        network.append(nn.Conv2d(channels, filters, size, padding=size // 2)).append(nn.ReLU())
        channels = filters
    network.append(nn.Flatten()).append(nn.Linear(channels * side * side, num_classes))
    for parameter in network.parameters():
        _ = nn.init.kaiming_normal_(parameter) if parameter.ndim > 1 else nn.init.zeros_(parameter)
    return network


def padded_layers(in_channel, channel_1, channel_2, num_classes, side=32):
    """Padding as layers, and the affine layer as a convolution over the whole image."""
    network = nn.Sequential(
        nn.ZeroPad2d(2),
        nn.Conv2d(in_channel, channel_1, 5),
        nn.ReLU(),
        nn.ZeroPad2d(1),
        nn.Conv2d(channel_1, channel_2, 3),
        nn.ReLU(),
        nn.Conv2d(channel_2, num_classes, side),
        nn.Flatten(),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in")
            nn.init.zeros_(layer.bias)
    return network


RIGHT = [
    ("named layers", {"two_layer_fc": named_layers}),
    ("nested", {"two_layer_fc": nested}),
    ("appended", {"three_layer_convnet": appended}),
    ("padding as layers, and a convolution at the end", {"three_layer_convnet": padded_layers}),
]
