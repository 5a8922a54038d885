"""What is to be said of a learner's function, by a process that has the library's.

It is told what the probes saw; no learner's code runs in it.
"""

import base64
import contextlib
import importlib
import json
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.lab.child import limit
from chainrule.lab.diagnosis import Finding, diagnose, differing
from chainrule.lab.probing import Outcome, Watch, observe, outcome
from chainrule.lab.processes import MEMORY, STARTING, ForkServer
from chainrule.lab.sandbox import Task

__all__ = ["Example", "Judgement", "judge", "main"]


class Words(str):
    """What is no value, told."""

    def __repr__(self):
        return str(self)


@dataclass(frozen=True)
class Example:
    """The smallest input of the probes on which a function is wrong.

    Attributes
    ----------
    title : what is special about it
    calls : the functions called, with their arguments by name: arrays, numbers and words
    yours, expected : the values that differ
    """

    title: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    yours: dict[str, np.ndarray | None]
    expected: dict[str, np.ndarray | None]


@dataclass(frozen=True)
class Judgement:
    """What the outcomes of all probes of one function have to say.

    Attributes
    ----------
    finding : what is wrong, None if nothing is or it did not run to the end
    example : that shows it
    remark : what one may want to know of a right function
    fault : what is wrong with the check itself; then there is nothing else
    """

    finding: Finding | None = None
    example: Example | None = None
    remark: str = ""
    fault: str = ""


@contextlib.contextmanager
def judge(server: ForkServer, tasks: Sequence[Task]) -> Iterator[Callable[[Sequence[Outcome]], Judgement]]:
    """What a process has to say of the outcomes of one task after the other.

    It has the learner's limits, for a function of the library that does not get through them is a fault of the check, not of the learner.

    Raises
    ------
    ImportError
        The library's functions need a package that is not there.
    """
    with server.child("judging", {"tasks": _packed(list(tasks)), "memory": MEMORY}) as child:

        def judged(outcomes):
            child.send(_packed(outcomes).encode())
            line = child.next(time.monotonic() + STARTING)
            if line is None:
                return Judgement(fault="its process was ended" if child.status is not None else "its process does not answer")
            answer = _unpacked(line["judged"])
            if isinstance(answer, ImportError):
                raise answer
            return answer

        yield judged


def main(folder: Path, descriptor: int) -> None:
    """Read lines of outcomes from the file descriptor, and answer each with a line."""
    request = json.loads((folder / "request.json").read_text())
    limit(request["memory"], request["printed"])
    with os.fdopen(os.dup(descriptor), "rb") as asked, os.fdopen(descriptor, "w", buffering=1) as answers:
        for task in _unpacked(request["tasks"]):
            judgement = _judge_of(task)
            line = asked.readline()
            if not line:  # nobody wants to know any more
                return
            try:
                judged = judgement(_unpacked(line))
            except Exception as error:
                judged = Judgement(fault=f"{type(error).__name__}: {error}")
            answers.write(json.dumps({"judged": _packed(judged)}) + "\n")


def _judge_of(task: Task):
    """outcomes -> judgement. The library's own outcomes are found at once, while the learner's functions run."""
    probes = importlib.import_module(f"chainrule.lab.probes.{task.topic}").PROBES[task.function]
    try:
        library = {name: getattr(importlib.import_module(module), name) for name, module in task.partners.items()}
    except ImportError as error:
        missing = ImportError(str(error))
        return lambda outcomes: missing
    expected = [outcome(probe, library, task.may_change, again=False) for probe in probes]
    if failed := [f"{probe.title}: {each.error}" for probe, each in zip(probes, expected, strict=True) if each.error]:
        return lambda outcomes: Judgement(fault=f"the library's own function fails on {failed[0]}")
    return lambda outcomes: _judgement(task, probes, library, expected, outcomes)


def _judgement(task, probes, library, expected, outcomes) -> Judgement:
    if len(outcomes) < len(probes):  # it did not come to the end, which is told
        return Judgement()
    finding = diagnose(task.function, task.topic, probes, outcomes, expected, library, task.may_change)
    if finding is None:
        return Judgement(remark="" if any(each.error for each in outcomes) else _remark(outcomes, expected))
    number = finding.probe
    return Judgement(finding, _example(probes[number], outcomes[number], expected[number], library))


def _remark(seen, expected) -> str:
    for each, right in zip(seen, expected, strict=True):
        for name, value in right.values.items():
            got = each.values.get(name)
            if value is not None and got is not None and value.dtype == np.float32 and got.dtype == np.float64:
                return f"{name} is float64 for float32 inputs, which costs time: np.zeros makes float64 unless it is given x.dtype"
    return ""


def _example(probe, seen, expected, library) -> Example:
    watch = Watch(library, methods=True)
    observe(probe, watch.functions)
    names = differing(seen, expected) if not seen.error else []
    calls = ((function, {name: _shown(value) for name, value in given.items() if name != "cache"}) for function, given in watch.calls[:3])
    yours = {name: seen.values.get(name) for name in names}
    return Example(probe.title, tuple(calls), yours, {name: expected.values[name] for name in names})


def _shown(value: Any) -> Any:
    """An argument as arrays, numbers and words."""
    if isinstance(value, dict):
        return {name: _shown(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(entry) for entry in value]
    if hasattr(value, "detach"):  # a tensor
        return value.detach().numpy()
    if hasattr(value, "numpy"):  # one of TensorFlow's
        return np.array(value)
    if value is None or isinstance(value, np.ndarray | np.number | str | bool | int | float):
        return value
    if isinstance(value, type):
        return Words(value.__name__)
    if isinstance(value, FunctionType):
        return Words(f"a function {value.__name__}")
    text = repr(value)
    return Words(f"of type {type(value).__name__}" if text.startswith("<") else text)


def _packed(content: Any) -> str:
    return base64.b64encode(pickle.dumps(content)).decode()


def _unpacked(text: str | bytes) -> Any:
    return pickle.loads(base64.b64decode(text))
