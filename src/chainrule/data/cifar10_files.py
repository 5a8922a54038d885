"""The files of CIFAR-10 (Krizhevsky 2009) as its two archives unpack them: where they are, whether they are whole, what is in them.

    cifar-10-batches-py/    data_batch_1 .. 5, test_batch: pickled dictionaries, "data" (10000, 3072) uint8 and "labels"; batches.meta
    cifar-10-batches-bin/   data_batch_1.bin .. 5, test_batch.bin: 10,000 records of 1 byte of label and 3072 of pixels; batches.meta.txt

A row of 3072 pixels is 1024 red, 1024 green, 1024 blue, each plane row by row: (3, 32, 32).
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from chainrule.data.unpickling import load_dictionary

__all__ = [
    "BATCHES",
    "CLASSES",
    "FOLDERS",
    "Description",
    "default_folder",
    "describe",
    "file_names",
    "find_cifar10",
    "read_batch",
    "read_batches",
]

Kind = Literal["python", "binary"]

FOLDERS: dict[Kind, str] = {"python": "cifar-10-batches-py", "binary": "cifar-10-batches-bin"}
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

_ROWS, _PIXELS = 10_000, 3072
_PICKLE_BYTES = (
    _ROWS * _PIXELS,
    2 * _ROWS * _PIXELS,
)  # the pixels, and room for labels and names; twice as many if Python 3 wrote them as text

# md5 of the files in the official cifar-10-python.tar.gz; nobody publishes those of the binary files
_OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}


@dataclass(frozen=True)
class Description:
    """What lies in a folder of CIFAR-10.

    Attributes
    ----------
    folder : the folder with the batches
    kind : "python" or "binary"
    size : bytes of all its files
    train, test : number of images
    classes : their names
    official : whether every file has the md5 of the official one; None for the binary files, for which no md5 is published
    changed : names of the files that have another md5
    """

    folder: Path
    kind: Kind
    size: int
    train: int
    test: int
    classes: tuple[str, ...]
    official: bool | None
    changed: tuple[str, ...]


def default_folder() -> Path:
    """The folder for data sets: CHAINRULE_DATA if it is set, else the user's data folder."""
    import platformdirs

    named = os.environ.get("CHAINRULE_DATA")
    return Path(named).expanduser() if named else platformdirs.user_data_path("chainrule")


def file_names(kind: Kind) -> tuple[str, ...]:
    """The files that a folder of that kind must have."""
    if kind == "python":
        return (*BATCHES, "batches.meta")
    return (*(f"{batch}.bin" for batch in BATCHES), "batches.meta.txt")


def find_cifar10(folder: Path | str | None = None) -> Path | None:
    """The folder with the batches, or None.

    Parameters
    ----------
    folder : contains cifar-10-batches-py or cifar-10-batches-bin, or is one of them (default: `default_folder()`). Where both are, the
        first one counts. A folder that lacks a file does not count.
    """
    folder = default_folder() if folder is None else Path(folder).expanduser()
    for kind, name in FOLDERS.items():
        for candidate in (folder / name, folder):
            if all((candidate / file).is_file() for file in file_names(kind)):
                return candidate
    return None


def describe(folder: Path | str | None = None) -> Description:
    """Read and check all files of CIFAR-10 in a folder (0.5 s). Raises as `read_batches`."""
    folder = _found(folder)
    kind = _kind(folder)
    for _ in read_batches(folder):
        pass
    changed = [name for name in file_names(kind) if kind == "python" and _md5(folder / name) != _OFFICIAL_MD5[name]]
    return Description(
        folder=folder,
        kind=kind,
        size=sum((folder / name).stat().st_size for name in file_names(kind)),
        train=5 * _ROWS,
        test=_ROWS,
        classes=CLASSES,
        official=not changed if kind == "python" else None,
        changed=tuple(changed),
    )


