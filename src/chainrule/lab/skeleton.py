"""The files that learners get, made from the library's source: signatures and docstrings without bodies; as solutions, with them."""

import re
import sys
import textwrap
from collections.abc import Iterable
from functools import cache

import libcst as cst
from libcst.helpers import get_full_name_for_node

from chainrule.lab.labs import FILES, LABS, Exercise, File, source_path

__all__ = ["skeleton", "solution"]

AS = {"tensorflow": " as tf"}  # how a package is called


def skeleton(file: File) -> str:
    """A file of a workspace as a learner gets it: what is to be written raises NotImplementedError."""
    parts = [_header(file, "\n".join(_frameworks(file) or ["import numpy as np"]))]
    for exercise in file.exercises:
        definition = _definition(exercise)
        parts.append(cst.Module([]).code_for_node(_without_bodies(definition, exercise)).strip("\n"))
    return "\n\n\n".join(parts) + "\n"


def _frameworks(file: File) -> list[str]:
    """The lines that import the packages a file needs, as the library's sources do; they name what classes inherit from."""
    lines = {f"import {name}{AS.get(name, '')}": None for name in file.needs}
    for source in dict.fromkeys(exercise.source for exercise in file.exercises):
        for statement in _module(source).body:
            found = _imports(statement, {name.value for name in _names(statement)}, file)
            lines |= dict.fromkeys(line for line in found if line.split()[1].partition(".")[0] in file.needs)
    return _sorted(lines)


def solution(file: File) -> str:
    """The same file with the library's bodies, and what of the library's modules they need."""
    imports: dict[str, None] = {}
    parts = []
    sources = dict.fromkeys(exercise.source for exercise in file.exercises)
    for source in sources:
        exercises = {exercise.name: exercise for exercise in file.exercises if exercise.source == source}
        module = _asked_for(_module(source), exercises)
        kept = _needed(module, exercises)
        used = {name.value for statement in kept for name in _names(statement)}
        for statement in module.body:
            for line in _imports(statement, used, file):
                imports[line] = None
        parts += [module.code_for_node(statement).strip("\n") for statement in kept]
    return "\n\n\n".join([_header(file, "\n".join(_sorted(imports))), *parts]) + "\n"


def _header(file, imports):
    return f'"""{file.title}"""\n\n{imports}'.rstrip("\n")


@cache
def _module(source):
    return cst.parse_module(source_path(source).read_text())


def _asked_for(module, exercises):
    """The module without the methods that its exercises leave out."""
    body = []
    for statement in module.body:
        if isinstance(statement, cst.ClassDef) and statement.name.value in exercises:
            left_out = exercises[statement.name.value].leaves_out
            methods = [each for each in statement.body.body if not (isinstance(each, cst.FunctionDef) and each.name.value in left_out)]
            statement = statement.with_changes(body=statement.body.with_changes(body=methods))
        body.append(statement)
    return module.with_changes(body=body)


def _definition(exercise: Exercise):
    for statement in _module(exercise.source).body:
        if isinstance(statement, cst.FunctionDef | cst.ClassDef) and statement.name.value == exercise.name:
            return statement.with_changes(leading_lines=[])
    raise ValueError(f"{exercise.source} has no {exercise.name}")


def _without_bodies(definition, exercise):
    if isinstance(definition, cst.FunctionDef):
        return _unwritten(definition, definition.name.value, exercise.asks)
    kept = []
    for statement in definition.body.body:
        if isinstance(statement, cst.FunctionDef):
            name = statement.name.value
            if name in exercise.leaves_out or (name.startswith("_") and name != "__init__"):
                continue
            asks = exercise.asks if not any(isinstance(each, cst.FunctionDef) for each in kept) else ""
            kept.append(_unwritten(statement, f"{definition.name.value}.{name}", asks))
        elif not kept:  # the docstring
            kept.append(statement)
    return definition.with_changes(body=definition.body.with_changes(body=kept))


