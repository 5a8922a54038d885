"""What the process does that a learner's code runs in; `lab.sandbox` starts it.

Reads what is asked (workspace, files, functions, limits) from a file of JSON, and writes a line of JSON for each probe to a file
descriptor. What the learner's code prints goes elsewhere.
"""

import base64
import builtins
import contextlib
import errno
import faulthandler
import importlib.util
import itertools
import json
import os
import resource
import sys
import traceback
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.lab.probing import ContractError, Watch, observe, same

__all__ = ["limit", "main"]

ALLOWED = (  # modules of the library that hold no answers
    "chainrule.functional.checks",
    "chainrule.functional.geometry",
    "chainrule.functional.windows",
    "chainrule.lab.notebook",
    "chainrule.models.checks",
    "chainrule.verification",
)
FRAMEWORKS = ("torch", "tensorflow", "keras", "jax", "autograd", "cupy", "tinygrad", "mxnet", "sklearn")
MOST_LOCAL = 40  # arrays of a function's variables that are reported
LARGEST_LOCAL = 10_000  # numbers in one
MOST_PRINTED = 1000  # bytes of what one probe's first run prints that are reported


class Forbidden(ImportError):
    """The learner's file imports the answer."""


def main(folder: Path, descriptor: int) -> None:
    """Do what `request.json` in the folder asks for, and report to the file descriptor."""
    request = json.loads((folder / "request.json").read_text())
    report = os.fdopen(descriptor, "w", buffering=1)
    workspace = Path(request["workspace"]).resolve()
    os.chdir(workspace)
    sys.path.insert(0, str(workspace))
    sys.dont_write_bytecode = True
    _guard_imports(workspace, set(request["needs"]), request["answers"])

    def say(**line):
        report.write(json.dumps(line) + "\n")

    if "training" in request:
        _train(request, workspace, say)
    else:
        _probe(request, workspace, say)
    say(done=True)


def _probe(request, workspace, say):
    limit(request["memory"], request["printed"])
    modules: dict[str, Any] = {}
    with open(request["stacks"], "w") as stacks:
        for number, task in enumerate(request["tasks"]):
            stacks.truncate(0)
            faulthandler.dump_traceback_later(request["seconds"] * 0.9, file=stacks)
            say(begin=number)
            probes = importlib.import_module(f"chainrule.lab.probes.{task['topic']}").PROBES[task["function"]]
            try:
                module = modules.get(task["file"]) or _import(workspace, task["file"])
                modules[task["file"]] = module
                say(imported=task["file"])
            except BaseException as error:  # SystemExit, too: it is the learner's
                say(broken=_fault(error, workspace))
                continue
            for index, probe in enumerate(probes):
                say(probe=index, **_outcome(module, workspace, task, probe, request["output"]))
        faulthandler.cancel_dump_traceback_later()


def _train(request, workspace, say):
    from chainrule.data import load

    asked = request["training"]
    runs = importlib.import_module(asked["module"]).RUNS[asked["lab"]]
    try:
        dataset = load(asked["data"], seed=asked["seed"], limit=asked["limit"])
    except (OSError, ValueError) as error:  # that is no fault of the learner's functions
        say(unable=str(error))
        return
    limit(request["memory"], request["printed"])
    with open(request["stacks"], "w") as stacks:

        def reported(**line):
            faulthandler.dump_traceback_later(request["seconds"] * 0.9, file=stacks)
            say(**line)

        reported(ready=True)
        written: dict[str, dict[str, Any]] = {}
        try:
            for file, names in asked["written"].items():
                module = _import(workspace, file) if names else None
                written[file] = {name: getattr(module, name) for name in names}
        except BaseException as error:
            say(failed=_failure(error, workspace))
            return
        for run in runs:
            try:
                run.train(written, dataset, reported, epochs=asked["epochs"], seed=asked["seed"])
            except BaseException as error:
                reported(failed=_failure(error, workspace))
        faulthandler.cancel_dump_traceback_later()


def _failure(error, workspace):
    told = _fault(error, workspace)
    if told["fault"] == "unwritten":
        return f"{told['within']} is not written yet"
    what = f"{told['fault']}: {told['error']}"
    if told["within"] == "<module>":
        return f"{told['place'].partition(':')[0]} cannot be imported: {what} ({told['place']})"
    if told["place"]:
        return f"{told['within']} fails: {what} ({told['place']})"
    return f"the network cannot go on with what your functions gave it ({what}); `chainrule lab check` says what is wrong with them"


