"""What is handed in: the notebooks, run from top to bottom, and the code in one zip; and all notebooks as one PDF."""

import ast
import asyncio
import contextlib
import io
import json
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.lab.labs import Lab
from chainrule.lab.workspace import Workspace
from chainrule.messages import sentence
from chainrule.training.storage import explained, read_file, write_file

__all__ = ["Submission", "submit"]

SECONDS = 600.0  # for one notebook
STARTING = 120.0  # for the kernel
GRACE = 30.0  # for nbclient to see that its kernel is gone
PRINTED = 50_000_000  # characters of one notebook's outputs
ERASED = (1980, 1, 1, 0, 0, 0)  # the time of every file in the zip, the earliest that a zip can hold
SHOWN = {"check", "display", "imshow", "print", "show"}  # a cell that calls one of them has something to show
PACKED = ("__pycache__", "node_modules")


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


@dataclass(frozen=True)
class _Notebook:
    lab: Lab
    file: str
    content: Any  # nbformat's NotebookNode, version 4


def submit(
    workspace: Workspace,
    *,
    name: str = "a2",
    folder: Path | None = None,
    execute: bool = True,
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
    notebooks, damaged = _notebooks(workspace)
    faults = _faults(code)
    troubles = missing + damaged + (faults if execute else [])
    if troubles:
        raise ValueError("\n".join(troubles))
    told = [*faults, *_left_behind(workspace, code)]
    for notebook in notebooks:
        told += _removed(notebook)
    if execute:
        _run_all(workspace, code, notebooks, seconds, tell)
    for notebook in notebooks:
        told += _without_output(notebook, executed=execute)
        _strip(notebook.content)
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


# --- what there is --------------------------------------------------------------------------------------------------------------------


def _code(workspace: Workspace) -> tuple[dict[str, bytes], list[str]]:
    """The files with functions, and a sentence on each that cannot be read."""
    code, troubles = {}, []
    for file in workspace.files:
        try:
            code[file.name] = _read(workspace, file.name)
        except (OSError, ValueError) as error:
            troubles.append(sentence(error))
    return code, troubles


def _read(workspace, name) -> bytes:
    path = workspace.folder / name
    if not path.exists():
        raise ValueError(f"{name} is missing in {workspace.folder}; a lab started in a new folder has it as it was: copy it from there")
    return read_file(path)


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


def _notebooks(workspace: Workspace) -> tuple[list[_Notebook], list[str]]:
    """The notebooks in the order of the course, and a sentence on each that cannot be read."""
    found, troubles = [], []
    for lab in workspace.labs:
        file = f"{lab.notebook}.ipynb"
        try:
            found.append(_Notebook(lab, file, _parsed(_read(workspace, file), file)))
        except (OSError, ValueError) as error:
            troubles.append(sentence(error))
    return found, troubles


def _parsed(content: bytes, file: str) -> Any:
    import nbformat

    mend = "open it in Jupyter and save it, or put a whole copy in its place"
    try:
        value = json.loads(content)
        if not isinstance(value, dict) or not isinstance(value.get("nbformat"), int):
            raise ValueError('it has no "nbformat"')
        if value["nbformat"] == 4:
            value["nbformat_minor"] = 5
        _identify(value.get("cells", []))
        error = min(nbformat.validator.iter_validate(value, version=value["nbformat"]), key=_position, default=None)
        if error is not None:
            raise ValueError(f"cell {_position(error)[0]}: {error.message[:100]}" if _position(error)[0] else error.message[:100])
        notebook = nbformat.reads(json.dumps(value), as_version=4)
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}, line {error.lineno}, is damaged ({error.msg}); {mend}") from error
    except RecursionError as error:
        raise ValueError(f"{file} is damaged (nested too deeply); {mend}") from error
    except Exception as error:  # whatever upgrades from old formats stumble over
        raise ValueError(f"{file} is damaged ({error}); {mend}") from error
    if value["nbformat"] != 4:  # the upgrade draws lots for names
        for cell in notebook.cells:
            cell.pop("id", None)
        _identify(notebook.cells)
    return notebook


