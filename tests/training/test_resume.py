"""Killed and resumed is uninterrupted: parameters, optimizer and log, bit for bit."""

import json
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.settings import Settings
from chainrule.training import Callback, EarlyStopping, Run, build_data, build_trainer, load_run, provenance
from chainrule.training.storage import load_arrays

SETTINGS = {
    "model": "fully-connected",
    "model_arguments": {"hidden_dims": [24, 16], "normalization": "batch", "dropout": 0.2},
    "limit": 120,
    "batch_size": 24,
    "epochs": 4,
    "schedule": "step",
    "step_epochs": 2,
    "weight_decay": 0.01,
    "checkpoint_every": 0.0,
}


def everything(path, kind="last"):
    """All that a run has come to: arrays, and log and state without the times."""
    folder = path / "checkpoints" / kind
    arrays = {file: load_arrays(folder / f"{file}.safetensors")[0] for file in ("model", "optimizer")}
    state = json.loads((folder / "state.json").read_text())["state"]
    log = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for times in (state, state["sums"], state["best"], *log):
        times.pop("seconds", None)
    del state["metrics_offset"]  # the times have digits
    return arrays, state, log


def assert_same_run(path, expected):
    for kind in ("last", "best"):
        arrays, state, log = everything(path, kind)
        expected_arrays, expected_state, expected_log = everything(expected, kind)
        for file, named in expected_arrays.items():
            assert list(arrays[file]) == list(named)
            for name, array in named.items():
                assert arrays[file][name].tobytes() == array.tobytes(), (kind, file, name)
        assert state == expected_state
    assert log == expected_log


def train(root, name, *callbacks, resume=False, kill=None, **changes):
    """Train a run of SETTINGS in this process; `kill` is the step after which it ends as if killed: nothing is saved any more."""

    class Killed(BaseException):
        pass

    class Kill(Callback):
        def on_step(self, trainer, loss):
            if trainer.step == kill:
                raise Killed

    settings = Settings.from_dict(SETTINGS | changes)
    data = build_data(settings)
    run = Run.open(root, name) if resume else Run.create(root, name, provenance(settings, data))
    with run.lock():
        trainer = build_trainer(settings, data, run=run, callbacks=[*callbacks, Kill()])
        if resume:
            trainer.resume()
        with suppress(Killed):
            trainer.fit(settings.epochs)
    return trainer


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    root = tmp_path_factory.mktemp("uninterrupted")
    train(root, "run")
    return root / "run"


STEPS = 20  # of the whole run: 4 epochs of 5


@pytest.mark.parametrize("checkpoint_every", [0.0, 1e9], ids=["at every step", "at the start and the end"])
@pytest.mark.parametrize("step", [1, 4, 5, 6, 19, 20])
def test_a_run_that_is_killed_after_a_step_goes_on_bit_for_bit(tmp_path, uninterrupted, step, checkpoint_every):
    train(tmp_path, "run", kill=step, checkpoint_every=checkpoint_every)
    train(tmp_path, "run", resume=True, checkpoint_every=checkpoint_every)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_it_may_be_killed_again_and_again(tmp_path, uninterrupted):
    rng = random.Random(0)
    train(tmp_path, "run", kill=1)
    for _ in range(15):
        done = Run.open(tmp_path, "run").load_state("last")["step"]
        train(tmp_path, "run", resume=True, kill=min(done + rng.randint(1, 2), STEPS), checkpoint_every=rng.choice([0.0, 0.005]))
    train(tmp_path, "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw", "adagrad", "muon"])
def test_every_optimizer_goes_on_bit_for_bit(tmp_path, optimizer):
    changes = {"optimizer": optimizer, "schedule": "cosine", "statistics": True, "augment": True, "epochs": 3}
    train(tmp_path, "whole", **changes)
    train(tmp_path, "parts", kill=8, **changes)
    train(tmp_path, "parts", resume=True, **changes)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


MUON = {
    "optimizer": "muon",
    "schedule": "triangular",
    "groups": {"vectors": {"optimizer": "sgd", "epochs": 2.0}},
    "ema": 0.9,
    "augment": True,
    "flip": "alternate",
    "border": "reflect",
}


@pytest.mark.parametrize("changes", [{}, MUON], ids=["adam", "muon, sgd and an average"])
@pytest.mark.parametrize("engine", ["hand", "torch"])
def test_either_engine_goes_on_bit_for_bit(tmp_path, engine, changes):
    train(tmp_path, "whole", engine=engine, **changes)
    train(tmp_path, "parts", engine=engine, kill=8, **changes)
    train(tmp_path, "parts", engine=engine, resume=True, **changes)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


def test_checkpoints_hold_the_averages_and_the_run_is_evaluated_with_them(tmp_path):
    trainer = train(tmp_path, "run", ema=0.9)
    _, _, loaded = load_run(Run.open(tmp_path, "run"), checkpoint="last")
    assert loaded.evaluate().loss == trainer.evaluate().loss == trainer.history.records[-1]["val_loss"]
    np.testing.assert_array_equal(next(loaded.model.parameters()).data, trainer.optimizer.copies[0])


