"""A run on disk outlives every death of its writer, belongs to one trainer at a time, and leads nobody out of its folder."""

import errno
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from chainrule.training.run import Run, runs

CONFIG = {"model": "fully-connected", "hidden": [512, 256], "seed": 0}
MODEL = {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "0.bias": np.array([-0.0, 1.0])}
OPTIMIZER = {"0.weight.momentum": np.ones((3, 2)), "step": np.array(7)}
STATE = {"epoch": 3, "step": 70, "best": math.inf, "metrics_offset": 0}


def python(program, *arguments, **options):
    """Run `program` in an interpreter of its own; its error output becomes the message if it fails."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program, *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def started(program, *arguments):
    """`program` in a process of its own, after it has printed its first line."""
    process = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def killed(process):
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "runs", "fc", CONFIG)


def tree(folder):
    """Every file under `folder` with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- creating and opening ---------------------------------------------------------------------------------------------------------------


def test_a_run_is_created_with_its_config_and_opened_again(tmp_path):
    created = Run.create(tmp_path / "deep" / "runs", "fc", CONFIG)
    assert created.path == tmp_path / "deep" / "runs" / "fc"
    assert os.listdir(created.path) == ["config.json"]
    assert json.loads((created.path / "config.json").read_text()) == CONFIG
    assert Run.open(tmp_path / "deep" / "runs", "fc").config == created.config == CONFIG


@pytest.mark.parametrize("name", ["fc", "a", "_", "0", "A.b-c_9", "x" * 100])
def test_names_of_letters_digits_dots_and_dashes_are_taken(tmp_path, name):
    assert Run.create(tmp_path, name, {}).name == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "../x", "/etc", "a b", "a\n", "a\0", "ä", "x" * 101, "a\\b", "C:", "*", 3]
)
def test_other_names_are_refused_and_nothing_is_made(tmp_path, name):
    root = tmp_path / "runs"
    for action in (lambda: Run.create(root, name, {}), lambda: Run.open(root, name)):
        with pytest.raises(ValueError, match="is no name for a run; use 1 to 100 letters"):
            action()
    assert tree(tmp_path) == {}


def test_an_existing_name_is_refused_and_its_run_left_alone(run):
    before = tree(run.path)
    with pytest.raises(FileExistsError, match=r"run 'fc' is already in .*; continue it with --resume fc, or choose another --name"):
        Run.create(run.path.parent, "fc", {"other": True})
    assert tree(run.path) == before
    assert os.listdir(run.path.parent) == ["fc"]


def test_a_file_or_link_of_that_name_is_refused_too(tmp_path):
    (tmp_path / "a").write_text("a file")
    (tmp_path / "b").symlink_to(tmp_path / "nowhere")
    for name in "ab":
        with pytest.raises(FileExistsError, match="choose another --name"):
            Run.create(tmp_path, name, {})
    assert sorted(os.listdir(tmp_path)) == ["a", "b"] and not (tmp_path / "nowhere").exists()


def test_without_a_name_the_next_number_is_taken(tmp_path):
    names = [Run.create(tmp_path, None, {}, stem="mlp-digits").name for _ in range(3)]
    assert names == ["mlp-digits-1", "mlp-digits-2", "mlp-digits-3"]
    shutil.rmtree(tmp_path / "mlp-digits-2")
    (tmp_path / "mlp-digits-9").write_text("in the way")
    (tmp_path / "mlp-digits-best").mkdir()
    assert Run.create(tmp_path, None, {}, stem="mlp-digits").name == "mlp-digits-10"
    assert Run.create(tmp_path, None, {}, stem="mlp").name == "mlp-1"


def test_a_config_that_json_cannot_hold_leaves_nothing_behind(tmp_path):
    with pytest.raises(TypeError, match=r"config\.json\.hidden is of type set"):
        Run.create(tmp_path, "fc", {"hidden": {1}})
    with pytest.raises(TypeError, match="the configuration of a run is a dict, not list"):
        Run.create(tmp_path, "fc", [1])
    assert os.listdir(tmp_path) == []


