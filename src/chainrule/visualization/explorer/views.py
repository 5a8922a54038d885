"""What the page shows of a network and an image, as JSON has it: numbers, names, and pictures as data URLs.

x is (1, C, H, W), as the network takes it.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.visualization.layers import find_layer, first_layer
from chainrule.visualization.networks import Network, softmax
from chainrule.visualization.optimization import class_visualization_steps, fooling_steps
from chainrule.visualization.pictures import data_url, extent, heat, magnified, overlay, reduced, weight_pixels
from chainrule.visualization.saliency import METHODS
from chainrule.visualization.saliency import saliency as saliency_of

__all__ = ["activations", "class_image_steps", "filters", "fooling_image_steps", "layers", "saliency", "scores"]

TOP = 5
TILES, TILE_SIDE = 64, 64  # channels and filters that are shown, at most; pixels
FOOLING_STEPS, CLASS_STEPS = 100, 200


def scores(network: Network, x: np.ndarray, label: int | None = None) -> dict[str, Any]:
    """The image that the network sees, the classes that it holds most likely, and the true one if it is known."""
    out = network.scores(x)[0]
    order = out.argsort()[::-1]
    return {
        "picture": data_url(_picture(network, x), quick=True),
        "top": [_class(network, index, out) for index in order[:TOP]],
        "true": None if label is None else _class(network, label, out),
    }


def saliency(network: Network, x: np.ndarray, method: str, target: int | None = None) -> dict[str, Any]:
    """Which pixels matter for a class (default: the one that the network sees), as colours over the image.

    Returns
    -------
    "overlay" and "map" are pictures, "low" and "high" the numbers at the ends of the scale "colours", and "quantity" is what they measure
    """
    out = network.scores(x)[0]
    target = int(out.argmax()) if target is None else target
    maps = saliency_of(network, x, target, method=method)[None]
    low, high = (float(end[0, 0, 0]) for end in extent(maps))
    pixels = _picture(network, x)
    return {
        "overlay": data_url(overlay(pixels[None], maps)[0], quick=True),
        "map": data_url(heat(maps)[0], quick=True),
        "class": _class(network, target, out),
        "low": low,
        "high": high,
        "quantity": METHODS[method],
        "colours": _colours(),
    }


def layers(network: Network) -> list[dict[str, Any]]:
    """Name, kind and shape of every layer, in the order in which they are computed."""
    seen = network.probe.layers(np.zeros((1, *network.image_shape), network.dtype))
    return [{"name": name, "kind": at.kind, "shape": " × ".join(map(str, at.out.shape[1:]))} for name, at in seen.items()]


def activations(network: Network, x: np.ndarray, layer: str) -> dict[str, Any]:
    """What a layer puts out: the channels with the greatest values, on one scale; of a layer without places, all units as one picture."""
    layer = find_layer(network, layer)
    out = network.probe.layers(x, [layer])[layer].out[0]
    maps = out if out.ndim == 3 and out[0].size > 1 else _square(out.reshape(-1))[None]
    order = np.argsort(-maps.max(axis=(1, 2)), kind="stable")[:TILES]
    shown = reduced(maps[order][None], TILE_SIDE)[0]
    strip = shown.reshape(1, -1, shown.shape[2])
    low, high = (float(end[0, 0, 0]) for end in extent(strip))
    tiles = heat(strip)[0].reshape(*shown.shape, 3)
    return {
        "layer": layer,
        "channels": len(maps),
        "places": maps is out,
        "units": out.size,
        "low": low,
        "high": high,
        "colours": _colours(),
        "tiles": [
            {"channel": int(channel), "low": float(maps[channel].min()), "high": float(maps[channel].max()), "picture": data_url(tile)}
            for channel, tile in zip(order, tiles, strict=True)
        ],
    }


def _square(values):
    """(D,) -> about as many rows as columns, row by row; what is left over is the smallest value."""
    columns = math.ceil(math.sqrt(len(values)))
    rows = -(-len(values) // columns)
    padded = np.full(rows * columns, values.min())
    padded[: len(values)] = values
    return padded.reshape(rows, columns)


def filters(network: Network) -> dict[str, Any]:
    """The first layer's weights as pictures, those of the greatest norm first; no tiles if they are no pictures."""
    try:
        name, weights = first_layer(network)
    except ValueError:  # nothing is wrong with such a network: it only has none to show
        return {"layer": None, "units": 0, "tiles": []}
    norms = np.linalg.norm(weights.reshape(len(weights), -1).astype(np.float64), axis=1)
    units = np.argsort(-norms, kind="stable")[:TILES]
    pictures = weight_pixels(reduced(weights[units], TILE_SIDE))
    return {
        "layer": name,
        "units": len(weights),
        "tiles": [{"unit": int(unit), "picture": data_url(tile)} for unit, tile in zip(units, pictures, strict=True)],
    }


def fooling_image_steps(network: Network, x: np.ndarray, target: int, label: int | None = None) -> Iterator[dict[str, Any]]:
    """The image of each step until the network takes it for `target`, what was changed, and what the network thinks meanwhile.

    Every image has whole grey levels: as a file, it fools as well. "from" is the class of the label if there is one, else the one that the
    network saw at first.
    """
    start = _picture(network, x)
    origin = label
    steps = fooling_steps(network.module, x, target, steps=FOOLING_STEPS, low=network.low, high=network.high, stored=network.stored)
    for step in steps:
        if step.fooled and step.steps == 0:
            raise ValueError(f"the image is taken for {network.class_name(target)} as it is; choose another class")
        origin = int(step.before[0].argmax()) if origin is None else origin
        pixels = _picture(network, step.x)
        difference, gain, largest = magnified(start, pixels)
        yield {
            "step": step.steps,
            "steps": FOOLING_STEPS,
            "fooled": step.fooled,
            "picture": data_url(pixels, quick=True),
            "difference": data_url(difference, quick=True),
            "gain": gain,
            "largest": largest,
            "from": _class(network, origin, step.scores[0]),
            "target": _class(network, target, step.scores[0]),
        }


def class_image_steps(network: Network, target: int) -> Iterator[dict[str, Any]]:
    """What a class looks like to the network, from noise on."""
    steps = class_visualization_steps(
        network.module,
        target,
        shape=network.image_shape,
        steps=CLASS_STEPS,
        low=network.low,
        high=network.high,
        rng=np.random.default_rng(0),
    )
    for number, (x, score) in enumerate(steps, 1):
        yield {
            "step": number,
            "steps": CLASS_STEPS,
            "picture": data_url(_picture(network, x), quick=True),
            "score": score,
            "target": network.classes[target],
        }


def _picture(network, x):
    return network.to_pixels(x)[0]


def _class(network, index, scores):
    """A class with its score and its probability."""
    return {
        "index": int(index),
        "name": network.classes[index],
        "score": float(scores[index]),
        "probability": float(softmax(scores[None])[0, index]),
    }


def _colours():
    """The colours of `heat` from the least to the greatest number, as a picture."""
    return data_url(heat(np.linspace(0, 1, 256)[None, None])[0], quick=True)
