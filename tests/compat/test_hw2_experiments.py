"""Experiments on images whose brightness tells their class."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from chainrule.compat.cs236781 import experiments  # noqa: E402
from chainrule.compat.cs236781.training import FitResult  # noqa: E402
from chainrule.data.cifar10_files import CLASSES  # noqa: E402
from chainrule.training.storage import load_arrays, read_json, write_json  # noqa: E402

SMALL = {
    "batches": 4,
    "epochs": 2,
    "bs_train": 32,
    "filters_per_layer": [4, 6],
    "layers_per_block": 1,
    "hidden_dims": [16],
    "device": "cpu",
}


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch):
    """An empty working directory, no data in the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nothing"))


def images(labels):
    return np.broadcast_to((25 * labels[:, None, None, None]).astype(np.uint8), (len(labels), 3, 32, 32)).copy()


@pytest.fixture
def few(monkeypatch):
    """Of training and test, the first images alone."""
    train, test = np.arange(2_000) % 10, np.arange(500) % 10
    monkeypatch.setattr(experiments, "_read", lambda: ((images(train), train), (images(test), test)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder with cifar-10-batches-bin; the labels of batch k repeat 0 to 9 from k on."""
    folder = tmp_path_factory.mktemp("data") / "cifar-10-batches-bin"
    folder.mkdir()
    for k, name in enumerate(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]):
        labels = (np.arange(10_000) + k) % 10
        np.column_stack([labels.astype(np.uint8), images(labels).reshape(10_000, -1)]).tofile(folder / f"{name}.bin")
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    return folder.parent


def test_an_experiment_leaves_its_configuration_and_results(few, tmp_path, capsys):
    filename = experiments.cnn_experiment("exp1_1", seed=7, **SMALL)
    assert filename == os.path.join("results", "exp1_1_L1_K4-6.json")
    written = read_json(tmp_path / filename)
    assert written["config"] == {
        "run_name": "exp1_1",
        "out_dir": "./results",
        "seed": 7,
        "device": "cpu",
        "bs_train": 32,
        "bs_test": 8,
        "batches": 4,
        "epochs": 2,
        "early_stopping": 3,
        "checkpoints": None,
        "lr": 1e-3,
        "reg": 1e-3,
        "filters_per_layer": [4, 6],
        "layers_per_block": 1,
        "pool_every": 2,
        "hidden_dims": [16],
        "model_type": "cnn",
    }
    config, result = experiments.load_experiment(filename)
    assert config == written["config"]
    assert isinstance(result, FitResult)
    assert result.num_epochs == 2
    assert [len(history) for history in result[1:]] == [2] * 4
    assert all(accuracy * 8 * 4 % 100 == 0 for accuracy in result.test_acc)  # 4 batches of 8 images
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("train: mean loss") and lines[1].endswith("4 batches")
    assert lines[-1] == f"*** Output file {filename} written"


def test_an_experiment_can_be_repeated_from_its_configuration(few):
    settings = SMALL | {"seed": 3, "model_type": "resnet", "batchnorm": True, "dropout": 0.1, "pooling_params": {"kernel_size": 4}}
    config, result = experiments.load_experiment(experiments.run_experiment("one", **settings))
    assert config["pooling_params"] == {"kernel_size": 4}
    torch.rand(5)
    _, again = experiments.load_experiment(experiments.cnn_experiment(**config | {"run_name": "again"}))
    _, other = experiments.load_experiment(experiments.cnn_experiment(**config | {"run_name": "other", "seed": 4}))
    assert again == result
    assert other != result


def test_without_a_seed_one_is_drawn_and_told(few):
    first, second = (
        experiments.load_experiment(experiments.cnn_experiment(name, **SMALL | {"epochs": 1, "batches": 1}))[0]["seed"] for name in "ab"
    )
    assert first != second


@pytest.mark.parametrize("model_type", ["cnn", "resnet", "ycn"])
def test_each_network_learns_what_brightness_means(few, model_type):
    settings = {"batches": 31, "epochs": 4, "bs_train": 32, "lr": 1e-2, "filters_per_layer": [8], "pool_every": 1, "hidden_dims": [32]}
    pooling = {"pooling_params": {"kernel_size": 8}, "pooling_type": "avg"}
    filename = experiments.cnn_experiment("learn", seed=1, device="cpu", model_type=model_type, layers_per_block=1, **settings, **pooling)
    _, result = experiments.load_experiment(filename)
    assert max(result.test_acc) > 50  # chance is 10


def test_filters_are_repeated_for_each_layer_of_a_block(few, monkeypatch):
    channels = []

    class Spy(experiments.CNN):
        def __init__(self, *arguments, **kw):
            channels.extend(arguments[2])
            super().__init__(*arguments, **kw)

    monkeypatch.setitem(experiments.MODEL_TYPES, "cnn", Spy)
    settings = SMALL | {"filters_per_layer": [4, 6], "layers_per_block": 3, "batches": 1, "epochs": 1}
    assert experiments.cnn_experiment("run", "out", **settings) == os.path.join("out", "run_L3_K4-6.json")
    assert channels == [4, 4, 4, 6, 6, 6]


def test_all_images_are_seen_once_in_an_epoch_in_an_order_that_changes():
    pixels = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1).repeat(3, axis=1)
    batches = experiments._Batches(pixels, np.arange(7), 3, torch.Generator().manual_seed(0))
    first, second = ([labels.tolist() for _, labels in batches] for _ in range(2))
    assert [len(labels) for labels in first] == [3, 3, 1]
    assert sorted(label for labels in first for label in labels) == list(range(7))
    assert sorted(label for labels in second for label in labels) == list(range(7))
    assert first != second
    in_order = list(experiments._Batches(pixels, np.arange(7), 4))
    assert [labels.tolist() for _, labels in in_order] == [[0, 1, 2, 3], [4, 5, 6]]
    assert all(X.dtype == torch.float32 and torch.equal(X[:, 2, 0, 0], labels / 255) for X, labels in in_order)


def test_the_random_numbers_of_python_and_numpy_are_left_alone(few):
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - it is the state that matters
    experiments.cnn_experiment("run", **SMALL | {"batches": 1, "epochs": 1})
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_early_stopping_and_checkpoints_reach_the_trainer(few, tmp_path):
    settings = SMALL | {"epochs": 9, "early_stopping": 1, "lr": 0.0, "checkpoints": tmp_path / "kept" / "best"}
    config, result = experiments.load_experiment(experiments.cnn_experiment("run", tmp_path / "out", **settings))
    assert (config["out_dir"], config["checkpoints"]) == (str(tmp_path / "out"), str(tmp_path / "kept" / "best"))
    assert result.num_epochs == 2  # at learning rate 0 nothing gets better
    arrays, _ = load_arrays(tmp_path / "kept" / "best.safetensors")
    assert arrays["feature_extractor.0.weight"].shape == (4, 3, 3, 3)


RESULT = FitResult(2, [1.5, float("nan")], [10.0, 20.0], [1.25, float("inf")], [30.0, 40.0])


def test_what_is_saved_is_loaded(tmp_path):
    config = {"layers_per_block": 2, "filters_per_layer": (32, 64), "device": torch.device("cpu"), "note": "ä"}
    filename = experiments.save_experiment("a run", tmp_path / "new" / "folder", config, RESULT)
    assert filename == str(tmp_path / "new" / "folder" / "a run_L2_K32-64.json")
    loaded, result = experiments.load_experiment(filename)
    assert loaded == {"layers_per_block": 2, "filters_per_layer": [32, 64], "device": "cpu", "note": "ä"}
    assert config["device"] == torch.device("cpu")
    np.testing.assert_equal(result._asdict(), RESULT._asdict())  # NaN is NaN


def test_results_that_cannot_be_written_leave_the_earlier_file(tmp_path):
    config = {"layers_per_block": 2, "filters_per_layer": [8]}
    filename = experiments.save_experiment("run", tmp_path, config, RESULT)
    before = read_json(filename)
    with pytest.raises(TypeError, match="JSON does not have"):
        experiments.save_experiment("run", tmp_path, config, RESULT._replace(train_loss=[torch.ones(1)]))
    np.testing.assert_equal(read_json(filename), before)
    assert len(list(tmp_path.glob("*L2*"))) == 1


@pytest.mark.parametrize("content", [[], {"config": {}}, {"config": {}, "results": {"num_epochs": 1}}], ids=["list", "no results", "parts"])
def test_a_file_that_is_no_experiment_is_refused(tmp_path, content):
    write_json(tmp_path / "run.json", content)
    with pytest.raises(ValueError, match=r'run.json is not an experiment: expected "config", and "results" of num_epochs, train_loss'):
        experiments.load_experiment(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "cnn_experiment: epochs is 0; expected a whole number, at least 1"),
        ({"bs_train": "64"}, ValueError, "cnn_experiment: bs_train is '64'"),
        ({"bs_test": 0}, ValueError, "cnn_experiment: bs_test is 0"),
        ({"batches": 0}, ValueError, "cnn_experiment: batches is 0"),
        ({"layers_per_block": [2]}, ValueError, r"cnn_experiment: layers_per_block is \[2\]"),
        ({"filters_per_layer": 32}, ValueError, "cnn_experiment: filters_per_layer is 32; expected a tuple of whole numbers"),
        ({"filters_per_layer": []}, ValueError, "CNN: channels is empty"),
        ({"model_type": "vgg"}, ValueError, "cnn_experiment: model_type='vgg'; expected 'cnn' or 'resnet' or 'ycn'"),
        ({"device": "tpu"}, ValueError, "device is 'tpu'; PyTorch .* finds cpu"),
        ({"batchnorm": True}, TypeError, "batchnorm"),
        (
            {"activation_params": {"inplace": object()}},
            TypeError,
            "config.activation_params.inplace is of type object, which JSON does not",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_arguments_that_make_no_experiment_are_refused_before_the_data_are_read(arguments, error, message, monkeypatch):
    monkeypatch.setattr(experiments, "_read", lambda: pytest.fail("the data were read"))
    with pytest.raises(error, match=message):
        experiments.cnn_experiment("run", **SMALL | arguments)


def test_without_the_data_it_says_where_they_should_be():
    with pytest.raises(FileNotFoundError, match="nothing"):
        experiments.cnn_experiment("run", **SMALL)


def test_the_data_are_those_of_the_homework_s_folder_in_the_order_of_the_files(dataset, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".pytorch-datasets").symlink_to(dataset)
    (train, labels), (test, test_labels) = experiments._read()
    assert (train.shape, test.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert (labels[::10_000].tolist(), test_labels[0]) == ([0, 1, 2, 3, 4], 5)
    np.testing.assert_array_equal(train[:, 2, 9, 31], 25 * labels)
    np.testing.assert_array_equal(test[:, 0, 0, 0], 25 * test_labels)


def test_the_command_line_is_the_homework_s(few, tmp_path):
    command = "run-exp -n test -K 4 6 -L 1 -P 2 -H 16 --epochs 1 --batches 2 --bs-train 16 -M resnet -s 5 -d cpu"
    experiments.main(command.split())
    config, result = experiments.load_experiment(tmp_path / "results" / "test_L1_K4-6.json")
    assert (config["model_type"], config["seed"], config["lr"], config["checkpoints"]) == ("resnet", 5, 1e-3, None)
    assert result.num_epochs == 1


def test_the_module_can_be_run(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "chainrule.compat.cs236781.experiments", "run-exp", "-n", "test"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the following arguments are required: --filters-per-layer/-K, --layers-per-block/-L, --pool-every/-P" in done.stderr


def test_a_mistake_on_the_command_line_is_told_without_a_traceback(capsys):
    with pytest.raises(SystemExit) as ended:
        experiments.main(["run-exp", "-n", "test", "-K", "4", "-L", "8", "-P", "1", "-H", "16"])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: CNN: an image of (3, 32, 32) gets too small")


def test_help_ends_in_a_command_that_parses(few, tmp_path, capsys):
    with pytest.raises(SystemExit):
        experiments.main(["run-exp", "--help"])
    example = capsys.readouterr().out.splitlines()[-1]
    _, arguments = example.split("experiments ")
    experiments.main([*arguments.split(), "--epochs", "1", "--batches", "1"])
    assert (tmp_path / "results" / "test_L2_K32-64.json").is_file()


@pytest.mark.real_data
def test_a_few_batches_of_cifar10_are_better_than_chance(real_cifar10, monkeypatch):
    monkeypatch.setenv("CHAINRULE_DATA", str(real_cifar10))
    settings = {"bs_train": 64, "batches": 30, "epochs": 2, "filters_per_layer": [8], "pool_every": 1, "hidden_dims": [32]}
    filename = experiments.cnn_experiment("real", seed=42, device="cpu", lr=3e-3, model_type="resnet", batchnorm=True, **settings)
    _, result = experiments.load_experiment(filename)
    # 30 batches of 16: the deviation of chance is sqrt(0.1 * 0.9 / 480) = 1.4 %
    assert result.test_acc[-1] > 20
    assert result.train_loss[1] < result.train_loss[0]
