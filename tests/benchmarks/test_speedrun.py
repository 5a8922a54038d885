"""The program `benchmarks/speedrun.py`: what it prints is right, its warm-up leaves no trace, its clock covers what it says."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.settings import Settings
from chainrule.training import Trainer

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "speedrun.py"
# wide and long enough for seeds to differ: of fewer channels the recipe's learning rates make nothing
TINY = ["--device", "cpu", "--data", "digits", "--widths", "128", "--epochs", "3", "--limit", "300", "--batch-size", "100", "--seeds", "3"]


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("speedrun_program", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits(program):
    return program.without_validation(program.datasets.load("digits"), 120)


def settings(**changes):
    return Settings("speedrun", {"widths": (6,)}, data="digits", engine="torch", device="cpu", batch_size=60, **{"epochs": 1} | changes)


def run(folder, *arguments):
    """(what is printed, what is in the file)"""
    file = folder / "figures.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}  # so small a network only makes threads wait for one another
    command = [sys.executable, PROGRAM, *TINY, *arguments, "--json", file]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def with_warm_up(tmp_path_factory):
    return run(tmp_path_factory.mktemp("warm"))


def test_a_line_for_each_seed_and_the_figures_of_all(with_warm_up):
    printed, told = with_warm_up
    lines = re.findall(r"^seed +(\d+)   test accuracy +(\S+) %, without views +(\S+) %   +(\S+) s$", printed, flags=re.MULTILINE)
    assert [int(line[0]) for line in lines] == [entry["seed"] for entry in told["runs"]] == [0, 1, 2]
    for (_, *shown), entry in zip(lines, told["runs"], strict=True):
        accuracies = [100 * entry[name] for name in ("accuracy", "without_views")]
        assert shown == [*(f"{accuracy:.2f}" for accuracy in accuracies), f"{entry['seconds']:.3f}"]
    seconds = [entry["seconds"] for entry in told["runs"]]
    assert f"mean {sum(seconds) / 3:.3f} s" in printed
    assert "digits, 300 training and 269 test images, no files" in printed and told["data"]["checksum"] in printed
    assert "a run without a GPU: its seconds are not those of the record" in printed
    assert told["settings"]["tta"] == "mirror-shift" and told["settings"]["amp"] == "none"


def test_the_summary_is_reckoned_as_by_hand(with_warm_up, program):
    _, told = with_warm_up
    for name, found in told["summary"].items():
        values = [entry[name] for entry in told["runs"]]
        mean = sum(values) / 3
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
        # a few additions in another order
        assert found == pytest.approx(
            {"mean": mean, "standard_error": spread / math.sqrt(3), "least": min(values), "greatest": max(values)}, rel=1e-12, abs=1e-15
        )
    assert program.sentence(program.summary([0.5, 0.7]), 100, 1, "%") == "mean 60.0 %, standard error 10.0, from 50.0 to 70.0"
    assert program.sentence(program.summary([0.5]), 100, 1, "%") == "mean 50.0 %, standard error unknown, from 50.0 to 50.0"


def test_the_warm_up_changes_no_result(with_warm_up, tmp_path):
    printed, told = run(tmp_path, "--no-warm-up")
    assert "warm-up" not in printed and told["warm_up_seconds"] is None
    results = [[(entry["accuracy"], entry["without_views"]) for entry in each["runs"]] for each in (told, with_warm_up[1])]
    assert results[0] == results[1]
    assert len(set(results[0])) == 3  # of seeds, which make a difference


def test_the_warm_up_sees_nothing_of_the_data_but_its_sizes(program, digits):
    noise = program.noise_like(digits)
    for name in ("train", "val", "test"):
        own, drawn = digits.split(name), noise.split(name)
        assert drawn.images.shape == own.images.shape and drawn.images.dtype == own.images.dtype
        assert not np.array_equal(drawn.images, own.images) and not np.array_equal(drawn.labels, own.labels)


def test_every_image_that_is_not_for_the_test_is_trained_on(program):
    data = program.datasets.load("digits")
    whole = program.without_validation(data)
    assert len(whole.train) == len(data.train) + len(data.val)
    np.testing.assert_array_equal(whole.test.images, data.test.images)
    np.testing.assert_array_equal(whole.val.images, whole.train.images[: program.WATCHED])


def test_the_clock_runs_from_the_making_of_the_network_to_the_scores_with_views(program, digits, monkeypatch):
    events = []

    def noted(name, function):
        def call(*arguments, **options):
            events.append(f"{name} {options['tta']}" if "tta" in options else name)
            return function(*arguments, **options)

        return call

    readings = iter([10.0, 12.5])
    monkeypatch.setattr(program, "time", SimpleNamespace(perf_counter=noted("clock", lambda: next(readings))))
    monkeypatch.setattr(program, "_wait", noted("wait", lambda device: None))
    monkeypatch.setattr(program, "build_trainer", noted("build", program.build_trainer))
    monkeypatch.setattr(Trainer, "fit", noted("fit", Trainer.fit))
    evaluations = noted("evaluate", Trainer.evaluate)
    monkeypatch.setattr(Trainer, "evaluate", lambda self, *split, **how: evaluations(self, *split, **how))
    result = program.timed_run(settings(), digits)
    assert result.seconds == 2.5
    # the first evaluation is the Trainer's own look at 120 training images, the last one comes after the clock
    assert events == ["wait", "clock", "build", "fit", "evaluate", "evaluate mirror-shift", "wait", "clock", "evaluate"]


def test_what_cannot_be_is_refused_in_a_sentence():
    for arguments, message in (
        (["--seeds", "0"], "--seeds is 0"),
        (["--epochs", "0"], "epochs is 0; it must be at least 1"),
        (["--device", "tpu"], "device is 'tpu'"),
    ):
        done = subprocess.run([sys.executable, PROGRAM, *TINY, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
