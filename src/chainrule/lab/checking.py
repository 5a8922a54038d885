"""Checks the functions of a workspace: not written, right, or wrong, and what is wrong."""

import ast
import contextlib
import difflib
import importlib
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from chainrule.lab.judging import Example, Judgement, judge
from chainrule.lab.labs import Exercise, File, source_path
from chainrule.lab.probing import Outcome
from chainrule.lab.processes import ForkServer
from chainrule.lab.sandbox import SECONDS, Task, run_tasks
from chainrule.lab.workspace import Workspace

__all__ = ["Servers", "Verdict", "check_workspace", "importers", "written_functions"]

Status = Literal["unwritten", "right", "wrong", "error"]


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
    printed : what it printed for the example, for the input that it failed on, or for the first one; the beginning, if that is much
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
    printed: str = ""

    @property
    def fine(self) -> bool:
        return self.status in ("right", "unwritten")


class Servers(contextlib.ExitStack):
    """The processes that checks are forked from, one for each set of packages: kept, they spare the next check the imports."""

    def __init__(self):
        super().__init__()
        self._servers: dict[tuple[str, ...], ForkServer] = {}

    def begin(self, needs: tuple[str, ...], tasks: Sequence[Task]) -> ForkServer:
        """The one that has these packages, as soon as it has imported them and what the tasks take."""
        if needs not in self._servers:
            sources = {source for task in tasks for source in task.partners.values()}
            probes = {f"chainrule.lab.probes.{task.topic}" for task in tasks}
            modules = ["numpy", *needs, "chainrule.lab.judging", *sorted(sources | probes)]
            self._servers[needs] = self.enter_context(ForkServer(modules))
        server = self._servers[needs]
        server.begin()
        return server


def check_workspace(
    workspace: Workspace,
    functions: Sequence[str] = (),
    *,
    seconds: float = SECONDS,
    files: Sequence[str] = (),
    servers: Servers | None = None,
) -> Iterator[Verdict]:
    """A verdict on every function of a workspace, as they come.

    Parameters
    ----------
    workspace : to check
    functions : names of those to check (default: all): of functions, of classes for all their methods, of labs or files ("layers.py") for
        all that is in them; "level3_sequential.two_layer_fc" is that of one file
    seconds : limit for the probes of one function
    files : names of those to check (default: all)
    servers : to start processes from, for who checks again and again

    Raises
    ------
    ValueError
        Nothing in the workspace has such a name.
    ImportError
        A package that the files need is not there.
    """
    asked = [_asked(workspace, name) for name in functions]

    def wanted(file, name):
        return not functions or any(file.name in places and (not kept or kept in (name, name.partition(".")[0])) for places, kept in asked)

    looked_at = [_looked_at(workspace, file, wanted) for file in workspace.files if not files or file.name in files]
    answers = {file.name: _answers(workspace, file) for file in workspace.files}
    with contextlib.ExitStack() as stack:
        if servers is None:
            servers = stack.enter_context(Servers())
        # files that need the same packages share a process, which imports them once
        tasks: dict[tuple[str, ...], list[Task]] = {}
        for each in looked_at:
            if each.tasks:
                tasks.setdefault(each.file.needs, []).extend(each.tasks)
        runs = {needs: _run(servers.begin(needs, some), workspace, needs, some, answers, seconds) for needs, some in tasks.items()}
        for run in runs.values():
            stack.callback(run.close)
        wrong: list[str] = []
        for each in looked_at:
            for name in each.names:
                if name not in each.verdicts:
                    each.verdicts[name] = next(runs[each.file.needs])
                if each.verdicts[name].status == "wrong":
                    wrong.append(name)
                if wanted(each.file, name):
                    yield _after(wrong, each.source.calls(name), each.verdicts[name])


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
    return [exercise.name for exercise in file.exercises if exercise.name in source.nodes and not source.unwritten(exercise.name)]


