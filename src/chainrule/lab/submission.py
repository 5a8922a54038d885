"""What is handed in: the notebooks, run from top to bottom, and the code in one zip; and all notebooks as one PDF."""

import ast
import contextlib
import io
import os
import secrets
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.lab.execution import run_all
from chainrule.lab.learners_notebooks import Notebook, cells_without_output, read_from, read_notebooks, removed_cells, strip
from chainrule.lab.workspace import Workspace
from chainrule.messages import sentence
from chainrule.training.storage import explained, write_file

__all__ = ["Submission", "submit"]

SECONDS = 600.0  # for one notebook
ERASED = (1980, 1, 1, 0, 0, 0)  # the time of every file in the zip, the earliest that a zip can hold


@dataclass(frozen=True)
class Submission:
    """What was made.

    Attributes
    ----------
    zip : code and notebooks
    pdf : all notebooks; None if it could not be made, and a warning says why
    warnings : sentences on what whoever grades it may miss
    """

    zip: Path
    pdf: Path | None
    warnings: list[str]


def submit(
    workspace: Workspace,
    *,
    name: str = "a2",
    folder: Path | None = None,
    execute: bool = True,
    allow_errors: bool = False,
    seconds: float = SECONDS,
    progress: Callable[[str], None] | None = None,
) -> Submission:
    """Run a workspace's notebooks in a copy of it, look for what is missing, and write what is handed in.

    That is NAME_code_submission.zip and NAME_inline_submission.pdf. The zip holds the workspace's code files and notebooks and nothing
    else, in the same bytes for the same content. Both files are written whole or not at all, at the end: if anything fails, an earlier
    submission is as it was.

    Parameters
    ----------
    workspace : whose files are handed in; they are not changed
    name : what the names of both files begin with
    folder : where they are put; made if it is not there (default: the workspace's)
    execute : run the notebooks; otherwise the outputs that they were saved with are handed in
    allow_errors : hand in notebooks with cells that fail, and what they say
    seconds : that one notebook may take
    progress : is told what is being done, in a few words

    Raises
    ------
    ValueError
        A file is missing or damaged, or a cell of a notebook failed; one line for each.
    OSError
        The disk is full, or something like it.
    """
    target = _target(name, folder or workspace.folder)
    tell = progress or (lambda words: None)
    code, missing = _code(workspace)
    notebooks, damaged = read_notebooks(workspace)
    faults = _faults(code)
    troubles = missing + damaged + (faults if execute and not allow_errors else [])
    if troubles:
        raise ValueError("\n".join(troubles))
    told = [*faults, *_left_behind(workspace, code)]
    for notebook in notebooks:
        told += removed_cells(notebook)
    if execute:
        run_all(workspace, code, notebooks, seconds, tell, allow_errors=allow_errors)
    for notebook in notebooks:
        told += cells_without_output(notebook, executed=execute)
        strip(notebook.content)
    files = {f"{name}_code_submission.zip": _zipped(code, notebooks)}
    tell("the PDF")
    pdf = f"{name}_inline_submission.pdf"
    try:
        files[pdf] = _pdf(name, workspace, notebooks, told)
    except (ImportError, OSError, ValueError, RuntimeError, MemoryError) as error:
        told.append(f"there is no {pdf}: {sentence(error)}")
        if (target / pdf).exists():
            told.append(f"{target / pdf} is that of an earlier submission")
    _write(target, files)
    return Submission(target / next(iter(files)), target / pdf if pdf in files else None, told)


def _target(name: str, folder: Path) -> Path:
    if not name or not name.isprintable() or name[0] in ".-" or set(name) & set('/\\:*?"<>|') or len(name.encode()) > 200:
        raise ValueError(f"{name!r} cannot begin the name of a file; use letters, digits, - and _, such as a2")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder for the submission")
    return folder


def _code(workspace: Workspace) -> tuple[dict[str, bytes], list[str]]:
    """The files with functions, and a sentence on each that cannot be read."""
    code, troubles = {}, []
    for file in workspace.files:
        try:
            code[file.name] = read_from(workspace, file.name)
        except (OSError, ValueError) as error:
            troubles.append(sentence(error))
    return code, troubles


def _faults(code: dict[str, bytes]) -> list[str]:
    """A sentence on each file that is not Python."""
    faults = []
    for name, content in code.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes such as "\d"
                compile(content, name, "exec")
        except SyntaxError as error:
            faults.append(f"{name}, line {error.lineno}: {error.msg}")
        except (ValueError, RecursionError, MemoryError) as error:
            faults.append(f"{name} is not Python: {error}")
    return faults


def _left_behind(workspace: Workspace, code: dict[str, bytes]) -> Iterator[str]:
    """Files that the code imports and that are not handed in."""
    for file, content in code.items():
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # said already
        for name in sorted({f"{module}.py" for module in _imported(tree)} - set(code)):
            if (workspace.folder / name).is_file():
                yield f"{file} imports {name}, which belongs to no lab and is not handed in; move what it needs into {file}"


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def _zipped(code: dict[str, bytes], notebooks: Sequence[Notebook]) -> bytes:
    import nbformat

    files = dict(code)
    for notebook in notebooks:
        text = nbformat.v4.writes_json(notebook.content)
        # half a character, as a cut output may have it, is in no encoding; its backslash form is JSON's own
        files[notebook.file] = text.encode("utf-8", "backslashreplace") + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ERASED)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions these are
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _pdf(name, workspace, notebooks, told) -> bytes:
    from chainrule.lab.pdf import Section, as_pdf

    sections = [Section(notebook.file, notebook.lab.title, notebook.content) for notebook in notebooks]
    content, remarks = as_pdf(f"{name}: notebooks", sections, workspace.folder)
    told += remarks
    return content


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """All files or none: each is whole on the disk under another name before the first takes its place."""
    written = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            written[name] = folder / f".{name}.{secrets.token_hex(4)}"
            write_file(written[name], content, what="the submission")
        for name, path in written.items():
            os.replace(path, folder / name)
    except OSError as error:
        for path in written.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        left = "the earlier submission is intact" if any((folder / name).is_file() for name in files) else "nothing was written"
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise explained(error, f"could not write the submission to {folder}: {reason}; {left}") from error
