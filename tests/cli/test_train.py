import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule.cli.console import percent
from chainrule.training import memory
from chainrule.training.storage import load_arrays

SMALL = ["fully-connected", "--hidden", "20", "10", "--normalization", "batch"]


def result(run, kind="last"):
    """Arrays of a checkpoint, and the log without the times."""
    arrays = [load_arrays(run / "checkpoints" / kind / f"{file}.safetensors")[0] for file in ("model", "optimizer")]
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in log:
        record.pop("seconds", None)
    return [{name: array.tobytes() for name, array in named.items()} for named in arrays], log


def settings(run):
    return json.loads((run / "config.json").read_text())["settings"]


# --- a run ------------------------------------------------------------------------------------------------------------------------------


def test_it_says_what_it_trains_how_it_goes_and_where_the_results_are(trained, tmp_path):
    lines = trained.out.splitlines()
    assert lines[0] == "fully-connected, 1,680 parameters; digits, 1,259 training and 269 validation images; adam, lr 0.001"
    assert lines[1].startswith("epoch 1/2   loss ")
    assert lines[2].startswith("epoch 2/2   loss ")
    assert lines[3].startswith("best validation accuracy ")
    assert lines[4:] == ["run     runs/fc", "report  runs/fc/report.html"]
    assert (tmp_path / "runs" / "fc" / "report.html").stat().st_size > 10_000


def test_a_run_without_a_name_is_called_by_model_data_and_number(chainrule, tmp_path):
    for _ in range(2):
        assert chainrule("train", "two-layer", "--epochs", "1", "--limit", "200").code == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["two-layer-digits-1", "two-layer-digits-2"]


def test_the_configuration_of_a_run_repeats_it_bit_for_bit(chainrule, trained, tmp_path):
    again = chainrule("train", "--config", "runs/fc/config.json", "--name", "again")
    assert again.code == 0, again.err
    for kind in ("last", "best"):
        assert result(tmp_path / "runs" / "again", kind) == result(tmp_path / "runs" / "fc", kind)


def test_a_run_refused_for_want_of_memory_leaves_its_name_free(chainrule, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**10)
    ended = chainrule("train", *SMALL, "--name", "fc")
    assert ended.code == 1
    assert "more memory" in ended.err
    assert not (tmp_path / "runs" / "fc").exists()


