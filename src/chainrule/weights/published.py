"""Weights that others trained and published."""

import difflib
import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.cifar10_files import default_folder
from chainrule.data.fetching import Report, check_file, exclusively, fetch
from chainrule.training.storage import load_arrays, save_arrays
from chainrule.weights.torch_file import read_torch_file

__all__ = ["PUBLISHED", "URL", "Published", "load_weights"]

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

    @property
    def sha256(self) -> str:
        """The first digits of it."""
        return self.file.removesuffix(".pth").rpartition("-")[2]


PUBLISHED = {
    "squeezenet1_0": Published("squeezenet1_0-b66bff10.pth", "squeezenet", {"version": "1.0"}),
    "squeezenet1_1": Published("squeezenet1_1-b8a52dc0.pth", "squeezenet", {"version": "1.1"}),
    "resnet18": Published("resnet18-f37072fd.pth", "resnet18"),
}


def _entry(name: str) -> Published:
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
    url: str | None = None,
    progress: Report | None = None,
) -> dict[str, np.ndarray]:
    """The state_dict of a published network: from a file of one's own, or else the published one, downloaded at the first call.

    The download (5 MB for SqueezeNet, 47 MB for ResNet-18) is checked, read without running anything in it, and stored as safetensors with
    a checksum of its arrays. That is compared at every later call: it tells of damage and of changes by hand, not of somebody who computes
    it anew. A .pth file of the published name that somebody has put into `folder` is used instead of a download. Two processes may call
    this at once: one downloads, the other waits. After an interruption, call it again.

    Parameters
    ----------
    name : in PUBLISHED; with a `path` it does not matter
    path : a .safetensors file, or one that PyTorch wrote (.pth, .pt); nothing is downloaded or stored then
    folder : where the arrays are stored (default: "weights" in the folder for data sets, `chainrule.data.default_folder`)
    url : where the published files are (default: torchvision's); their checksums hold for a mirror, too
    progress : called with (bytes so far, bytes in all, 0 if unknown) during the download

    Returns
    -------
    Arrays by name; those of a PyTorch file are read-only.

    Raises
    ------
    ConnectionError
        if the download fails.
    ValueError
        if the file has another checksum, or is none of weights; if what was stored has changed since.
    OSError
        if a file cannot be read or written.
    """
    if path is not None:
        path = Path(path)
        return load_arrays(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    entry = _entry(name)
    folder = default_folder() / "weights" if folder is None else Path(folder).expanduser()
    stored = folder / f"{name}.safetensors"
    if not stored.exists():
        with exclusively(folder, f".{name}.lock", f"the weights of {name} take up to 100 MB while they are stored"):
            if not stored.exists():  # else another process was faster
                _store(entry, stored, url or URL, progress)
    return _stored(entry, stored)


def _store(entry: Published, stored: Path, url: str, progress: Report | None) -> None:
    """Everything unfinished lies in one hidden folder, which only the holder of the lock touches; the last step is a rename."""
    folder = stored.parent
    scratch = folder / f".{stored.stem}-download"
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    scratch.mkdir()
    try:
        if (source := folder / entry.file).is_file():
            check_file(source, f"sha256:{entry.sha256}")
        else:
            otherwise = f"fetch the file by other means and put it into {folder}, or give it with --weights FILE"
            address = f"{url.rstrip('/')}/{entry.file}"
            source = fetch(address, scratch, f"sha256:{entry.sha256}", otherwise=otherwise, progress=progress)
        arrays = read_torch_file(source)
        with open(source, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        metadata = {"source": entry.file, "source_sha256": digest, "arrays_sha256": _checksum(arrays)}
        save_arrays(stored, arrays, metadata, what="the weights")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _stored(entry: Published, stored: Path) -> dict[str, np.ndarray]:
    changed = ValueError(f"{stored} was damaged or changed since it was stored; remove it, and the weights are fetched again")
    try:
        arrays, metadata = load_arrays(stored)
    except ValueError as error:
        raise changed from error
    if not metadata.get("source_sha256", "").startswith(entry.sha256) or metadata.get("arrays_sha256") != _checksum(arrays):
        raise changed
    return arrays


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """sha256 over names, types, shapes and numbers."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
