"""Trains a network of PyTorch or TensorFlow with what a learner wrote, and once more with the library's.

Runs in the learner's process (`lab.child`); the networks are in `torch_learning` and `tensorflow_learning`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.lab.learning import BATCH

__all__ = ["BARE", "CONVNET", "HIDDEN", "THREE_LAYER", "TWO_LAYER", "FrameworkRun", "two_layer_shapes"]

HIDDEN = 50  # units of the networks of two layers
CONVNET = 8, 16  # filters of those of three
TWO_LAYER, THREE_LAYER = "affine - relu - affine", "conv - relu - conv - relu - affine"
BARE = ("random_weight", "zero_weight", "sgd_step")  # what level 1 takes beside a network

Step = Callable[[np.ndarray, np.ndarray], Any]  # x, y -> loss, after one update
Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FrameworkRun:
    """A network to train, for images (N, 3, H, W).

    Attributes
    ----------
    title : what is trained
    file : of the workspace, whose functions and classes may be the learner's
    library : the module that has them otherwise
    names : of those functions and classes; the first has to be the learner's
    begin : (them, (3, H, W), classes, seed) -> one step of training, and scores
    """

    title: str
    file: str
    library: Any
    names: tuple[str, ...]
    begin: Callable[[Any, tuple[int, ...], int, int], tuple[Step, Scores]]

    def train(self, written: Mapping[str, Mapping[str, Any]], dataset: Dataset, say: Callable[..., None], *, epochs: int, seed: int):
        """As `chainrule.lab.learning.Run.train`."""
        own = {name: written[self.file][name] for name in self.names if name in written.get(self.file, {})}
        if self.names[0] not in own:
            return
        say(run=self.title, uses=[*own], steps=epochs * -(-len(dataset.train) // BATCH), drawn=True)
        x, y = _arrays(dataset, dataset.train)
        for who, functions in (("library", {}), ("yours", own)):
            given = SimpleNamespace(**({name: getattr(self.library, name) for name in self.names} | functions))
            step, scores = self.begin(given, x.shape[1:], len(dataset.classes), seed)
            if _fit(step, x, y, epochs, seed, lambda number, loss, who=who: say(who=who, step=number, loss=loss)):
                images, labels = _arrays(dataset, dataset.val)
                say(who=who, accuracy=float((scores(images).argmax(axis=1) == labels).mean()))


def _fit(step, x, y, epochs, seed, report):
    """Whether all losses were finite numbers."""
    number = 0
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            loss = float(step(x[rows], y[rows]))
            if not math.isfinite(loss):
                return False
            number += 1
            report(number, loss)
    return True


def _arrays(dataset, split):
    """Normalized images of three channels, and labels."""
    images = dataset.normalize(split.images)
    return np.repeat(images, 3 // images.shape[1], axis=1), split.labels


def two_layer_shapes(image, classes):
    """Of the weights of a network of two layers, without biases."""
    return [(math.prod(image), HIDDEN), (HIDDEN, classes)]
