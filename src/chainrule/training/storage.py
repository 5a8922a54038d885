"""Files written whole or not at all, and read with nothing trusted: bytes, JSON, and arrays as safetensors.

A file is written under a temporary name in the folder where it belongs, forced to the disk, and then renamed over the earlier version:
whoever reads the path, at any instant and after any crash, finds either the old file or the new one. JSON has no numbers for NaN and the
infinities; they are written as the strings "NaN", "Infinity" and "-Infinity" (as Protocol Buffers do) and read back as floats.
"""

import errno
import json
import math
import os
import secrets
import stat
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

__all__ = [
    "decode_arrays",
    "decode_json",
    "encode_json",
    "explained",
    "load_arrays",
    "read_file",
    "read_json",
    "refuse_special_file",
    "save_arrays",
    "sync_folder",
    "write_file",
    "write_json",
]

# safetensors' names of the types that NumPy has too; the format's others (bfloat16, the 8 and 4 bit floats) are refused
ARRAY_TYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "C64": np.complex64,
}
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def explained(error: OSError, message: str) -> OSError:
    """`error` again, with its kind and errno, but with a sentence that a person can act on."""
    explanation = type(error)(message)
    explanation.errno = error.errno
    return explanation


def sync_folder(folder: str | os.PathLike) -> None:
    """Force the names in `folder` to the disk, so that a rename outlasts a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder; there a rename is as durable as it gets
            raise explained(error, f"{folder}: {error.strerror}; the files are written, but may not outlast a power failure") from error
    finally:
        os.close(descriptor)


@contextmanager
def _replacing(path: Path, what: str) -> Iterator[BinaryIO]:
    """Open a new file beside `path`. It takes the place of `path` when the block ends well, and vanishes when it does not."""
    refuse_special_file(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        left = "the earlier version is intact" if os.path.lexists(path) else "nothing was written"
        raise explained(error, f"could not write {what} to {path}: {error.strerror or error}; {left}") from error
    sync_folder(path.parent)


def write_file(path: str | os.PathLike, data: bytes, *, what: str = "the file") -> None:
    """Write `data` to `path`, whole or not at all.

    Parameters
    ----------
    path : the file; its folder must exist. A symbolic link there is replaced, what it points to is left alone
    data : bytes
    what : how an error calls the file, "the report" for instance

    Raises
    ------
    OSError : with the errno of the fault (ENOSPC: disk full). It says whether an earlier version is intact; no temporary file is left.
    ValueError : as `refuse_special_file`
    """
    with _replacing(Path(path), what) as file:
        file.write(data)


def refuse_special_file(path: str | os.PathLike) -> None:
    """ValueError if `path` is, or points to, a pipe, a socket or a device: a file would take its place, that of /dev/null for instance."""
    with suppress(OSError):  # there is nothing yet, or nothing that can be seen
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ValueError(f"{path} is a pipe or a device, not a file; it is not replaced")


def read_file(path: str | os.PathLike) -> bytes:
    """The content of a regular file.

    Raises
    ------
    OSError : as `open` does
    ValueError : if `path` is a pipe or a device, from which reading would wait or never end, or does not fit into memory
    """
    # without O_NONBLOCK, opening a pipe would already wait for its writer
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is a pipe or a device, not a file; it is not read")
        try:
            return file.read()
        except MemoryError:
            raise ValueError(f"{path} has {status.st_size:,} bytes, more than fit into memory; it is not read") from None


# --- JSON -------------------------------------------------------------------------------------------------------------------------------


def _encodable(value: Any, place: str) -> Any:
    """`value` in the types that JSON has; `place` is its path inside the whole, for errors."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case str() if value in NOT_FINITE:
            raise ValueError(f"{place} is the text {value!r}, which would be read back as a number; use another text")
        case str() | float() | int() | None:
            return value
        case np.generic() if value.dtype.type in ARRAY_TYPES.values() and value.dtype.kind != "c":
            return _encodable(value.item(), place)
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise TypeError(f"{place} has the key {key!r} of type {type(key).__name__}; JSON keys are str")
            return {key: _encodable(item, f"{place}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_encodable(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{place} is of type {type(value).__name__}, which JSON does not have; use dict, list, str, int, float, bool or None")


def _decoded(value: Any) -> Any:
    match value:
        case str():
            return NOT_FINITE.get(value, value)
        case dict():
            return {key: _decoded(item) for key, item in value.items()}
        case list():
            return [_decoded(item) for item in value]
    return value


_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_PAGE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=2)


def encode_json(value: Any, *, indent: bool = False, name: str = "value") -> bytes:
    """`value` as JSON in UTF-8, on one line or indented by 2.

    Parameters
    ----------
    value : dict with str keys, list, tuple (read back as list), str, int, float, bool, None, NumPy scalars (read back as Python's)
    name : how an error calls the whole

    Raises
    ------
    TypeError : for anything else, with its place in the whole
    ValueError : for a text that stands for NaN or an infinity (see the head of this file)
    """
    text = (_PAGE if indent else _LINE).encode(_encodable(value, name))
    # a file name that is not UTF-8 has lone surrogates in Python; their backslash form is also JSON's escape, and reads back the same
    return text.encode("utf-8", "backslashreplace")


