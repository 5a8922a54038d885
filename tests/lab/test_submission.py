"""What is handed in: run in a copy, checked, the same bytes each time, whole or not at all."""

import contextlib
import errno
import io
import json
import os
import signal
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest

from chainrule.lab import execution, learners_notebooks, notebooks, submission
from chainrule.lab.labs import find_lab
from chainrule.lab.submission import submit
from chainrule.lab.workspace import Workspace

FIRST = """\
# %% [markdown]
# # Normalization
# Größe: $x^2$
# %%
from normalization import mean
print("mean", mean([1, 2, 6]))
# %% [markdown]
# Why?
# %%
import numpy as np
np.arange(3)
"""
SECOND = """\
# %% [markdown]
# # Dropout
# %%
from dropout import dropped
print(dropped())
"""
MEAN = "def mean(x):\n    return sum(x) / len(x)\n"
DROPPED = "def dropped():\n    return 1\n"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A function that makes a workspace of two labs; `cells` are put in the place of the second lab's last cell."""
    texts, work = tmp_path / "texts", tmp_path / "work"
    texts.mkdir()
    work.mkdir()
    monkeypatch.setattr(notebooks, "FOLDER", texts)

    def made(*cells, code=None, labs=("normalization", "dropout")):
        (texts / "normalization.py").write_text(FIRST)
        (texts / "dropout.py").write_text(SECOND)
        for name in labs:
            (work / f"{name}.ipynb").write_bytes(notebooks.notebook(find_lab(name)))
        for name, content in ({"normalization.py": MEAN, "dropout.py": DROPPED} | (code or {})).items():
            (work / name).write_text(content)
        (work / "lab.json").write_text(json.dumps({"version": 1, "labs": list(labs)}))
        if cells:
            change(work / "dropout.ipynb", lambda content: setattr(content, "cells", [content.cells[0], *map(cell, cells)]))
        return Workspace(work, tuple(find_lab(name) for name in labs))

    return made


def cell(source, tags=()):
    return nbformat.v4.new_code_cell(textwrap.dedent(source).strip(), metadata={"tags": list(tags)} if tags else {})


def change(path, edit):
    content = nbformat.read(path, as_version=4)
    edit(content)
    nbformat.write(content, path)


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def handed_in(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def without_pdf(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypandoc", None)


def test_the_notebooks_are_run_in_a_copy_and_handed_in_the_same_each_time(make, tmp_path, monkeypatch):
    without_pdf(monkeypatch)
    monkeypatch.setenv("MPLBACKEND", "Agg")  # the notebook's pictures come all the same
    workspace = make(
        """
        import os, warnings
        from pathlib import Path
        import matplotlib.pyplot as plt
        from dropout import dropped
        print(Path.cwd(), object(), os.environ.get("HOME") is not None)
        warnings.warn("mind")
        Path("dropout.py").write_text("ruined")
        Path("new.txt").write_text("x")
        plt.plot([1, 2])
        plt.show()
        """,
        "1 / 0",
    )
    change(workspace.folder / "dropout.ipynb", lambda content: content.cells[2].metadata.update(tags=["raises-exception"], scrolled=True))
    (workspace.folder / ".hidden").mkdir()
    (workspace.folder / "data.txt").write_text("for the notebook alone")
    (workspace.folder / "outside").symlink_to(tmp_path / "texts")
    before, seen = state(workspace.folder), []
    made = submit(workspace, folder=tmp_path / "out", name="übung-2", progress=seen.append)
    assert state(workspace.folder) == before
    assert made.zip == tmp_path / "out" / "übung-2_code_submission.zip"
    assert seen == [
        "normalization.ipynb, code cell 1 of 2",
        "normalization.ipynb, code cell 2 of 2",
        "dropout.ipynb, code cell 1 of 2",
        "dropout.ipynb, code cell 2 of 2",
        "the PDF",
    ]

    files = handed_in(made.zip)
    assert list(files) == ["dropout.ipynb", "dropout.py", "normalization.ipynb", "normalization.py"]
    assert files["dropout.py"] == DROPPED.encode()
    first, second = (nbformat.reads(files[name].decode(), as_version=4) for name in ("normalization.ipynb", "dropout.ipynb"))
    nbformat.validate(second)
    assert [cell.outputs[0].get("text") or cell.outputs[0].data["text/plain"] for cell in first.cells if cell.cell_type == "code"] == [
        "mean 3.0\n",
        "array([0, 1, 2])",
    ]
    printed, warned, drawn = second.cells[1].outputs
    assert printed.text == ". <object object at 0x...> True\n"
    assert "cell.py:6: UserWarning: mind" in warned.text
    assert set(drawn.data) == {"image/png", "text/plain"}
    assert second.cells[2].outputs[0].ename == "ZeroDivisionError"
    assert second.cells[2].metadata == {"tags": ["raises-exception"]}
    assert [warning for warning in made.warnings if "PDF" not in warning and "pdf" not in warning] == [
        'dropout.ipynb: cell 2 of the lab\'s text, "from dropout import dropped", is not there any more'
    ]

    again = submit(workspace, folder=tmp_path / "again", name="übung-2")
    assert again.zip.read_bytes() == made.zip.read_bytes()


def test_every_notebook_says_which_cell_failed_and_the_earlier_submission_stays(make, monkeypatch):
    unwritten = 'def mean(x):\n    raise NotImplementedError("mean is not written yet")\n'
    workspace = make(code={"normalization.py": unwritten, "dropout.py": "def dropped():\n    x = 1\n    return x / 0\n"})
    (workspace.folder / "a2_code_submission.zip").write_bytes(b"earlier")
    before = state(workspace.folder)
    with pytest.raises(ValueError) as caught:
        submit(workspace)
    assert str(caught.value).splitlines() == [
        'normalization.ipynb, code cell 1 "from normalization import mean": mean is not written yet (normalization.py, line 2)',
        'dropout.ipynb, code cell 1 "from dropout import dropped": ZeroDivisionError: division by zero (dropout.py, line 3)',
    ]
    assert state(workspace.folder) == before


def test_notebooks_with_cells_that_fail_are_handed_in_when_that_is_asked_for(make, monkeypatch):
    without_pdf(monkeypatch)
    workspace = make("print('before')\n1 / 0\n", labs=("dropout",))
    made = submit(workspace, allow_errors=True)
    assert any("ended with an error: ZeroDivisionError: division by zero" in warning for warning in made.warnings)
    assert b"before" in handed_in(made.zip)["dropout.ipynb"]


def children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(
            "while True: pass", '"while True: pass": the notebook takes more than 2 seconds; does a loop not end?', id="an endless loop"
        ),
        pytest.param("import os\nos._exit(3)", '"import os": ended the whole Python interpreter', id="a crash"),
        pytest.param("while True: print('x' * 1000)", "prints more than 0 million characters", id="a flood"),
        pytest.param("input()", '"input()": StdinNotImplementedError: raw_input was called', id="a question"),
    ],
)
def test_a_notebook_cannot_hang_or_take_the_submission_along(make, monkeypatch, source, said):
    monkeypatch.setattr(execution, "PRINTED", 100_000)
    workspace = make(source, labs=("dropout",))
    with pytest.raises(ValueError, match=r"dropout\.ipynb, code cell 1 ") as caught:
        submit(workspace, seconds=2 if "pass" in source else 60)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not children()


