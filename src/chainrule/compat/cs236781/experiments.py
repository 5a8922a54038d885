"""CS236781's experiments with convolutional architectures on CIFAR-10 (homework 2, part 5): train one, save it, load it.

The homework's `python -m hw2.experiments run-exp ...` is `python -m chainrule.compat.cs236781.experiments run-exp ...` here.
"""

import argparse
import inspect
import secrets
from pathlib import Path

import numpy as np
import torch

from chainrule.compat.cs236781.cnn import CNN, ResNet, YourCNN
from chainrule.compat.cs236781.training import FitResult, TorchTrainer
from chainrule.data import find_cifar10, read_batches
from chainrule.models.checks import check_number, check_numbers
from chainrule.pytorch import choose_device
from chainrule.training.storage import encode_json, read_json, write_json

__all__ = ["cnn_experiment", "load_experiment", "run_experiment", "save_experiment"]

MODEL_TYPES = {"cnn": CNN, "resnet": ResNet, "ycn": YourCNN}
DATASETS = "~/.pytorch-datasets"  # where the homework puts its download


def cnn_experiment(
    run_name,
    out_dir="./results",
    seed=None,
    device=None,
    bs_train=128,
    bs_test=None,
    batches=100,
    epochs=100,
    early_stopping=3,
    checkpoints=None,
    lr=1e-3,
    reg=1e-3,
    filters_per_layer=(64,),
    layers_per_block=2,
    pool_every=2,
    hidden_dims=(1024,),
    model_type="cnn",
    **kw,
):
    """Train a network on CIFAR-10's 50,000 training images, measure it on the 10,000 for testing, and save both as a file.

    The optimizer is Adam. Pixels are in [0, 1]. The files are those of ~/.pytorch-datasets, else those of CHAINRULE_DATA or the user's data
    folder. PyTorch's global generator is seeded, as in the homework; the order of the images has a generator of its own.

    Parameters
    ----------
    run_name : first part of the file's name
    out_dir : its folder, made where it is missing
    seed : of weights, dropout and order; None draws one, which the file tells
    device : a name or torch.device; None is a GPU where there is one
    bs_train : images in a batch
    bs_test : images in a batch of the test; None is bs_train // 4
    batches : at most so many in an epoch, of training and of the test; None is all
    epochs, early_stopping, checkpoints : as for `Trainer.fit`
    lr : learning rate
    reg : weight_decay of the optimizer
    filters_per_layer, layers_per_block : K and L; the network has L convolutions with each number of filters in K
    pool_every, hidden_dims : as for `CNN`
    model_type : "cnn", "resnet" or "ycn" (`YourCNN`)
    kw : for the network: batchnorm, dropout, conv_params, ...

    Returns
    -------
    the file's name. `cnn_experiment(**config)` with the configuration in it repeats the experiment.
    """
    config = {name: value for name, value in locals().items() if name != "kw"} | kw
    _check(config)
    config["seed"] = seed = secrets.randbelow(2**31) if seed is None else seed
    config["bs_test"] = bs_test = max(bs_train // 4, 1) if bs_test is None else bs_test
    device = choose_device("auto" if device is None else str(device))
    config["device"] = str(device)
    config["out_dir"], config["checkpoints"] = str(out_dir), None if checkpoints is None else str(checkpoints)
    path = _path(run_name, out_dir, config)
    path.parent.mkdir(parents=True, exist_ok=True)  # what cannot be saved is refused here, not after the training
    encode_json(config, name="config")

    torch.manual_seed(seed)
    channels = [filters for filters in filters_per_layer for _ in range(layers_per_block)]
    model = MODEL_TYPES[model_type]((3, 32, 32), 10, channels, pool_every, hidden_dims, **kw).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=reg)
    trainer = TorchTrainer(model, torch.nn.CrossEntropyLoss(), optimizer, device)

    train, test = _read()
    result = trainer.fit(
        _Batches(*train, bs_train, torch.Generator().manual_seed(seed)),
        _Batches(*test, bs_test),
        epochs,
        checkpoints=checkpoints,
        early_stopping=early_stopping,
        max_batches=batches,
    )
    return save_experiment(run_name, out_dir, config, result)


run_experiment = cnn_experiment  # the name of earlier years


def save_experiment(run_name, out_dir, cfg, fit_res):
    """Write configuration and results to OUT_DIR/RUN_NAME_L2_K32-64.json, whole or not at all, and return that name.

    Parameters
    ----------
    cfg : the arguments of `cnn_experiment`; layers_per_block and filters_per_layer give L and K of the file's name
    fit_res : a FitResult
    """
    path = _path(run_name, out_dir, cfg)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = cfg | {"device": str(cfg["device"])} if "device" in cfg else cfg
    write_json(path, {"config": config, "results": fit_res._asdict()}, what="the experiment")
    print(f"*** Output file {path} written")
    return str(path)