def _refuse_constant(name: str):
    raise ValueError(f'{name} is not JSON; a number that is not finite is written as text, "{name}"')


def decode_json(data: bytes, source: str | os.PathLike, *, first_line: int = 1) -> Any:
    """The value of a JSON text in UTF-8.

    Parameters
    ----------
    source : where the text comes from, for errors
    first_line : the number of its first line there (default 1)

    Raises
    ------
    ValueError : naming source, line and fault
    """
    try:
        return _decoded(json.loads(data.decode("utf-8"), parse_constant=_refuse_constant))
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise ValueError(f"{source}, line {line}: byte {data[error.start]:#04x} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise ValueError(f"{source}, line {line}, column {error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{source}, line {first_line}: lists or objects nested too deeply to be read") from None
    except ValueError as error:  # NaN literals, whole numbers of thousands of digits
        raise ValueError(f"{source}, from line {first_line} on: {error}") from None


def write_json(path: str | os.PathLike, value: Any, *, what: str = "the file") -> None:
    """Write `value` as indented JSON in UTF-8, whole or not at all. Types as in `encode_json`, faults as in `write_file`."""
    write_file(path, encode_json(value, indent=True, name=Path(path).name) + b"\n", what=what)


def read_json(path: str | os.PathLike) -> Any:
    """The value in a JSON file; ValueError with file, line and fault if it is none, OSError if it cannot be read."""
    return decode_json(read_file(path), path)


# --- arrays -----------------------------------------------------------------------------------------------------------------------------


def _storable(name: str, array: Any) -> np.ndarray:
    """`array` C-contiguous and in the machine's byte order."""
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"the array name {name!r} cannot be stored; names are str, and not '__metadata__'")
    array = np.asarray(array)
    if array.dtype.type not in ARRAY_TYPES.values():
        known = ", ".join(np.dtype(kind).name for kind in ARRAY_TYPES.values())
        raise ValueError(f"array {name!r} has dtype {array.dtype}, which safetensors does not store; convert it to one of {known}")
    # safetensors 0.8 copies nbytes from the start of the buffer whatever the strides are: it would store other values, silently (its
    # issue 825). np.ascontiguousarray would make a 0-d array 1-d.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def save_arrays(
    path: str | os.PathLike, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None, *, what: str = "the arrays"
) -> None:
    """Write arrays of any memory layout as a safetensors file, whole or not at all; read back and compared before it takes its place.

    Parameters
    ----------
    path : the file; its folder must exist
    arrays : arrays or NumPy scalars by name, any shape (0-d and size 0 too), layout and byte order;
        bool, integers, float16 to float64, complex64
    metadata : texts to be stored with them
    what : how an error calls them, "the parameters" for instance

    Raises
    ------
    ValueError : for a dtype or name that the format cannot hold, with the array's name
    OSError : as `write_file`; also (EIO) if what was stored does not read back bit for bit
    """
    storable = {name: _storable(name, array) for name, array in arrays.items()}
    # safetensors 0.8 writes a header that it cannot read for no arrays and {}; None instead of {} is right
    data = safetensors.numpy.save(storable, dict(metadata) if metadata else None)
    with _replacing(Path(path), what) as file:
        file.write(data)
        file.seek(0)
        stored, _ = decode_arrays(file.read(), path)
        for name, array in arrays.items():
            given = np.asarray(array)
            # tobytes() walks the strides as given: it does not rely on the copy that was stored
            expected = given.astype(given.dtype.newbyteorder("="), copy=False).tobytes()
            if name not in stored or stored[name].shape != given.shape or stored[name].tobytes() != expected:
                raise OSError(errno.EIO, f"array {name!r} reads back differently from what was given")


def load_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file from anywhere.

    Returns
    -------
    arrays : by name, in the order of the names; writable, each owning its memory
    metadata : texts by name

    Raises
    ------
    ValueError : if the file is truncated, its header does not describe its content, or an array has a type that NumPy lacks
        (bfloat16); naming file and fault
    OSError : if it cannot be read
    """
    return decode_arrays(read_file(path), path)


def decode_arrays(data: bytes, source: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """`load_arrays` of bytes that were read already; `source` is where they come from, for errors."""
    try:
        # checks the header against the length of the file: every byte belongs to one array, no array lies outside
        entries = safetensors.deserialize(data)
        (header_length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + header_length]).get("__metadata__")
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{source} is not a whole safetensors file: {error}; use another copy of it") from None
    arrays = {}
    for name, entry in sorted(entries, key=lambda entry: entry[0]):
        dtype = ARRAY_TYPES.get(entry["dtype"])
        if dtype is None:
            raise ValueError(f"{source}: array {name!r} has type {entry['dtype']}, which NumPy does not have; convert it to F32 first")
        if dtype is np.bool_ and max(entry["data"], default=0) > 1:
            raise ValueError(f"{source}: array {name!r} is of type BOOL but has bytes other than 0 and 1")
        try:
            arrays[name] = np.frombuffer(entry["data"], dtype=np.dtype(dtype).newbyteorder("<")).reshape(entry["shape"]).astype(dtype)
        except ValueError as error:
            raise ValueError(f"{source}: array {name!r} of shape {entry['shape']} does not fit into NumPy: {error}") from None
    return arrays, metadata or {}