def test_a_missing_run_is_named_with_those_like_it(run):
    with pytest.raises(FileNotFoundError, match=r"there is no run 'fcc' in .*; did you mean fc\?"):
        Run.open(run.path.parent, "fcc")
    with pytest.raises(FileNotFoundError, match=r"there is no run 'zzz' in .*; `chainrule runs` lists"):
        Run.open(run.path.parent, "zzz")


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "has no config.json: it is not a run of chainrule"),
        (b"", r"config\.json, line 1, column 1: not JSON"),
        (b'{"a": 1,\n}', r"config\.json, line 2, column 1: not JSON"),
        (b"[1]", r"config\.json: expected an object .* found a list"),
    ],
)
def test_a_missing_or_broken_config_is_a_clear_error(run, content, message):
    (run.path / "config.json").unlink()
    if content is not None:
        (run.path / "config.json").write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Run.open(run.path.parent, "fc")


CREATE_MANY = """
import sys
from chainrule.training.run import Run
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    print(Run.create(sys.argv[1], None, {"from": sys.argv[2]}, stem="mlp").name)
try:
    Run.create(sys.argv[1], "same", {"from": sys.argv[2]})
    print("same")
except FileExistsError:
    print("refused")
"""


def test_two_processes_at_once_get_different_names(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", CREATE_MANY, tmp_path, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for who in "ab"
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    outputs = []
    with ThreadPoolExecutor() as pool:  # both are let go at once
        outputs = [output.split() for output, _ in pool.map(lambda process: process.communicate("go\n"), processes)]
    first, second = (set(names[:20]) for names in outputs)
    assert first | second == {f"mlp-{number}" for number in range(1, 41)}
    assert sorted([outputs[0][20], outputs[1][20]]) == ["refused", "same"]
    assert all(Run.open(tmp_path, name).config == {"from": who} for who, names in zip("ab", (first, second), strict=True) for name in names)


# --- the lock ---------------------------------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from chainrule.training.run import Run
with Run.open(sys.argv[1], sys.argv[2]).lock() as run:
    run.log({"epoch": 1})
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_trainer_is_refused_until_the_first_is_gone_even_by_kill(run):
    process = started(HOLD, run.path.parent, "fc")
    try:
        assert run.is_locked()
        before = tree(run.path)
        with (
            pytest.raises(BlockingIOError, match=rf"run 'fc' is being trained by another process \(pid {process.pid}\); wait"),
            run.lock(),
        ):
            raise AssertionError("two trainers hold the run")
        assert tree(run.path) == before
    finally:
        killed(process)
    assert not run.is_locked()
    with run.lock():
        assert run.is_locked()
        run.log({"epoch": 2})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_a_refused_second_lock_does_not_disturb_the_first(run):
    with run.lock():
        run.log({"epoch": 1})
        for other in (run, Run.open(run.path.parent, "fc")):
            with pytest.raises(BlockingIOError, match=f"pid {os.getpid()}"), other.lock():
                raise AssertionError("two trainers hold the run")
        run.log({"epoch": 2})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_looking_at_the_lock_does_not_keep_a_trainer_out(run):
    with run.lock():
        pass
    stop = threading.Event()

    def look():
        while not stop.is_set():
            Run.open(run.path.parent, "fc").is_locked()

    with ThreadPoolExecutor() as pool:
        watcher = pool.submit(look)
        try:
            for _ in range(50):
                with run.lock():
                    pass
        finally:
            stop.set()
        watcher.result()


def test_writing_without_the_lock_is_refused(run):
    for action in (
        lambda: run.log({"epoch": 1}),
        lambda: run.truncate_metrics(0),
        lambda: run.save_checkpoint("last", MODEL, OPTIMIZER, STATE),
    ):
        with pytest.raises(RuntimeError, match=r"run 'fc' is written without its lock; write inside `with run\.lock\(\):`"):
            action()
    assert os.listdir(run.path) == ["config.json"]


# --- metrics ----------------------------------------------------------------------------------------------------------------------------


def test_metrics_are_read_as_they_were_logged_while_the_trainer_goes_on(run):
    assert run.metrics() == [] and run.metrics_offset() == 0
    records = [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": math.inf, "classes": ["Vögel"]}]
    with run.lock():
        for number, record in enumerate(records, start=1):
            run.log(record)
            assert Run.open(run.path.parent, "fc").metrics() == records[:number]
            assert run.metrics_offset() == (run.path / "metrics.jsonl").stat().st_size
    assert run.metrics() == records
    with run.lock():
        run.log({"epoch": 3})
    assert run.metrics() == records + [{"epoch": 3}]


@pytest.mark.parametrize("torn", [b"{", b'{"epoch": 2, "lo', b'{"epoch": 2}', b"\0\0\0", b"\xff"])
def test_a_torn_last_line_is_not_read_and_cut_off_by_the_next_writer(run, torn):
    with run.lock():
        run.log({"epoch": 1})
    offset = run.metrics_offset()
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(torn)
    assert run.metrics() == [{"epoch": 1}] and run.metrics_offset() == offset
    with run.lock():
        run.log({"epoch": 2, "loss": 0.5})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2, "loss": 0.5}]


