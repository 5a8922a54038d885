"""A trained network as one file, which says what it takes and what its scores mean."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.training.storage import save_arrays, write_file

__all__ = ["FORMATS", "write_network"]

FORMATS = {"onnx": "onnx", "safetensors": "safetensors", "torch": "pt"}  # with their suffixes


def write_network(network, data, path: Path, format: str, about: dict[str, Any] | None = None):
    """Write a trained network, whole or not at all.

    Parameters
    ----------
    network : chainrule.nn.Module
    data : Dataset that it was trained on, which says how pixels are normalized and what the classes are called
    path : of the file
    format : "onnx", the whole computation from pixels to scores; or the parameters by PyTorch's keys as "safetensors" or "torch" (what
        `torch.load` reads)
    about : more to write beside them, as text by name

    Raises
    ------
    ImportError
        The format needs a package that is not installed.
    ValueError
        There is no such format, or it cannot hold a layer of the network.
    OSError
        The file could not be written; an earlier one is intact.
    """
    if format not in FORMATS:
        raise ValueError(f"format is {format!r}; it must be one of {', '.join(FORMATS)}")
    factor, offset = (array.tolist() for array in data.scaling(np.float64))
    notes = {
        "classes": json.dumps(list(data.classes)),
        "image_shape": json.dumps(data.image_shape),
        "normalization": json.dumps({"pixel * factor - offset": {"factor": factor, "offset": offset}}),
        **(about or {}),
    }
    if format == "safetensors":
        save_arrays(path, network.state_dict(), notes)
    elif format == "torch":
        from chainrule.pytorch import torch_file

        write_file(path, torch_file(network.state_dict(), notes), what="the network")
    else:
        from chainrule.export.onnx import onnx_bytes

        write_file(path, onnx_bytes(network, data, notes), what="the network")
