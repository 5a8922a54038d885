"""Reads the pickles of CIFAR-10 without running what a pickle can make Python run.

This reader knows only the instructions that occur in CIFAR-10's files (protocol 2, written by Python 2; the same files written by Python 3
work too), and answers the five names that occur in them with constructors of its own, which take their memory from the file: no claim in a
file makes it allocate.
"""

import io
import pickle
import reprlib
import struct
from typing import Any

import numpy as np

from chainrule.data.restricted_unpickler import NONSENSE, RestrictedUnpickler

__all__ = ["load_dictionary"]

_OPCODES = [
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.SHORT_BINSTRING, pickle.BINSTRING, pickle.BINUNICODE),
    *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS, pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.REDUCE, pickle.BUILD),
]
_MOST_INSTRUCTIONS = 200_000  # a batch file has at most 50,000: a number for each label; a string and its place in the memo for each name


def load_dictionary(content: bytes, source: str) -> dict[str, Any]:
    """Read the pickle of a dictionary of integers, strings, lists and uint8 arrays.

    Parameters
    ----------
    content : the whole file
    source : what error messages call it, usually its path

    Returns
    -------
    The dictionary with its keys as str. Strings of Python 2 are bytes; arrays are read-only views of the file's bytes.

    Raises
    ------
    ValueError
        for anything else: another opcode or name, an array that is not uint8 or whose size is not what its shape claims, a cut file.
    """
    stream = io.BytesIO(content)
    try:
        loaded = _Unpickler(stream, budget=len(content)).load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}; expected a dictionary")
        entries = {_text(key): value.view() if isinstance(value, _Array) else value for key, value in loaded.items()}
    except (EOFError, struct.error):  # struct.error: an operand of fewer bytes than it has
        raise ValueError(
            f"{source}: the pickle goes on after the end of the file, {len(content):,} bytes: truncated; get it again"
        ) from None
    except NONSENSE as error:
        raise ValueError(f"{source}: this is no pickle of CIFAR-10: {error}; nothing in it was executed; get the file again") from error
    if stream.tell() != len(content):
        raise ValueError(f"{source}: {len(content) - stream.tell():,} bytes follow the end of the pickle; get the file again")
    return entries


class _Array:
    """What `_reconstruct` makes: an array that BUILD has yet to fill."""

    def __init__(self, subtype, shape, typecode):
        if subtype is not _NDARRAY:
            raise ValueError("_reconstruct of something else than numpy.ndarray")
        self._array = None

    def build(self, state):
        _, shape, dtype, is_fortran, content = state
        if not isinstance(dtype, _UInt8) or not isinstance(content, bytes):
            raise ValueError("an array whose items are no uint8")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"an array of shape {reprlib.repr(shape)}")
        size = 1
        for length in shape:
            size *= length
        if size != len(content):
            raise ValueError(f"an array that claims the shape {shape} and has {len(content):,} bytes; expected {size:,}")
        self._array = np.frombuffer(content, dtype=np.uint8).reshape(shape, order="F" if is_fortran else "C")

    def view(self) -> np.ndarray:
        if self._array is None:
            raise ValueError("an array without content")
        return self._array


class _UInt8:
    """What `numpy.dtype` makes: the one dtype of these files."""

    def __init__(self, name, align, copy):
        if name not in (b"u1", "u1"):
            raise ValueError(f"an array of dtype {reprlib.repr(name)}; expected 'u1' (uint8)")

    def build(self, state):
        """Byte order, fields, alignment: nothing of it concerns a single byte."""


_NDARRAY = "numpy.ndarray"  # only ever an argument of `_reconstruct`


class _Unpickler(RestrictedUnpickler):
    """15 ms for a batch file of 31 MB, against 2 ms of the unpickler in C."""

    def __init__(self, stream: io.BytesIO, *, budget: int):
        names = {
            "numpy.core.multiarray._reconstruct": _Array,
            "numpy._core.multiarray._reconstruct": _Array,
            "numpy.ndarray": _NDARRAY,
            "numpy.dtype": _UInt8,
            "_codecs.encode": self._encode,
        }
        super().__init__(
            stream,
            _OPCODES,
            whose="CIFAR-10's",
            most_instructions=_MOST_INSTRUCTIONS,
            names=names,
            admitted="the constructors of uint8 arrays",
            methods={pickle.BUILD: type(self).load_build},
        )
        self._budget = budget  # bytes that may still come out of `_codecs.encode`: one file must not grow by encoding one string many times

    def _encode(self, text, encoding):
        """How Python 3 writes bytes in protocol 2: as latin-1 text and the order to encode it."""
        self._budget -= len(text)
        if encoding != "latin1" or self._budget < 0:
            raise ValueError(f"_codecs.encode to {reprlib.repr(encoding)} of {len(text):,} characters")
        return text.encode("latin-1")

    def load_build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, (_Array, _UInt8)):
            raise ValueError(f"BUILD of a {type(target).__name__}; expected an array or a dtype")
        target.build(state)


def _text(key) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
