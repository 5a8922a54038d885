"""A whole walk as a new user: start a lab, check, write something wrong, then right, check, train, hand in, look at what was made."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from pypdf import PdfReader

WRONG_BACKWARD = """

def dropout_backward(dout, cache):
    return dout
"""
RIGHT_FORWARD = """

def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if mode == "test":
        return x, (mode, None)
    rng = np.random.default_rng(dropout_param.get("seed"))
    mask = (rng.random(x.shape) < p) / p
    return x * mask, (mode, mask)
"""
RIGHT_BACKWARD = """

def dropout_backward(dout, cache):
    mode, mask = cache
    return dout if mode == "test" else dout * mask
"""


def chainrule(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "chainrule", "lab", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
        timeout=600,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_learner_goes_from_start_to_submission(tmp_path):
    assert chainrule(tmp_path, "start", "dropout", "work/").returncode == 0
    file = tmp_path / "work" / "dropout.py"

    nothing = chainrule(tmp_path, "check")
    assert (nothing.returncode, nothing.stdout.splitlines()[-1]) == (0, "2 functions: 2 not written")

    file.write_text(file.read_text() + RIGHT_FORWARD + WRONG_BACKWARD)
    told = {entry["function"]: entry for entry in json.loads(chainrule(tmp_path, "check", "work", "--json").stdout)["functions"]}
    assert told["dropout_forward"]["status"] == "right"
    assert (told["dropout_backward"]["status"], told["dropout_backward"]["kind"]) == ("wrong", "missing-term")
    assert "mask" in told["dropout_backward"]["sentence"]

    early = chainrule(tmp_path, "submit", "work")
    if early.returncode:  # a wrong function may make a notebook fail, but never half a submission
        assert not list((tmp_path / "work").glob("*.zip"))

    file.write_text(file.read_text() + RIGHT_BACKWARD)
    right = chainrule(tmp_path, "check", "work")
    assert (right.returncode, right.stdout.splitlines()[-1]) == (0, "2 functions: 2 right")

    trained = chainrule(tmp_path, "train", "work", "--epochs", "2")
    assert trained.returncode == 0, trained.stderr
    assert "with your dropout: " in trained.stdout

    handed_in = chainrule(tmp_path, "submit", "work", "--name", "a2", "--output", "out")
    assert handed_in.returncode == 0, handed_in.stderr
    with zipfile.ZipFile(tmp_path / "out" / "a2_code_submission.zip") as archive:
        assert sorted(archive.namelist()) == ["dropout.ipynb", "dropout.py"]
        assert archive.read("dropout.py").decode() == file.read_text()
    text = "".join(page.extract_text() for page in PdfReader(tmp_path / "out" / "a2_inline_submission.pdf").pages)
    assert "Dropout" in text and "dropout_forward" in text
