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
from chainrule.visualization.embedding import embed, hidden_features
from chainrule.visualization.figures import (
    activation_figure,
    attribution_figure,
    embedding_figure,
    fooling_figure,
    row_figure,
    save_figure,
    tiles_figure,
)
from chainrule.visualization.images import fit, read_image
from chainrule.visualization.layers import feature_maps, find_layer, first_layer
from chainrule.visualization.networks import Network, load_network, load_run_network, softmax
from chainrule.visualization.optimization import (
    Fooling,
    class_visualization,
    class_visualization_steps,
    feature_inversion,
    feature_inversion_steps,
    fooling_steps,
    make_fooling_image,
)
from chainrule.visualization.probes import probe
from chainrule.visualization.saliency import METHODS, saliency

__all__ = [
    "METHODS",
    "Fooling",
    "Network",
    "activation_figure",
    "attribution_figure",
    "class_visualization",
    "class_visualization_steps",
    "completeness_error",
    "embed",
    "embedding_figure",
    "feature_inversion",
    "feature_inversion_steps",
    "feature_maps",
    "find_layer",
    "first_layer",
    "fit",
    "fooling_figure",
    "fooling_steps",
    "grad_cam",
    "guided_backprop",
    "hidden_features",
    "input_gradients",
    "integrated_gradients",
    "load_network",
    "load_run_network",
    "make_fooling_image",
    "probe",
    "read_image",
    "row_figure",
    "saliency",
    "saliency_maps",
    "save_figure",
    "smooth_grad",
    "softmax",
    "strongest_channel",
    "tiles_figure",
    "upsample",
]
