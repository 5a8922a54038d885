"""A trained network with all that is needed to show it an image: a published one, or that of a run, in either engine."""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chainrule import nn
from chainrule.data import Dataset
from chainrule.models import MODELS
from chainrule.nn.probe import Probe
from chainrule.visualization.images import fit
from chainrule.visualization.probes import probe
from chainrule.weights import PUBLISHED, find_class, imagenet_classes, load_weights

__all__ = ["Network", "load_network", "load_run_network", "softmax"]


DIVERGED = "its parameters are damaged, or its training diverged"


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, and how an image becomes its input.

    Attributes
    ----------
    name : "squeezenet1_1", or that of a run
    module : chainrule.nn.Module or torch.nn.Module, in eval mode
    classes : the name of each class; of ImageNet all its names, "tabby, tabby cat"
    image_shape : (C, H, W) of one image
    scale : the pixel value that stood for 1 in the training images: 255, or 16 for the digits
    mean, std : of each channel, in units of `scale`; x = (pixels / scale - mean) / std
    """

    name: str
    module: Any
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64, that of the module's parameters."""
        return self.probe.dtype

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """An image as the network takes it: cut to its size, grey if it sees one channel, normalized.

        Parameters
        ----------
        pixels : (H, W, 3) uint8, as `read_image` gives it

        Returns
        -------
        (1, C, H, W) of the module's dtype
        """
        channels, height, width = self.image_shape
        values = fit(pixels, height, width) / 255.0
        if channels == 1:
            values = values @ np.array([[0.299], [0.587], [0.114]])  # luma of ITU-R 601, as Pillow's "L"
        return ((values.transpose(2, 0, 1)[None] - self._column(self.mean)) / self._column(self.std)).astype(self.dtype, order="C")

    def to_pixels(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `prepare`, clipped to black and white.

        Parameters
        ----------
        x : (N, C, H, W)

        Returns
        -------
        (N, H, W, 3) uint8, or (N, H, W) for C = 1
        """
        values = np.asarray(x, np.float64) * self._column(self.std) + self._column(self.mean)
        pixels = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
        return pixels[:, 0] if pixels.shape[1] == 1 else np.ascontiguousarray(np.moveaxis(pixels, 1, -1))

    @property
    def low(self) -> np.ndarray:
        """x of black, (1, C, 1, 1): no smaller value comes from an image."""
        return (-self._column(self.mean) / self._column(self.std)).astype(self.dtype)

    @property
    def high(self) -> np.ndarray:
        """x of white, (1, C, 1, 1): no greater value comes from an image."""
        return ((1 - self._column(self.mean)) / self._column(self.std)).astype(self.dtype)

    def scores(self, x: np.ndarray) -> np.ndarray:
        """The network's output for x in eval mode, without gradients.

        Parameters
        ----------
        x : (N, C, H, W) of the module's dtype

        Returns
        -------
        (N, classes)

        Raises
        ------
        ValueError
            They are not finite numbers.
        """
        scores = self.probe.scores(x)
        if not np.isfinite(scores).all():
            raise ValueError(f"the scores of {self.name} are not finite numbers; {DIVERGED}")
        return scores

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """The softmax of the scores, (N, classes) float64."""
        return softmax(self.scores(x))

    def stored(self, x: np.ndarray) -> np.ndarray:
        """x (1, C, H, W) as it comes back from a file of 8-bit pixels."""
        (pixels,) = self.to_pixels(x)
        return self.prepare(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))

    def find_class(self, text: str) -> int:
        """The index of the class that `text` names, as `chainrule.weights.find_class`."""
        return find_class(self.classes, text)

    def class_name(self, index: int) -> str:
        """The first name of a class."""
        return self.classes[index].split(", ")[0]

    @cached_property
    def probe(self) -> Probe:
        """The network looked into."""
        return probe(self.module)

    @staticmethod
    def _column(values):
        return np.array(values, np.float64).reshape(1, -1, 1, 1)


def softmax(scores: np.ndarray) -> np.ndarray:
    """(N, classes) scores -> probabilities, float64."""
    exponentials = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def load_network(
    name: str = "squeezenet1_1",
    *,
    engine: Literal["hand", "torch"] = "hand",
    weights: str | os.PathLike | None = None,
    runs: Path | str = Path("runs"),
    checkpoint: str = "best",
    data_folder: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Network:
    """A published network by its name, or that of a run.

    Parameters
    ----------
    name : in `chainrule.weights.PUBLISHED`, or else of a run
    engine : "hand", or "torch" for the twin
    weights : a file to take a published network's weights from, as for `load_weights` (default: the published ones, fetched once)
    runs : folder of all runs
    checkpoint : of a run, "best" (by validation accuracy) or "last"
    data_folder : where the dataset of a run, and published weights, lie (default: where `chainrule.data` looks)
    progress : called with (bytes so far, bytes in all, 0 if unknown) while weights are downloaded

    Raises
    ------
    ValueError
        There is neither; the weights are those of another network, or not finite; or as `load_weights` and `load_run` raise it.
    """
    if name in PUBLISHED:
        return _published(name, engine, weights, data_folder, progress)
    if not (Path(runs) / name / "config.json").is_file():
        raise ValueError(f"no network is called {name!r}: {_choices(name, runs)}")
    if weights is not None:
        raise ValueError(f"weights from a file are for {', '.join(PUBLISHED)}; run {name!r} has its own")
    return load_run_network(name, engine=engine, runs=runs, checkpoint=checkpoint, data_folder=data_folder)[0]


def load_run_network(
    name: str,
    *,
    engine: Literal["hand", "torch"] = "hand",
    runs: Path | str = Path("runs"),
    checkpoint: str = "best",
    data_folder: Path | str | None = None,
) -> tuple[Network, Dataset]:
    """The network of a run, and the data that it was trained on; arguments as for `load_network`."""
    from chainrule.training import Run, load_run

    _, data, trainer = load_run(Run.open(runs, name), checkpoint=checkpoint, folder=data_folder, engine=engine)
    _check_finite(name, trainer.engine.model_state())
    mean, std = tuple(map(float, data.mean)), tuple(map(float, data.std))
    return Network(name, trainer.engine.model.eval(), data.classes, data.image_shape, data.scale, mean, std), data


def _published(name, engine, path, data_folder, progress):
    entry = PUBLISHED[name]
    build, arguments, classes = MODELS[entry.model], entry.arguments, imagenet_classes()
    module = build(nn, entry.image_shape, len(classes), **arguments)
    arrays = load_weights(name, path, folder=None if data_folder is None else Path(data_folder) / "weights", progress=progress)
    for key, array in arrays.items():
        if array.dtype.kind != "f" and not key.endswith(".num_batches_tracked"):
            raise ValueError(f"{path or entry.file}: {key} is of dtype {array.dtype}; weights are floating point numbers")
    # files from before PyTorch 0.4.1 do not count the batches; the number is used in training alone
    own = module.state_dict()
    arrays |= {key: own[key] for key in own if key.endswith(".num_batches_tracked") and key not in arrays}
    try:
        module.load_state_dict(arrays)
    except ValueError as error:
        first, *more = str(error).partition(": ")[2].split("; ")
        if any(key.startswith("module.") for key in arrays):
            first, more = "their names begin with 'module.', as nn.DataParallel's do; store model.module.state_dict()", []
        raise ValueError(f"{path or entry.file}: these are not the weights of {name}: {first}{'; and more' if more else ''}") from error
    _check_finite(name, arrays)
    if engine == "torch":
        from chainrule import pytorch

        twin = build(pytorch.nn, entry.image_shape, len(classes), **arguments)
        pytorch.copy_weights(module, twin)
        module = twin
    return Network(name, module.eval(), classes, entry.image_shape, 255.0, entry.mean, entry.std)


def _check_finite(name, arrays):
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{key} of {name} has numbers that are not finite; {DIVERGED}")


def _choices(name, folder):
    from chainrule.training import runs

    own = [run.name for run in runs(folder)]
    near = difflib.get_close_matches(name, [*PUBLISHED, *own])
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"neither of the published ones ({', '.join(PUBLISHED)}) nor of the {len(own)} runs in {folder}{hint}"
