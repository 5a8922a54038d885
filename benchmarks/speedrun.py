"""The speedrun's recipe (airbench94 with Muon, Jordan 2024) on PyTorch, seed after seed: test accuracy, seconds, means, standard errors.

    python benchmarks/speedrun.py [--seeds 25] [--device auto] [--amp fp16] [--json FILE]
    python benchmarks/speedrun.py --seeds 2 --epochs 2 --limit 2000 --batch-size 500       # to try it without a GPU

It trains on all images that are not for the test, 50,000 of CIFAR-10, and evaluates the last weights: no choice looks at a result. On a
GPU it computes in bf16, channels-last and compiled unless told otherwise, and lets cuDNN choose its algorithms by measuring.

The clock starts before the first access to training data and stops when the test images are classified. Before both readings everything
is waited for that is queued on the GPU. Within it: drawing the network's weights, whitening filters from 5,000 training images (on the
host), images and labels to the device as they are stored, normalization, augmentation, every update, a look at 500 training images after
each epoch (one batch, as the Trainer does it), and the scores of the test images, six views of each. Outside: starting Python, reading
the files, mean and deviation of the training images (constants in airbench), the test accuracy without views, which comes afterwards, and
the warm-up: a whole run on images and labels drawn at random, which pays for compiling, cuDNN's measuring and the allocation of memory.

airbench's clock has the whitening, all updates with normalization and augmentation, and the six views; it leaves out the drawing of
weights and the way of the images to the device, and stops after each epoch to look at the test images. So this one counts more.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from chainrule import data as datasets
from chainrule import nn
from chainrule.data import Dataset, describe
from chainrule.models import MODELS
from chainrule.pytorch import choose_device
from chainrule.settings import Settings
from chainrule.training.build import build_trainer
from chainrule.training.provenance import describe_data, machine, versions

WATCHED = 500  # training images that the Trainer looks at after each epoch


class Result(NamedTuple):
    """Of one seed: shares in [0, 1] of the test images, with the views and without, and what the clock says."""

    seed: int
    accuracy: float
    without_views: float
    seconds: float


# --- one run ----------------------------------------------------------------------------------------------------------------------


def timed_run(settings, data):
    """Train and evaluate once."""
    _wait(settings.device)
    start = time.perf_counter()
    trainer = build_trainer(settings, data)
    trainer.fit(settings.epochs)
    accuracy = trainer.evaluate("test", tta=settings.tta).accuracy
    _wait(settings.device)
    seconds = time.perf_counter() - start
    return Result(settings.seed, accuracy, trainer.evaluate("test").accuracy, seconds)


def _wait(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def without_validation(data, limit=None):
    """The data with all images that are not for the test to train on, or `limit` of them and of the test images."""
    images, labels = (np.concatenate([getattr(split, name) for split in (data.train, data.val)])[:limit] for name in ("images", "labels"))
    test = data.test.images[:limit], data.test.labels[:limit]
    watched = images[:WATCHED], labels[:WATCHED]
    return Dataset.from_arrays(data.name, train=(images, labels), val=watched, test=test, classes=data.classes, scale=data.scale)


def noise_like(data):
    """As many images of the same shape and dtype, and labels, but drawn at random."""
    rng = np.random.default_rng(0)

    def draw(split):
        images = rng.integers(int(data.scale) + 1, size=split.images.shape, dtype=split.images.dtype)
        return images, rng.integers(len(data.classes), size=len(split))

    train, val, test = map(draw, (data.train, data.val, data.test))
    return Dataset.from_arrays("noise", train=train, val=val, test=test, classes=data.classes, scale=data.scale)


# --- what is said -----------------------------------------------------------------------------------------------------------------


def summary(values):
    """Mean, its standard error (None for a single value), least and greatest."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard_error": error, "least": min(values), "greatest": max(values)}


def sentence(found, scale, digits, unit):
    error = "unknown" if found["standard_error"] is None else f"{scale * found['standard_error']:.{digits}f}"
    least, mean, greatest = (f"{scale * found[name]:.{digits}f}" for name in ("least", "mean", "greatest"))
    return f"mean {mean} {unit}, standard error {error}, from {least} to {greatest}"


def provenance_of_files(name):
    """Whether the files are those that everybody has; other ones may hold other pixels, such as JPEG's."""
    if name != "cifar10":
        return "no files"
    found = describe()
    if found.official is None:
        return "binary files, whose checksums nobody publishes"
    return "the official files" if found.official else "not the official files: their pixels may be others"


def device_name(device):
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{machine()['processor']}, {torch.get_num_threads()} threads"


