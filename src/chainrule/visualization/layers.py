"""A network's layers by what a person calls them, and what they hold: the first filters, the maps for an image."""

import difflib
from typing import TYPE_CHECKING

import numpy as np

from chainrule.nn.probe import AtLayer

if TYPE_CHECKING:
    from chainrule.visualization.networks import Network

__all__ = ["feature_maps", "find_layer", "first_layer"]

MOST_LAYERS = 12  # that are shown unless some are named


def find_layer(network: "Network", text: str) -> str:
    """The name of the layer that `text` names: in full ("features.4"), or by its end ("4"), of several that of the outermost.

    Raises
    ------
    ValueError
        There is no such layer, with those that are spelled almost so; or there are several, none further out than the others.
    """
    names = [name for name in network.probe.names() if name]
    fitting = [name for name in names if name == text or name.endswith(f".{text}")]
    outermost = [name for name in fitting if name.count(".") == min(name.count(".") for name in fitting)]
    if len(outermost) > 1:
        raise ValueError(f"{text!r} fits {len(outermost)} layers of {network.name}: {', '.join(outermost)}; name one in full")
    if outermost:
        return outermost[0]
    near = difflib.get_close_matches(text, names, n=5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"{network.name} has no layer {text!r}; its {len(names)} layers go from {names[0]} to {names[-1]}{hint}")


def feature_maps(network: "Network", x, names: list[str] | None = None) -> dict[str, AtLayer]:
    """What layers with places put out for one image, by name.

    Parameters
    ----------
    x : (1, C, H, W), normalized
    names : of layers, as `find_layer` takes them (default: activations, or all layers where there are none; at most 12, evenly spread)

    Raises
    ------
    ValueError
        A layer puts out no maps.
    """
    if names:
        layers = network.probe.layers(x, list(dict.fromkeys(find_layer(network, name) for name in names)))
        flat = [name for name, layer in layers.items() if layer.out.ndim != 4]
        if flat:
            raise ValueError(f"{flat[0]} puts out {layers[flat[0]].out.shape}, no maps (N, K, h, w); choose a layer before it")
        return layers
    maps = {name: layer for name, layer in network.probe.layers(x).items() if layer.out.ndim == 4 and layer.out[0, 0].size > 1}
    if not maps:
        raise ValueError(f"{network.name} has no layer that puts out maps (N, K, h, w): it sees no places")
    activations = {name: layer for name, layer in maps.items() if layer.kind.endswith(("ReLU", "GELU", "Sigmoid", "Tanh"))} or maps
    chosen = np.unique(np.linspace(0, len(activations) - 1, MOST_LAYERS).round().astype(int))
    return {name: activations[name] for name in np.array(list(activations))[chosen].tolist()}


def first_layer(network: "Network") -> tuple[str, np.ndarray]:
    """Name and weights of the first layer that has any: (F, C, h, w), those of an affine layer in the shape of the image.

    Raises
    ------
    ValueError
        They are no pictures.
    """
    for name, weights in network.probe.parameters().items():
        if weights.ndim == 4:
            return name, weights
        if weights.ndim == 2 and weights.shape[1] == np.prod(network.image_shape):
            return name, weights.reshape(len(weights), *network.image_shape)
    raise ValueError(f"the weights of {network.name} are no pictures: its first layer sees no image")