def _identify(cells) -> None:
    """Every cell gets a name of its own, as nbformat 4.5 wants it; the same one each time."""
    taken = set()
    for number, cell in enumerate(cells if isinstance(cells, list) else (), 1):
        if isinstance(cell, dict):
            if not isinstance(cell.get("id"), str) or cell["id"] in taken:
                cell["id"] = f"cell-{number}"
            taken.add(cell["id"])


def _position(error) -> tuple[int, int]:
    """The number of the cell that a fault is in, or 0, and how deep: the deepest says the most."""
    path = list(error.absolute_path)
    return (path[1] + 1 if len(path) > 1 and path[0] == "cells" else 0, -len(path))


# --- what is missing ------------------------------------------------------------------------------------------------------------------


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


def _original(lab: Lab) -> list[Any]:
    """The cells that the lab was given out with."""
    import nbformat

    from chainrule.lab.notebooks import notebook

    return [cell for cell in nbformat.reads(notebook(lab).decode(), as_version=4).cells if cell.source.strip()]


def _removed(notebook: _Notebook) -> Iterator[str]:
    for number, cell in enumerate(_original(notebook.lab), 1):
        if _counterpart(cell, notebook.content.cells) is None:
            yield f"{notebook.file}: cell {number} of the lab's text, {_first_line(cell)}, is not there any more"


def _counterpart(original, cells):
    """The learner's version of a cell: it has the same id; some editors give new ones, then the same beginning."""
    same_kind = [cell for cell in cells if cell.cell_type == original.cell_type]
    for alike in (lambda cell: cell.id == original.id, lambda cell: cell.source.strip() == original.source.strip()):
        found = next((cell for cell in same_kind if alike(cell)), None)
        if found is not None:
            return found
    if original.id.rpartition("-")[0] in {cell.id.rpartition("-")[0] for cell in cells}:
        return None
    return next((cell for cell in same_kind if _first_line(cell) == _first_line(original)), None)


def _without_output(notebook: _Notebook, *, executed: bool) -> Iterator[str]:
    cells = notebook.content.cells
    expecting = [_counterpart(cell, cells) for cell in _original(notebook.lab) if cell.cell_type == "code" and _shows(cell.source)]
    counts = []
    for number, cell in _code_cells(notebook.content):
        place = f"{notebook.file}, code cell {number} {_first_line(cell)}"
        if cell.execution_count is None and not executed:
            yield f"{place}, has not been run"
            continue
        counts.append(cell.execution_count or 0)
        failures = [output for output in cell.outputs if output.output_type == "error"]
        if failures and "raises-exception" not in cell.metadata.get("tags", ()):
            yield f"{place}, ended with an error: {_one_line(failures[0].ename, failures[0].evalue)}"
        elif not cell.outputs and any(cell is each for each in expecting):
            yield f"{place}, shows nothing; in the lab's text it does"
    if not executed and counts != sorted(set(counts)):
        yield f"{notebook.file} was not run from top to bottom: its outputs may belong to code that was changed since"


def _code_cells(content) -> Iterator[tuple[int, Any]]:
    """Those that have code, numbered from 1 as Jupyter numbers them when all are run."""
    yield from enumerate((cell for cell in content.cells if cell.cell_type == "code" and cell.source.strip()), 1)


def _first_line(cell) -> str:
    line = next((line for line in cell.source.splitlines() if line.strip()), "").strip()
    return f'"{line if len(line) <= 50 else line[:47] + "..."}"'


def _shows(source: str) -> bool:
    """Whether a cell prints, or ends with a value; calls that may return None do not count."""
    source = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    calls = {node.func for statement in body if not _defines(statement) for node in ast.walk(statement) if isinstance(node, ast.Call)}
    if any((isinstance(each, ast.Name) and each.id in SHOWN) or (isinstance(each, ast.Attribute) and each.attr in SHOWN) for each in calls):
        return True
    silent = source.rstrip().endswith(";")
    return bool(body) and isinstance(body[-1], ast.Expr) and not silent and not isinstance(body[-1].value, ast.Call | ast.Await | ast.Yield)


def _defines(statement) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _one_line(kind: str, said: str) -> str:
    """An exception in a line; what a skeleton raises says all by itself."""
    said = next((line for line in said.splitlines() if line.strip()), "").strip()
    if kind == "NotImplementedError":
        return said or "something is not written yet"
    return f"{kind}: {said}" if said else kind


