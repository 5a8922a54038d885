"""Checks the functions of a workspace: not written, right, or wrong, and what is wrong."""

import ast
import contextlib
import difflib
import importlib
import inspect
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chainrule.lab.diagnosis import diagnose, differing
from chainrule.lab.labs import Exercise, File
from chainrule.lab.probing import Outcome, Watch, observe, outcome
from chainrule.lab.sandbox import SECONDS, Task, run_tasks
from chainrule.lab.workspace import Workspace

__all__ = ["Example", "Verdict", "check_workspace", "written_functions"]

Status = Literal["unwritten", "right", "wrong", "error"]


@dataclass(frozen=True)
class Example:
    """The smallest input of the probes on which a function is wrong.

    Attributes
    ----------
    title : what is special about it
    calls : the functions called, with their arguments by name
    yours, expected : the values that differ
    """

    title: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    yours: dict[str, np.ndarray | None]
    expected: dict[str, np.ndarray | None]


@dataclass(frozen=True)
class Verdict:
    """What a check has to say about one function.

    Attributes
    ----------
    function : its name; of a method "TwoLayerNet.loss"
    file, line : where it is; line 0 if it is nowhere
    status : "unwritten", "right", "wrong", or "error" where it could not be run to the end
    kind : of mistake, "" unless it is wrong
    sentence : what is wrong; "" for a right one
    hints : one after the other, on request
    example : the smallest input that shows it
    remark : what one may want to know of a right function
    fine : whether nothing is wrong with it so far
    """

    function: str
    file: str
    line: int
    status: Status
    kind: str = ""
    sentence: str = ""
    hints: tuple[str, ...] = ()
    example: Example | None = None
    remark: str = ""

    @property
    def fine(self) -> bool:
        return self.status in ("right", "unwritten")


def check_workspace(
    workspace: Workspace, functions: Sequence[str] = (), *, seconds: float = SECONDS, files: Sequence[str] = ()
) -> Iterator[Verdict]:
    """A verdict on every function of a workspace, as they come.

    Parameters
    ----------
    workspace : to check
    functions : names of those to check (default: all); "TwoLayerNet" means all its methods
    seconds : limit for the probes of one function
    files : names of those to check (default: all)

    Raises
    ------
    ValueError
        No function of the workspace has such a name.
    """
    known = [name for file in workspace.files for exercise in file.exercises for name in _names(exercise)]
    for name in functions:
        if name not in known and not any(each.startswith(f"{name}.") for each in known):
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"no lab of {workspace.folder} asks for a function {name!r}; {hint}")

    def wanted(name):
        return not functions or name in functions or name.partition(".")[0] in functions

    looked_at = [_looked_at(workspace, file, wanted) for file in workspace.files if not files or file.name in files]
    threading.Thread(target=_import_libraries, args=(looked_at,)).start()  # while the learner's process starts
    # files that need the same packages share a process, which imports them once
    tasks: dict[tuple[str, ...], list[Task]] = {}
    for each in looked_at:
        tasks.setdefault(each.file.needs, []).extend(each.tasks)
    answers = {file.name: _answers(workspace, file) for file in workspace.files}
    runs = {needs: run_tasks(workspace.folder, some, needs=needs, answers=answers, seconds=seconds) for needs, some in tasks.items()}
    for each in looked_at:
        for name, exercise in each.names.items():
            if name not in each.verdicts:
                each.verdicts[name] = _verdict(each.source, each.file, exercise, *next(runs[each.file.needs]))
            if wanted(name):
                yield _after(each.verdicts.get(_forward_of(name)), each.verdicts[name])


def written_functions(folder: Path, file: File) -> list[str]:
    """The functions of a file that are more than their skeleton.

    Raises
    ------
    ValueError
        The file is missing, or cannot be read as Python.
    """
    source = _Source.read(folder / file.name)
    if source.fault:
        raise ValueError(source.fault)
    return [exercise.name for exercise in file.exercises if (node := source.nodes.get(exercise.name)) and not _is_unwritten(node)]


def _names(exercise: Exercise) -> list[str]:
    """What is checked of an exercise: itself, or the methods that there are probes for."""
    probes = _topic(exercise.topic).PROBES
    return [name for name in probes if name == exercise.name or name.startswith(f"{exercise.name}.")]


