"""The notebooks of a workspace as learners leave them: read, searched for what is missing, freed of what differs from run to run."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.lab.labs import Lab
from chainrule.lab.workspace import Workspace
from chainrule.messages import sentence
from chainrule.training.storage import read_file

__all__ = [
    "Notebook",
    "cells_without_output",
    "code_cells",
    "first_line",
    "one_line",
    "read_from",
    "read_notebooks",
    "removed_cells",
    "rewrite",
    "strip",
]

SHOWN = {"check", "display", "imshow", "print", "show"}  # a cell that calls one of them has something to show


@dataclass(frozen=True)
class Notebook:
    """A notebook of a workspace, and the lab that it belongs to."""

    lab: Lab
    file: str
    content: Any  # nbformat's NotebookNode, version 4


def read_from(workspace: Workspace, name: str) -> bytes:
    """A file of the workspace.

    Raises
    ------
    ValueError
        It is missing.
    OSError
        It cannot be read.
    """
    path = workspace.folder / name
    if not path.exists():
        raise ValueError(f"{name} is missing in {workspace.folder}; a lab started in a new folder has it as it was: copy it from there")
    return read_file(path)


def read_notebooks(workspace: Workspace) -> tuple[list[Notebook], list[str]]:
    """The notebooks in the order of the course, and a sentence on each that cannot be read."""
    found, troubles = [], []
    for lab in workspace.labs:
        file = f"{lab.notebook}.ipynb"
        try:
            found.append(Notebook(lab, file, _parsed(read_from(workspace, file), file)))
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


def _original(lab: Lab) -> list[Any]:
    """The cells that the lab was given out with."""
    import nbformat

    from chainrule.lab.notebooks import notebook

    return [cell for cell in nbformat.reads(notebook(lab).decode(), as_version=4).cells if cell.source.strip()]


def removed_cells(notebook: Notebook) -> Iterator[str]:
    """A sentence on each cell of the lab's text that is not there any more."""
    for number, cell in enumerate(_original(notebook.lab), 1):
        if _counterpart(cell, notebook.content.cells) is None:
            yield f"{notebook.file}: cell {number} of the lab's text, {first_line(cell)}, is not there any more"


def _counterpart(original, cells):
    """The learner's version of a cell: it has the same id; some editors give new ones, then the same beginning."""
    same_kind = [cell for cell in cells if cell.cell_type == original.cell_type]
    for alike in (lambda cell: cell.id == original.id, lambda cell: cell.source.strip() == original.source.strip()):
        found = next((cell for cell in same_kind if alike(cell)), None)
        if found is not None:
            return found
    if original.id.rpartition("-")[0] in {cell.id.rpartition("-")[0] for cell in cells}:
        return None
    return next((cell for cell in same_kind if first_line(cell) == first_line(original)), None)


def cells_without_output(notebook: Notebook, *, executed: bool) -> Iterator[str]:
    """A sentence on each cell that should show something and does not."""
    cells = notebook.content.cells
    expecting = [_counterpart(cell, cells) for cell in _original(notebook.lab) if cell.cell_type == "code" and _shows(cell.source)]
    counts = []
    for number, cell in code_cells(notebook.content):
        place = f"{notebook.file}, code cell {number} {first_line(cell)}"
        if cell.execution_count is None and not executed:
            yield f"{place}, has not been run"
            continue
        counts.append(cell.execution_count or 0)
        failures = [output for output in cell.outputs if output.output_type == "error"]
        if failures and "raises-exception" not in cell.metadata.get("tags", ()):
            yield f"{place}, ended with an error: {one_line(failures[0].ename, failures[0].evalue)}"
        elif not cell.outputs and any(cell is each for each in expecting):
            yield f"{place}, shows nothing; in the lab's text it does"
    if not executed and counts != sorted(set(counts)):
        yield f"{notebook.file} was not run from top to bottom: its outputs may belong to code that was changed since"


def code_cells(content) -> Iterator[tuple[int, Any]]:
    """Those that have code, numbered from 1 as Jupyter numbers them when all are run."""
    yield from enumerate((cell for cell in content.cells if cell.cell_type == "code" and cell.source.strip()), 1)


def first_line(cell) -> str:
    """What names a cell to whoever reads of it."""
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


def one_line(kind: str, said: str) -> str:
    """An exception in a line; what a skeleton raises says all by itself."""
    said = next((line for line in said.splitlines() if line.strip()), "").strip()
    if kind == "NotImplementedError":
        return said or "something is not written yet"
    return f"{kind}: {said}" if said else kind


def rewrite(output, change: Callable[[str], str]) -> None:
    """Change the texts of a cell's output."""
    if "text" in output:
        output.text = change(_joined(output.text))
    if "traceback" in output:
        output.traceback = [change(line) for line in output.traceback]
    for mime, value in output.get("data", {}).items():
        if mime.startswith("text/"):
            output.data[mime] = change(_joined(value))


def _joined(text) -> str:
    return text if isinstance(text, str) else "".join(text)


def strip(content) -> None:
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
            rewrite(output, _steady)


def _steady(text: str) -> str:
    text = re.sub(r"\bat 0x[0-9a-fA-F]{6,}", "at 0x...", text)
    return re.sub(r"\S*ipykernel_\d+/\d+\.py", "cell.py", text)