def _asked(workspace: Workspace, name: str) -> tuple[list[str], str]:
    """The files that a name is looked for in, and the function or class that is meant, "" for all of them."""
    everywhere = [file.name for file in workspace.files]
    if name in everywhere:
        return [name], ""
    for lab in workspace.labs:
        if name == lab.name:
            return [file.name for file in lab.files], ""
    stem, _, rest = name.partition(".")
    known = {each: None for file in workspace.files for exercise in file.exercises for each in (exercise.name, *_names(exercise))}
    if f"{stem}.py" in everywhere and rest in known:
        return [f"{stem}.py"], rest
    if name in known:
        return everywhere, name
    near = _near(name, [*known])
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"no lab of {workspace.folder} asks for a function {name!r}; {hint}")


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Those that are spelled almost so, or have it in their name."""
    lower = {each.lower(): each for each in known}
    near = [lower[each] for each in difflib.get_close_matches(name.lower(), lower, n=3)]
    return near or [each for each in known if name.lower() in each.lower()][:3]


def importers(workspace: Workspace, files: Sequence[str]) -> list[str]:
    """The other files of a workspace that import one of these."""
    sources = {file.name: _Source.read(workspace.folder / file.name) for file in workspace.files if file.name not in files}
    stems = {name.removesuffix(".py") for name in files}
    return [name for name, source in sources.items() if stems & source.imports]


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
    names : the functions to be checked; of a backward pass its forward pass is checked along, of a method the constructor
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
    source = _Source.read(workspace.folder / file.name)
    asked = [name for name in every if wanted(file, name)]
    along = {each for name in asked for each in (name, _forward_of(name), *_constructors(every, name, source.calls(name)))}
    names = {name: exercise for name, exercise in every.items() if name in along}
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


def _forward_of(name: str) -> str:
    """The forward pass whose cache a backward pass gets: "batchnorm_forward" of "batchnorm_backward_alt"."""
    return name.removesuffix("_alt").replace("_backward", "_forward")


def _constructors(names: Iterable[str], name: str, calls: Collection[str]) -> list[str]:
    """Those among the names that make the object of a method, its own class's or that of a class which its class is made of."""
    classes = {name.partition(".")[0], *calls} if "." in name else set()
    return [each for each in names if each != name and each.endswith(".__init__") and each.partition(".")[0] in classes]


def _after(wrong: Sequence[str], calls: Collection[str], verdict: Verdict) -> Verdict:
    """A verdict on a function that stands on a wrong one."""
    if verdict.fine or verdict.kind == "mutation":
        return verdict

    def doubted(what):
        return replace(
            verdict, sentence=f"{verdict.sentence}; but {what}, which is wrong itself: mend that first, for it may be all that is wrong"
        )

    if constructors := _constructors(wrong, verdict.function, calls):
        return doubted(f"it works with what {constructors[0]} makes")
    if verdict.status != "wrong":
        return verdict
    forward = _forward_of(verdict.function)
    if forward != verdict.function and forward in wrong:
        if verdict.hints:  # a catalogued mistake gives these numbers, and so may a cache
            return doubted(f"its cache is from {forward}")
        sentence = f"gives other gradients than it should, but from the cache of {forward}, which is wrong itself: mend that first"
        return replace(verdict, kind="cache", sentence=sentence)
    called = [name for name in wrong if name in calls and name != verdict.function]
    if called and not verdict.hints:
        sentence = f"gives other numbers than it should, but it calls {called[0]}, which is wrong itself: mend that first"
        return replace(verdict, kind="unknown", sentence=sentence)
    return verdict


def _before_running(source, file, exercise, name) -> Verdict | None:
    """What can be said of a function without running it."""
    node, library = source.nodes.get(name), _library(exercise.source).nodes
    if node is None:
        others = [each for each in source.nodes if each not in library and all(each != asked.name for asked in file.exercises)]
        near = difflib.get_close_matches(name, others, n=1)
        hint = f" is {near[0]} in line {source.nodes[near[0]].lineno} it? Give it its name back" if near else " it was there at the start"
        return Verdict(name, file.name, 0, "error", sentence=f"{file.name} has no {name};{hint}")
    about = name, file.name, node.lineno
    if isinstance(node, ast.ClassDef):
        return Verdict(*about, "error", sentence=f"{name} is a class; expected a function")
    if isinstance(node, ast.AsyncFunctionDef):
        return Verdict(*about, "error", sentence=f"{name} is an async def, which gives back a coroutine; expected a def")
    if not isinstance(node, ast.FunctionDef):  # given its name by an assignment or an import
        return None
    if _is_unwritten(node):
        return Verdict(*about, "unwritten")
    least, _ = _positional(library[name])
    required, allowed = _positional(node)
    if not node.args.vararg and (len(allowed) < len(least) or len(required) > len(least)):
        expected = ast.unparse(library[name].args)
        return Verdict(*about, "error", sentence=f"{name} takes ({ast.unparse(node.args)}); expected ({expected})")
    return None


def _positional(function: ast.FunctionDef):
    """The names of the positional arguments that have no default, and of all."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return names[: len(names) - len(function.args.defaults)], names


@cache
def _library(module: str) -> "_Source":
    """The library's own source, which need not be imported for its signatures."""
    return _Source.read(source_path(module))


def _partners(file: File) -> dict[str, str]:
    """The functions that probes may call: those of the file."""
    return {exercise.name: exercise.source for exercise in file.exercises}


def _task(source, file, exercise, name) -> Task:
    partners = _partners(file)
    stands_on = tuple({*source.calls(name), _forward_of(name)} - {name})
    given = [each for each in partners if each != exercise.name and (each not in source.nodes or source.unwritten(each))]
    return Task(file.name, name, source.nodes[name].lineno, exercise.topic, partners, tuple(given), exercise.may_change, stands_on)