@cache
def _topic(name):
    return importlib.import_module(f"chainrule.lab.probes.{name}")


@dataclass(frozen=True)
class _Looked:
    """A file of the workspace before anything of it is run.

    Attributes
    ----------
    names : the functions to be checked; of a backward pass its forward pass is checked along
    verdicts : on those that need not be run
    tasks : for the others
    """

    file: File
    source: "_Source"
    names: dict[str, Exercise]
    verdicts: dict[str, Verdict]
    tasks: list[Task]


def _looked_at(workspace: Workspace, file: File, wanted) -> _Looked:
    every = {name: exercise for exercise in file.exercises for name in _names(exercise)}
    along = {each for name in every if wanted(name) for each in (name, _forward_of(name))}
    names = {name: exercise for name, exercise in every.items() if name in along}
    source = _Source.read(workspace.folder / file.name)
    if source.fault:
        return _Looked(
            file, source, names, {name: Verdict(name, file.name, source.line, "error", sentence=source.fault) for name in names}, []
        )
    verdicts = {name: verdict for name, exercise in names.items() if (verdict := _before_running(source, file, exercise, name))}
    tasks = [_task(source, file, exercise, name) for name, exercise in names.items() if name not in verdicts]
    return _Looked(file, source, names, verdicts, tasks)


def _answers(workspace: Workspace, file: File) -> list[str]:
    """What the file's own labs ask for; a network of one lab may use another lab's layers, of the library until they are written."""
    return [each.name for lab in workspace.labs if file in lab.files for other in lab.files for each in other.exercises]


def _import_libraries(looked_at):
    with contextlib.suppress(ImportError):  # said where the verdict needs it
        for source in {source for each in looked_at for task in each.tasks for source in task.partners.values()}:
            importlib.import_module(source)


def _forward_of(name: str) -> str:
    """The forward pass whose cache a backward pass gets: "batchnorm_forward" of "batchnorm_backward_alt"."""
    return name.removesuffix("_alt").replace("_backward", "_forward")


def _after(forward: Verdict | None, verdict: Verdict) -> Verdict:
    """A verdict on a backward pass, which no one can judge by the numbers while the cache that it gets is from a wrong forward pass."""
    if forward is None or forward is verdict or forward.fine or verdict.status != "wrong" or verdict.hints:
        return verdict
    sentence = f"gives other gradients than it should, but from the cache of {forward.function}, which is wrong itself: mend that first"
    return replace(verdict, kind="cache", sentence=sentence)


def _before_running(source, file, exercise, name) -> Verdict | None:
    """What can be said of a function without running it."""
    node = source.find(name)
    if node is None:
        near = difflib.get_close_matches(name, source.nodes, n=1)
        hint = f" is {near[0]} in line {source.nodes[near[0]].lineno} it? Give it its name back" if near else " it was there at the start"
        return Verdict(name, file.name, 0, "error", sentence=f"{file.name} has no {name};{hint}")
    if _is_unwritten(node):
        return Verdict(name, file.name, node.lineno, "unwritten")
    asked = _arguments(_library_function(exercise, name))
    given = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    required = len(given) - len(node.args.defaults)
    if not node.args.vararg and (len(given) < len(asked[0]) or required > len(asked[0])):
        sentence = f"{name} takes ({', '.join(given)}); expected ({', '.join(asked[1])})"
        return Verdict(name, file.name, node.lineno, "error", sentence=sentence)
    return None


