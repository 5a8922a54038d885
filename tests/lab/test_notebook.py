"""`check` inside a notebook."""

import os
import subprocess
import sys

from tests.lab.workspaces import new_workspace

ASKED = "from chainrule.lab.notebook import check; check({})"


def printed(folder, code):
    command = [sys.executable, "-m", "IPython", "--HistoryManager.enabled=False", "-c", code]
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout


def test_a_notebooks_functions_are_checked_and_counted(tmp_path):
    lines = printed(new_workspace(tmp_path, "dropout"), ASKED.format("")).splitlines()
    assert lines[-1] == "2 functions: 2 not written"


def test_what_cannot_be_checked_is_a_line_and_no_traceback(tmp_path):
    (line,) = printed(new_workspace(tmp_path), ASKED.format("'layernorm'")).splitlines()
    assert (
        line == f"CheckError: no lab of {tmp_path} asks for a function 'layernorm'; did you mean layernorm_forward or layernorm_backward?"
    )
    (line,) = printed(new_workspace(tmp_path / "work"), f"import os; os.chdir('/'); {ASKED.format('')}").splitlines()
    assert line.startswith("CheckError: / is no workspace")
