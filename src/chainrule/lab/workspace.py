"""A folder in which labs are worked through: their notebooks, the files to write, and a note on what was started."""

import importlib.util
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chainrule.lab.labs import LABS, File, Lab, find_lab

__all__ = ["MANIFEST", "VERSION", "Workspace", "find_workspace", "start"]

MANIFEST = "lab.json"
VERSION = 1  # of the manifest
PACKAGES = {"torch": "PyTorch", "tensorflow": "TensorFlow"}  # what an extra of the same name brings


@dataclass(frozen=True)
class Workspace:
    """A folder with labs.

    Attributes
    ----------
    folder : where it is
    labs : that were started in it, in the order of the course
    """

    folder: Path
    labs: tuple[Lab, ...]

    @property
    def files(self) -> tuple[File, ...]:
        """The files of all its labs, each once."""
        return tuple(dict.fromkeys(file for lab in self.labs for file in lab.files))


def find_workspace(folder: Path) -> Workspace:
    """The workspace in a folder, or else in one above it, or the only one directly below it; or what was handed in, by its notebooks.

    Raises
    ------
    ValueError
        There is none, or its note cannot be read.
    """
    folder = folder.resolve()
    if not folder.exists():
        raise ValueError(f"there is no folder {folder}; `chainrule lab start NAME {folder}` makes it a workspace")
    found = next((place for place in (folder, *folder.parents) if (place / MANIFEST).is_file()), None)
    if found is None and folder.is_dir():
        below = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
        if len(below) > 1:
            raise ValueError(f"{folder} has several workspaces: {', '.join(path.name for path in below)}; name the one that is meant")
        found = below[0] if below else None
    if found is not None:
        return _opened(found)
    if labs := _with_notebooks(folder):
        return Workspace(folder, labs)
    raise ValueError(
        f"{folder} is no workspace: it has no {MANIFEST}; start a lab in a new folder: chainrule lab start {LABS[0].name} work/"
    )


def _with_notebooks(folder: Path) -> tuple[Lab, ...]:
    """The labs whose notebooks are in a folder; what was handed in has no note."""
    return tuple(lab for lab in LABS if (folder / f"{lab.notebook}.ipynb").is_file())


def _opened(folder: Path) -> Workspace:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, names = content["version"], content["labs"]
        labs = [find_lab(name) for name in names]
        if version == VERSION and not labs:
            raise ValueError("it names no lab")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); your files are as they were: start the lab in a new folder and copy them there"
        ) from error
    if version != VERSION:
        raise ValueError(
            f"{path} was written by another version of the labs ({version}; this is {VERSION}); "
            "start the lab in a new folder with this version, and copy your functions into its files"
        )
    return Workspace(folder, _ordered(labs))


def start(lab: Lab, folder: Path, *, solutions: bool = False) -> list[Path]:
    """Put a lab into a new or empty folder, or add it to a workspace. Files that are there are left as they are.

    Parameters
    ----------
    lab : to start
    folder : where; made if it is not there
    solutions : with the library's bodies and the answers to the questions, for instructors

    Returns
    -------
    The files that were written.

    Raises
    ------
    ValueError
        The folder holds something else, or this lab already.
    ImportError
        A package that the lab needs is not there.
    """
    try:
        from chainrule.lab import notebooks, skeleton
    except ImportError as error:
        raise ImportError("starting a lab needs a few packages more: pip install chainrule[lab]") from error
    from chainrule.training.storage import write_file

    for need in sorted({need for file in lab.files for need in file.needs}):
        if importlib.util.find_spec(need) is None:
            raise ImportError(f"the lab {lab.name} needs {PACKAGES[need]}: pip install chainrule[{need}]")

    started = _opened(folder).labs if (folder / MANIFEST).is_file() else _with_notebooks(folder)
    if lab in started:
        raise ValueError(f"{folder} has the lab {lab.name} already; nothing was changed")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for the lab")
    if not started and folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty, and no workspace of labs; nothing was changed: name a new folder")

    contents = {f"{lab.notebook}.ipynb": notebooks.notebook(lab, solutions=solutions)}
    for file in lab.files:
        if not (folder / file.name).exists():
            contents[file.name] = (skeleton.solution(file) if solutions else skeleton.skeleton(file)).encode()
    contents[MANIFEST] = (
        json.dumps({"version": VERSION, "labs": [each.name for each in _ordered([*started, lab])]}, indent=2).encode() + b"\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    taken = [name for name in contents if name != MANIFEST and (folder / name).exists()]
    if taken:
        raise ValueError(f"{folder / taken[0]} is there already; nothing was changed: move it away, or name a new folder")
    with _all_or_none() as written:
        for name, content in contents.items():
            write_file(folder / name, content, what="the workspace")
            written.append(folder / name)
    return [folder / name for name in contents if name != MANIFEST]


@contextmanager
def _all_or_none() -> Iterator[list[Path]]:
    """New files, which are removed again unless all of them can be written; a workspace's note is replaced last."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in written:
            path.unlink()
        raise


def _ordered(labs: Iterable[Lab]) -> tuple[Lab, ...]:
    chosen = set(labs)
    return tuple(lab for lab in LABS if lab in chosen)
