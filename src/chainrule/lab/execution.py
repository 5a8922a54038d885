"""Notebooks run from top to bottom, in a copy of their workspace."""

import asyncio
import contextlib
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
from pathlib import Path
from typing import Any

from chainrule.lab.learners_notebooks import Notebook, code_cells, first_line, one_line, rewrite
from chainrule.messages import sentence
from chainrule.training.storage import explained

__all__ = ["CellsFailed", "run_all"]

STARTING = 120.0  # for the kernel
GRACE = 30.0  # for nbclient to see that its kernel is gone
PRINTED = 50_000_000  # characters of one notebook's outputs
PACKED = ("__pycache__", "node_modules")


class CellsFailed(ValueError):
    """Cells of notebooks raised, hung, or ended their interpreter: a line for each notebook that has one."""


def run_all(workspace, code, notebooks, seconds, tell, *, allow_errors: bool = False) -> None:
    """Run every notebook in a copy of the workspace; its cells get their outputs, with `allow_errors` also those that fail.

    Raises
    ------
    CellsFailed
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
            failure = _run(notebook, copy, seconds, tell, allow_errors)
            if failure:
                failures.append(failure)
            for cell in notebook.content.cells:
                for output in cell.get("outputs", ()):
                    _without_folder(output, copy)
    if failures:
        raise CellsFailed("\n".join(failures))


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


def _run(notebook: Notebook, folder: Path, seconds: float, tell, allow_errors: bool) -> str:
    """Run one notebook; a sentence on the cell that failed, or nothing."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    run = _Run(notebook, folder, tell, allow_errors)
    run.start()
    try:
        run.begun.wait(STARTING)
        late = not run.done.wait(seconds)
    finally:  # Ctrl-C ends here too: nothing of the kernel stays behind
        run.kill()
        run.done.wait(GRACE)
    place = f"{notebook.file}, code cell {run.number} {first_line(run.cell)}" if run.cell is not None else notebook.file
    if late:
        return f"{place}: the notebook takes more than {seconds:g} seconds; does a loop not end?"
    if run.flooded:
        return f"{place}: prints more than {PRINTED // 1_000_000} million characters; does a loop not end?"
    if isinstance(run.error, CellExecutionError):
        said = one_line(run.error.ename, run.error.evalue)
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

    def __init__(self, notebook: Notebook, folder: Path, tell, allow_errors: bool):
        super().__init__(daemon=True, name=f"run {notebook.file}")
        self.notebook = notebook
        self.folder = folder
        self.tell = tell
        self.allow_errors = allow_errors
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

        cells = dict(code_cells(self.notebook.content))
        numbers = {id(cell): number for number, cell in cells.items()}

        def begin(cell, cell_index):
            run._process = run._manager.provisioner.process
            run.begun.set()
            run.cell, run.number = cell, numbers[id(cell)]
            run.tell(f"{run.notebook.file}, code cell {run.number} of {len(cells)}")

        place = str(self.folder.parent / secrets.token_hex(2))
        self._manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython(), connection_file=f"{place}.json")
        # sockets that are files are for nobody else on the machine; the system allows them names of some 100 characters
        if len(place) < 90:
            self._manager.transport, self._manager.ip = "ipc", place
        client: Any = Client(
            self.notebook.content,
            km=self._manager,
            timeout=None,
            allow_errors=self.allow_errors,
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


def _without_folder(output, folder: Path) -> None:
    """Its texts without the folder in which the notebook happened to run."""

    def erased(text):
        return text.replace(f"{folder}/", "").replace(str(folder), ".")

    rewrite(output, erased)