def test_epochs_are_written_as_csv_and_for_tensorboard_on_request(chainrule, tmp_path):
    assert chainrule("train", *SMALL, "--epochs", "2", "--name", "fc", "--csv", "--tensorboard").code == 0
    assert len((tmp_path / "runs" / "fc" / "metrics.csv").read_text().splitlines()) == 3
    assert list((tmp_path / "runs" / "fc" / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.parametrize("options", [(), ("--threads", "1")], ids=["plain", "with threads"])
def test_the_torch_engine_without_torch_says_what_to_install(tmp_path, options):
    program = """
import sys
class WithoutTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, WithoutTorch())
from chainrule.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "train", "two-layer", "--engine", "torch", *options]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["error: this needs PyTorch: pip install chainrule[torch]"]


def test_the_twin_in_pytorch_trains_the_same(chainrule, tmp_path):
    for engine in ("hand", "torch"):
        arguments = ["--dropout", "0.2", "--dtype", "float64", "--epochs", "2", "--name", engine, "--engine", engine]
        assert chainrule("train", *SMALL, *arguments).code == 0
    hand, torch = (result(tmp_path / "runs" / engine)[1] for engine in ("hand", "torch"))
    assert [record["step"] for record in hand] == [record["step"] for record in torch]
    for one, other in zip(hand, torch, strict=True):
        for name in one:
            assert one[name] == pytest.approx(other[name], rel=1e-9)  # rounding, through 26 updates


def test_the_test_accuracy_is_said_with_and_without_views(chainrule):
    ended = chainrule("train", *SMALL, "--epochs", "1", "--tta", "mirror", "--ema", "0.9", "--name", "fc")
    line = next(line for line in ended.out.splitlines() if line.startswith("test accuracy "))
    with_views = json.loads(chainrule("evaluate", "fc", "--tta", "mirror", "--json").out)["accuracy"]
    plain = json.loads(chainrule("evaluate", "fc", "--json").out)["accuracy"]
    assert line == f"test accuracy {percent(with_views)} with test-time augmentation (mirror), {percent(plain)} without"


def test_groups_come_from_a_file(chainrule, tmp_path):
    (tmp_path / "x.toml").write_text('model = "fully-connected"\nepochs = 1\n[groups."*.bias"]\nlr = 0.5')
    assert chainrule("train", "--config", "x.toml", "--name", "fc").code == 0
    assert settings(tmp_path / "runs" / "fc")["groups"] == {"*.bias": {"lr": 0.5}}


def test_a_batch_is_learned_by_heart(chainrule, tmp_path):
    ended = chainrule("train", "fully-connected", "--overfit-batch", "--lr", "0.01")
    assert ended.code == 0
    assert "one batch of 100 images is learned by heart after" in ended.out
    assert not (tmp_path / "runs").exists()


def test_a_batch_that_is_not_learned_by_heart_is_an_error(chainrule):
    ended = chainrule("train", "fully-connected", "--overfit-batch", "--lr", "1e-9")
    assert ended.code == 1
    assert "one batch of 100 images was not learned by heart in 500 steps" in ended.err


def test_a_learning_rate_is_suggested(chainrule, tmp_path):
    ended = chainrule("train", "fully-connected", "--find-lr", "--schedule", "one-cycle")
    assert ended.code == 0
    suggestion = float(ended.out.split()[-1])
    assert 1e-5 < suggestion < 1
    assert not (tmp_path / "runs").exists()


def test_divergence_is_an_error_with_advice(chainrule):
    ended = chainrule("train", "two-layer", "--optimizer", "sgd", "--lr", "1e25", "--name", "fast")
    assert ended.code == 1
    assert ended.err.startswith(
        "error: the loss became nan at step 2 (epoch 1); the last good checkpoint, of step 0, is kept in runs/fast/"
    )
    assert "try a lower learning rate (it is 1e+25)" in ended.err


# --- settings from a file ---------------------------------------------------------------------------------------------------------------

TOML = """
model = "fully-connected"
optimizer = "sgd"
lr = 0.2
epochs = 1

[model_arguments]
hidden_dims = [12, 11]
normalization = "layer"
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(TOML)
    return path


def test_settings_come_from_a_toml_file(chainrule, toml, tmp_path):
    assert chainrule("train", "--config", toml, "--name", "fc").code == 0
    found = settings(tmp_path / "runs" / "fc")
    assert (found["optimizer"], found["lr"], found["epochs"]) == ("sgd", 0.2, 1)
    assert found["model_arguments"] == {"hidden_dims": [12, 11], "normalization": "layer", "dropout": 0.0}


def test_what_the_command_line_says_wins(chainrule, toml, tmp_path):
    assert chainrule("train", "--config", toml, "--name", "fc", "--lr", "0.1", "--hidden", "9", "--no-augment").code == 0
    found = settings(tmp_path / "runs" / "fc")
    assert (found["optimizer"], found["lr"], found["augment"]) == ("sgd", 0.1, False)
    assert found["model_arguments"] == {"hidden_dims": [9], "normalization": "layer", "dropout": 0.0}


def test_another_model_keeps_nothing_of_the_files_model_arguments(chainrule, toml, tmp_path):
    ended = chainrule("train", "mlp", "--config", toml, "--name", "mlp", "--activations", "tanh", "relu")
    assert ended.code == 0
    remark = "warning: hidden_dims, normalization of the file belong to its model fully-connected, and do not count for mlp\n"
    assert remark in ended.err
    found = settings(tmp_path / "runs" / "mlp")
    assert found["model_arguments"] == {"hidden_dims": [100, 100], "activations": ["tanh", "relu"], "dropout": 0.0}


def test_a_file_without_a_model_keeps_its_model_arguments(chainrule, tmp_path):
    (tmp_path / "x.toml").write_text("epochs = 1\n[model_arguments]\nhidden_dims = [30]")
    ended = chainrule("train", "fully-connected", "--config", "x.toml", "--name", "fc")
    assert (ended.code, ended.err) == (0, "")
    assert settings(tmp_path / "runs" / "fc")["model_arguments"]["hidden_dims"] == [30]


def test_a_misspelt_argument_in_a_file_without_a_model_is_refused(chainrule, tmp_path):
    (tmp_path / "x.toml").write_text("[model_arguments]\nhiden_dims = [30]")
    ended = chainrule("train", "fully-connected", "--config", "x.toml")
    assert ended.code == 1
    assert ended.err == (
        "error: x.toml: fully-connected has no argument 'hiden_dims' (did you mean hidden_dims?); "
        "it takes hidden_dims, normalization, dropout\n"
    )


def test_a_misspelt_model_is_not_the_files_fault(chainrule, tmp_path):
    (tmp_path / "x.toml").write_text("epochs = 1")
    assert chainrule("train", "fuly-connected", "--config", "x.toml").err.startswith("error: there is no model 'fuly-connected'")


def test_another_optimizer_does_not_keep_the_learning_rate_of_the_files(chainrule, trained, toml, tmp_path):
    ended = chainrule("train", "--config", "runs/fc/config.json", "--optimizer", "sgd", "--name", "sgd")
    assert (ended.code, ended.err) == (0, "")  # the rate was the default of adam: nobody chose it
    assert settings(tmp_path / "runs" / "sgd")["lr"] == 0.05
    ended = chainrule("train", "--config", toml, "--optimizer", "adam", "--name", "adam")
    assert "warning: lr = 0.2 of the file was for sgd; adam begins with its own default\n" in ended.err
    assert settings(tmp_path / "runs" / "adam")["lr"] == 0.001
    assert chainrule("train", "--config", toml, "--optimizer", "adam", "--lr", "0.01", "--name", "given").err == ""
    assert settings(tmp_path / "runs" / "given")["lr"] == 0.01


def test_an_option_without_effect_is_remarked_upon(chainrule):
    ended = chainrule("train", "two-layer", "--epochs", "1", "--limit", "100", "--momentum", "0.5", "--step-epochs", "3")
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "warning: momentum = 0.5 has no effect: it is for optimizer = sgd or muon, not adam",
        "warning: step_epochs = 3 has no effect: it is for schedule = step, not constant",
    ]


def test_a_few_images_need_no_batch_size(chainrule, tmp_path):
    assert chainrule("train", "two-layer", "--epochs", "1", "--limit", "20", "--name", "few").code == 0
    assert settings(tmp_path / "runs" / "few")["batch_size"] == 20


BAD_FILES = [
    ("x.toml", 'model = "mlp"\nepoch = 3', "x.toml: unknown setting 'epoch' (did you mean epochs or step_epochs?)\n"),
    (
        "x.toml",
        'model = "mlp"\nhidden_dims = [3]',
        "x.toml: unknown setting 'hidden_dims' (an argument of the model goes under model_arguments)",
    ),
    ("x.toml", 'model = "mlp"\nepochs = "3"', "x.toml: epochs is '3'; it must be a whole number"),
    ("x.toml", 'model = "mlp"\nmodel_arguments = 3', "x.toml: model_arguments is 3; it must be names with values"),
    ("x.toml", "model = mlp", "x.toml is not a TOML file: Invalid value"),
    ("x.toml", "epochs = 3", "x.toml: the settings name no model; add model = one of two-layer, fully-connected, mlp"),
    ("x.json", '{"model": "mlp", "epochs": 3', "x.json, line 1"),
    ("x.json", "[3]", "x.json: the settings are [3]; they must be names with values"),
    ("x.json", '{"settings": {"model": "mlp", "lr": "NaN"}}', "x.json: lr is nan; it must be a finite number"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_FILES)
def test_a_file_that_says_something_wrong_is_refused(chainrule, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    ended = chainrule("train", "--config", name)
    assert ended.code == 1
    assert ended.err.startswith(f"error: {message}")


def test_a_file_that_is_not_there_is_an_error(chainrule):
    ended = chainrule("train", "--config", "none.toml")
    assert (ended.code, ended.err) == (1, "error: none.toml: no such file or directory\n")


# --- wrong usage ------------------------------------------------------------------------------------------------------------------------

WRONG = [
    (["train"], 2, "error: name a model: chainrule train fully-connected"),
    (["train", "mlp", "--hidden", "10,20"], 2, "'10,20'; separate several by spaces: --hidden 10 20"),
    (["train", "mlp", "--hidden=10,20"], 2, "'10,20'; separate several by spaces: --hidden 10 20"),
    (["train", "mlp", "--config", "/"], 1, "error: /: is a directory"),
    (["train", "mlp", "--augment", "--cutout", "8"], 1, "cutout is 8; it must be less than the 8 pixels"),
    (["train", "fuly-connected"], 1, "there is no model 'fuly-connected' (did you mean fully-connected?)"),
    (["train", "mlp", "--epochs", "0"], 1, "error: epochs is 0; it must be at least 1"),
    (["train", "mlp", "--epochs", "many"], 2, "should be a valid integer"),
    (["train", "mlp", "--bach-size", "3"], 2, "No such option: --bach-size"),
    (["train", "mlp", "--optimizer", "adan"], 2, "'adan' is not one of"),
    (["train", "two-layer", "--dropout", "0.1"], 1, "two-layer has no argument 'dropout'; it takes hidden_dim"),
    (["train", "two-layer", "--hidden", "10", "20"], 1, "hidden_dim is [10, 20]; it must be a whole number"),
    (["train", "fully-connected", "--dropout", "1.5"], 1, "Dropout: p is 1.5; the probability to drop must be at least 0 and below 1"),
    (["train", "fully-connected", "--hidden", "0"], 1, "Linear: out_features is 0; it must be at least 1"),
    (["train", "mlp", "--activations", "relu", "tanh", "relu"], 1, "mlp: 3 activations for 2 hidden layers"),
    (["train", "mlp", "--batch-size", "2000"], 1, "batch_size is 2000; it must be a whole number between 1 and the 1259 training samples"),
    (["train", "mlp", "--limit", "5000"], 1, "limit is 5000; there are 1 to 1,259 training images"),
    (["train", "mlp", "--threads", "4096"], 1, "set_threads: 4096 threads wanted"),
    (["train", "mlp", "--name", "../x"], 1, "'../x' is no name for a run"),
    (["train", "mlp", "--data", "cifar10", "--data-folder", "none"], 1, "no complete CIFAR-10 in none"),
    (["train", "--resume", "none"], 1, "there is no run 'none' in runs"),
    (["train", "--resume", "fc", "--name", "other"], 1, "--resume goes on with a run as it was; leave out --name"),
    (["train", "fully-connected", "--hidden", "400000000"], 1, "error: Linear: a weight of 25,600,000,000 numbers takes 95.4 GB, and"),
]


@pytest.mark.parametrize(("args", "code", "message"), WRONG)
def test_a_mistake_of_the_user_is_a_sentence_not_a_traceback(chainrule, args, code, message):
    ended = chainrule(*args)
    assert ended.code == code
    assert message in " ".join(ended.err.replace("│", " ").split())  # wrong usage is broken to lines in a box
    assert "Traceback" not in ended.err
    assert not Path("runs").exists() or not any(Path("runs").iterdir())


# --- going on ---------------------------------------------------------------------------------------------------------------------------


def test_another_architecture_or_setting_is_refused_with_the_difference(chainrule, trained):
    ended = chainrule("train", "--resume", "fc", "--hidden", "9", "--lr", "0.5")
    assert ended.code == 1
    assert "run 'fc' cannot go on with other settings: model_arguments was {'hidden_dims': (20, 10), " in ended.err
    assert "; lr was 0.001, now 0.5; start a new run instead" in ended.err


def test_another_model_is_refused_with_the_difference(chainrule, trained):
    ended = chainrule("train", "mlp", "--resume", "fc")
    assert ended.code == 1
    assert "model was 'fully-connected', now 'mlp'" in ended.err


def test_other_data_are_refused_with_the_difference(chainrule, trained, tmp_path):
    path = tmp_path / "runs" / "fc" / "config.json"
    config = json.loads(path.read_text())
    config["data"] |= {"checksum": "0" * 64, "images": {"train": 1000, "val": 269, "test": 269}}
    path.write_text(json.dumps(config))
    ended = chainrule("train", "--resume", "fc")
    assert ended.code == 1
    assert "not the data that run 'fc' was trained on: images was {'train': 1000, " in ended.err
    assert "checksum was '0000" in ended.err


def test_more_epochs_make_a_run_longer_and_its_configuration_too(chainrule, trained, tmp_path):
    assert chainrule("train", "--resume", "fc", "--epochs", "3").code == 0
    assert settings(tmp_path / "runs" / "fc")["epochs"] == 3
    assert chainrule("train", *SMALL, "--epochs", "3", "--name", "whole").code == 0
    assert result(tmp_path / "runs" / "fc") == result(tmp_path / "runs" / "whole")


def test_fewer_epochs_are_refused(chainrule, trained):
    assert "epochs was 2, now 1" in chainrule("train", "--resume", "fc", "--epochs", "1").err


def test_more_epochs_are_refused_where_the_earlier_learning_rates_depend_on_them(chainrule):
    chainrule("train", *SMALL, "--epochs", "1", "--schedule", "cosine", "--name", "fc")
    ended = chainrule("train", "--resume", "fc", "--epochs", "3")
    assert ended.code == 1
    assert "epochs was 1, now 3 (the cosine schedule depends on where the end is, also in the epochs already made)" in ended.err


def test_other_versions_are_remarked_upon(chainrule, trained, tmp_path):
    path = tmp_path / "runs" / "fc" / "config.json"
    config = json.loads(path.read_text())
    config["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(config))
    ended = chainrule("train", "--resume", "fc")
    assert ended.code == 0
    assert "warning: the run may not go on bit for bit: numpy was 1.0, is " in ended.err


def test_a_run_that_exists_is_not_begun_again(chainrule, trained):
    ended = chainrule("train", *SMALL, "--name", "fc")
    assert ended.code == 1
    assert "run 'fc' is already in runs; continue it with --resume fc, or choose another --name" in ended.err


@pytest.mark.parametrize("wrong", ["a taken name", "no name", "a file"])
def test_name_and_folder_are_checked_before_the_data_are_loaded(chainrule, trained, tmp_path, monkeypatch, wrong):
    (tmp_path / "notdir").touch()
    args, message = {
        "a taken name": (["--name", "fc"], "run 'fc' is already in runs"),
        "no name": (["--name", "a b"], "'a b' is no name for a run"),
        "a file": (["--runs", "notdir/runs"], "notdir is not a folder; name the folder of all runs with --runs"),
    }[wrong]
    monkeypatch.setattr("chainrule.training.build_data", lambda *_: pytest.fail("the data were loaded"))
    ended = chainrule("train", *SMALL, *args)
    assert ended.code == 1
    assert message in ended.err


# --- processes --------------------------------------------------------------------------------------------------------------------------


def start(folder, *args, **options):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TERM": "xterm"}
    command = [sys.executable, "-m", "chainrule", *args]
    return subprocess.Popen(command, cwd=folder, env=environment, **options)


def test_two_runs_of_one_name_at_the_same_time_are_not_mixed(chainrule, tmp_path):
    first = start(tmp_path, "train", *SMALL, "--epochs", "100000", "--name", "fc", stdout=subprocess.PIPE)
    try:
        first.stdout.readline()
        first.stdout.readline()  # an epoch is done
        before = Path("runs/fc/config.json").read_bytes()
        again, resumed = chainrule("train", *SMALL, "--name", "fc"), chainrule("train", "--resume", "fc")
        assert json.loads(chainrule("runs", "--json").out)[0]["state"] == "training"
    finally:
        first.kill()
        first.communicate()
    assert again.code == resumed.code == 1
    assert "run 'fc' is already in runs" in again.err
    assert f"run 'fc' is being trained by another process (pid {first.pid}); wait for it or stop it" in resumed.err
    assert Path("runs/fc/config.json").read_bytes() == before


@pytest.mark.parametrize("terminal", [False, True], ids=["in a pipe", "on a terminal"])
def test_ctrl_c_saves_and_prints_the_line_that_goes_on(tmp_path, terminal):
    arguments = ("train", *SMALL, "--epochs", "150", "--runs", "my runs", "--name", "fc")
    if terminal:
        master, slave = pty.openpty()
        process = start(tmp_path, *arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: _control(slave))
        os.close(slave)
    else:
        process = start(tmp_path, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        master = process.stdout.fileno()
    text = _read(master, until="epoch   3/150")
    if terminal:
        os.write(master, b"\x03")
    else:
        process.send_signal(signal.SIGINT)
    text += _read(master)
    assert process.wait(timeout=60) == 130
    assert "Traceback" not in text
    if process.stdout:
        process.stdout.close()
    line = text.splitlines()[-1].strip()
    assert line == "chainrule train --resume fc --runs 'my runs'"
    state = json.loads((tmp_path / "my runs" / "fc" / "checkpoints" / "last" / "state.json").read_text())["state"]
    assert f"stopped at step {state['step']}, saved up to step {state['step']}; go on with:" in text

    _, *rest = shlex.split(line)
    went_on = start(tmp_path, *rest, stdout=subprocess.PIPE)
    output, _ = went_on.communicate(timeout=120)
    assert went_on.returncode == 0
    assert b"epoch 150/150" in output
    whole = start(tmp_path, "train", *SMALL, "--epochs", "150", "--name", "whole", stdout=subprocess.DEVNULL)
    assert whole.wait(timeout=120) == 0
    assert result(tmp_path / "my runs" / "fc") == result(tmp_path / "runs" / "whole")


def _control(slave):
    """Make the terminal the one whose Ctrl-C reaches this process."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def _read(descriptor, until=None):
    """What comes until that text, or the end."""
    text, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline and (until is None or until not in text):
        try:
            data = os.read(descriptor, 4096)
        except OSError:  # the terminal's other side is closed
            break
        if not data:
            break
        text += data.decode()
    return text


# --- what is promised -------------------------------------------------------------------------------------------------------------------


def make_train_arguments():
    """The arguments of `chainrule train` in the Makefile."""
    makefile = (Path(__file__).parents[2] / "Makefile").read_text().replace("\\\n", "")
    line = next(line for line in makefile.splitlines() if "chainrule train" in line)
    return shlex.split(line.split("chainrule train", 1)[1].replace("$(ARGS)", ""))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_make_train_reaches_97_percent_of_the_held_out_digits(chainrule, seed):
    ended = chainrule("train", *make_train_arguments(), "--seed", seed, "--name", "digits")
    assert ended.code == 0, ended.err
    evaluated = json.loads(chainrule("evaluate", "digits", "--split", "test", "--json").out)
    assert evaluated["accuracy"] >= 0.975


@pytest.mark.real_data
def test_an_epoch_on_real_photographs_is_better_than_chance(chainrule, real_cifar10):
    arguments = ["--data", "cifar10", "--data-folder", real_cifar10.parent, "--normalization", "batch", "--epochs", "1", "--name", "fc"]
    ended = chainrule("train", "fully-connected", *arguments)
    assert ended.code == 0, ended.err
    evaluated = json.loads(chainrule("evaluate", "fc", "--split", "test", "--data-folder", real_cifar10.parent, "--json").out)
    assert evaluated["images"] == 10_000
    assert evaluated["accuracy"] > 0.35  # chance is 0.1


def test_a_run_in_mixed_precision_goes_on_by_hand(chainrule):
    how = ("--engine", "torch", "--amp", "bf16", "--channels-last", "--accumulate", "2")
    assert chainrule("train", "two-layer", "--epochs", "1", "--name", "mixed", *how).code == 0
    ended = chainrule("train", "--resume", "mixed", "--engine", "hand", "--epochs", "2")
    assert ended.code == 0, ended.err
    assert "epoch 2/2" in ended.out


@pytest.mark.slow
@pytest.mark.real_data
def test_both_engines_have_the_same_learning_curve_on_real_photographs(chainrule, real_cifar10, tmp_path):
    for engine in ("hand", "torch"):
        arguments = ["--data", "cifar10", "--data-folder", real_cifar10.parent, "--limit", "5000", "--augment", "--dtype", "float64"]
        arguments += ["--normalization", "batch", "--dropout", "0.1", "--epochs", "2", "--engine", engine, "--name", engine]
        ended = chainrule("train", "fully-connected", *arguments)
        assert ended.code == 0, ended.err
    hand, torch = (result(tmp_path / "runs" / engine)[1] for engine in ("hand", "torch"))
    # rounding of 1e-16 an update, amplified by Adam's division where a gradient is small; 100 updates
    for one, other in zip(hand, torch, strict=True):
        assert one == pytest.approx(other, rel=1e-8)