@pytest.mark.parametrize(
    "line, message", [(b'{"a": ', "line 2, column 7: not JSON"), (b"7", "line 2: expected an object"), (b"", "line 2")]
)
def test_a_broken_line_inside_is_refused_with_its_number(run, line, message):
    (run.path / "metrics.jsonl").write_bytes(b'{"epoch": 1}\n' + line + b'\n{"epoch": 3}\n')
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, {message}"):
        run.metrics()


def test_resume_forgets_the_lines_after_the_checkpoint(run):
    with run.lock():
        run.log({"epoch": 1})
        offset = run.metrics_offset()
        run.log({"epoch": 2})
    with run.lock():
        run.truncate_metrics(offset)
        assert run.metrics() == [{"epoch": 1}]
        run.log({"epoch": 2, "again": True})
        run.log({"epoch": 3})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2, "again": True}, {"epoch": 3}]
    with run.lock():
        run.truncate_metrics(0)
    assert run.metrics() == []


@pytest.mark.parametrize("offset", [-1, 1, 12, 14, 1000])
def test_an_offset_at_which_no_line_ends_is_refused(run, offset):
    with run.lock():
        run.log({"epoch": 1})  # 13 bytes with the end of the line
        with pytest.raises(
            ValueError, match=f"does not belong to the checkpoint: .* ends at byte {offset}, but is another file of 13 bytes"
        ):
            run.truncate_metrics(offset)
        run.truncate_metrics(13)
    assert run.metrics() == [{"epoch": 1}]


LOG_UNTIL_FULL = """
import resource, sys
from chainrule.training.run import Run
run = Run.open(sys.argv[1], "fc")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with run.lock():
    try:
        for step in range(100):
            run.log({"step": step, "padding": "x" * 30})
    except OSError as error:
        print(error)
        print(len(run.metrics()), step)
        assert run.metrics_offset() == (run.path / "metrics.jsonl").stat().st_size
"""


def test_a_full_disk_leaves_whole_lines(run):
    message, counts = python(LOG_UNTIL_FULL, run.path.parent).splitlines()
    assert message.startswith("could not append to ") and message.endswith("; the earlier lines are intact")
    kept, step = map(int, counts.split())
    assert kept == step == len(run.metrics())
    assert (run.path / "metrics.jsonl").read_bytes().endswith(b"}\n")


def test_logging_a_line_costs_less_than_20_microseconds(run):
    record = {"event": "step", "epoch": 3, "step": 1234, "loss": 1.2345678901, "accuracy": 0.53125, "learning_rate": 0.001}
    durations = []
    with run.lock():
        run.log(record)
        for _ in range(20):
            start = time.perf_counter()
            for _ in range(100):
                run.log(record)
            durations.append((time.perf_counter() - start) / 100)
    assert min(durations) < 20e-6  # measured: 9 us; the least of 20, since other processes share the machine


# --- checkpoints ------------------------------------------------------------------------------------------------------------------------


def assert_same_arrays(stored, given):
    assert stored.keys() == given.keys()
    for name, array in given.items():
        assert stored[name].dtype == array.dtype and stored[name].shape == array.shape
        assert stored[name].tobytes() == array.tobytes()


