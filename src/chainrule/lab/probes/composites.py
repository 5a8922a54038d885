"""Probes of the affine layer with ReLU."""

from chainrule.lab.probes.affine import backward_probes, forward_probes

__all__ = ["PROBES"]

PROBES = {"affine_relu_forward": forward_probes("affine_relu_forward"), "affine_relu_backward": backward_probes("affine_relu")}
