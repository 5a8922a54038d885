"""Runs a learner's functions in a process of their own, within limits, and brings back what the probes saw."""

import base64
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.lab.probing import Outcome
from chainrule.lab.processes import MEMORY, STARTING, Child, ForkServer

__all__ = ["Task", "run_tasks", "run_training"]

SECONDS = 10.0  # for all probes of one function


@dataclass(frozen=True)
class Task:
    """One function to be probed.

    Attributes
    ----------
    file, line : of the workspace, where it is
    function : its name
    topic : module of `lab.probes` that knows it
    partners : the functions that probes may call, with the modules of the library that have them
    given : those of them that are the library's, for the learner's are not written yet
    may_change : arguments that may be modified
    stands_on : functions that it calls, or whose cache it gets
    """

    file: str
    function: str
    line: int
    topic: str
    partners: Mapping[str, str]
    given: tuple[str, ...]
    may_change: tuple[str, ...]
    stands_on: tuple[str, ...] = ()


def run_tasks(
    server: ForkServer,
    workspace: Path,
    tasks: Sequence[Task],
    *,
    needs: Sequence[str] = (),
    answers: Mapping[str, Sequence[str]],
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Generator[tuple[Task, list[Outcome]]]:
    """The outcomes of every task's probes, as they come. A process that dies, hangs or floods costs the task that it was at, no other.

    Parameters
    ----------
    server : that starts the processes
    workspace : folder with the learner's files
    needs : packages besides NumPy that the files may import
    answers : by file, the names that it may not import from the library
    seconds : for the probes of one function
    memory : bytes that the code may take
    """
    left, endless = list(tasks), {}
    while left:
        if blocked := next((task for task in left if endless.keys() & set(task.stands_on)), None):
            first = next(name for name in blocked.stands_on if name in endless)
            endless[blocked.function] = endless[first]
            left.remove(blocked)
            yield blocked, [Outcome(error=f"stands on {endless[first]}, which does not come to its end", fault="blocked")]
            continue
        request = _request(workspace, needs, answers, seconds, memory) | {"tasks": [vars(task) for task in left]}
        with server.child("child", request) as child:
            for task, outcomes in _collected(child, list(left), seconds, workspace):
                left.remove(task)
                if outcomes and outcomes[-1].fault in ("slow", "crash"):
                    endless[task.function] = task.function
                yield task, outcomes


def run_training(
    workspace: Path, training: Mapping[str, Any], *, answers: Mapping[str, Sequence[str]], needs: Sequence[str] = (), seconds: float
) -> Iterator[dict[str, Any]]:
    """What the runs of a lab say, line by line; a last one with "failed" if their process did not come to its end.

    Parameters
    ----------
    workspace : folder with the learner's files
    training : module that has the runs, lab, data, limit, epochs, seed; `written` has the names of functions by file
    answers : by file, the names that it may not import from the library
    needs : packages besides NumPy that the files may import
    seconds : for one step
    """
    request = _request(workspace, needs, answers, seconds, 4 * MEMORY) | {"training": training}
    with ForkServer([*needs, training["module"]]) as server, server.child("child", request) as child:
        for line in child.lines(STARTING, seconds, started=""):
            if line is None:
                child.kill()
                ending = _ending(child, workspace, f"one step takes longer than {seconds:g} seconds")
                yield {"failed": ending.error + (f" ({ending.place})" if ending.place else "")}
                return
            if "done" in line:
                return
            yield line


def _request(workspace, needs, answers, seconds, memory) -> dict[str, Any]:
    """What `lab.child` is told of the learner's files and of its limits."""
    return {"workspace": str(workspace), "needs": list(needs), "answers": dict(answers), "seconds": seconds, "memory": memory}


def _collected(child: Child, tasks, seconds, workspace):
    current, outcomes, imported = None, [], set()
    for line in child.lines(STARTING, seconds, started="begin"):
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
    child.kill()
    first = current or tasks[0]
    importing = current is not None and first.file not in imported
    what, inputs = (f"{first.file} ", "to be imported") if importing else ("", "on inputs that take a few thousandths")
    ending = _ending(child, workspace, f"{what}takes longer than {seconds:g} seconds {inputs}", begun=current is not None)
    yield first, [*outcomes, ending]
    if importing:  # so it would be for its other functions
        rest = tasks[tasks.index(first) + 1 :]
        yield from ((task, [ending]) for task in rest if task.file == first.file)


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
        line.get("printed", ""),
    )


def _decoded(value):
    """An array of numbers, whatever the other process says that it is."""
    if value is None:
        return None
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"the process of the check sent {dtype}, which is no number")
    return np.frombuffer(base64.b64decode(value["data"]), dtype).reshape(value["shape"])


def _ending(child, workspace, late, *, begun=True):
    """What ended a process; `late` tells what it is that took too long."""
    place, code = _last_place(child.stacks, workspace), child.status
    if not begun or code is None:
        return Outcome(error="Python could not be started for the check; `chainrule doctor` may say why", fault="crash")
    if child.late:
        return Outcome(error=f"{late}; does a loop not end?", fault="slow", place=place)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    if code == -signal.SIGKILL:
        how += ", which is also how the system ends what takes all its memory"
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