def test_a_checkpoint_is_loaded_as_it_was_saved(run):
    with run.lock():
        run.save_checkpoint("last", MODEL, OPTIMIZER, STATE)
        run.save_checkpoint("best", MODEL, {}, {"epoch": 1})
    model, optimizer, state = Run.open(run.path.parent, "fc").load_checkpoint("last")
    assert_same_arrays(model, MODEL)
    assert_same_arrays(optimizer, OPTIMIZER)
    assert state == STATE == run.load_state("last")
    assert run.load_checkpoint("best")[1:] == ({}, {"epoch": 1})
    assert run.checkpoints() == ("last", "best")


def test_the_folder_is_what_the_design_says_and_holds_nothing_else(run):
    with run.lock():
        for epoch in range(3):
            run.log({"epoch": epoch})
            run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": epoch})
    files = ("model.safetensors", "optimizer.safetensors", "state.json")
    assert sorted(tree(run.path)) == sorted([".lock", "config.json", "metrics.jsonl", *(f"checkpoints/last/{file}" for file in files)])
    assert run.load_state("last") == {"epoch": 2}


def test_a_checkpoint_that_is_not_there_is_named(run):
    with pytest.raises(FileNotFoundError, match=r"run 'fc' has no checkpoint 'best' in .*checkpoints"):
        run.load_checkpoint("best")
    with pytest.raises(ValueError, match=r"there is no kind of checkpoint '\.\./x'; the kinds are last and best"):
        run.load_checkpoint("../x")
    assert run.checkpoints() == ()


def test_what_cannot_be_stored_leaves_the_earlier_checkpoint(run):
    with run.lock():
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 1})
        before = tree(run.path)
        with pytest.raises(ValueError, match="array 'w' has dtype object"):
            run.save_checkpoint("last", {"w": np.array([None])}, OPTIMIZER, {"epoch": 2})
        with pytest.raises(TypeError, match=r"state\.json\.state\.x is of type set"):
            run.save_checkpoint("last", MODEL, OPTIMIZER, {"x": {1}})
        with pytest.raises(TypeError, match="the state of a checkpoint is a dict, not int"):
            run.save_checkpoint("last", MODEL, OPTIMIZER, 3)
        assert tree(run.path) == before


def test_a_full_disk_leaves_the_earlier_checkpoint_and_says_so(run, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with run.lock():
        with monkeypatch.context() as patch, pytest.raises(OSError, match=r"there is no earlier one: .*No space left"):
            patch.setattr(os, "fsync", full)
            run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 0})
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 1})
        before = tree(run.path)
        with (
            monkeypatch.context() as patch,
            pytest.raises(OSError, match=r"checkpoint 'last' of run 'fc' was not saved, the earlier one is intact: .*No space") as caught,
        ):
            patch.setattr(os, "fsync", full)
            run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 2})
        assert caught.value.errno == errno.ENOSPC
        assert tree(run.path) == before
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 3})
    assert run.load_state("last") == {"epoch": 3}


SAVE_PAST_THE_LIMIT = """
import resource, sys
import numpy as np
from chainrule.training.run import Run
run = Run.open(sys.argv[1], "fc")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
with run.lock():
    run.save_checkpoint("last", {"w": np.ones(1000)}, {}, {"epoch": 1})
    try:
        run.save_checkpoint("last", {"w": np.ones(1_000_000)}, {}, {"epoch": 2})
    except OSError as error:
        print(error)
"""


def test_a_checkpoint_that_the_kernel_cuts_off_leaves_the_earlier_one(run):
    message = python(SAVE_PAST_THE_LIMIT, run.path.parent)
    assert message.startswith("checkpoint 'last' of run 'fc' was not saved, the earlier one is intact: could not write the checkpoint to ")
    model, _, state = run.load_checkpoint("last")
    assert state == {"epoch": 1} and np.array_equal(model["w"], np.ones(1000))
    assert os.listdir(run.path / "checkpoints") == ["last"]


