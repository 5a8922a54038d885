"""Weights that others trained and published."""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.training.storage import load_arrays
from chainrule.weights.torch_file import read_torch_file

__all__ = ["PUBLISHED", "URL", "Published", "load_weights", "published"]

URL = "https://download.pytorch.org/models/"


@dataclass(frozen=True)
class Published:
    """A network and the file with its weights.

    Attributes
    ----------
    file : its name; the hexadecimal digits before ".pth" are the first of its sha256
    model : name in `chainrule.models.MODELS`
    arguments : of that model
    image_shape : (C, H, W) that it was trained on
    mean, std : of each channel, of pixels in [0, 1]
    """

    file: str
    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    image_shape: tuple[int, int, int] = (3, 224, 224)
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


PUBLISHED = {
    "squeezenet1_0": Published("squeezenet1_0-b66bff10.pth", "squeezenet", {"version": "1.0"}),
    "squeezenet1_1": Published("squeezenet1_1-b8a52dc0.pth", "squeezenet", {"version": "1.1"}),
    "resnet18": Published("resnet18-f37072fd.pth", "resnet18"),
}


def published(name: str) -> Published:
    """The entry of PUBLISHED. ValueError names those that there are."""
    if name not in PUBLISHED:
        near = difflib.get_close_matches(name, PUBLISHED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"no weights are published under the name {name!r}; there are {', '.join(PUBLISHED)}{hint}")
    return PUBLISHED[name]


def load_weights(
    name: str = "squeezenet1_1",
    path: str | os.PathLike | None = None,
    *,
    folder: Path | str | None = None,
    url: str = URL,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The state_dict of a published network."""
    if path is not None:
        path = Path(path)
        return load_arrays(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    published(name)
    raise NotImplementedError
