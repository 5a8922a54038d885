"""The pictures that visualizations end in, as matplotlib figures: maps beside their image, fooling images, grids of filters and maps.

Images are 8-bit pixels, (H, W) grey or (H, W, 3) RGB, as `Network.to_pixels` gives them one by one.
"""

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.training.storage import write_file
from chainrule.visualization.pictures import magnified, overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["activation_figure", "attribution_figure", "embedding_figure", "fooling_figure", "row_figure", "save_figure", "tiles_figure"]

STYLE: dict[Any, Any] = {"text.parse_math": False, "font.family": "sans-serif", "font.size": 9}  # a name with $ is a name
CHANNELS = 12  # of a layer that are shown: those with the greatest mean


def attribution_figure(image, attribution, title: str, quantity: str) -> "Figure":
    """An image, the map of what decides in it, with a colour bar, and both one above the other.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) uint8
    attribution : (H, W), at least 0
    title : what the image was taken for
    quantity : what the map shows, with its unit
    """
    with _drawing(9.6, 3.6) as figure:
        left, middle, right = figure.subplots(1, 3)
        _show(left, image, "image")
        shown = middle.imshow(attribution, cmap="inferno", vmin=0, vmax=np.percentile(attribution, 99.5) or attribution.max() or 1)
        middle.set_title("attribution")
        figure.colorbar(shown, ax=middle, label=textwrap.fill(quantity, 32), extend="max", shrink=0.85)
        _show(right, overlay(image[None], attribution[None])[0], "overlay")
        for axes in (left, middle, right):
            axes.set_axis_off()
        figure.suptitle(title)
    return figure


def fooling_figure(before, after, titles: tuple[str, str], how_long: str) -> "Figure":
    """An image, what was added to it, magnified to be seen, and the sum, which is taken for something else.

    Parameters
    ----------
    before, after : uint8, alike
    titles : what each is taken for
    how_long : what lies between them, "after 5 steps"
    """
    difference, factor, greatest = magnified(before, after)
    change = f"difference, {factor} times magnified\n(at most {greatest} of 255 grey levels; grey is none)"
    return row_figure([(titles[0], before), (change, difference), (titles[1], after)], how_long)


def row_figure(pictures: Sequence[tuple[str, np.ndarray]], title: str) -> "Figure":
    """Pictures side by side.

    Parameters
    ----------
    pictures : what is written above each, and the picture, (H, W) or (H, W, 3) uint8
    title : over all of them
    """
    with _drawing(3.2 * len(pictures), 4.1) as figure:
        for axes, (name, pixels) in zip(figure.subplots(1, len(pictures), squeeze=False).flat, pictures, strict=True):
            _show(axes, pixels, name)
        figure.suptitle(title)
    return figure


def tiles_figure(tiles, title: str, *, columns: int | None = None, names=None) -> "Figure":
    """Pictures in a grid.

    Parameters
    ----------
    tiles : (K, h, w) or (K, h, w, 3) uint8
    title : over all of them
    columns : of the grid (default: about as many as rows)
    names : of each tile, written above it (default: none)
    """
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    with _drawing(max(4.0, 0.7 * columns), 0.6 + 0.7 * rows * (1.3 if names else 1)) as figure:
        for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            axes.set_axis_off()
            if index < len(tiles):
                _show(axes, tiles[index], names[index] if names else "")
        figure.suptitle(title)
    return figure


def activation_figure(image, layers: dict, title: str) -> "Figure":
    """What layers put out for one image: a row for each, the channels with the greatest mean first, each scaled by itself.

    Parameters
    ----------
    image : (H, W) or (H, W, 3) uint8
    layers : `chainrule.nn.probe.AtLayer` by name, with outputs (1, K, h, w)
    title : over all of them
    """
    with _drawing(0.8 * (CHANNELS + 2), 1.4 + 0.9 * len(layers)) as figure:
        grid = figure.subplots(1 + len(layers), 1 + CHANNELS, squeeze=False, width_ratios=[2, *[1] * CHANNELS])
        for axes in grid.flat:
            axes.set_axis_off()
        _show(grid[0, 0], image)
        for (words, *row), (name, layer) in zip(grid[1:], layers.items(), strict=True):
            maps = layer.out[0]
            words.text(0, 0.5, f"{name}\n{layer.kind}, {' x '.join(map(str, maps.shape))}", fontsize=7, va="center")
            strongest = np.argsort(-maps.mean(axis=(1, 2)), kind="stable")
            for axes, channel in zip(row, strongest, strict=False):
                axes.imshow(maps[channel], cmap="inferno")
                axes.set_title(str(channel), fontsize=6, pad=2)
        figure.suptitle(title)
    return figure


def embedding_figure(points, labels, classes, title: str) -> "Figure":
    """Points of a plane, coloured by class.

    Parameters
    ----------
    points : (N, 2)
    labels : (N,) classes of the points
    classes : names
    title : over all of them
    """
    from matplotlib import colormaps

    with _drawing(7.2, 5.6) as figure:
        axes = figure.subplots()
        colours = colormaps["tab10" if len(classes) <= 10 else "turbo"]
        present = [index for index in range(len(classes)) if np.any(labels == index)]
        names = []
        for index in present:
            colour = colours(index) if len(classes) <= 10 else colours(index / (len(classes) - 1))
            axes.scatter(*points[labels == index].T, s=10, color=colour, alpha=0.75, linewidths=0, label=classes[index])
            middle = np.median(points[labels == index], axis=0)
            if len(present) <= 20:  # names at their places, too: ten colours are hard to tell apart
                box = {"fc": "white", "alpha": 0.7, "lw": 0, "pad": 1}
                names.append(axes.annotate(classes[index], (middle[0], middle[1]), ha="center", va="center", fontsize=8, bbox=box))
        axes.set(xticks=[], yticks=[], title=title)
        if len(present) <= 20:
            figure.legend(loc="outside right upper", frameon=False, markerscale=2)
        _leave_out_what_overlaps(figure, names)
    return figure


def save_figure(figure: "Figure", path: Path | str, description: str) -> Path:
    """Write a figure as PNG, whole or not at all, with a description for whoever cannot see it (its Description field)."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Description": description})
    write_file(path, file.getvalue(), what="the picture")
    return Path(path)


@contextmanager
def _drawing(width, height) -> "Iterator[Figure]":
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure((width, height), layout="constrained")


def _leave_out_what_overlaps(figure, texts):
    """Of texts that would lie on one another, the first stays."""
    figure.draw_without_rendering()  # places them
    kept = []
    for text in texts:
        place = text.get_window_extent().padded(3)  # points: the box around it
        if place.count_overlaps(kept):
            text.remove()
        else:
            kept.append(place)


def _show(axes, image, title="", **font):
    axes.imshow(image, cmap="gray" if image.ndim == 2 else None, vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, **font)
    axes.set_axis_off()
