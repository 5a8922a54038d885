"""An unpickler that knows a closed list of instructions and of names, for the files of others.

A pickle is a program for a stack machine, and one of its instructions calls any function that can be imported. Here a kind of file says
which instructions occur in it, how many at most (the shortest of them, one byte, makes an object of seventy), and what stands for the names
in it.
"""

import io
import pickle
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["NONSENSE", "Dictionary", "RestrictedUnpickler"]

# a stack machine fed with nonsense fails in as many ways as there are wrong operands
NONSENSE = (
    *(ValueError, TypeError, LookupError, AttributeError, OverflowError, EOFError, RecursionError),
    *(pickle.UnpicklingError, struct.error),  # struct.error: an operand of fewer bytes than it has
)


class Dictionary(dict):
    """What a pickle's dictionaries become. Keys are texts and numbers: of a pair of a pair of a pair, sixty instructions long, Python would
    take the hash of 2**60 leaves."""

    def __init__(self):
        super().__init__()

    def __setitem__(self, key, value):
        if not isinstance(key, str | bytes | int):
            raise ValueError(f"a dictionary with a {type(key).__name__} as a key")
        super().__setitem__(key, value)


class RestrictedUnpickler(pickle._Unpickler):
    """The unpickler in Python, not the one in C: its table of opcodes can be cut, and its memo is a dict instead of an array as long as a
    file's largest index.

    Parameters
    ----------
    stream : the file
    opcodes : of `pickle`, those that are followed
    whose : in whose files they occur, for errors: "CIFAR-10's"
    most_instructions : that are executed before it is given up
    names : "module.name" -> what stands for it
    admitted : what these are, in words, for errors
    methods : opcode -> method, where `pickle`'s own is not wanted
    """

    stack: list[Any]

    def __init__(
        self,
        stream: io.BytesIO,
        opcodes: Iterable[bytes],
        *,
        whose: str,
        most_instructions: int,
        names: Mapping[str, Any],
        admitted: str,
        methods: Mapping[bytes, Callable] | None = None,
    ):
        super().__init__(stream, encoding="bytes")
        own = {pickle.EMPTY_DICT: type(self).load_empty_dictionary, **(methods or {})}
        table = {opcode[0]: own.get(opcode, pickle._Unpickler.dispatch[opcode[0]]) for opcode in opcodes}
        # one table an instance, since it counts; pickle's own is one for all
        self.dispatch = _Instructions(table, whose, most_instructions)  # pyright: ignore[reportAttributeAccessIssue]
        self._names, self._admitted = names, admitted

    def load_empty_dictionary(self):
        self.stack.append(Dictionary())

    def find_class(self, module, name):
        if f"{module}.{name}" not in self._names:
            raise ValueError(f"it wants to import {module}.{name}; only {self._admitted} are admitted")
        return self._names[f"{module}.{name}"]


class _Instructions(dict):
    """Opcode -> method, as `pickle` keeps them, with a refusal for every other, and a limit on how many are executed."""

    def __init__(self, methods, whose, most):
        super().__init__(methods)
        self._whose, self._most, self._left = whose, most, most

    def __getitem__(self, code: int):
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"it has more than {self._most:,} instructions")
        return super().__getitem__(code)

    def __missing__(self, code: int):
        import pickletools

        name = next((opcode.name for opcode in pickletools.opcodes if ord(opcode.code) == code), f"{code:#04x}")
        raise ValueError(f"the opcode {name} does not occur in {self._whose} files")
