"""Whatever a learner's code does, the check comes back with a sentence, and the other functions are checked."""

import time

import pytest
from tests.lab.workspaces import BACKWARD, FORWARD, verdict_on, written

from chainrule.lab.checking import check_workspace
from chainrule.lab.workspace import find_workspace


def failing(body, header=""):
    return f"{header}\ndef layernorm_forward(x, gamma, beta, ln_param):\n    {body}\n"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise SystemExit(0)", "would end the whole program"),
        ("import sys; sys.exit()", "would end the whole program"),
        ("import os; os._exit(3)", "ended the whole Python interpreter (exit status 3)"),
        ("import ctypes; ctypes.string_at(0)", "ended the whole Python interpreter (signal SIGSEGV)"),
        ("import os; os.abort()", "ended the whole Python interpreter (signal SIGABRT)"),
        ("while True: print('x' * 1000)", "prints more than 1 MB"),
        ("return np.ones(10**11), None", "MemoryError"),
        ("return layernorm_forward(x, gamma, beta, ln_param)", "RecursionError"),
        ("return x / undefined, None", "NameError: name 'undefined' is not defined"),
        ("return x @ np.ones((9, 9)), None", "ValueError"),
        ("input()", "EOFError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import os, sys; os.close(1); sys.stdout = None; raise ValueError('nothing to print to')", "ValueError: nothing to print to"),
    ],
)
def test_a_failure_is_told_with_its_line_and_the_rest_is_checked(tmp_path, body, sentence):
    folder = written(tmp_path / "work", failing(body), "\ndef batchnorm_backward_alt(dout, cache):\n    return dout, dout[0], dout[0]\n")
    lines = (folder / "normalization.py").read_text().splitlines()
    line = max(number for number, text in enumerate(lines, 1) if text.startswith("def layernorm_forward")) + 1
    verdicts = {verdict.function: verdict for verdict in check_workspace(find_workspace(folder))}
    verdict = verdicts["layernorm_forward"]
    assert verdict.status == "error"
    assert sentence in verdict.sentence
    assert verdict.line == line - 1
    if sentence != "RecursionError" and "interpreter" not in sentence:
        assert f"(normalization.py:{line})" in verdict.sentence
    assert verdicts["batchnorm_backward_alt"].status == "wrong"  # and was run


def test_an_endless_loop_ends_at_the_limit_and_its_line_is_named(tmp_path):
    folder = written(tmp_path / "work", "\ndef layernorm_forward(x, gamma, beta, ln_param):\n    while True:\n        x = x + 0\n")
    started = time.monotonic()
    verdict = verdict_on(folder, "layernorm_forward", seconds=2)
    assert time.monotonic() - started < 20
    assert verdict.status == "error"
    assert verdict.sentence.startswith("takes longer than 2 seconds")
    assert "(normalization.py:" in verdict.sentence


def test_a_file_that_does_not_end_when_it_is_imported_costs_the_time_once(tmp_path):
    folder = written(tmp_path / "work", FORWARD, BACKWARD, "\nwhile True:\n    pass\n")
    started = time.monotonic()
    verdicts = [verdict for verdict in check_workspace(find_workspace(folder), seconds=2) if verdict.status != "unwritten"]
    assert time.monotonic() - started < 20
    assert [verdict.status for verdict in verdicts] == ["error", "error"]
    assert all(verdict.sentence.startswith("normalization.py takes longer than 2 seconds to be imported;") for verdict in verdicts)


def test_a_loop_that_swallows_exceptions_is_ended_too(tmp_path):
    loop = "while True:\n        try:\n            pass\n        except BaseException:\n            pass"
    assert "takes longer" in verdict_on(written(tmp_path / "work", failing(loop)), "layernorm_forward", seconds=2).sentence


def test_processes_that_the_code_has_started_are_ended_with_it(tmp_path):
    marker = tmp_path / "alive"
    script = f"import time; time.sleep(2); open({str(marker)!r}, 'w')"
    body = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {script!r}]); return x, None"
    assert verdict_on(written(tmp_path / "work", failing(body)), "layernorm_forward").status == "wrong"
    time.sleep(2.5)
    assert not marker.exists()


@pytest.mark.parametrize(
    "answer",
    [
        "from chainrule.functional import layernorm_forward as f",
        "from chainrule.functional.layernorm import layernorm_forward as f",
        "import chainrule.functional; f = chainrule.functional.layernorm_forward",
        "from chainrule import functional; f = functional.layernorm_forward",
        "from chainrule.kernels import layernorm_forward as f",
        "from chainrule.functional import layernorm; f = layernorm.layernorm_forward",
        "import importlib; f = importlib.import_module('chainrule.functional').layernorm_forward",
        "import torch",
        "from torch.nn import functional",
    ],
)
def test_an_answer_taken_from_the_library_or_pytorch_is_refused(tmp_path, answer):
    folder = written(tmp_path / "work", failing(f"{answer}; return f(x, gamma, beta, ln_param)"))
    verdict = verdict_on(folder, "layernorm_forward")
    assert verdict.status == "error"
    assert "write it yourself" in verdict.sentence


def test_an_answer_imported_at_the_head_of_the_file_is_refused(tmp_path):
    folder = written(tmp_path / "work", FORWARD, header="import numpy as np\nfrom chainrule.functional import *\n")
    verdict = verdict_on(folder, "layernorm_forward")
    assert (verdict.status, "write it yourself" in verdict.sentence) == ("error", True)


def test_what_no_lab_of_the_workspace_asks_for_may_come_from_the_library(tmp_path):
    forward = FORWARD.replace("    mean =", "    from chainrule.functional import affine_forward\n    mean =")
    assert verdict_on(written(tmp_path / "work", forward, BACKWARD), "layernorm_forward").status == "right"


def test_nothing_is_left_in_the_workspace_by_a_check(tmp_path):
    folder = written(tmp_path / "work", FORWARD, BACKWARD)
    before = sorted(folder.rglob("*"))
    list(check_workspace(find_workspace(folder)))
    assert sorted(folder.rglob("*")) == before


def test_what_stands_on_a_function_without_an_end_waits_for_it(tmp_path):
    folder = written(tmp_path / "work", failing("while True: pass"), BACKWARD)
    started = time.monotonic()
    verdicts = {verdict.function: verdict for verdict in check_workspace(find_workspace(folder), seconds=2)}
    assert time.monotonic() - started < 20
    assert verdicts["layernorm_backward"].status == "error"
    assert verdicts["layernorm_backward"].sentence == "stands on layernorm_forward, which does not come to its end"


def test_a_process_that_is_killed_from_outside_is_not_called_slow(tmp_path):
    folder = written(tmp_path / "work", failing("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    sentence = verdict_on(folder, "layernorm_forward").sentence
    assert sentence.startswith(
        "ended the whole Python interpreter (signal SIGKILL, which is also how the system ends what takes all its memory)"
    )


def test_a_file_that_fails_when_it_is_imported_says_so(tmp_path):
    folder = written(tmp_path / "work", FORWARD, "\n1 / 0\n")
    assert verdict_on(folder, "layernorm_forward").sentence.startswith("normalization.py cannot be imported: ZeroDivisionError")
