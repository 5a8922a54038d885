"""Reads the weights in a PyTorch file without PyTorch, and without running what a pickle can make Python run.

`torch.save` writes a pickle in which a tensor is a call, `_rebuild_tensor_v2(storage, offset, size, stride, ...)`, and a storage is a name
for numbers that lie outside the pickle:

    zip       since PyTorch 1.6: FOLDER/data.pkl, and FOLDER/data/KEY with the numbers of each storage; nothing is compressed
    legacy    a pickle of a magic number, one of the version, one of the machine, one of the object, one of the storages' keys in order;
              then for each storage the number of its items (int64) and the items

The calls are answered with views of the file's bytes, checked to lie inside them: no claim in a file makes it allocate.
"""

import io
import math
import os
import pickle
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data.restricted_unpickler import NONSENSE, Dictionary, RestrictedUnpickler
from chainrule.training.storage import read_file

__all__ = ["read_torch_file"]

_OPCODES = [
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT, pickle.BINUNICODE, pickle.SHORT_BINSTRING),
    *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.REDUCE, pickle.BUILD, pickle.BINPERSID),
]
_MOST_INSTRUCTIONS = 1_000_000  # a tensor takes some 50
_MOST_ENTRIES = 20_000  # of a zip: a tensor is one, and zipfile makes an object of each before anything can be checked

_ZIP = b"PK\x03\x04"
_LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # its magic number