def _run(server, workspace, needs, tasks, answers, seconds) -> Generator[Verdict]:
    """Verdicts on functions that are run, in the order of the tasks."""
    waiting: dict[tuple[str, str], list[Outcome]] = {}
    runs = run_tasks(server, workspace.folder, tasks, needs=needs, answers=answers, seconds=seconds)
    with contextlib.closing(runs), judge(server, tasks) as judged:
        for task in tasks:
            while (task.file, task.function) not in waiting:
                finished, outcomes = next(runs)
                waiting[finished.file, finished.function] = outcomes
            seen = waiting.pop((task.file, task.function))
            yield _verdict(task, seen, judged(seen))


def _verdict(task: Task, seen: Sequence[Outcome], judgement: Judgement) -> Verdict:
    about = task.function, task.file, task.line
    if judgement.fault:
        return Verdict(
            *about, "error", sentence=f"could not be checked, which is a fault of chainrule and none of yours: {judgement.fault}"
        )
    if finding := judgement.finding:
        printed = seen[finding.probe].printed
        return Verdict(*about, "wrong", finding.kind, finding.sentence, finding.hints, judgement.example, printed=printed)
    for index, each in enumerate(seen):
        if each.error:
            return replace(_failed(task, index, each), printed=each.printed)
    return Verdict(*about, "right", remark=judgement.remark, printed=seen[0].printed)


def _failed(task: Task, index: int, seen: Outcome) -> Verdict:
    """A function that raised, hung, or ended the interpreter in that probe."""
    name, about = task.function, (task.function, task.file, task.line)
    within = "" if seen.within.startswith("<") or seen.within in ("", name, name.rpartition(".")[2]) else f"{seen.within}, which it calls, "
    if seen.fault == "unwritten":
        if not within:
            return Verdict(*about, "unwritten")
        return Verdict(*about, "error", sentence=f"needs {seen.within}, which is not written yet")
    place = f" ({seen.place})" if seen.place else ""
    if seen.fault == "blocked":
        return Verdict(*about, "error", sentence=seen.error)
    if seen.within == "<module>":
        return Verdict(*about, "error", sentence=f"{task.file} cannot be imported: {seen.fault}: {seen.error}{place}")
    if seen.fault in ("slow", "crash", "flood"):
        return Verdict(*about, "error", sentence=f"{seen.error}{place}")
    probes = _topic(task.topic).PROBES[name]
    where = f" on {probes[index].title}" if index < len(probes) else ""
    return Verdict(*about, "error", sentence=f"{within}fails{where}: {seen.fault}: {seen.error}{place}")


@dataclass(frozen=True)
class _Source:
    """A learner's file, read but not run."""

    nodes: dict[str, Any]
    fault: str = ""
    line: int = 0
    imports: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> "_Source":
        if path.exists() and not path.is_file():
            return cls({}, f"{path.name} cannot be read: it is a folder, a pipe or a device, not a file")
        try:
            tree = ast.parse(path.read_bytes(), path.name)
        except FileNotFoundError:
            return cls({}, f"{path.name} is missing; it was there when the lab was started: put it back")
        except SyntaxError as error:
            where = f" (line {error.lineno})" if error.lineno else ""
            return cls({}, f"{path.name} cannot be read as Python: {error.msg}{where}", error.lineno or 0)
        except (ValueError, OSError) as error:
            return cls({}, f"{path.name} cannot be read: {error}")
        imports = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        imports |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        return cls({name: node for statement in tree.body for name, node in _bound(statement)}, imports=frozenset(imports))

    def calls(self, name: str) -> set[str]:
        """The names that a function uses, or any method of its class."""
        own = [node for each, node in self.nodes.items() if each.partition(".")[0] == name.partition(".")[0]]
        return {node.id for each in own for node in ast.walk(each) if isinstance(node, ast.Name)}

    def unwritten(self, name: str) -> bool:
        """Whether a function, or all methods of a class, have nothing but their skeleton."""
        methods = [node for each, node in self.nodes.items() if each.startswith(f"{name}.") and isinstance(node, ast.FunctionDef)]
        return all(_is_unwritten(node) for node in methods) if methods else _is_unwritten(self.nodes[name])


def _bound(statement) -> Iterator[tuple[str, Any]]:
    """The names that a statement of a module gives to something, methods as "TwoLayerNet.loss"."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name, statement
        case ast.ClassDef():
            yield statement.name, statement
            yield from ((f"{statement.name}.{each}", node) for inner in statement.body for each, node in _bound(inner))
        case ast.Assign() | ast.AnnAssign():
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from ((each.id, statement) for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
        case ast.Import() | ast.ImportFrom():
            yield from ((alias.asname or alias.name, statement) for alias in statement.names)


def _is_unwritten(node) -> bool:
    """Whether it is a function, and nothing but a docstring, pass, ... or the skeleton's NotImplementedError is there."""
    if not isinstance(node, ast.FunctionDef):
        return False
    for statement in node.body:
        match statement:
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                continue
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError")) | ast.Name(id="NotImplementedError")):
                return True
        return False
    return True