def read_batches(folder: Path | str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (images, labels) of data_batch_1 .. data_batch_5 and test_batch, one in memory at a time.

    Parameters
    ----------
    folder : as for `find_cifar10`

    Yields
    ------
    images : (10000, 3, 32, 32) uint8, read-only
    labels : (10000,) int64, 0 to 9

    Raises
    ------
    FileNotFoundError
        where there is no complete CIFAR-10.
    ValueError
        naming the file that is cut, tampered with, or holds something else; also, at the end, for other than 5,000 training and 1,000 test
        images in a class, since then a batch is there twice or in the place of another.
    """
    folder = _found(folder)
    _check_classes(folder)
    train_counts = np.zeros(len(CLASSES), dtype=np.int64)
    for batch in BATCHES:
        path = folder / (batch if _kind(folder) == "python" else f"{batch}.bin")
        images, labels = read_batch(path)
        counts = np.bincount(labels, minlength=len(CLASSES))
        if batch == "test_batch":
            _check_counts(folder, "training", train_counts, 5_000)
            _check_counts(path, "test", counts, 1_000)
        train_counts += counts
        yield images, labels


def read_batch(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """(images, labels) of one batch file, which is of the binary kind if its name ends in .bin; as `read_batches` yields them."""
    path = Path(path)
    pixels, labels = _read_binary(path) if path.suffix == ".bin" else _read_python(path)
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        index = int(((labels < 0) | (labels >= len(CLASSES))).argmax())
        raise ValueError(f"{path}: label {labels[index]} of image {index}; expected 0 to 9; get the file again")
    return pixels.reshape(_ROWS, 3, 32, 32), labels


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    expected = _ROWS * (1 + _PIXELS)
    if (size := path.stat().st_size) != expected:
        raise ValueError(f"{path}: {size:,} bytes; expected {expected:,} (10,000 records of 1 + 3072); get the file again")
    records = np.fromfile(path, dtype=np.uint8).reshape(_ROWS, 1 + _PIXELS)
    records.flags.writeable = False
    return np.ascontiguousarray(records[:, 1:]), records[:, 0].astype(np.int64)


def _read_python(path: Path) -> tuple[np.ndarray, np.ndarray]:
    least, most = _PICKLE_BYTES
    if not least < (size := path.stat().st_size) < most:
        raise ValueError(
            f"{path}: {size:,} bytes; expected between {least:,} and {most:,} (the official files have some 31,035,700); get it again"
        )
    entries = load_dictionary(path.read_bytes(), str(path))
    if missing := {"data", "labels"} - entries.keys():
        raise ValueError(f"{path}: no {' and no '.join(sorted(missing))} in it, only {sorted(entries)}; get the file again")
    pixels, labels = entries["data"], entries["labels"]
    if not isinstance(pixels, np.ndarray) or pixels.shape != (_ROWS, _PIXELS):
        found = f"an array {pixels.shape}" if isinstance(pixels, np.ndarray) else f"a {type(pixels).__name__}"
        raise ValueError(f"{path}: data is {found}; expected a uint8 array (10000, 3072); get the file again")
    if not isinstance(labels, list) or len(labels) != _ROWS or not all(type(label) is int for label in labels):
        found = f"a list of {len(labels):,}" if isinstance(labels, list) else f"a {type(labels).__name__}"
        raise ValueError(f"{path}: labels is {found}; expected a list of 10,000 integers; get the file again")
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)


def _check_classes(folder: Path) -> None:
    if _kind(folder) == "python":
        path = folder / "batches.meta"
        listed = load_dictionary(_read_small(path), str(path)).get("label_names", [])
        found = tuple(name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in listed)
    else:
        path = folder / "batches.meta.txt"
        found = tuple(_read_small(path).decode("latin-1").split())
    if found != CLASSES:
        raise ValueError(f"{path}: names the classes {', '.join(found) or 'not at all'}; expected {', '.join(CLASSES)}: is this CIFAR-10?")


def _read_small(path: Path) -> bytes:
    if (size := path.stat().st_size) > 10_000:
        raise ValueError(f"{path}: {size:,} bytes; expected some hundred; get the file again")
    return path.read_bytes()


def _check_counts(path: Path, what: str, counts: np.ndarray, expected: int) -> None:
    if (counts != expected).any():
        raise ValueError(f"{path}: {counts.tolist()} {what} images in the ten classes; expected {expected:,} in each; get the files again")


def _found(folder: Path | str | None) -> Path:
    found = find_cifar10(folder)
    if found is None:
        place = default_folder() if folder is None else folder
        raise FileNotFoundError(
            f"no complete CIFAR-10 in {place} (neither {' nor '.join(FOLDERS.values())}, with all files); "
            "`chainrule data get cifar10` downloads it, or set CHAINRULE_DATA to the folder where you have it"
        )
    return found


def _kind(folder: Path) -> Kind:
    return "python" if (folder / BATCHES[0]).is_file() else "binary"


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