def _arguments(function):
    """The positional arguments that calls give, and all as they are written."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [parameter for parameter in inspect.signature(function).parameters.values() if parameter.kind in kinds]
    return [parameter for parameter in parameters if parameter.default is parameter.empty], [parameter.name for parameter in parameters]


def _library_function(exercise, name):
    found: Any = importlib.import_module(exercise.source)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _partners(file: File) -> dict[str, str]:
    """The functions that probes may call: those of the file."""
    return {exercise.name: exercise.source for exercise in file.exercises}


def _task(source, file, exercise, name) -> Task:
    partners = _partners(file)
    given = [each for each in partners if each != exercise.name and ((node := source.nodes.get(each)) is None or _is_unwritten(node))]
    return Task(file.name, name, exercise.topic, partners, tuple(given), exercise.may_change)


def _verdict(source, file, exercise, task, seen: list[Outcome]) -> Verdict:
    name, probes = task.function, _topic(exercise.topic).PROBES[task.function]
    line = source.find(name).lineno
    library = {each: getattr(importlib.import_module(module), each) for each, module in task.partners.items()}
    expected = [outcome(probe, library, exercise.may_change, again=False) for probe in probes]
    complete = len(seen) == len(probes)
    finding = diagnose(name, exercise.topic, probes, seen, expected, library, exercise.may_change) if complete else None
    if finding is not None:
        example = _example(probes[finding.probe], seen[finding.probe], expected[finding.probe], library)
        return Verdict(name, file.name, line, "wrong", finding.kind, finding.sentence, finding.hints, example)
    for index, each in enumerate(seen):
        if each.error:
            return _failed(name, file, line, probes[index] if index < len(probes) else None, each)
    return Verdict(name, file.name, line, "right", remark=_remark(seen, expected))


def _failed(name, file, line, probe, seen: Outcome) -> Verdict:
    """A function that raised, hung, or ended the interpreter."""
    within = "" if seen.within in ("", name, name.rpartition(".")[2]) else f"{seen.within}, which it calls, "
    if seen.fault == "unwritten":
        if not within:
            return Verdict(name, file.name, line, "unwritten")
        return Verdict(name, file.name, line, "error", sentence=f"needs {seen.within}, which is not written yet")
    place = f" ({seen.place})" if seen.place else ""
    if seen.fault in ("slow", "crash", "flood"):
        return Verdict(name, file.name, line, "error", sentence=f"{seen.error}{place}")
    where = f" on {probe.title}" if probe is not None else ""
    message = f"{seen.fault}: {seen.error}"
    return Verdict(name, file.name, line, "error", sentence=f"{within}fails{where}: {message}{place}")


def _remark(seen, expected) -> str:
    for each, right in zip(seen, expected, strict=True):
        for name, value in right.values.items():
            got = each.values.get(name)
            if value is not None and got is not None and value.dtype == np.float32 and got.dtype == np.float64:
                return f"{name} is float64 for float32 inputs, which costs time: np.zeros makes float64 unless it is given x.dtype"
    return ""


def _example(probe, seen, expected, library) -> Example:
    watch = Watch(library)
    observe(probe, watch.functions)
    names = differing(seen, expected) if not seen.error else []
    yours = {name: seen.values.get(name) for name in names}
    calls = tuple((function, {name: value for name, value in given.items() if name != "cache"}) for function, given in watch.calls[:3])
    return Example(probe.title, calls, yours, {name: expected.values[name] for name in names})


@dataclass(frozen=True)
class _Source:
    """A learner's file, read but not run."""

    nodes: dict[str, Any]
    fault: str = ""
    line: int = 0

    @classmethod
    def read(cls, path: Path) -> "_Source":
        try:
            tree = ast.parse(path.read_bytes(), path.name)
        except FileNotFoundError:
            return cls({}, f"{path.name} is missing; it was there when the lab was started: put it back")
        except SyntaxError as error:
            return cls({}, f"{path.name} cannot be read as Python: {error.msg} (line {error.lineno})", error.lineno or 0)
        except (ValueError, OSError) as error:
            return cls({}, f"{path.name} cannot be read: {error}")
        nodes: dict[str, Any] = {}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                nodes[node.name] = node
            elif isinstance(node, ast.ClassDef):
                nodes |= {f"{node.name}.{each.name}": each for each in node.body if isinstance(each, ast.FunctionDef)}
        return cls(nodes)

    def find(self, name: str):
        """The function or method; the class's __init__ stands for the class."""
        return self.nodes.get(name) or self.nodes.get(f"{name}.__init__")


def _is_unwritten(node) -> bool:
    """Whether nothing but a docstring, pass, ... or the skeleton's NotImplementedError is there."""
    for statement in node.body:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                continue
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError")) | ast.Name(id="NotImplementedError")):
                return True
        return False
    return True
