"""What errors say to a person."""

import os

__all__ = ["EXPLAINED", "sentence"]

# the errors that a message explains; of others, the traceback is what helps
EXPLAINED = (ImportError, MemoryError, OSError, ValueError)


def sentence(error: BaseException) -> str:
    """What an error says; of the system's own, which begin with [Errno 2], the file and the reason."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    if error.filename is None:
        return error.strerror
    return f"{os.fsdecode(error.filename)}: {error.strerror[0].lower()}{error.strerror[1:]}"
