"""Answers to what the page asks: the network is opened, the image read, the class found, and a view made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chainrule.data import Dataset
from chainrule.visualization.explorer import views
from chainrule.visualization.images import decode_image
from chainrule.visualization.networks import Network, load_network, load_run_network
from chainrule.weights import PUBLISHED

__all__ = ["Explorer", "Question"]

OPEN = 2  # networks that are kept in memory, with the data of their runs


@dataclass(frozen=True)
class Question:
    """What the page asks about.

    Attributes
    ----------
    network : name of a published one or of a run
    photo : the bytes of an image file; b"" if `sample` is meant
    name : of that file, for errors
    sample : number of an image in the test split of the run's data
    wanted : a class, as `find_class` understands it; "" for the one that the network sees
    method : of saliency, in `chainrule.visualization.METHODS`
    layer : name of a layer, for activations
    """

    network: str
    photo: bytes = b""
    name: str = "the image"
    sample: int | None = None
    wanted: str = ""
    method: str = "gradient"
    layer: str = ""


class Explorer:
    """The networks that can be looked into, opened when they are asked about.

    Parameters
    ----------
    network : the one that the page begins with
    weights : a file to take the weights of that network from (default: the published ones)
    engine : "hand", or "torch" for the twins
    runs : folder of all runs
    data_folder : where the data of runs, and published weights, lie (default: where `chainrule.data` looks)
    checkpoint : of the runs, "best" or "last"

    Raises
    ------
    ValueError, OSError
        There is no such network, or it cannot be opened. Published weights are fetched when they are asked about, not here.
    """

    def __init__(
        self,
        network: str = "squeezenet1_1",
        *,
        weights: Path | None = None,
        engine: Literal["hand", "torch"] = "hand",
        runs: Path = Path("runs"),
        data_folder: Path | None = None,
        checkpoint: Literal["best", "last"] = "best",
    ):
        self.network, self.weights, self.runs, self.data_folder, self.checkpoint = network, weights, runs, data_folder, checkpoint
        self.engine: Literal["hand", "torch"] = engine
        self._opened: dict[str, tuple[Network, Dataset | None]] = {}
        if weights is not None or network not in PUBLISHED:
            self.opened(network)

    def answers(self, view: str, question: Question) -> Iterator[dict[str, Any]]:
        """One answer, or one for each step as it is computed.

        Raises
        ------
        ValueError, OSError
            as `load_network`, `read_image` and `find_class` do.
        """
        if view == "networks":
            yield self.networks()
            return
        network, data = self.opened(question.network)
        match view:
            case "network":
                yield {
                    "name": network.name,
                    "image": " × ".join(map(str, network.image_shape)),
                    "pixelated": max(network.image_shape[1:]) < 64,
                    "classes": network.classes,
                    "layers": views.layers(network),
                    "samples": len(data.test) if data is not None else 0,
                }
            case "scores":
                yield views.scores(network, *_image(network, data, question))
            case "saliency":
                x, _ = _image(network, data, question)
                yield views.saliency(network, x, question.method, _class(network, question.wanted) if question.wanted else None)
            case "activations":
                x, _ = _image(network, data, question)
                yield views.activations(network, x, question.layer)
            case "filters":
                yield views.filters(network)
            case "fooling":
                x, label = _image(network, data, question)
                yield from views.fooling_image_steps(network, x, _class(network, question.wanted), label)
            case "class":
                yield from views.class_image_steps(network, _class(network, question.wanted))
            case _:
                raise ValueError(f"there is no view {view!r}")

    def networks(self) -> dict[str, Any]:
        """The names that can be chosen, "published" and "runs", and the one to begin with, "chosen"."""
        from chainrule.training import runs

        found = [run.name for run in runs(self.runs) if run.fault is None and self.checkpoint in run.checkpoints]
        return {"published": list(PUBLISHED), "runs": found, "chosen": self.network, "engine": self.engine}

    def opened(self, name: str) -> tuple[Network, Dataset | None]:
        """The network of that name, and the data of its run; those asked about last are kept."""
        opened = self._opened.pop(name, None) or self._open(name)
        self._opened = dict([*self._opened.items(), (name, opened)][-OPEN:])
        return opened

    def _open(self, name):
        weights = self.weights if name == self.network else None
        if name in PUBLISHED or weights is not None or not (self.runs / name / "config.json").is_file():
            return load_network(name, engine=self.engine, weights=weights, runs=self.runs, data_folder=self.data_folder), None
        network, data = load_run_network(name, engine=self.engine, runs=self.runs, checkpoint=self.checkpoint, data_folder=self.data_folder)
        channels, height, width = network.image_shape
        if channels not in (1, 3) or height * width == 1:
            raise ValueError(f"run {name!r} takes {channels} x {height} x {width} values, which are no image; choose another")
        return network, data


def _image(network: Network, data: Dataset | None, question: Question) -> tuple[np.ndarray, int | None]:
    """x of the image, and its label if that is known."""
    if question.sample is None:
        return network.prepare(decode_image(question.photo, question.name)), None
    if data is None:
        raise ValueError(f"{network.name} brings no images along; choose a photograph")
    if not 0 <= question.sample < len(data.test):
        raise ValueError(f"there is no test image {question.sample}; {data.name} has 0 to {len(data.test) - 1:,}")
    row = slice(question.sample, question.sample + 1)
    return data.normalize(data.test.images[row], network.dtype), int(data.test.labels[question.sample])


def _class(network: Network, text: str) -> int:
    if not text.strip():
        raise ValueError("name a class first, or a part of its name")
    return network.find_class(text)