def test_ctrl_c_ends_the_notebook_with_all_of_its_processes(make, tmp_path):
    source = """
    import subprocess
    from pathlib import Path
    process = subprocess.Popen(["sleep", "600"])
    Path("pid").write_text(str(process.pid))
    Path("pid").rename(PLACE)
    process.wait()
    """
    workspace = make(textwrap.dedent(source).replace("PLACE", repr(str(tmp_path / "pid"))), labs=("dropout",))

    def interrupt_when_it_runs(words):
        def wait():
            while not (tmp_path / "pid").exists():
                time.sleep(0.01)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=wait, daemon=True).start()

    with pytest.raises(KeyboardInterrupt):
        submit(workspace, progress=interrupt_when_it_runs)
    assert not children()
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(int((tmp_path / "pid").read_text())).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    assert not list(workspace.folder.glob("*.zip"))


# --- without running ------------------------------------------------------------------------------------------------------------------


def as_run(path):
    """Give all code cells of a notebook an output, as if they had been run from top to bottom."""

    def edit(content):
        for count, each in enumerate((each for each in content.cells if each.cell_type == "code"), 1):
            each.execution_count = count
            each.outputs = [nbformat.v4.new_output("stream", text="seen\n")]

    change(path, edit)


@pytest.fixture
def run(make, monkeypatch):
    without_pdf(monkeypatch)
    workspace = make()
    for lab in workspace.labs:
        as_run(workspace.folder / f"{lab.notebook}.ipynb")
    return workspace


def told(workspace, **options):
    return [words for words in submit(workspace, execute=False, **options).warnings if "pdf" not in words]


def test_outputs_that_are_there_can_be_handed_in(run):
    assert told(run) == []
    assert b"seen" in handed_in(run.folder / "a2_code_submission.zip")["dropout.ipynb"]


def test_without_the_extra_the_zip_is_made_and_how_to_get_the_pdf_is_said(run):
    (run.folder / "a2_inline_submission.pdf").write_bytes(b"earlier")
    made = submit(run, execute=False)
    assert made.pdf is None
    assert made.warnings == [
        "there is no a2_inline_submission.pdf: the PDF needs two more packages: pip install chainrule[pdf]",
        f"{run.folder / 'a2_inline_submission.pdf'} is that of an earlier submission",
    ]
    assert made.zip.is_file()
    assert (run.folder / "a2_inline_submission.pdf").read_bytes() == b"earlier"


