"""Skeletons and solutions made from the library: signatures and docstrings stay, and nothing of a solution leaks."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from tests.lab.workspaces import FILES_HERE

from chainrule.lab.skeleton import skeleton, solution

EXERCISES = [(file, exercise) for file in FILES_HERE for exercise in file.exercises]


def definitions(text):
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def library(exercise):
    return getattr(importlib.import_module(exercise.source), exercise.name)


def code_lines(source):
    """The lines of code of a function or class, without docstrings and comments."""
    tree = ast.parse(inspect.cleandoc(source) if source.startswith(" ") else source)
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for statement in node.body:
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                    lines |= {ast.unparse(part) for part in ast.walk(statement) if isinstance(part, ast.stmt)}
    return {line for line in lines if len(line) > 12}


@pytest.mark.parametrize(("file", "exercise"), EXERCISES, ids=lambda value: value.name)
def test_a_skeleton_has_the_librarys_signature_and_docstring(file, exercise):
    own = definitions(skeleton(file))[exercise.name]
    original = definitions(inspect.getsource(library(exercise)))[exercise.name]
    if isinstance(own, ast.FunctionDef):
        assert ast.unparse(own.args) == ast.unparse(original.args)
    said = re.sub(r"\s*Derivation: \S+\.md\.", "", ast.get_docstring(original)).strip()
    assert ast.get_docstring(own).strip() == said


@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_no_line_of_a_solution_is_in_a_skeleton(file):
    text = skeleton(file)
    own = code_lines(text)
    for exercise in file.exercises:
        assert own & code_lines(inspect.getsource(library(exercise))) == set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            *documented, last = node.body
            assert isinstance(last, ast.Raise) and len(documented) <= 1
    assert "docs/derivations" not in text


@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_private_helpers_of_the_library_are_not_in_a_skeleton(file):
    private = {node.name for node in ast.walk(ast.parse(skeleton(file))) if isinstance(node, ast.FunctionDef) and node.name.startswith("_")}
    assert private <= {"__init__"}


@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_a_solution_has_the_librarys_bodies(file):
    text = definitions(solution(file))
    for exercise in file.exercises:
        if not exercise.leaves_out:
            original = definitions(inspect.getsource(library(exercise)))[exercise.name]
            assert ast.unparse(text[exercise.name]) == ast.unparse(original)


@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_a_skeleton_imports_numpy_and_what_the_lab_needs(file, tmp_path):
    imported = {
        alias.name for node in ast.walk(ast.parse(skeleton(file))) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    assert imported & ({"numpy"} | set(file.needs))
    assert not any(name.startswith("chainrule") for name in imported)


def test_sources_name_what_is_there():
    for _, exercise in EXERCISES:
        assert Path(inspect.getsourcefile(library(exercise))).stem == exercise.source.rpartition(".")[2]


@pytest.mark.parametrize("make", [skeleton, solution])
@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_at_most_two_lines_are_empty(file, make):
    assert "\n\n\n\n" not in make(file)


@pytest.mark.parametrize("file", FILES_HERE, ids=lambda file: file.name)
def test_no_comment_ends_in_a_line_of_one_word(file):
    assert not re.search(r"^ +# \S+$", skeleton(file), re.MULTILINE)


def test_a_backward_pass_of_dropout_says_nothing_of_random_generators():
    (dropout,) = [file for file in FILES_HERE if file.name == "dropout.py"]
    assert skeleton(dropout).count("random generator") == 1