def test_a_finished_run_stays_as_it_is(tmp_path, uninterrupted):
    train(tmp_path, "run")
    train(tmp_path, "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_a_run_that_goes_on_to_a_later_end_is_the_longer_run(tmp_path):
    train(tmp_path, "longer", epochs=6)
    train(tmp_path, "extended")
    train(tmp_path, "extended", resume=True, epochs=6)
    assert_same_run(tmp_path / "extended", tmp_path / "longer")


@pytest.mark.parametrize("kill", [3, 9, 15])
def test_early_stopping_stops_at_the_same_epoch(tmp_path, kill):
    class Accuracies(Callback):
        def on_epoch(self, trainer, record):
            record["val_accuracy"] = [0.3, 0.4, 0.2, 0.1, 0.9, 0.9][record["epoch"] - 1]

    def part(name, **how):
        return train(tmp_path, name, Accuracies(), EarlyStopping(2), epochs=6, **how)  # after the callback that gives the accuracies

    assert len(part("whole").history) == 4
    part("parts", kill=kill)
    resumed = part("parts", resume=True)
    assert resumed.stopped == "no better validation accuracy for 2 epochs (best in epoch 2)"
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    again = part("parts", resume=True)
    assert again.stopped == resumed.stopped
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


# --- a process that is really killed ----------------------------------------------------------------------------------------------------

# each replaces a function by one that kills the process at its n-th call
PHASES = {
    "between two updates": ("chainrule.training.trainer.Trainer.train_step", 8),
    "during validation": ("chainrule.training.trainer.evaluate", 2),
    "while the log is written": ("chainrule.training.run.Run.log", 2),
    "before the first checkpoint": ("chainrule.training.run.Run.save_checkpoint", 1),
    "while the arrays are written": ("chainrule.training.run.save_arrays", 12),
    "while the state is written": ("chainrule.training.run.write_json", 5),
    "while a file is forced to the disk": ("os.fsync", 40),
    "before the old checkpoint is moved away": ("pathlib.Path.rename", 6),
    "between the two renames": ("pathlib.Path.rename", 7),
    "before the old checkpoint is removed": ("shutil.rmtree", 6),
}
CHILD = """
    import importlib, os, signal, sys
    from chainrule.cli.main import app

    root, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    import chainrule.training.run, chainrule.training.trainer
    module, name = target.rsplit(".", 1)
    try:
        owner = importlib.import_module(module)
    except ModuleNotFoundError:
        owner = getattr(importlib.import_module(module.rsplit(".", 1)[0]), module.rsplit(".", 1)[1])
    original, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        calls.append(name)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    from chainrule.training import Run
    run = Run.open(root, "run")
    setattr(owner, name, deadly)
    app(["train", "--resume", "run", "--runs", root])
"""


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_kill_9_in_every_phase_costs_nothing_but_time(tmp_path, uninterrupted, phase):
    settings = Settings.from_dict(SETTINGS)
    Run.create(tmp_path, "run", provenance(settings, build_data(settings)))
    target, count = PHASES[phase]
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), target, str(count)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = train(tmp_path, "run", resume=True)
    assert len(resumed.history) == 4
    assert_same_run(tmp_path / "run", uninterrupted)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_at_30_random_instants_leaves_no_trace(tmp_path):
    arguments = ["fully-connected", "--hidden", "64", "48", "--normalization", "batch", "--dropout", "0.2", "--optimizer", "adam"]
    arguments += ["--batch-size", "50", "--epochs", "500", "--checkpoint-every", "0.01"]

    def chainrule(*args, **options):
        return subprocess.Popen([sys.executable, "-m", "chainrule", *args, "--runs", str(tmp_path)], stderr=subprocess.PIPE, **options)

    whole = chainrule("train", *arguments, "--name", "whole", stdout=subprocess.DEVNULL)
    assert whole.communicate() and whole.returncode == 0

    rng = random.Random(20)
    run = tmp_path / "killed"
    kills, steps, unfinished = 0, [], 0
    while kills < 30:
        started = run.exists()
        how = ("--resume", "killed") if started else (*arguments, "--name", "killed")
        process = chainrule("train", *how, stdout=subprocess.PIPE)
        process.stdout.readline()  # the headline: it trains from here on, once the kernels are loaded
        time.sleep(rng.uniform(0.1, 0.5))
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        kills += 1
        unfinished += any((run / "checkpoints").glob("*.new"))
        steps.append(Run.open(tmp_path, "killed").load_state("last")["step"] if any((run / "checkpoints").glob("last*/state.json")) else 0)
    assert len(set(steps)) > 15, "the kills were to fall all over the run"
    assert steps == sorted(steps)
    assert unfinished, "some of them while a checkpoint was being written"
    end = chainrule("train", "--resume", "killed", stdout=subprocess.DEVNULL)
    _, errors = end.communicate()
    assert end.returncode == 0, errors.decode()
    assert_same_run(run, tmp_path / "whole")


# --- a disk that is full ----------------------------------------------------------------------------------------------------------------