# The child is stopped at its k-th step that touches a file name (Python announces them all: open, rename, mkdir, remove, rmdir), for every
# k there is; so no gap between two steps is left out. "kill": by SIGKILL; "full": that step fails with "no space left on device".
EVERY_STEP = """
import errno, os, signal, sys
import numpy as np
from chainrule.training.run import Run

root, fault = sys.argv[1:]

def save(number, run):
    run.save_checkpoint("last", {"w": np.full(9, number)}, {"m": np.full(9, -number)}, {"number": number})

def child(number, fatal_step):
    steps = 0
    def on_event(event, arguments):
        nonlocal steps
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and (event != "open" or str(root) in str(arguments[0])):
            steps += 1
            if steps == fatal_step:
                if fault == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise OSError(errno.ENOSPC, "No space left on device")
    run = Run.open(root, "fc")
    with run.lock():
        sys.addaudithook(on_event)
        try:
            save(number, run)
        except OSError:
            pass
        sys.stdout.flush()
        os._exit(0 if steps < fatal_step else 1)

run = Run.open(root, "fc")
with run.lock():
    save(0, run)
seen = {"old": 0, "new": 0}
for step in range(1, 1000):
    old = run.load_state("last")["number"]
    process = os.fork()
    if not process:
        child(step, step)
    _, status = os.waitpid(process, 0)
    model, optimizer, state = run.load_checkpoint("last")
    number = state["number"]
    assert number in (old, step), (step, old, number)
    assert (model["w"] == number).all() and (optimizer["m"] == -number).all()
    if status == 0:
        assert number == step
        break
    seen["new" if number == step else "old"] += 1
    if step % 3 == 0:  # else the next child finds what this one left
        with run.lock():
            save(step, run)
        assert os.listdir(run.path / "checkpoints") == ["last"]
print(seen["old"], seen["new"])
"""


@pytest.mark.parametrize("fault", ["kill", "full"])
def test_whatever_step_of_saving_is_the_last_a_whole_checkpoint_is_there(run, fault):
    old, new = map(int, python(EVERY_STEP, run.path.parent, fault).split())
    # steps of writing the new one; steps of removing the one before
    assert old >= 10 and new >= 3


KILL_LOOP = """
import os, random, signal, sys, time
import numpy as np
from chainrule.training.run import Run

def train(run):
    with run.lock():
        number = 0
        if run.checkpoints():
            _, _, state = run.load_checkpoint("last")
            number = state["number"]
            run.truncate_metrics(state["metrics_offset"])
        while True:
            number += 1
            run.log({"number": number})
            state = {"number": number, "metrics_offset": run.metrics_offset()}
            run.save_checkpoint("last", {"w": np.full((100, 100), number)}, {"m": np.full((100, 200), -number)}, state)
            if number % 3 == 0:
                run.save_checkpoint("best", {"w": np.full((100, 100), number)}, {}, state)

root, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
run = Run.open(root, "fc")
with run.lock():
    run.log({"number": 0})
    state = {"number": 0, "metrics_offset": run.metrics_offset()}
    run.save_checkpoint("last", {"w": np.zeros((100, 100))}, {"m": np.zeros((100, 200))}, state)
reached = 0
for _ in range(30):
    process = os.fork()
    if not process:
        train(Run.open(root, "fc"))
    try:
        until = time.monotonic() + chance.uniform(0.0, 0.1)
        while time.monotonic() < until:  # reading goes on while the trainer replaces what is read
            model, optimizer, state = run.load_checkpoint("last")
            assert (model["w"] == state["number"]).all() and (optimizer["m"] == -state["number"]).all()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    model, optimizer, state = run.load_checkpoint("last")
    assert (model["w"] == state["number"]).all() and (optimizer["m"] == -state["number"]).all()
    assert state["number"] >= reached
    reached = state["number"]
    records = [record["number"] for record in run.metrics()]
    assert records in (list(range(reached + 1)), list(range(reached + 2))), (reached, records[-3:])
    if "best" in run.checkpoints():
        model, _, state = run.load_checkpoint("best")
        assert (model["w"] == state["number"]).all() and state["number"] % 3 == 0
print(reached)
"""


@pytest.mark.parametrize("seed", [0, 1])
def test_thirty_kills_at_random_instants_lose_nothing(run, seed):
    reached = int(python(KILL_LOOP, run.path.parent, seed, timeout=120))
    assert reached >= 3  # the trainer did get on between its deaths


