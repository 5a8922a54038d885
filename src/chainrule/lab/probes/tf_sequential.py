"""Probes of level 3 of TensorFlow, lists of layers; tensorflow is imported when a probe runs."""

from chainrule.lab.probes.tf_modules import convnet_probes, structure, two_layer_probes
from chainrule.lab.probing import Probe

__all__ = ["PROBES"]


def with_image(*image):
    return (image,)


def without_image(name, *arguments):
    left_out = "where the size of the images is left out, which makes it (32, 32, 3)"
    return Probe("images (32, 32, 3), their size left out", structure(name, arguments, (32, 32, 3)), {}, left_out, "shape")


PROBES = {
    "two_layer_fc": (*two_layer_probes("two_layer_fc", with_image), without_image("two_layer_fc", 4, 7)),
    "three_layer_convnet": (*convnet_probes("three_layer_convnet", with_image), without_image("three_layer_convnet", 4, 2, 7)),
}
