"""`chainrule lab`, as a learner types it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import nbformat
import psutil
import pytest
from tests.lab.workspaces import BACKWARD, FORWARD

WRONG = BACKWARD.replace("dout.sum(axis=0)", "dout.mean(axis=0)").replace("x_hat).sum(axis=0)", "x_hat).mean(axis=0)")


@pytest.fixture
def work(chainrule, tmp_path):
    ended = chainrule("lab", "start", "normalization", "work/")
    assert ended.code == 0, ended.err
    return tmp_path / "work"


def write(work, *functions, file="normalization.py"):
    file = work / file
    file.write_text(file.read_text() + "".join(functions))


def test_list_names_nine_labs_one_of_them_in_two_frameworks_and_what_one_writes(chainrule):
    out = chainrule("lab", "list").out
    assert len(re.findall(r"^│ [a-z-]+ ", out, re.MULTILINE)) == 9 + 1
    assert "batch norm with both backward passes, layer norm" in " ".join(out.split())


def test_list_of_a_workspace_says_what_is_done(chainrule, work):
    write(work, FORWARD, BACKWARD)
    ended = chainrule("lab", "list", "work")
    assert ended.code == 0
    assert "2 of 5 right" in ended.out
    assert ended.out.count("not started") == 9


def test_start_prints_the_files_and_does_not_start_twice(chainrule, work):
    ended = chainrule("lab", "start", "normalization", "work/")
    assert (ended.code, ended.err) == (1, "error: work has the lab normalization already; nothing was changed\n")
    assert sorted(path.name for path in work.iterdir()) == ["lab.json", "normalization.ipynb", "normalization.py"]


def test_start_of_a_lab_that_there_is_not(chainrule):
    ended = chainrule("lab", "start", "normalisation", "work/")
    assert (ended.code, ended.err) == (1, "error: there is no lab 'normalisation'; did you mean normalization or optimization?\n")


def test_check_from_the_folder_above_says_what_is_not_written(chainrule, work):
    ended = chainrule("lab", "check")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == "5 functions: 5 not written"


def test_check_says_what_is_wrong_and_shows_the_smallest_example(chainrule, work):
    write(work, FORWARD, WRONG)
    ended = chainrule("lab", "check", "work")
    lines = ended.out.splitlines()
    assert ended.code == 1  # something is wrong
    assert re.fullmatch(r"layernorm_forward +right +normalization\.py:\d+", next(line for line in lines if line.startswith("layernorm_f")))
    start = next(number for number, line in enumerate(lines) if line.startswith("layernorm_backward"))
    assert re.fullmatch(r"layernorm_backward +wrong +normalization\.py:\d+", lines[start])
    assert lines[start + 1] == "    dgamma and dbeta are means over the batch; they have to be sums: the loss divided by N already"
    assert lines[start + 2] == "    the smallest example, 2 samples of 3 features:"
    assert "hint" not in ended.out


def test_hints_come_one_by_one(chainrule, work):
    write(work, FORWARD, WRONG)
    first = chainrule("lab", "check", "work", "layernorm_backward", "--hint").out
    second = chainrule("lab", "check", "work", "layernorm_backward", "--hint", "--hint").out
    assert "hint 1: " in first and "hint 2: " not in first
    assert "hint 1: " in second and "hint 2: " in second


def test_json_has_status_kind_sentence_and_example_of_every_function(chainrule, work):
    write(work, FORWARD, WRONG)
    told = json.loads(chainrule("lab", "check", "work", "--json").out)
    functions = {entry["function"]: entry for entry in told["functions"]}
    assert {name: entry["status"] for name, entry in functions.items()} == {
        "batchnorm_forward": "unwritten",
        "batchnorm_backward": "unwritten",
        "batchnorm_backward_alt": "unwritten",
        "layernorm_forward": "right",
        "layernorm_backward": "wrong",
    }
    wrong = functions["layernorm_backward"]
    assert (wrong["kind"], wrong["sentence"][:16]) == ("scale", "dgamma and dbeta")
    assert wrong["example"]["calls"][0]["arguments"]["x"] == [[1.0, 1.0, 4.0], [2.0, 8.0, 5.0]]
    assert set(wrong["example"]["yours"]) == set(wrong["example"]["expected"]) == {"dgamma", "dbeta"}
    assert functions["layernorm_forward"]["kind"] is functions["layernorm_forward"]["sentence"] is None


def test_check_of_one_function_leaves_out_the_others(chainrule, work):
    assert chainrule("lab", "check", "work", "layernorm_forward").out.splitlines()[-1] == "1 function: 1 not written"


def test_an_unknown_function_names_the_nearest(chainrule, work):
    ended = chainrule("lab", "check", "work", "layernorm_foward")
    assert (ended.code, "did you mean layernorm_forward" in ended.err) == (1, True)


def test_in_a_workspace_the_folder_may_be_left_out(chainrule, work, monkeypatch):
    monkeypatch.chdir(work)
    assert chainrule("lab", "check", "layernorm_forward", "layernorm_backward").out.endswith("2 functions: 2 not written\n")
    ended = chainrule("lab", "check", "LayerNorm")
    assert (ended.code, "did you mean layernorm_forward or layernorm_backward" in ended.err) == (1, True)


@pytest.mark.parametrize("name", ["batchnorm_forward", "TwoLayerNet.loss", "level3_sequential.two_layer_fc", "layers.py", "dropout"])
def test_a_functions_name_outside_of_a_workspace_is_not_taken_for_a_folder(chainrule, tmp_path, name):
    ended = chainrule("lab", "check", name)
    assert (ended.code, ended.err.startswith(f"error: {tmp_path} is no workspace")) == (1, True)


def test_another_name_outside_of_a_workspace_is_a_folder(chainrule, tmp_path):
    ended = chainrule("lab", "check", "wrok")
    assert (ended.code, ended.err.startswith(f"error: there is no folder {tmp_path / 'wrok'}")) == (1, True)


def test_an_example_too_large_to_be_printed_says_where_it_differs(chainrule, tmp_path):
    work = tmp_path / "conv"
    assert chainrule("lab", "start", "convolution", str(work), "--solutions").code == 0
    file = work / "convolution.py"
    file.write_text(
        file.read_text() + "\n\ndef max_pool_forward_naive(x, pool_param):\n    return x[:, :, :1, :1] + 0 * x[0, 0, 0, 0], None\n"
    )
    ended = chainrule("lab", "check", str(work), "max_pool_forward_naive")
    assert ended.code == 1
    assert len(ended.out.splitlines()) < 40


def test_functions_of_the_same_name_are_told_apart_by_their_files(chainrule, tmp_path):
    for lab in ("convolution", "pytorch"):
        assert chainrule("lab", "start", lab, "both").code == 0
    both = chainrule("lab", "check", "both", "ThreeLayerConvNet").out
    assert "three_layer_convnet.py:" in both and "level2_modules.py:" in both
    one = chainrule("lab", "check", "both", "three_layer_convnet.ThreeLayerConvNet").out
    assert "level2_modules.py:" not in one and one.endswith("2 functions: 2 not written\n")
    assert chainrule("lab", "check", "both", "convolution").out.endswith("12 functions: 12 not written\n")
    assert chainrule("lab", "check", "both", "level2_modules.py").out.endswith("5 functions: 5 not written\n")


def test_what_was_handed_in_can_be_checked(chainrule, work, tmp_path):
    write(work, FORWARD, WRONG)
    ended = chainrule("lab", "submit", "work", "--output", "out", "--no-execute")
    assert ended.code == 0
    assert "warning: wrong: layernorm_backward\n" in ended.err
    assert "warning: not written: batchnorm_forward, batchnorm_backward, batchnorm_backward_alt\n" in ended.err
    with zipfile.ZipFile(tmp_path / "out" / "a2_code_submission.zip") as archive:
        archive.extractall(tmp_path / "handed-in")
    told = json.loads(chainrule("lab", "check", "handed-in", "--json").out)
    assert told["counts"] == {"right": 1, "wrong": 1, "error": 0, "unwritten": 3}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_submission_that_is_ended_leaves_no_files_and_no_processes(work, tmp_path, how):
    marker, temporary = tmp_path / "pid", tmp_path / "temporary"
    temporary.mkdir()
    endless = f"import subprocess\nopen({str(marker)!r}, 'w').write(str(subprocess.Popen(['sleep', '1000']).pid))\nwhile True: pass"
    notebook = nbformat.read(work / "normalization.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(endless))
    nbformat.write(notebook, work / "normalization.ipynb")
    command = [sys.executable, "-m", "chainrule", "lab", "submit", str(work)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)}) as process:
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.05)
        process.send_signal(how)
    assert process.returncode == 128 + how
    assert not list(temporary.iterdir())
    assert not psutil.pid_exists(int(marker.read_text())) or psutil.Process(int(marker.read_text())).status() == psutil.STATUS_ZOMBIE


def test_train_puts_the_functions_into_a_network_and_draws_both_curves(chainrule, work):
    write(work, FORWARD, BACKWARD)
    ended = chainrule("lab", "train", "work", "--epochs", "1", "--limit", "200")
    assert ended.code == 0, ended.err
    assert "with your layernorm: the same loss in all 4 steps, to rounding" in ended.out
    assert (work / "training.png").is_file()


def test_train_looks_at_where_the_picture_goes_before_it_trains(chainrule, work):
    write(work, FORWARD, BACKWARD)
    ended = chainrule("lab", "train", "work", "--output", "curves.pdf")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: curves.pdf would be a PNG file by another name; call it curves.png\n"


def test_train_shows_the_networks_names_with_their_brackets(work):
    write(work, FORWARD, BACKWARD)
    terminal, its_end = os.openpty()
    command = [sys.executable, "-m", "chainrule", "lab", "train", str(work), "--epochs", "1", "--limit", "200"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    with open(terminal, "rb") as shown, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its_end, env=environment):
        os.close(its_end)
        told = b""
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while part := shown.read1():
                told += part
    assert "[affine - layer norm - relu] x 2 - affine, library" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", told.decode())


def test_train_of_a_lab_that_trains_nothing_names_those_that_do(chainrule):
    assert chainrule("lab", "start", "looking-inside", "work").code == 0
    for options in ((), ("--lab", "looking-inside")):
        ended = chainrule("lab", "train", "work", *options)
        assert ended.code == 1
        assert ended.err.startswith(
            "error: there is nothing to train in looking-inside; there is in backpropagation, fully-connected-nets, "
        )


def test_train_of_a_lab_that_was_not_started_names_those_that_were(chainrule, work):
    ended = chainrule("lab", "train", "work", "--lab", "dropout")
    assert (ended.code, ended.err) == (1, f"error: {work} has no lab dropout; it has normalization\n")


def test_train_before_anything_is_written_says_what_it_takes_and_nothing_else(chainrule, work):
    assert chainrule("lab", "start", "dropout", "work").code == 0
    ended = chainrule("lab", "train", "work")
    assert ended.err == (
        "error: nothing of normalization, dropout is written yet that a network could use: it takes a forward and its backward pass, "
        "an update rule, or a network\n"
    )


def test_watch_checks_the_files_that_import_what_was_saved(chainrule, tmp_path, monkeypatch):
    work = tmp_path / "nets"
    assert chainrule("lab", "start", "fully-connected-nets", str(work), "--solutions").code == 0
    command = [sys.executable, "-u", "-m", "chainrule", "lab", "check", str(work), "affine_relu_forward", "relu_forward", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            while not process.stdout.readline().startswith("waiting for the next save"):
                pass
            write(work, "\n\ndef relu_forward(x):\n    return -x, x\n", file="layers.py")
            told = ""
            while "2 functions: 2 wrong" not in told:
                told += process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
    assert re.search(r"\d\d:\d\d:\d\d   layers.py\n", told)
    assert re.search(
        r"^affine_relu_forward +wrong +fully_connected.py:\d+\n.*calls relu_forward, which is wrong itself", told, re.MULTILINE
    )


def test_watch_checks_again_at_every_save_until_it_is_interrupted(work):
    command = [sys.executable, "-u", "-m", "chainrule", "lab", "check", str(work), "layernorm_forward", "--watch"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            for line in process.stdout:
                if line.startswith("waiting for the next save"):
                    break
            write(work, FORWARD)
            saved = time.monotonic()
            for line in process.stdout:
                if line.startswith("1 function:"):
                    break
            assert line == "1 function: 1 right\n"
            assert time.monotonic() - saved < 15  # about a second on a quiet machine
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == ""
