"""Probes of level 3 of PyTorch, lists of layers; torch is imported when a probe runs."""

from chainrule.lab.probes.modules import (
    beginnings,
    convnet_probes,
    convnet_sizes,
    sides,
    structure,
    two_layer_probes,
    two_layer_sizes,
)
from chainrule.lab.probing import Probe

__all__ = ["PROBES"]

PROBES = {
    "two_layer_fc": (
        Probe("3 features, 4 hidden, 5 classes", structure("two_layer_fc", 3, 4, 5)),
        *two_layer_probes("two_layer_fc"),
        Probe("how the weights begin", beginnings("two_layer_fc", 32, 128, 512, shapes=two_layer_sizes(32, 128, 512)[0])),
    ),
    "three_layer_convnet": (
        Probe("images (1, 4, 4), 2 and 3 filters, 5 classes", structure("three_layer_convnet", 1, 2, 3, 5, 4)),
        Probe(
            "images (3, 32, 32), the side left out",
            structure("three_layer_convnet", 3, 4, 2, 7),
            {},
            "where the side of the images is left out, which makes it 32",
            "shape",
        ),
        *convnet_probes("three_layer_convnet"),
        Probe("sizes of images on the way", sides("three_layer_convnet", 3, 4, 2, 7, 8, image=(1, 3, 8, 8))),
        Probe("how the weights begin", beginnings("three_layer_convnet", 5, 57, 16, 32, 8, shapes=convnet_sizes(5, 57, 16, 32, 8)[0])),
    ),
}
