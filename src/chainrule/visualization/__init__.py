"""Looking inside a network: what decides in an image, what fools it, what a class and a layer look like to it."""

from chainrule.visualization.attribution import (
    completeness_error,
    grad_cam,
    guided_backprop,
    input_gradients,
    integrated_gradients,
    saliency_maps,
    smooth_grad,
    strongest_channel,
    upsample,
)
from chainrule.visualization.images import fit, read_image
from chainrule.visualization.networks import Network, load_network
from chainrule.visualization.optimization import (
    Fooling,
    class_visualization,
    class_visualization_steps,
    feature_inversion,
    feature_inversion_steps,
    fooling_steps,
    make_fooling_image,
)

__all__ = [
    "Fooling",
    "Network",
    "class_visualization",
    "class_visualization_steps",
    "completeness_error",
    "feature_inversion",
    "feature_inversion_steps",
    "fit",
    "fooling_steps",
    "grad_cam",
    "guided_backprop",
    "input_gradients",
    "integrated_gradients",
    "load_network",
    "make_fooling_image",
    "read_image",
    "saliency_maps",
    "smooth_grad",
    "strongest_channel",
    "upsample",
]
