"""Mistakes in level 3 of TensorFlow, lists of layers: those of the same networks as classes."""

from chainrule.lab.mistakes.tf_modules import convnet_mistakes, two_layer_mistakes

__all__ = ["MISTAKES"]

MISTAKES = (*two_layer_mistakes("two_layer_fc"), *convnet_mistakes("three_layer_convnet"))