def _unwritten(function, name, asks):
    """The function with its docstring, a note on what is asked for, and nothing else."""
    docstring = [_without_derivation(function.body.body[0])] if function.get_docstring() is not None else []
    comment = [cst.EmptyLine(comment=cst.Comment(f"# {line}")) for line in textwrap.wrap(asks, 100)]
    statement = cst.parse_statement(f'raise NotImplementedError("{name} is not written yet")').with_changes(leading_lines=comment)
    return function.with_changes(body=function.body.with_changes(body=[*docstring, statement]))


def _without_derivation(docstring):
    """The docstring's statement without its pointer to the derivation, which ends in the code that is to be written."""
    (expression,) = docstring.body
    text = re.sub(r"\s*Derivation: \S+\.md\.", "", expression.value.value)
    if "\n" not in text:
        text = re.sub(r'\s+"""$', '"""', text)
    return docstring.with_changes(body=[expression.with_changes(value=expression.value.with_changes(value=text))])


def _needed(module, wanted):
    """The statements of a module that define what is wanted, and private ones that these use."""
    defined = {}
    for statement in module.body:
        for name in _defined(statement):
            defined[name] = statement
    todo, needed = list(wanted), set()
    while todo:
        name = todo.pop()
        if name in needed or name not in defined:
            continue
        needed.add(name)
        todo += [each.value for each in _names(defined[name])]
    return [statement for statement in module.body if needed & set(_defined(statement))]


def _defined(statement) -> list[str]:
    if isinstance(statement, cst.FunctionDef | cst.ClassDef):
        return [statement.name.value]
    if isinstance(statement, cst.SimpleStatementLine):
        names = []
        for small in statement.body:
            if isinstance(small, cst.Assign):
                names += [target.target.value for target in small.targets if isinstance(target.target, cst.Name)]
        return [name for name in names if name != "__all__"]
    return []


def _names(node) -> Iterable[cst.Name]:
    found: list[cst.Name] = []

    class Visitor(cst.CSTVisitor):
        def visit_Name(self, node):
            found.append(node)

    node.visit(Visitor())
    return found


def _imports(statement, used, file) -> list[str]:
    """The import lines of a statement for the names that are used; exercises of a file that is always beside this one come from there."""
    if not isinstance(statement, cst.SimpleStatementLine):
        return []
    lines = []
    labs = [lab for lab in LABS if file in lab.files]
    beside = [other for other in FILES if other is not file and all(other in lab.files for lab in labs)]  # there, whichever lab was started
    homes = {exercise.name: other.name.removesuffix(".py") for other in beside for exercise in other.exercises}
    own = {exercise.name for exercise in file.exercises}
    for small in statement.body:
        if isinstance(small, cst.Import):
            lines += [
                cst.Module([]).code_for_node(small.with_changes(names=[alias.with_changes(comma=cst.MaybeSentinel.DEFAULT)]))
                for alias in small.names
                if (alias.evaluated_alias or alias.evaluated_name.partition(".")[0]) in used
            ]
        elif isinstance(small, cst.ImportFrom) and not isinstance(small.names, cst.ImportStar):
            names = sorted((alias.evaluated_alias or alias.evaluated_name, alias.evaluated_name) for alias in small.names)
            source = (small.module and get_full_name_for_node(small.module)) or ""
            for bound, name in names:
                if bound not in used or name in own:
                    continue
                home = homes.get(name, source) if source.startswith("chainrule") else source
                lines.append(f"from {home} import {name}" + (f" as {bound}" if bound != name else ""))
    return lines


def _sorted(lines):
    """Import lines in one statement a module, the standard library first, then packages, then files of the workspace."""
    plain = sorted(line for line in lines if line.startswith("import "))
    grouped: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("from "):
            module, _, names = line[5:].partition(" import ")
            grouped.setdefault(module, []).append(names)
    sections: dict[int, list[str]] = {0: [], 1: [], 2: []}
    own = {file.name.removesuffix(".py") for file in FILES}
    for line in [*plain, *(f"from {module} import {', '.join(sorted(set(names)))}" for module, names in sorted(grouped.items()))]:
        root = line.split()[1].partition(".")[0]
        sections[0 if root in sys.stdlib_module_names else 2 if root in own else 1].append(line)
    return "\n\n".join("\n".join(section) for section in sections.values() if section).splitlines()