FULL_DISK = """
    import resource, signal, sys
    from chainrule.cli.main import main

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing past the limit fails with EFBIG, as it fails with ENOSPC on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
    sys.argv = ["chainrule", "train", "--resume", "run", "--runs", sys.argv[1]]
    main()
"""


def test_a_disk_that_fills_up_leaves_the_earlier_checkpoint(tmp_path, uninterrupted):
    train(tmp_path, "run", kill=7)
    before = everything(tmp_path / "run")[1]
    full = subprocess.run([sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)], capture_output=True, text=True)
    assert full.returncode == 1
    assert (
        "error: checkpoint 'last' of run 'run' was not saved, the earlier one is intact: could not write the checkpoint to" in full.stderr
    )
    assert "File too large" in full.stderr
    assert "Traceback" not in full.stderr
    assert everything(tmp_path / "run")[1] == before
    train(tmp_path, "run", resume=True)
    assert_same_run(tmp_path / "run", uninterrupted)


def test_a_checkpoint_that_cannot_be_forced_to_the_disk_does_not_replace_the_earlier_one(make_trainer, make_run, monkeypatch):
    run = make_run()
    with run.lock():
        trainer = make_trainer(run)
        trainer.fit(1)

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(
            OSError, match=r"checkpoint '(best|last)' of run 'run' was not saved, the earlier one is intact: .*No space left on device"
        ):
            trainer.fit(2)
    assert run.load_state("last")["epoch"] == 1


# --- what does not fit ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(make_trainer, make_run):
    """A run of the small network that was stopped after its first epoch."""
    run = make_run()
    with run.lock():
        make_trainer(run).fit(1)
    return run


def test_there_must_be_a_run_to_resume(make_trainer):
    with pytest.raises(ValueError, match="there is no run to resume"):
        make_trainer().resume()


def test_another_architecture_is_refused_with_the_difference(stopped, make_trainer):
    layers = nn.Flatten(), nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 3)
    with (
        stopped.lock(),
        pytest.raises(ValueError, match=r"5\.weight is not in this network; .*1\.weight has shape \(8, 6\), this network has \(9, 6\)"),
    ):
        make_trainer(stopped, model=nn.Sequential(*layers)).resume()


def test_another_optimizer_is_refused_with_the_difference(stopped, make_trainer, network):
    model = network()
    trainer = make_trainer(stopped, model=model, optimizer=optim.SGD(model.parameters(), momentum=0.9))
    with (
        stopped.lock(),
        pytest.raises(ValueError, match="SGD: the state of parameter 0 has exp_avg, exp_avg_sq, step; expected momentum_buffer"),
    ):
        trainer.resume()


def test_other_data_are_refused_with_the_difference(stopped, make_trainer, blobs):
    other = type(blobs)("others", blobs.train, blobs.test, blobs.val, blobs.classes)
    message = f"is of data with checksum {blobs.checksum[:12]}..., these data are others with {other.checksum[:12]}..."
    with stopped.lock(), pytest.raises(ValueError, match=message):
        make_trainer(stopped, data=other).resume()


def test_another_batch_size_is_refused_with_the_difference(stopped, make_trainer):
    trainer = make_trainer(stopped)
    trainer.batch_size = 12
    trainer.data = type(trainer.data)("blobs", trainer.data.train, trainer.data.val, trainer.data.test, trainer.data.classes)
    trainer.batch_size = 30
    with (
        stopped.lock(),
        pytest.raises(ValueError, match=r"is at step 5 in epoch 2, after 0 batches of it; with batch_size 30 an epoch has 2 steps"),
    ):
        trainer.resume()


TAMPERED = {
    "no position": lambda state: state.pop("batch"),
    "position of another type": lambda state: state.update(step="5"),
    "foreign sums": lambda state: state["sums"].update(__class__="x"),
    "groups that are none": lambda state: state.update(param_groups=[7]),
    "negative batch": lambda state: state.update(batch=-1, step=4),
    "log that ends elsewhere": lambda state: state.update(metrics_offset=3),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_a_state_that_was_tampered_with_is_refused(stopped, make_trainer, change):
    path = stopped.path / "checkpoints" / "last" / "state.json"
    content = json.loads(path.read_text())
    TAMPERED[change](content["state"])
    path.write_text(json.dumps(content))
    with stopped.lock(), pytest.raises(ValueError, match=r"checkpoint|optimizer"):
        make_trainer(stopped).resume()


def test_arrays_with_other_names_are_refused(stopped, make_trainer):
    model, _, state = stopped.load_checkpoint("last")
    with stopped.lock():
        stopped.save_checkpoint("last", model, {"first.exp_avg": np.zeros(3)}, state)
        with pytest.raises(ValueError, match=r"'first.exp_avg' is no name of an optimizer's array"):
            make_trainer(stopped).resume()


def test_nothing_of_this_lies_outside_of_the_run(tmp_path, uninterrupted):
    assert {path.name for path in Path(uninterrupted).iterdir()} == {".lock", "checkpoints", "config.json", "metrics.jsonl"}
    assert {path.name for path in (uninterrupted / "checkpoints").iterdir()} == {"best", "last"}
