"""Workspaces: what is put into a folder, and what is never touched."""

import json
import sys

import pytest
from tests.lab.workspaces import new_workspace

from chainrule.lab.labs import LABS, find_lab
from chainrule.lab.workspace import MANIFEST, find_workspace, start


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_folder_gets_the_notebook_the_files_and_nothing_else(tmp_path):
    new_workspace(tmp_path / "deep" / "work")
    assert sorted(contents(tmp_path / "deep" / "work")) == [MANIFEST, "normalization.ipynb", "normalization.py"]


def test_a_second_lab_joins_the_first_and_shares_its_files(tmp_path):
    new_workspace(tmp_path, "backpropagation")
    (tmp_path / "layers.py").write_text("# mine\n")
    start(find_lab("fully-connected-nets"), tmp_path)
    assert (tmp_path / "layers.py").read_text() == "# mine\n"
    assert [lab.name for lab in find_workspace(tmp_path).labs] == ["backpropagation", "fully-connected-nets"]


def test_a_lab_that_is_there_is_not_started_again(tmp_path):
    new_workspace(tmp_path)
    (tmp_path / "normalization.py").write_text("# mine\n")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="has the lab normalization already; nothing was changed"):
        new_workspace(tmp_path)
    assert contents(tmp_path) == before


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ValueError, match="is not empty, and no workspace of labs; nothing was changed"):
        new_workspace(tmp_path)
    assert list(contents(tmp_path)) == ["thesis.tex"]


def test_a_file_of_the_labs_name_in_a_workspace_is_left_alone(tmp_path):
    new_workspace(tmp_path)
    (tmp_path / "dropout.ipynb").write_text("mine")
    with pytest.raises(ValueError, match=r"dropout\.ipynb is there already; nothing was changed"):
        new_workspace(tmp_path, "dropout")
    assert (tmp_path / "dropout.ipynb").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "work").write_text("")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        new_workspace(tmp_path / "work")


def test_a_workspace_is_found_from_below_and_from_above(tmp_path):
    folder = new_workspace(tmp_path / "work")
    (folder / "data").mkdir()
    assert find_workspace(folder / "data").folder == find_workspace(tmp_path).folder == folder


def test_several_workspaces_below_are_told_apart(tmp_path):
    new_workspace(tmp_path / "one")
    new_workspace(tmp_path / "two")
    with pytest.raises(ValueError, match="has several workspaces: one, two"):
        find_workspace(tmp_path)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1}', "is damaged"),
        ('{"version": 1, "labs": ["cooking"]}', "there is no lab 'cooking'"),
        ('{"version": 1, "labs": []}', "is damaged .it names no lab"),
        ('{"version": 0, "labs": []}', "was written by another version of the labs"),
    ],
)
def test_a_note_that_cannot_be_read_is_told_with_what_to_do(tmp_path, note, message):
    new_workspace(tmp_path)
    (tmp_path / MANIFEST).write_text(note)
    with pytest.raises(ValueError, match=message) as raised:
        find_workspace(tmp_path)
    assert "new folder" in str(raised.value)


def test_a_folder_without_a_workspace_says_how_to_start_one(tmp_path):
    with pytest.raises(ValueError, match="start a lab in a new folder: chainrule lab start backpropagation work/"):
        find_workspace(tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        find_workspace(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["normalisation", "Dropout"])
def test_a_lab_that_there_is_not_names_the_nearest(name):
    with pytest.raises(ValueError, match=r"did you mean (normalization|dropout)"):
        find_lab(name)


def test_a_full_disk_leaves_no_half_of_a_workspace(tmp_path, monkeypatch):
    from chainrule.training import storage

    original = storage.write_file

    def filling_up(path, data, *, what):
        if path.suffix == ".py":
            raise OSError(28, "No space left on device", str(path))
        original(path, data, what=what)

    monkeypatch.setattr(storage, "write_file", filling_up)
    with pytest.raises(OSError, match="No space left"):
        new_workspace(tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []
    monkeypatch.undo()
    new_workspace(tmp_path / "work")


def test_the_note_comes_last_so_that_what_it_names_is_there(tmp_path, monkeypatch):
    from chainrule.training import storage

    written = []
    original = storage.write_file
    monkeypatch.setattr(storage, "write_file", lambda path, data, what: (written.append(path.name), original(path, data, what=what)))
    new_workspace(tmp_path)
    assert written[-1] == MANIFEST
    assert json.loads((tmp_path / MANIFEST).read_text()) == {"version": 1, "labs": ["normalization"]}


def test_there_are_nine_labs_and_one_of_them_twice():
    assert len({lab.name for lab in LABS}) == 9 + 1  # one of them in PyTorch or in TensorFlow
    assert all(lab.asks and lab.files for lab in LABS)


def test_a_folder_that_is_not_there_is_not_taken_for_the_workspace_above_it(tmp_path):
    start(find_lab("dropout"), tmp_path / "work")
    with pytest.raises(ValueError, match="there is no folder"):
        find_workspace(tmp_path / "work" / "nothing")


def test_a_workspace_that_has_lost_its_note_is_known_by_its_notebooks(tmp_path):
    for lab in ("dropout", "normalization"):
        start(find_lab(lab), tmp_path / "work")
    (tmp_path / "work" / "lab.json").unlink()
    assert [lab.name for lab in find_workspace(tmp_path / "work").labs] == ["normalization", "dropout"]


@pytest.mark.parametrize(("lab", "package", "name"), [("pytorch", "torch", "PyTorch"), ("tensorflow", "tensorflow", "TensorFlow")])
def test_a_lab_whose_package_is_missing_says_what_to_install(tmp_path, monkeypatch, lab, package, name):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^the lab {lab} needs {name}: pip install chainrule\[{package}\]$"):
        start(find_lab(lab), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_lab_joins_a_workspace_that_has_lost_its_note(tmp_path):
    work = new_workspace(tmp_path / "work", "dropout")
    (work / "lab.json").unlink()
    new_workspace(work, "normalization")
    assert json.loads((work / MANIFEST).read_text())["labs"] == ["normalization", "dropout"]
