"""The notebooks of the labs: run from start to end with the solutions, and up to the first unwritten function without."""

import re
import zipfile

import jupytext
import pytest
from pypdf import PdfReader
from tests.lab.workspaces import LABS_HERE, new_workspace

from chainrule.lab.labs import LABS, find_lab
from chainrule.lab.notebooks import FOLDER
from chainrule.lab.submission import submit
from chainrule.lab.workspace import find_workspace

NAMES = [lab.name for lab in LABS]


def cells(name):
    return jupytext.read(FOLDER / f"{find_lab(name).notebook}.py", fmt="py:percent").cells


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", LABS_HERE)
def test_a_notebook_runs_from_start_to_end_with_the_solutions(tmp_path, name):
    new_workspace(tmp_path / "work", name, solutions=True)
    made = submit(find_workspace(tmp_path / "work"), folder=tmp_path / "out")
    assert made.warnings == []
    with zipfile.ZipFile(made.zip) as archive:
        notebook = archive.read(f"{find_lab(name).notebook}.ipynb").decode()
    assert '"stderr"' not in notebook  # no warning, either
    assert len(PdfReader(made.pdf).pages) > 2


@pytest.mark.slow
@pytest.mark.parametrize("name", LABS_HERE)
def test_a_notebook_of_a_new_workspace_ends_at_the_first_unwritten_function_and_says_so(tmp_path, name):
    new_workspace(tmp_path / "work", name)
    with pytest.raises(
        ValueError, match=rf"{find_lab(name).notebook}\.ipynb, code cell \d+ .*: \S+ is not written yet \(\w+\.py, line \d+\)"
    ):
        submit(find_workspace(tmp_path / "work"), folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_a_lab_is_checked_in_its_notebook(name):
    text = "\n".join(cell.source for cell in cells(name) if cell.cell_type == "code")
    checked = set(re.findall(r"check\(([^)]*)\)", text))
    names = {each.strip(" \"'\n") for call in checked for each in call.split(",")}
    for exercise in find_lab(name).exercises:
        assert any(each.partition(".")[0] == exercise.name for each in names) or "" in names, exercise.name


@pytest.mark.parametrize("name", NAMES)
def test_every_question_has_its_answer_for_instructors(name):
    found = cells(name)
    questions = [index for index, cell in enumerate(found) if "**Question" in cell.source]
    assert len(questions) >= 3
    for index in questions:
        assert "answer" in found[index + 1].metadata.get("tags", ()), found[index].source


@pytest.mark.parametrize("name", LABS_HERE)
def test_learners_get_no_answers(tmp_path, name):
    new_workspace(tmp_path, name)
    text = (tmp_path / f"{find_lab(name).notebook}.ipynb").read_text()
    for cell in cells(name):
        if "answer" in cell.metadata.get("tags", ()):
            assert cell.source[:60] not in text
    assert '"answer"' not in text
