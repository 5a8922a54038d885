"""Every way of attribution under one name, as maps of one number a pixel: what the command line and the explorer offer."""

from typing import TYPE_CHECKING

import numpy as np

from chainrule.visualization.attribution import (
    grad_cam,
    guided_backprop,
    input_gradients,
    integrated_gradients,
    smooth_grad,
    strongest_channel,
    upsample,
)

if TYPE_CHECKING:
    from chainrule.visualization.networks import Network

__all__ = ["METHODS", "saliency"]

METHODS = {  # and what their maps show
    "gradient": "|d score / d x|, strongest channel",
    "smoothgrad": "|mean of d score / d x over noise|, strongest channel",
    "integrated-gradients": "|share of the score|, strongest channel",
    "grad-cam": "weighted feature maps, in units of the score",
    "guided": "|guided d score / d x|, strongest channel",
}


def saliency(network: "Network", x, label: int, *, method: str = "gradient", seed: int = 0) -> np.ndarray:
    """What in one image decides about a class.

    Parameters
    ----------
    x : (1, C, H, W), normalized
    label : the class
    method : in `METHODS`
    seed : of SmoothGrad's noise

    Returns
    -------
    (H, W), at least 0; METHODS[method] says what it is
    """
    module = network.module
    match method:
        case "gradient":
            attributions = input_gradients(module, x, label)
        case "smoothgrad":
            attributions = smooth_grad(module, x, label, rng=np.random.default_rng(seed))
        case "integrated-gradients":
            attributions = integrated_gradients(module, x, label)
        case "guided":
            attributions = guided_backprop(module, x, label)
        case "grad-cam":
            return np.maximum(upsample(grad_cam(module, x, label), *x.shape[2:]), 0)[0]
        case _:
            raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    return strongest_channel(attributions)[0]
