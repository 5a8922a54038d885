"""The pages of docs/derivations hold code that runs, and quote the library as it stands."""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest

from chainrule import functional

PAGES = sorted((Path(__file__).parents[2] / "docs" / "derivations").glob("*.md"))
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
CHAPTERS = [page for page in TEXTS if page != "index"]


def python_blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", TEXTS[page], re.MULTILINE | re.DOTALL)


def quotations(page):
    """name -> text of the functions that the page quotes: the blocks that begin with a definition."""
    return {ast.parse(block).body[0].name: block for block in python_blocks(page) if block.startswith("def ")}


def library_functions():
    """name -> function of everything defined in chainrule.functional, private helpers included."""
    modules = [module for name, module in sys.modules.items() if name.startswith("chainrule.functional.")]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    }


def without_docstring(function):
    """The source of a function, as it stands, less its docstring."""
    source = inspect.getsource(function)
    first = ast.parse(source).body[0].body[0]
    lines = source.splitlines(keepends=True)
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return "".join(lines[: first.lineno - 1] + lines[first.end_lineno :]) if is_docstring else source


QUOTED = [(page, name) for page in CHAPTERS for name in quotations(page)]
RUNNABLE = [(page, i) for page in CHAPTERS for i, block in enumerate(python_blocks(page)) if not block.startswith("def ")]


@pytest.mark.parametrize(("page", "name"), QUOTED)
def test_quoted_code_is_the_code_of_the_library(page, name):
    source = without_docstring(library_functions()[name])
    assert quotations(page)[name] == source, f"docs/derivations/{page}.md quotes an older {name}; the library now has:\n{source}"


@pytest.mark.parametrize(("page", "block"), RUNNABLE)
def test_every_block_of_python_runs_as_it_stands(page, block, capsys):
    exec(compile(python_blocks(page)[block], f"docs/derivations/{page}.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out, "a check shows the reader how far off it is"


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_page_has_formula_derivation_code_check_and_what_is_kept(page):
    text = TEXTS[page]
    assert "$$" in text and "## Check" in text and "## What is kept" in text
    assert quotations(page), "the code as it stands in the library"
    assert any(name == page for name, _ in RUNNABLE), "a check that the reader can run"
    if page != "update_rules":  # no backward pass there: formulas and sources, rule by rule
        assert "## Formula" in text and "## Derivation" in text and "## Code" in text


def test_every_function_of_the_package_is_quoted_on_some_page():
    assert set(functional.__all__) <= {name for _, name in QUOTED}


def test_the_index_links_every_page_and_every_link_leads_somewhere():
    links = {page: set(re.findall(r"\]\((\w+)\.md\)", text)) for page, text in TEXTS.items()}
    assert links["index"] == set(CHAPTERS)
    for page, targets in links.items():
        assert targets <= set(TEXTS), f"{page}.md links to {sorted(targets - set(TEXTS))}"


@pytest.mark.parametrize("page", TEXTS)
def test_display_formulas_are_closed_and_stand_on_lines_of_their_own(page):
    prose = re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if "$$" in line]
    assert len(lines) % 2 == 0 and set(lines) <= {"$$"}