def saved_twice(run):
    with run.lock():
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 2})
        run.save_checkpoint("best", {"0.weight": MODEL["0.weight"] + 1, "0.bias": MODEL["0.bias"]}, OPTIMIZER, {"epoch": 1})
    return run.path / "checkpoints" / "last", run.path / "checkpoints" / "best"


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


TAMPERED = {
    "a truncated array file": (
        lambda last, best: os.truncate(last / "model.safetensors", 50),
        r"model\.safetensors has 50 bytes, but state\.json was saved with one of \d+: it is truncated or another's",
    ),
    "an empty array file": (lambda last, best: os.truncate(last / "optimizer.safetensors", 0), "has 0 bytes"),
    "one bit": (lambda last, best: flip_a_byte(last / "model.safetensors"), "its SHA-256 differs.*damaged or another's"),
    "the model of another checkpoint": (lambda last, best: shutil.copy(best / "model.safetensors", last), "its SHA-256 differs"),
    "the state of another checkpoint": (lambda last, best: shutil.copy(best / "state.json", last), "its SHA-256 differs"),
    "a missing array file": (
        lambda last, best: (last / "optimizer.safetensors").unlink(),
        r"checkpoint 'last' of run 'fc' is not whole: .*optimizer\.safetensors is missing",
    ),
    "a missing state": (lambda last, best: (last / "state.json").unlink(), r"is not whole: .*state\.json is missing"),
    "a truncated state": (lambda last, best: os.truncate(last / "state.json", 30), r"state\.json, line \d, column \d+: not JSON"),
    "a state without checksums": (lambda last, best: (last / "state.json").write_text('{"state": {}}'), 'expected an object with "state"'),
    "a state of another shape": (lambda last, best: (last / "state.json").write_text('{"state": 1, "files": []}'), "each an object"),
    "a checksum of another shape": (
        lambda last, best: (last / "state.json").write_text('{"state": {}, "files": {"model.safetensors": "abc"}}'),
        r"size and checksum of model\.safetensors are missing",
    ),
    "a pipe in place of a file": (
        lambda last, best: ((last / "state.json").unlink(), os.mkfifo(last / "state.json")),
        r"state\.json is a pipe or a device",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_checkpoint_is_refused(run, name):
    tamper, message = TAMPERED[name]
    tamper(*saved_twice(run))
    with pytest.raises(ValueError, match=message):
        run.load_checkpoint("last")
    with run.lock():  # and the next save mends it
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 3})
    assert run.load_checkpoint("last")[2] == {"epoch": 3}


def test_a_run_folder_may_be_a_link_and_be_moved(run, tmp_path):
    saved_twice(run)
    run.path.rename(tmp_path / "elsewhere")
    (tmp_path / "runs" / "alias").symlink_to(tmp_path / "elsewhere")
    assert Run.open(tmp_path / "runs", "alias").load_state("last") == {"epoch": 2}


def test_saving_five_megabytes_takes_less_than_100_ms_without_the_disk(run, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # how long the disk takes is its own affair
    arrays = {f"{layer}.weight": np.random.default_rng(layer).standard_normal((512, 512)).astype(np.float32) for layer in range(5)}
    durations = []
    with run.lock():
        for _ in range(5):
            start = time.perf_counter()
            run.save_checkpoint("last", arrays, {}, {})
            durations.append(time.perf_counter() - start)
    assert min(durations) < 0.1


# --- links out of the folder ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link",
    [
        "config.json",
        "metrics.jsonl",
        ".lock",
        "checkpoints",
        "checkpoints/last",
        "checkpoints/last.new",
        "checkpoints/last.previous",
        "checkpoints/last/model.safetensors",
        "checkpoints/last/state.json",
    ],
)
@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_link_inside_a_run_is_neither_read_nor_written_through(run, tmp_path, link, target):
    with run.lock():
        run.log({"epoch": 1})
        run.save_checkpoint("last", MODEL, OPTIMIZER, STATE)
    inside, outside = run.path / link, tmp_path / "outside"
    outside.mkdir()
    if inside.exists():
        shutil.move(inside, outside / "taken")
    elif target == "there":
        (outside / "taken").mkdir()
    inside.symlink_to(outside / ("taken" if target == "there" else "missing"))
    before = tree(outside)

    refused = []

    def attempt(action):
        try:
            action()
        except ValueError as error:
            assert f"{inside} is a symbolic link to {outside}" in str(error)
            refused.append(error)

    attempt(lambda: Run.open(run.path.parent, "fc"))
    attempt(run.metrics)
    attempt(run.checkpoints)
    attempt(lambda: run.load_checkpoint("last"))
    attempt(lambda: run.lock().__enter__())

    def train():
        with run.lock():
            for action in (
                lambda: run.log({"epoch": 2}),
                lambda: run.truncate_metrics(0),
                lambda: run.save_checkpoint("last", MODEL, OPTIMIZER, STATE),
            ):
                attempt(action)

    attempt(train)
    assert refused or link.startswith("checkpoints/last/")  # a link within a checkpoint vanishes with it
    assert tree(outside) == before
    assert not (outside / "missing").exists()