def test_the_pdf_has_all_notebooks_in_the_order_of_the_course(make):
    pytest.importorskip("pypandoc", reason="pandoc comes with the extra `pdf`")
    pypdf = pytest.importorskip("pypdf", reason="it reads what was written")
    workspace = make()
    for lab in workspace.labs:
        as_run(workspace.folder / f"{lab.notebook}.ipynb")
    made = submit(workspace, execute=False, name="hw2")
    assert made.warnings == []
    assert made.pdf == workspace.folder / "hw2_inline_submission.pdf"
    reader = pypdf.PdfReader(made.pdf)
    assert [entry.title for entry in reader.outline] == ["Normalization", "Dropout"]
    assert "Größe: 𝑥2" in reader.pages[1].extract_text()
    once = made.pdf.read_bytes()
    assert submit(workspace, execute=False, name="hw2").pdf.read_bytes() == once


def clear(content):
    content.cells[1].outputs = []


def unrun(content):
    content.cells[1].update(execution_count=None, outputs=[])


def swapped(content):
    content.cells[1].execution_count = 5


def failed(content):
    content.cells[1].outputs = [nbformat.v4.new_output("error", ename="NotImplementedError", evalue="mean is not written yet")]


def emptied(content):
    content.cells = []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (clear, ['normalization.ipynb, code cell 1 "from normalization import mean", shows nothing; in the lab\'s text it does']),
        (unrun, ['normalization.ipynb, code cell 1 "from normalization import mean", has not been run']),
        (swapped, ["normalization.ipynb was not run from top to bottom: its outputs may belong to code that was changed since"]),
        (failed, ['normalization.ipynb, code cell 1 "from normalization import mean", ended with an error: mean is not written yet']),
        (
            emptied,
            [
                f'normalization.ipynb: cell {number} of the lab\'s text, "{line}", is not there any more'
                for number, line in enumerate(["# Normalization", "from normalization import mean", "Why?", "import numpy as np"], 1)
            ],
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_missing_is_told_with_file_and_cell(run, edit, said):
    change(run.folder / "normalization.ipynb", edit)
    assert told(run) == said


def test_cells_that_were_added_or_changed_are_nobodys_fault(run):
    def edit(content):
        content.cells[1].source = "from normalization import mean\nprint(mean([1]))"
        content.cells.insert(1, nbformat.v4.new_markdown_cell("my notes"))

    change(run.folder / "normalization.ipynb", edit)
    assert told(run) == []


def test_an_editor_that_renames_all_cells_does_not_remove_them(run):
    content = json.loads((run.folder / "normalization.ipynb").read_text())
    for each in content["cells"]:
        del each["id"]
    content["cells"][0]["source"] = ["# Normalization\n", "with an answer"]
    (run.folder / "normalization.ipynb").write_text(json.dumps({**content, "nbformat_minor": 2}))
    assert told(run) == []
    once = (run.folder / "a2_code_submission.zip").read_bytes()
    assert told(run) == []
    assert (run.folder / "a2_code_submission.zip").read_bytes() == once


def test_a_file_that_the_code_imports_and_no_lab_knows_is_told(run):
    (run.folder / "mine.py").write_text("")
    (run.folder / "dropout.py").write_text("import numpy\nfrom mine import x\nfrom normalization import mean\n")
    assert told(run) == [
        "dropout.py imports mine.py, which belongs to no lab and is not handed in; move what it needs into dropout.py",
    ]


def test_code_that_is_not_python_is_told_and_stops_a_run(run):
    (run.folder / "dropout.py").write_text("def dropped(:\n")
    assert told(run) == ["dropout.py, line 1: invalid syntax"]
    with pytest.raises(ValueError, match=r"^dropout\.py, line 1: invalid syntax$"):
        submit(run)


DAMAGED = {
    "cut off": (b'{"cells": [\n', r"dropout\.ipynb, line 2, is damaged \(Expecting value\); open it in Jupyter"),
    "no notebook": (b"[]", r'dropout\.ipynb is damaged \(it has no "nbformat"\)'),
    "a cell without text": (
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}}]}',
        r"dropout\.ipynb is damaged \(cell 1: ",
    ),
    "nested": (b"[" * 100_000, r"dropout\.ipynb is damaged \(nested too deeply\)"),
    "not text": (b"\xff\xfe\xfa", r"dropout\.ipynb is damaged"),
    "of the future": (b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}', r"dropout\.ipynb is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_notebook_is_told_and_nothing_is_written(run, damage):
    content, message = DAMAGED[damage]
    (run.folder / "dropout.ipynb").write_bytes(content)
    before = state(run.folder)
    with pytest.raises(ValueError, match=message) as caught:
        submit(run, execute=False)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert state(run.folder) == before


