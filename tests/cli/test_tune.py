import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest

SMALL = ("two-layer", "--data", "digits", "--limit", "60", "--epochs", "3")


def test_what_it_finds_can_be_trained_again(chainrule):
    ended = chainrule("tune", *SMALL, "--trials", "4")
    assert ended.code == 0, ended.err
    assert ended.out.count("\ntrial ") == 4
    best = re.search(r"best validation accuracy ([0-9.]+ %)", ended.out)[1]
    command = shlex.split(next(line for line in ended.out.splitlines() if line.startswith("  chainrule train ")))
    again = chainrule(*command[1:])
    assert again.code == 0, again.err
    assert f"best validation accuracy {best}" in again.out


def test_what_to_search_can_be_said(chainrule):
    ended = chainrule("tune", *SMALL, "--trials", "2", "--search", "lr=0.001..0.1", "--search", "optimizer=adam,sgd", "--batch-size", "20")
    assert ended.code == 0, ended.err
    assert "optimizer: adam, sgd" in ended.out
    assert "lr: 0.001 to 0.1 (logarithmic)" in ended.out
    assert "batch_size" not in ended.out.split("trial ")[0]


def test_the_same_command_goes_on_with_its_study(chainrule):
    chainrule("tune", *SMALL, "--trials", "2")
    ended = chainrule("tune", *SMALL, "--trials", "3")
    assert ended.code == 0, ended.err
    assert ended.out.count("\ntrial ") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--search", "lr"), "--search lr: it must be NAME=VALUES"),
        (("--search", "rate=1..2"), "--search rate: it is neither a setting"),
        (("--storage", "nowhere"), "the storage 'nowhere' is no URL of a database"),
        (("--epochs", "0"), "epochs is 0; it must be at least 1"),
        (("--engine", "torch", "--device", "cuda:7"), "cuda"),
    ],
)
def test_what_is_wrong_is_one_line_before_any_training(chainrule, tmp_path, options, message):
    ended = chainrule("tune", *SMALL, *options)
    assert ended.code == 1
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "tune.db").exists()


def test_other_settings_in_the_same_study_are_refused(chainrule):
    chainrule("tune", *SMALL, "--trials", "1")
    ended = chainrule("tune", *SMALL[:-1], "4", "--trials", "2")
    assert ended.code == 1
    assert "epochs was 3, is 4" in ended.err
    assert "--study" in ended.err


def test_the_dashboard_shows_the_study_until_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "chainrule", "tune", *SMALL, "--trials", "1", "--dashboard"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            lines = iter(process.stdout.readline, "")
            address = next(line.split()[1] for line in lines if line.startswith("dashboard"))
            next(line for line in lines if "stays open" in line)
            with urllib.request.urlopen(f"{address}api/studies", timeout=20) as answer:
                assert b"two-layer-digits" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            process.kill()