def limit(memory: int, printed: int) -> None:
    """Allow so many bytes of memory more than are used so far, and so many of output."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if Path("/proc/self/statm").exists() else 0
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (printed, printed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _guard_imports(workspace, needs, answers):
    """Refuse what would be the answer, when a file of the workspace imports it. What other labs ask for may come from the library."""
    original = builtins.__import__
    if "tensorflow" in needs:  # which has Keras in it
        needs = {*needs, "keras"}

    def guarded(name, globals=None, locals=None, fromlist=(), level=0):
        root, importer = name.partition(".")[0], Path((globals or {}).get("__file__") or "")
        if level == 0 and importer.parent == workspace and root not in needs:
            harmless = any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
            refused = {*answers.get(importer.name, itertools.chain(*answers.values())), "*"}
            other = name.startswith("chainrule.functional") and fromlist and not refused & set(fromlist)
            if root in FRAMEWORKS or (root == "chainrule" and not harmless and not (other and _functions_only(name, fromlist))):
                raise Forbidden(f"{', '.join(fromlist or [name])} of {root} is not to be used here: write it yourself, with NumPy")
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = guarded


def _functions_only(name, fromlist):
    module = importlib.import_module(name)
    return all(isinstance(getattr(module, each, None), FunctionType) for each in fromlist)


def _import(workspace, file):
    name = file.removesuffix(".py")
    path = workspace / file
    if not path.is_file():
        raise FileNotFoundError(f"there is no {file}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that files of the workspace find one another
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _outcome(module, workspace, task, probe, output):
    """One probe's outcome as JSON has it; output is the file that is printed to."""
    watch = Watch(_functions(module, task), task["may_change"])
    start = _printed_bytes(output)
    try:
        values, local = _watching(module, workspace, task, lambda: observe(probe, watch.functions))
        printed = _printed(output, start)
        again = observe(probe, watch.functions)
    except BaseException as error:
        told = {"error": str(error), "fault": "contract"} if isinstance(error, ContractError) else _fault(error, workspace)
        return told | {"changed": watch.changed, "printed": _printed(output, start)}
    return {
        "printed": printed,
        "values": {name: _encoded(value) for name, value in values.items()},
        "local": {name: _encoded(value) for name, value in local.items()},
        "changed": watch.changed,
        "unsteady": any(not same(values[name], again.get(name)) for name in values),
    }


def _printed_bytes(output):
    with contextlib.suppress(AttributeError, OSError, ValueError):  # it is the learner's now; more than is allowed is told
        sys.stdout.flush()
    return os.stat(output).st_size


def _printed(output, start):
    """What was printed since, or its beginning."""
    more = _printed_bytes(output) - start > MOST_PRINTED
    with open(output, "rb") as file:
        file.seek(start)
        text = file.read(MOST_PRINTED).decode(errors="replace")
    return text + "\n...\n" * more


def _functions(module, task):
    """The learner's functions for the probes to call; those that are not written yet are made up for by the library's."""
    functions = {}
    for name, source in task["partners"].items():
        if name in task["given"]:
            functions[name] = getattr(importlib.import_module(source), name)
        else:
            functions[name] = getattr(module, name, None) or _missing(name)
    return functions


def _missing(name):
    def missing(*arguments, **named):
        raise NotImplementedError(f"{name} is missing")

    return missing


def _watching(module, workspace, task, run):
    """What `run` gives, and the arrays in the variables of the learner's function when it returned first.

    Raises
    ------
    Forbidden
        The learner's code has called the library's answer, however it came by it.
    """
    found: dict[str, np.ndarray] = {}
    called: list[str] = []
    code = getattr(getattr(module, task["function"].partition(".")[0], None), "__code__", None)
    library = str(Path(__file__).parents[1])

    def look(frame, event, argument):
        name, caller = frame.f_code.co_name, frame.f_back
        if event == "call" and name in task["partners"] and caller and frame.f_code.co_filename.startswith(library):
            if Path(caller.f_code.co_filename).parent == workspace:
                called.append(name)
        elif event == "return" and frame.f_code is code and not found:
            found.update(_arrays(frame.f_locals))

    sys.setprofile(look)
    try:
        values = run()
    finally:
        sys.setprofile(None)
    if called:
        raise Forbidden(f"{called[0]} of chainrule is not to be used here: write it yourself, with NumPy")
    return values, found


def _arrays(variables):
    """The arrays of numbers among a function's variables, copied."""
    arrays = {name: np.array(value) for name, value in variables.items() if isinstance(value, np.ndarray | float | int)}
    small = {name: value for name, value in arrays.items() if value.dtype.kind in "iuf" and value.size <= LARGEST_LOCAL}
    return dict(list(small.items())[:MOST_LOCAL])


def _fault(error, workspace):
    """What went wrong, in which line of the learner's files."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == workspace]
    place, function = (f"{Path(own[-1].filename).name}:{own[-1].lineno}", own[-1].name) if own else ("", "")
    fault, message = type(error).__name__, str(error) or "without a message"
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).parent == workspace:
        place, message = f"{Path(error.filename).name}:{error.lineno}", error.msg
    if isinstance(error, NotImplementedError):
        fault = "unwritten"
    if isinstance(error, SystemExit):
        message = "it would end the whole program"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        fault, message = "flood", "prints more than 1 MB; take the print out of the loop"
    return {"error": message, "fault": fault, "place": place, "within": function}


def _encoded(value):
    if value is None:
        return None
    value = np.asarray(value, order="C")  # ascontiguousarray would give a number an axis
    return {"dtype": value.dtype.str, "shape": value.shape, "data": base64.b64encode(value.tobytes()).decode()}