def test_all_missing_files_are_told_at_once(run):
    for name in ("dropout.py", "normalization.ipynb"):
        (run.folder / name).unlink()
    (run.folder / "dropout.ipynb").unlink()
    (run.folder / "dropout.ipynb").mkdir()
    with pytest.raises(ValueError) as caught:
        submit(run)
    lines = str(caught.value).splitlines()
    assert [line.partition(" is ")[0] for line in lines[:2]] == ["dropout.py", "normalization.ipynb"]
    assert "dropout.ipynb" in lines[2]


def test_a_notebook_of_an_older_format_is_handed_in_as_one_of_today(run):
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "heading", "level": 1, "source": "Dropout", "metadata": {}}], "metadata": {}}],
    }
    (run.folder / "dropout.ipynb").write_text(json.dumps(old))
    assert len(told(run)) == 1
    once = (run.folder / "a2_code_submission.zip").read_bytes()
    told(run)
    assert (run.folder / "a2_code_submission.zip").read_bytes() == once
    assert json.loads(handed_in(run.folder / "a2_code_submission.zip")["dropout.ipynb"])["cells"][0]["source"] == ["# Dropout"]


def test_half_a_character_in_an_output_does_not_stop_it(run):
    path = run.folder / "dropout.ipynb"
    path.write_text(path.read_text().replace("seen", "\\ud83d"))
    assert told(run) == []
    assert "\\ud83d" in handed_in(run.folder / "a2_code_submission.zip")["dropout.ipynb"].decode()


@pytest.mark.parametrize("name", ["", "../a2", "a/b", ".a2", "-a2", "a\nb", "x" * 300])
def test_a_name_that_no_file_can_have_is_refused(run, name):
    with pytest.raises(ValueError, match="cannot begin the name of a file"):
        submit(run, name=name, execute=False)


def test_a_folder_that_is_a_file_is_refused(run):
    with pytest.raises(ValueError, match=r"dropout\.py is a file; name a folder"):
        submit(run, folder=run.folder / "dropout.py", execute=False)


@pytest.mark.parametrize("earlier", [True, False])
def test_a_full_disk_leaves_both_files_of_the_earlier_submission(run, monkeypatch, earlier):
    if earlier:
        for name in ("a2_code_submission.zip", "a2_inline_submission.pdf"):
            (run.folder / name).write_bytes(b"earlier")
    before, written = state(run.folder), []
    monkeypatch.setattr(submission, "_pdf", lambda *_: b"pdf")

    def full_at_the_second(descriptor):
        written.append(descriptor)
        if len(written) > 2:  # the first file and its folder are on the disk
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_the_second)
    left = "the earlier submission is intact" if earlier else "nothing was written"
    with pytest.raises(OSError, match=f"could not write the submission to {run.folder}: No space left on device; {left}") as caught:
        submit(run, execute=False)
    assert caught.value.errno == errno.ENOSPC
    assert state(run.folder) == before


def test_a_full_disk_when_the_workspace_is_copied_is_one_sentence(run, monkeypatch):
    def full(*_, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(execution.shutil, "copytree", full)
    with pytest.raises(OSError, match=r"^could not copy the workspace to .* to run its notebooks: No space left on device$"):
        submit(run)


def test_the_files_in_the_zip_have_no_date_and_plain_permissions(run):
    (run.folder / "dropout.py").chmod(0o700)
    submit(run, execute=False)
    with zipfile.ZipFile(io.BytesIO((run.folder / "a2_code_submission.zip").read_bytes())) as archive:
        assert {(entry.date_time, entry.external_attr >> 16) for entry in archive.infolist()} == {((1980, 1, 1, 0, 0, 0), 0o100644)}


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ("x = 1\nprint(x)", True),
        ("x = 1\nx", True),
        ("%load_ext autoreload\n%autoreload 2\nimport numpy", False),
        ("for x in y:\n    plt.imshow(x)", True),
        ("def f():\n    print(1)", False),
        ("check('adam')", True),
        ("model.fit(x)", False),
        ("x;", False),
        ("not python at all", False),
    ],
)
def test_a_cell_is_expected_to_show_something_where_it_prints_or_ends_with_a_value(source, shows):
    assert learners_notebooks._shows(source) is shows


@pytest.mark.parametrize("solutions", [False, True])
def test_cells_have_the_same_names_with_answers_and_without(make, solutions):
    make()
    path = Path(notebooks.FOLDER) / "dropout.py"
    path.write_text(SECOND + '# %% [markdown] tags=["answer"]\n# Because.\n# %%\nlast = 1\n')
    cells = json.loads(notebooks.notebook(find_lab("dropout"), solutions=solutions))["cells"]
    assert cells[-1]["id"] == "dropout-3"
