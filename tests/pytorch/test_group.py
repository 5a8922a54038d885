"""Processes of torchrun that train one network together: real ones, over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRAIN = ["train", "three-layer-convnet", "--engine", "torch", "--augment", "--limit", "602", "--seed", "3"]


def command(processes, *arguments):
    start = ["torch.distributed.run", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    return [sys.executable, "-m", *start, "chainrule", *map(str, arguments)]


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1", "CHAINRULE_TRACEBACK": ""}


def run(processes, *arguments):
    return subprocess.run(command(processes, *arguments), capture_output=True, text=True, timeout=300, env=environment())


def epochs(folder):
    return [record for line in (folder / "metrics.jsonl").read_text().splitlines() if "epoch" in (record := json.loads(line))]


def assert_same_training(one, other):
    assert len(one) == len(other) > 0
    for record, twin in zip(one, other, strict=True):
        for name in ("train_loss", "val_loss"):
            # float32, whose sums are taken in another order, through some ten updates
            assert record[name] == pytest.approx(twin[name], rel=2e-5), name
        assert record["train_accuracy"] == twin["train_accuracy"]


def test_two_processes_train_as_one_does_and_one_of_them_speaks(tmp_path):
    for processes in (1, 2):
        # batches of 100 and a last one of 2: one image for each
        ended = run(processes, *TRAIN, "--epochs", 2, "--runs", tmp_path, "--name", f"of-{processes}")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.count("epoch 2/2") == 1
    assert_same_training(epochs(tmp_path / "of-1"), epochs(tmp_path / "of-2"))


def test_parts_of_a_batch_add_up_to_it_in_a_group_too(tmp_path):
    for processes, parts in ((1, 1), (2, 3)):  # a share of the last batch is one image: fewer than the parts
        arguments = [*TRAIN, "--epochs", 2, "--accumulate", parts, "--runs", tmp_path, "--name", f"of-{processes}"]
        assert run(processes, *arguments).returncode == 0
    assert_same_training(epochs(tmp_path / "of-1"), epochs(tmp_path / "of-2"))


def test_masks_of_dropout_are_those_of_the_whole_batch(tmp_path):
    for processes in (1, 2):
        arguments = ["--engine", "torch", "--dropout", 0.3, "--limit", 602, "--epochs", 2, "--runs", tmp_path, "--name", f"of-{processes}"]
        assert run(processes, "train", "fully-connected", *arguments).returncode == 0
    assert_same_training(epochs(tmp_path / "of-1"), epochs(tmp_path / "of-2"))


def test_the_death_of_one_ends_the_others_with_a_sentence_and_the_run_goes_on(tmp_path):
    arguments = ["--epochs", 400, "--runs", tmp_path, "--checkpoint-every", 0.2]
    process = subprocess.Popen(
        command(2, *TRAIN, *arguments, "--name", "killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    wait_for(lambda: (tmp_path / "killed" / "metrics.jsonl").exists() and len(epochs(tmp_path / "killed")) > 3)
    os.kill(second_process(process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "error: process 0 of 2: another process of the group has ended" in err
    assert "go on with:\n  chainrule train --resume killed" in err

    done = len(epochs(tmp_path / "killed")) + 3
    config = tmp_path / "killed" / "config.json"
    settings = json.loads(config.read_text())
    settings["settings"]["epochs"] = done  # nobody waits for 400
    config.write_text(json.dumps(settings))
    resumed = run(2, "train", "--resume", "killed", "--runs", tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    whole = run(1, *TRAIN, "--epochs", done, "--runs", tmp_path, "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    assert_same_training(epochs(tmp_path / "killed"), epochs(tmp_path / "whole"))


def wait_for(condition):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def second_process(parent):
    """Of the processes that torchrun started, the one with rank 1."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat, variables = (folder / "stat").read_text(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == parent and b"\0RANK=1\0" in b"\0" + variables:
            return int(folder.name)
    raise AssertionError("there is no second process")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "hand"], "torchrun starts several processes, and the hand-written engine trains in one; use --engine torch"),
        (["--limit", "601"], "batch_size 100 leaves a last batch of 1 of the 601 training samples, which is too small for 2 processes"),
    ],
)
def test_what_a_group_cannot_do_is_refused(tmp_path, arguments, said):
    ended = run(2, *TRAIN, *arguments, "--runs", tmp_path)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert not list(tmp_path.iterdir())