def load_experiment(filename):
    """Configuration (dict) and results (FitResult) that `save_experiment` wrote."""
    match read_json(filename):
        case {"config": dict(config), "results": dict(results)} if set(results) == set(FitResult._fields):
            return config, FitResult(**results)
    raise ValueError(f'{filename} is not an experiment: expected "config", and "results" of {", ".join(FitResult._fields)}')


class _Batches:
    """Batches of images (N, 3, 32, 32) float32 in [0, 1] and labels; with a generator, in a new order each time."""

    def __init__(self, images, labels, batch_size, generator=None):
        self.images, self.labels = torch.from_numpy(images), torch.from_numpy(labels)
        self.batch_size = batch_size
        self.generator = generator

    def __iter__(self):
        size = len(self.labels)
        order = torch.randperm(size, generator=self.generator) if self.generator else torch.arange(size)
        for rows in order.split(self.batch_size):
            yield self.images[rows].float() / 255, self.labels[rows]


def _read():
    """(images (N, 3, 32, 32) uint8, labels) for training and for the test."""
    *train, (test_images, test_labels) = read_batches(find_cifar10(DATASETS))
    images, labels = zip(*train, strict=True)
    return (np.concatenate(images), np.concatenate(labels)), (test_images.copy(), test_labels)


def _path(run_name, out_dir, cfg):
    filters = "-".join(map(str, cfg["filters_per_layer"]))
    return Path(out_dir, f"{run_name}_L{cfg['layers_per_block']}_K{filters}.json")


def _check(config):
    for name in ("bs_train", "epochs", "layers_per_block"):
        check_number("cnn_experiment", name, config[name])
    for name in ("bs_test", "batches", "early_stopping"):
        if config[name] is not None:
            check_number("cnn_experiment", name, config[name])
    check_numbers("cnn_experiment", "filters_per_layer", config["filters_per_layer"])
    if config["model_type"] not in MODEL_TYPES:
        raise ValueError(f"cnn_experiment: model_type={config['model_type']!r}; expected {' or '.join(map(repr, MODEL_TYPES))}")


EXAMPLE = """
example:
  python -m chainrule.compat.cs236781.experiments run-exp -n test -K 32 64 -L 2 -P 2 -H 100 --epochs 5
"""


def main(arguments=None):
    """The homework's command line."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(cnn_experiment).parameters.items()}
    parser = argparse.ArgumentParser(prog="experiments", description="experiments of CS236781's homework 2")
    run = parser.add_subparsers(required=True, metavar="run-exp").add_parser(
        "run-exp",
        help="train one network on CIFAR-10 and save the results",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(*names, **settings):
        default = defaults[names[0].removeprefix("--").replace("-", "_")]
        run.add_argument(*names, **{"type": int, "metavar": "N", "default": default} | settings)

    add("--run-name", "-n", type=str, metavar="NAME", required=True, help="first part of the file's name")
    add("--out-dir", "-o", type=str, metavar="FOLDER", help="folder of the file (default: %(default)s)")
    add("--seed", "-s", help="of weights, dropout and order (default: a random one)")
    add("--device", "-d", type=str, metavar="NAME", help="cpu, cuda, ... (default: a GPU where there is one)")
    add("--bs-train", help="images in a batch (default: %(default)s)")
    add("--bs-test", help="images in a batch of the test (default: a quarter of --bs-train)")
    add("--batches", help="batches in an epoch, at most (default: %(default)s)")
    add("--epochs", help="epochs, at most (default: %(default)s)")
    add("--early-stopping", help="stop after N epochs without a better test loss (default: %(default)s)")
    add("--checkpoints", type=str, metavar="PATH", help="write the network to PATH.safetensors whenever the test accuracy improves")
    add("--lr", type=float, metavar="RATE", help="learning rate (default: %(default)s)")
    add("--reg", type=float, metavar="LAMBDA", help="L2 penalty (default: %(default)s)")
    add("--filters-per-layer", "-K", metavar="K", nargs="+", required=True, help="filters of the convolutions, for each block")
    add("--layers-per-block", "-L", metavar="L", required=True, help="convolutions in each block")
    add("--pool-every", "-P", metavar="P", required=True, help="convolutions before each pool")
    add("--hidden-dims", "-H", metavar="H", nargs="+", required=True, help="sizes of the hidden linear layers")
    add("--model-type", "-M", type=str, choices=list(MODEL_TYPES), metavar="TYPE", help=f"{', '.join(MODEL_TYPES)} (default: %(default)s)")
    settings = vars(parser.parse_args(arguments))
    try:
        cnn_experiment(**settings)
    except (ValueError, OSError) as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
