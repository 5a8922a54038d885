"""Where a command writes its pictures."""

import os
from pathlib import Path

__all__ = ["checked_output"]


def checked_output(path: Path, suffix: str, *inputs: Path | None) -> Path:
    """`path`, before anything is computed for it.

    Parameters
    ----------
    suffix : of the kind of file that is written, ".png"
    inputs : files that are read, and must stay

    Raises
    ------
    ValueError
        It is named as a file of another kind, is one of the inputs or no file at all, or its folder is not there or cannot be written to.
    """
    from chainrule.training.storage import refuse_special_file

    refuse_special_file(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it, of the kind {suffix}")
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path} would be a {suffix[1:].upper()} file by another name; call it {path.with_suffix(suffix)}")
    if path.exists() and any(given is not None and given.exists() and path.samefile(given) for given in inputs):
        raise ValueError(f"{path} is what is read; it would be lost: give what is written another name")
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path} cannot be written: the folder {path.parent} may not be changed")
    return path