def read_torch_file(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The state_dict in a .pth or .pt file, of the zip format or the one before PyTorch 1.6.

    Parameters
    ----------
    path : holds a state_dict, or a dictionary with one under "state_dict", as training scripts save them

    Returns
    -------
    Arrays by name, in the file's order; read-only views of what was read. bfloat16, which NumPy lacks, becomes float32, exactly.

    Raises
    ------
    ValueError
        for any other file: another object, another name in the pickle (a whole pickled model has them), a tensor that reaches outside its
        storage, a damaged or cut file.
    OSError
        if it cannot be read.
    """
    content = read_file(path)
    try:
        if content.startswith(_ZIP):
            loaded = _from_zip(content)
        elif content.startswith(_LEGACY):
            loaded = _from_legacy(content)
        else:
            raise ValueError(f"it begins with {content[:12]!r}" if content else "it is empty")
        return {name: tensor.array() for name, tensor in _state_dict(loaded).items()}
    except (*NONSENSE, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        reason = "it ends too early" if isinstance(error, (EOFError, struct.error)) else error
        raise ValueError(
            f"{path}: {reason}; expected what torch.save(model.state_dict(), path) writes; nothing in the file was executed"
        ) from error


def _state_dict(loaded) -> dict[str, "Tensor"]:
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError("it holds an empty dictionary" if isinstance(loaded, dict) else f"it holds a {type(loaded).__name__}")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            hint = "; if that is the state_dict, store it alone" if isinstance(value, dict) else ""
            raise ValueError(f"its entry {reprlib.repr(name)} is of type {type(value).__name__}, not a tensor{hint}")
    return loaded


def _from_zip(content: bytes):
    if content.count(b"PK\x01\x02") > _MOST_ENTRIES:
        raise ValueError(f"it has more than {_MOST_ENTRIES:,} entries")
    if not zipfile.is_zipfile(io.BytesIO(content)):  # it begins as one, but has no directory, which stands at its end
        raise EOFError
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its entries are compressed")
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("its entries claim more bytes than the file has")
        folders = [entry.filename.removesuffix("/data.pkl") for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(folders) != 1:
            raise ValueError(f"it is a zip with {len(folders) or 'no'} data.pkl in it")
        order = f"{folders[0]}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian")

        def storage(key, kind, count):
            return _Storage(kind, count).filled(archive.read(f"{folders[0]}/data/{key}"))

        stream = io.BytesIO(archive.read(f"{folders[0]}/data.pkl"))
        return _Unpickler(stream, storage).load()


def _from_legacy(content: bytes):
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}

    def storage(key, kind, count):
        storages[key] = _Storage(kind, count)
        return storages[key]

    _, version, machine, loaded, keys = (_Unpickler(stream, storage).load() for _ in range(5))
    if version != 1001:
        raise ValueError("it is of another version of the format than 1001")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("its list of storages is not that of its tensors")
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        start, size = stream.tell(), storages[key].count * storages[key].kind.itemsize
        if count != storages[key].count:
            raise ValueError(f"storage {reprlib.repr(key)} has {count:,} items; its tensors claim {storages[key].count:,}")
        storages[key].filled(memoryview(content)[start : start + size])
        stream.seek(size, io.SEEK_CUR)
    if stream.tell() != len(content):
        raise ValueError(f"{len(content) - stream.tell():,} bytes follow its end")
    return loaded


@dataclass(frozen=True)
class _Kind:
    """The class of a storage: which numbers are in it, little-endian."""

    stored: str
    widened: bool = False

    @property
    def itemsize(self) -> int:
        return np.dtype(self.stored).itemsize

    def numbers(self, content: bytes | memoryview) -> np.ndarray:
        items = np.frombuffer(content, self.stored)
        if self.widened:  # bfloat16 is the upper half of a float32
            return (items.astype(np.uint32) << 16).view(np.float32)
        return items.astype(np.dtype(self.stored).newbyteorder("="), copy=False)


_KINDS = {
    "torch.HalfStorage": _Kind("<f2"),
    "torch.BFloat16Storage": _Kind("<u2", widened=True),
    "torch.FloatStorage": _Kind("<f4"),
    "torch.DoubleStorage": _Kind("<f8"),
    "torch.ByteStorage": _Kind("<u1"),
    "torch.CharStorage": _Kind("<i1"),
    "torch.ShortStorage": _Kind("<i2"),
    "torch.IntStorage": _Kind("<i4"),
    "torch.LongStorage": _Kind("<i8"),
}


class _Storage:
    """`count` numbers in a row, which several tensors may share."""

    def __init__(self, kind: _Kind, count: int):
        self.kind, self.count = kind, count
        self.numbers = np.empty(0)

    def filled(self, content: bytes | memoryview) -> "_Storage":
        expected = self.count * self.kind.itemsize
        if len(content) != expected:
            raise ValueError(f"a storage has {len(content):,} bytes; its tensors claim {expected:,}")
        self.numbers = self.kind.numbers(content)
        return self


@dataclass(frozen=True)
class Tensor:
    """Numbers offset, offset + stride, ... of a storage; checked when it is made."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self):
        if not isinstance(self.storage, _Storage) or not isinstance(self.size, tuple) or not isinstance(self.stride, tuple):
            raise ValueError("a tensor of something else than a storage, a size and a stride")
        if not all(type(number) is int and number >= 0 for number in (self.offset, *self.size, *self.stride)):
            raise ValueError("a tensor whose offset, size and stride are not all whole numbers, at least 0")
        last = self.offset + sum((length - 1) * step for length, step in zip(self.size, self.stride, strict=True))
        # more numbers than the storage has: those of stride 0, of which a few bytes could claim any size
        if 0 not in self.size and (last >= self.storage.count or math.prod(self.size) > self.storage.count):
            raise ValueError(f"a tensor of size {reprlib.repr(self.size)} reaches outside its storage of {self.storage.count:,} numbers")

    def array(self) -> np.ndarray:
        numbers = self.storage.numbers
        if 0 in self.size:
            return np.empty(self.size, numbers.dtype)
        strides = tuple(step * numbers.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.size, strides, writeable=False)


class _OrderedDict(Dictionary):
    """A module's state_dict is one, with an attribute `_metadata`, the versions of its layers."""


def _rebuild_tensor(storage, offset, size, stride, *_):
    """`_rebuild_tensor_v2` has requires_grad and hooks behind these, and sometimes metadata."""
    return Tensor(storage, offset, size, stride)


def _rebuild_parameter(data, requires_grad, hooks):
    return data


class _Unpickler(RestrictedUnpickler):
    """`storage(key, kind, count)` makes a storage when the first tensor asks for it."""

    def __init__(self, stream: io.BytesIO, storage: Callable[[str, _Kind, int], _Storage]):
        names = {
            "collections.OrderedDict": _OrderedDict,
            "torch._utils._rebuild_tensor": _rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
            "torch._utils._rebuild_parameter": _rebuild_parameter,
            **_KINDS,
        }
        super().__init__(
            stream,
            _OPCODES,
            whose="PyTorch's",
            most_instructions=_MOST_INSTRUCTIONS,
            names=names,
            admitted="the constructors of tensors",
            methods={pickle.BUILD: type(self).load_build},
        )
        self._make, self._storages = storage, {}

    def persistent_load(self, pid: Any):
        """A storage: ("storage", class, key, device, number of items), and in the legacy format None or a part of another storage."""
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise ValueError("a reference to something else than a storage")
        _, kind, key, _, count, *view = pid
        if not isinstance(kind, _Kind) or not isinstance(key, str) or type(count) is not int or count < 0 or view not in ([], [None]):
            raise ValueError("a storage that is not described as PyTorch does since 0.4")
        if key not in self._storages:
            self._storages[key] = self._make(key, kind, count)
        storage = self._storages[key]
        if (storage.kind, storage.count) != (kind, count):
            raise ValueError(f"storage {reprlib.repr(key)} is described in two ways")
        return storage

    def load_build(self):
        """State for an object that was made: nothing of it concerns the numbers."""
        self.stack.pop()
        if not isinstance(self.stack[-1], _OrderedDict):
            raise ValueError(f"BUILD of a {type(self.stack[-1]).__name__}; expected an OrderedDict")