# --- running --------------------------------------------------------------------------------------------------------------------------


def _run_all(workspace, code, notebooks, seconds, tell) -> None:
    """Run every notebook in a copy of the workspace; its cells get their outputs.

    Raises
    ------
    ValueError
        Cells failed; a line for each notebook that has one.
    """
    failures = []
    with tempfile.TemporaryDirectory(prefix="chainrule-submit-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / "work"
        try:
            _copy(workspace.folder, copy)
            for name, content in code.items():
                (copy / name).unlink(missing_ok=True)
                (copy / name).write_bytes(content)
        except OSError as error:
            reason = error.args[0][0][2] if isinstance(error, shutil.Error) else sentence(error)
            raise explained(error, f"could not copy the workspace to {folder} to run its notebooks: {reason}") from error
        for notebook in notebooks:
            failure = _run(notebook, copy, seconds, tell)
            if failure:
                failures.append(failure)
            for cell in notebook.content.cells:
                for output in cell.get("outputs", ()):
                    _without_folder(output, copy)
    if failures:
        raise ValueError("\n".join(failures))


def _copy(source: Path, target: Path) -> None:
    """Everything a notebook may read; links lead where they led before."""

    def left_out(folder, names):
        return {name for name in names if not _copied(Path(folder, name))}

    shutil.copytree(source, target, symlinks=True, ignore=left_out)
    for link in (path for path in target.rglob("*") if path.is_symlink()):
        origin = source / link.relative_to(target)
        end = Path(os.path.realpath(origin))
        if not end.is_relative_to(source):
            link.unlink()
            link.symlink_to(end)


def _copied(path: Path) -> bool:
    if path.name.startswith(".") or path.name in PACKED or path.name.endswith(("_submission.zip", "_submission.pdf")):
        return False
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        return not (path / "pyvenv.cfg").exists()
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _run(notebook: _Notebook, folder: Path, seconds: float, tell) -> str:
    """Run one notebook; a sentence on the cell that failed, or nothing."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    run = _Run(notebook, folder, tell)
    run.start()
    try:
        run.begun.wait(STARTING)
        late = not run.done.wait(seconds)
    finally:  # Ctrl-C ends here too: nothing of the kernel stays behind
        run.kill()
        run.done.wait(GRACE)
    place = f"{notebook.file}, code cell {run.number} {_first_line(run.cell)}" if run.cell is not None else notebook.file
    if late:
        return f"{place}: the notebook takes more than {seconds:g} seconds; does a loop not end?"
    if run.flooded:
        return f"{place}: prints more than {PRINTED // 1_000_000} million characters; does a loop not end?"
    if isinstance(run.error, CellExecutionError):
        said = _one_line(run.error.ename, run.error.evalue)
        return f"{place}: {said}{_line_of(run.error.traceback, folder)}"
    if isinstance(run.error, CellTimeoutError):
        return f"{place}: its outputs did not arrive; is the machine busy?"
    if isinstance(run.error, DeadKernelError):
        return f"{place}: ended the whole Python interpreter"
    if isinstance(run.error, RuntimeError | OSError) and run.cell is None:
        return f"{place}: Python could not be started for it ({run.error}); try it again"
    if run.error is not None:
        raise run.error
    return ""


class _Run(threading.Thread):
    """Runs a notebook in a kernel of this interpreter, and can be stopped from outside: nbclient has no limit for a whole notebook (its
    issue 212). Outside of the main thread it also leaves Ctrl-C to us."""

    def __init__(self, notebook: _Notebook, folder: Path, tell):
        super().__init__(daemon=True, name=f"run {notebook.file}")
        self.notebook = notebook
        self.folder = folder
        self.tell = tell
        self.cell: Any = None  # that is being run
        self.number = 0
        self.error: BaseException | None = None
        self.begun = threading.Event()  # the first cell, after Python has started
        self.done = threading.Event()  # Ctrl-C while one waits for the thread itself would pass it off as ended, in Python 3.11
        self.flooded = False
        self._printed = 0
        self._manager: Any = None
        self._process: Any = None

    def run(self) -> None:
        try:
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # the kernel's own remarks, not what cells print
            asyncio.run(self._client().async_execute(cwd=str(self.folder), env=self._environment(), **silent))
        except BaseException as error:
            self.error = error
        finally:
            self.begun.set()
            self.done.set()

    def kill(self) -> None:
        """End the kernel and every process that it started; one that is only about to start is waited for."""
        while self._process is None and not self.done.is_set():
            time.sleep(0.01)
            self._process = getattr(getattr(self._manager, "provisioner", None), "process", None)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # the kernel leads a session of its own

    def _client(self):
        from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient

        run = self

        class ThisPython(KernelSpecManager):
            """Kernels of this interpreter, whatever is installed under the name python3."""

            def get_kernel_spec(self, kernel_name):
                return KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], language="python")

        class Client(NotebookClient):
            def output(self, outs, msg, display_id, cell_index):
                content = msg["content"]
                run._printed += len(content.get("text", "")) + sum(len(str(value)) for value in content.get("data", {}).values())
                if run._printed > PRINTED:
                    run.flooded = True
                    run.kill()
                    return None
                return super().output(outs, msg, display_id, cell_index)

        cells = dict(_code_cells(self.notebook.content))
        numbers = {id(cell): number for number, cell in cells.items()}

        def begin(cell, cell_index):
            run._process = run._manager.provisioner.process
            run.begun.set()
            run.cell, run.number = cell, numbers[id(cell)]
            run.tell(f"{run.notebook.file}, code cell {run.number} of {len(cells)}")

        place = str(self.folder.parent / secrets.token_hex(2))
        self._manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython(), connection_file=f"{place}.json")
        if (
            len(place) < 90
        ):  # sockets that are files are for nobody else on the machine; the system allows them names of some 100 characters
            self._manager.transport, self._manager.ip = "ipc", place
        client: Any = Client(
            self.notebook.content,
            km=self._manager,
            timeout=None,
            coalesce_streams=True,  # else their pieces are a matter of chance
            record_timing=False,
            store_widget_state=False,
            iopub_timeout=60,
            raise_on_iopub_timeout=True,
            startup_timeout=int(STARTING),
            shutdown_kernel="immediate",
            on_cell_execute=begin,
        )
        client.owns_km = True  # it closes the channels at the end
        return client

    def _environment(self):
        environment = {**os.environ, "PYTHONHASHSEED": "0", "IPYTHONDIR": str(self.folder.parent / "ipython")}
        environment.pop("MPLBACKEND", None)  # pictures belong into the notebook
        return environment


def _line_of(traceback: str, folder: Path) -> str:
    """Where in the learner's files it happened."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", traceback)
    found = re.findall(rf"{re.escape(str(folder))}/([^\s:]+\.py):(\d+)", plain)
    return f" ({found[-1][0]}, line {found[-1][1]})" if found else ""


# --- the same content, the same bytes -------------------------------------------------------------------------------------------------


def _without_folder(output, folder: Path) -> None:
    """Its texts without the folder in which the notebook happened to run."""

    def erased(text):
        return text.replace(f"{folder}/", "").replace(str(folder), ".")

    _rewrite(output, erased)


def _rewrite(output, change: Callable[[str], str]) -> None:
    if "text" in output:
        output.text = change(_joined(output.text))
    if "traceback" in output:
        output.traceback = [change(line) for line in output.traceback]
    for mime, value in output.get("data", {}).items():
        if mime.startswith("text/"):
            output.data[mime] = change(_joined(value))


def _joined(text) -> str:
    return text if isinstance(text, str) else "".join(text)


def _strip(content) -> None:
    """Take out what differs from run to run or editor to editor: times, addresses, numbers of processes, metadata."""
    import nbformat

    content.metadata = nbformat.from_dict(
        {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}, "language_info": {"name": "python"}}
    )
    for cell in content.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata.tags} if cell.metadata.get("tags") else {})
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            for mime in [mime for mime in output.get("data", {}) if "widget" in mime]:
                del output.data[mime]
            _rewrite(output, _steady)


def _steady(text: str) -> str:
    text = re.sub(r"\bat 0x[0-9a-fA-F]{6,}", "at 0x...", text)
    return re.sub(r"\S*ipykernel_\d+/\d+\.py", "cell.py", text)


def _zipped(code: dict[str, bytes], notebooks: Sequence[_Notebook]) -> bytes:
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