# --- the program ------------------------------------------------------------------------------------------------------------------


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=25, help="how many runs, from seed 0 on (default 25)")
    parser.add_argument("--device", default="auto", help="as of chainrule train: cpu, cuda, cuda:1 (default: the best there is)")
    parser.add_argument("--amp", choices=("none", "bf16", "fp16"), help="mixed precision (default: bf16 on a GPU, else none)")
    flag = argparse.BooleanOptionalAction
    parser.add_argument("--channels-last", action=flag, help="memory format of images (default: on a GPU)")
    parser.add_argument("--compile", action=flag, help="torch.compile (default: on a GPU)")
    parser.add_argument("--warm-up", action=flag, default=True, help="a whole run that does not count, before the first (default: yes)")
    parser.add_argument("--data", choices=datasets.DATASETS, default="cifar10")
    parser.add_argument("--epochs", type=int, help="default: those of the recipe, 8")
    parser.add_argument("--batch-size", type=int, help="default: that of the recipe, 2000, or all images if they are fewer")
    parser.add_argument("--limit", type=int, help="images to train on, and to test on (default: all)")
    parser.add_argument("--widths", type=int, nargs="+", help="channels of the blocks (default: 64 256 256; the digits need a single one)")
    parser.add_argument("--json", metavar="FILE", help="write everything there, too")
    given = parser.parse_args()
    if given.seeds < 1 or (given.limit is not None and given.limit < 2):
        parser.error(f"--seeds is {given.seeds}, --limit is {given.limit}; there must be at least one seed and two images")
    if given.json and not Path(given.json).absolute().parent.is_dir():
        parser.error(f"--json {given.json}: there is no folder for it")
    try:
        device = str(choose_device(given.device))
        data = without_validation(datasets.load(given.data), given.limit)
        settings = Settings("speedrun", engine="torch", data=given.data, device=device, **_chosen(given, device.startswith("cuda")))
        settings = replace(settings, batch_size=min(settings.batch_size or 0, len(data.train)))
        MODELS["speedrun"](nn, image=data.image_shape, classes=len(data.classes), **settings.model_arguments)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    return given, settings, data


def _chosen(given, on_gpu):
    """The settings that the command line gives, or the device."""
    amp = given.amp or ("bf16" if on_gpu else "none")
    chosen = {"amp": amp}
    chosen |= {name: on_gpu if getattr(given, name) is None else getattr(given, name) for name in ("channels_last", "compile")}
    chosen |= {name: getattr(given, name) for name in ("epochs", "batch_size") if getattr(given, name) is not None}
    if given.widths is not None:
        chosen["model_arguments"] = {"widths": given.widths}
    return chosen


def main():
    given, settings, data = parse()
    files, cuda = provenance_of_files(data.name), torch.version.cuda
    torch.backends.cudnn.benchmark = True
    how = [settings.amp if settings.amp != "none" else settings.dtype] + [
        name for name, on in (("channels-last", settings.channels_last), ("compiled", settings.compile)) if on
    ]
    print(f"speedrun, {settings.epochs} epochs; {data.name}, {len(data.train):,} training and {len(data.test):,} test images, {files}")
    print(f"sha256 {data.checksum}")
    print(f"{device_name(settings.device)}; PyTorch {torch.__version__}, {f'CUDA {cuda}' if cuda else 'no CUDA'}; {', '.join(how)}")
    if not settings.device.startswith("cuda"):
        print("a run without a GPU: its seconds are not those of the record")
    warm_up = None
    if given.warm_up:
        warm_up = timed_run(settings, noise_like(data)).seconds
        print(f"warm-up    {warm_up:.2f} s, not counted", flush=True)
        if settings.compile:
            torch.compiler.set_stance("fail_on_recompile")  # nothing is to be compiled while the clock runs
    results = []
    for seed in range(given.seeds):
        results.append(timed_run(replace(settings, seed=seed), data))
        _, accuracy, plain, seconds = results[-1]
        print(f"seed {seed:3d}   test accuracy {100 * accuracy:6.2f} %, without views {100 * plain:6.2f} %   {seconds:7.3f} s", flush=True)
    found = {name: summary([getattr(result, name) for result in results]) for name in Result._fields[1:]}
    print(f"test accuracy   {sentence(found['accuracy'], 100, 3, '%')}")
    print(f"without views   {sentence(found['without_views'], 100, 3, '%')}")
    print(f"seconds         {sentence(found['seconds'], 1, 3, 's')}")
    if given.json:
        told = {"settings": settings.to_dict(), "data": describe_data(data) | {"files": files}, "device": device_name(settings.device)}
        told |= {"versions": versions() | {"cuda": cuda}, "machine": machine(), "clock": __doc__, "warm_up_seconds": warm_up}
        told |= {"runs": [result._asdict() for result in results], "summary": found}
        Path(given.json).write_text(json.dumps(told, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