# --- the list of runs -------------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_oldest_first_with_what_they_have(tmp_path):
    root = tmp_path / "runs"
    for age, name in enumerate(["new", "middle", "old"]):
        Run.create(root, name, {"model": name})
        os.utime(root / name / "config.json", (1.7e9 - age, 1.7e9 - age))
    with Run.open(root, "old").lock() as run:
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 3, "complete": True})
        run.save_checkpoint("best", MODEL, OPTIMIZER, {"epoch": 2})
    with Run.open(root, "middle").lock() as run:
        run.save_checkpoint("last", MODEL, OPTIMIZER, {"epoch": 1})
        old, middle, new = runs(root)
    assert [run.name for run in (old, middle, new)] == ["old", "middle", "new"]
    assert [run.complete for run in (old, middle, new)] == [True, False, False]
    assert [run.locked for run in (old, middle, new)] == [False, True, False]
    assert [run.checkpoints for run in (old, middle, new)] == [("last", "best"), ("last",), ()]
    assert [run.state for run in (old, middle, new)] == [{"epoch": 3, "complete": True}, {"epoch": 1}, None]
    assert [run.fault for run in (old, middle, new)] == [None] * 3
    assert old.config == {"model": "old"} and old.created is not None and old.created.timestamp() == 1.7e9 - 2


def test_no_folder_is_no_runs(tmp_path):
    assert runs(tmp_path / "missing") == []


def test_what_cannot_be_read_is_listed_with_its_fault(tmp_path):
    Run.create(tmp_path, "good", CONFIG)
    (tmp_path / "empty").mkdir()
    (tmp_path / ".new-0123").mkdir()
    (tmp_path / "notes.txt").write_text("not a run")
    (tmp_path / "my run").mkdir()
    Run.create(tmp_path, "torn", CONFIG).path.joinpath("config.json").write_text("{")
    with Run.create(tmp_path, "hurt", CONFIG).lock() as run:
        run.save_checkpoint("last", MODEL, OPTIMIZER, STATE)
        (run.path / "checkpoints" / "last" / "state.json").write_text("[]")
    Run.create(tmp_path, "linked", CONFIG).path.joinpath(".lock").symlink_to("/dev/null")
    Run.create(tmp_path, "untimely", CONFIG)
    os.utime(tmp_path / "untimely" / "config.json", (2**40, 2**40))

    listed = {run.name: run for run in runs(tmp_path)}
    assert listed.keys() == {"good", "empty", "my run", "torn", "hurt", "linked", "untimely"}
    assert listed["good"].fault is None
    faults = {name: run.fault for name, run in listed.items() if run.fault is not None}
    assert "has no config.json" in faults["empty"]
    assert "'my run' is no name for a run" in faults["my run"]
    assert "line 1, column 2: not JSON" in faults["torn"]
    assert 'expected an object with "state"' in faults["hurt"]
    assert listed["hurt"].config == CONFIG and listed["hurt"].checkpoints == ("last",)
    assert "is a symbolic link" in faults["linked"]
    assert next(iter(listed)) == "good"
