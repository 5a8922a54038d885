"""Runs a learner's functions in a process of their own, within limits, and brings back what the probes saw."""

import base64
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.lab.probing import Outcome

__all__ = ["Task", "run_tasks", "run_training"]

SECONDS = 10.0  # for all probes of one function
STARTING = 60.0  # for the interpreter, NumPy, and PyTorch where it is needed
MEMORY = 1 << 30  # bytes, on top of what the interpreter takes
PRINTED = 1 << 20  # bytes of output


@dataclass(frozen=True)
class Task:
    """One function to be probed.

    Attributes
    ----------
    file : of the workspace that has it
    function : its name
    topic : module of `lab.probes` that knows it
    partners : the functions that probes may call, with the modules of the library that have them
    given : those of them that are the library's, for the learner's are not written yet
    may_change : arguments that may be modified
    """

    file: str
    function: str
    topic: str
    partners: Mapping[str, str]
    given: tuple[str, ...]
    may_change: tuple[str, ...]


def run_tasks(
    workspace: Path,
    tasks: Sequence[Task],
    *,
    needs: Sequence[str] = (),
    answers: Mapping[str, Sequence[str]],
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Iterator[tuple[Task, list[Outcome]]]:
    """The outcomes of every task's probes, as they come. A process that dies, hangs or floods costs the task that it was at, no other.

    Parameters
    ----------
    workspace : folder with the learner's files
    needs : packages besides NumPy that the files may import
    answers : by file, the names that it may not import from the library
    seconds : for the probes of one function
    memory : bytes that the code may take
    """
    left = list(tasks)
    while left:
        for task, outcomes in _run(workspace, list(left), needs, answers, seconds, memory):
            left.remove(task)
            yield task, outcomes


def run_training(
    workspace: Path, training: Mapping[str, Any], *, answers: Mapping[str, Sequence[str]], seconds: float
) -> Iterator[dict[str, Any]]:
    """What `lab.learning.train` says, line by line; a last one with "failed" if it did not come to its end.

    Parameters
    ----------
    workspace : folder with the learner's files
    training : its arguments; `written` has the names of functions by file
    answers : by file, the names that it may not import from the library
    seconds : for all of it
    """
    with _process(workspace, {"training": training}, (), answers, seconds, 4 * MEMORY) as (process, report, stacks):
        for line in _lines(report, STARTING, seconds, started="ready"):
            if line is None:
                _kill(process)
                yield {"failed": _ending(process.returncode, seconds, stacks, workspace, begun=True).error}
                return
            if "done" in line:
                return
            yield line


def _run(workspace, tasks, needs, answers, seconds, memory):
    """The tasks that one process got through; the last one may be what ended it."""
    request = {"tasks": [vars(task) for task in tasks]}
    with _process(workspace, request, needs, answers, seconds, memory) as (process, report, stacks):
        yield from _collected(process, report, tasks, seconds, stacks, workspace)


@contextlib.contextmanager
def _process(workspace, request, needs, answers, seconds, memory):
    """The process at work, the pipe of its report, and the file where it says where it is."""
    read, write = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chainrule-lab-") as folder:
        printed, stacks = Path(folder, "printed"), Path(folder, "stacks")
        limits = {"report": write, "stacks": str(stacks), "seconds": seconds, "memory": memory, "printed": PRINTED}
        request = {"workspace": str(workspace), "needs": list(needs), "answers": dict(answers), **limits, **request}
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "chainrule.lab.child"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=workspace,
                pass_fds=(write,),
                start_new_session=True,
                env=_environment(),
            )
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as report:
            try:
                assert process.stdin is not None
                with contextlib.suppress(BrokenPipeError):  # it ended at once; the report says nothing, which is told
                    process.stdin.write(json.dumps(request).encode() + b"\n")
                    process.stdin.close()
                yield process, report, stacks
            finally:
                _kill(process)


def _environment():
    """One thread: the arrays are small, and each thread's stack counts as memory."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "PYTHONFAULTHANDLER": ""}


def _collected(process, report, tasks, seconds, stacks, workspace):
    current, outcomes, imported = None, [], set()
    for line in _lines(report, STARTING, seconds):
        if line is None:  # too late, or dead
            break
        if "begin" in line or "done" in line:
            if current is not None:
                yield current, outcomes
            if "done" in line:
                return
            current, outcomes = tasks[line["begin"]], []
        elif "imported" in line:
            imported.add(line["imported"])
        elif "broken" in line:
            outcomes.append(_outcome(line["broken"]))
        elif "probe" in line:
            outcomes.append(_outcome(line))
    _kill(process)
    ending = _ending(process.returncode, seconds, stacks, workspace, begun=current is not None)
    first = current or tasks[0]
    yield first, [*outcomes, ending]
    if current is not None and first.file not in imported:  # it ended when it was imported, and would do so for its other functions
        rest = tasks[tasks.index(first) + 1 :]
        yield from ((task, [ending]) for task in rest if task.file == first.file)


def _lines(report, starting, seconds, started="begin"):
    """The lines of the report; None if the process has ended, or is late: the time begins anew with every line that has `started`."""
    selector = selectors.DefaultSelector()
    selector.register(report, selectors.EVENT_READ)
    kept, deadline = b"", time.monotonic() + starting
    while True:
        if not selector.select(max(0.0, deadline - time.monotonic())):
            yield None
            return
        part = os.read(report.fileno(), 1 << 16)
        if not part:
            yield None
            return
        *whole, kept = (kept + part).split(b"\n")
        for line in whole:
            content = json.loads(line)
            if started in content:
                deadline = time.monotonic() + seconds
            yield content


def _outcome(line: Mapping[str, Any]) -> Outcome:
    return Outcome(
        {name: _decoded(value) for name, value in line.get("values", {}).items()},
        line.get("error", ""),
        line.get("fault", ""),
        line.get("place", ""),
        tuple(line.get("changed", ())),
        bool(line.get("unsteady", False)),
        {name: value for name, value in ((name, _decoded(value)) for name, value in line.get("local", {}).items()) if value is not None},
        line.get("within", ""),
    )


def _decoded(value):
    """An array of numbers, whatever the other process says that it is."""
    if value is None:
        return None
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"the process of the check sent {dtype}, which is no number")
    return np.frombuffer(base64.b64decode(value["data"]), dtype).reshape(value["shape"])


def _ending(code, seconds, stacks, workspace, *, begun):
    place = _last_place(stacks, workspace)
    if not begun:
        return Outcome(error="Python could not be started for the check; `chainrule doctor` may say why", fault="crash")
    if code == -signal.SIGKILL:
        return Outcome(
            error=f"takes longer than {seconds:g} seconds on inputs that take a few thousandths; does a loop not end?",
            fault="slow",
            place=place,
        )
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    return Outcome(error=f"ended the whole Python interpreter ({how})", fault="crash", place=place)


def _last_place(stacks, workspace):
    """The line of the learner's that was being run, as faulthandler wrote it down before the time was up."""
    if not stacks.is_file():
        return ""
    for line in stacks.read_text(errors="replace").splitlines():
        if line.strip().startswith("File ") and str(Path(workspace).resolve()) in line:
            file, _, rest = line.strip()[6:].partition('", line ')
            return f"{Path(file).name}:{rest.partition(' ')[0]}"
    return ""


def _kill(process):
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
