"""What the Trainer adds to a training step: log, sums, progress bar, preparing batches; against a bare loop over the same batches.

Three networks with the same weights take turns, an epoch each: one trained by `engine.step` in a loop over batches that were prepared
before, one by `Trainer.fit` with a run on disk and a live progress bar, over such batches too, one by `Trainer.fit` that prepares its
batches, in a thread that competes with the step for the cores. Ratios of two epochs are as unsteady as the machine; so the bookkeeping
(sums, log, progress) is measured by itself as well: a Trainer whose engine does nothing.

    python benchmarks/trainer_overhead.py [--rounds 15]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from chainrule import nn, optim
from chainrule.cli import train as command
from chainrule.data import Dataset
from chainrule.models import fully_connected
from chainrule.settings import Settings
from chainrule.training import Run, Trainer

IMAGES, BATCH = 10_000, 100
NETWORKS = {
    "3072-100-10, SGD": ((100,), optim.SGD),
    "3072-4x100-10, Adam": ((100,) * 4, optim.Adam),
    "3072-512-256-10, Adam": ((512, 256), optim.Adam),
}


def make_data():
    rng = np.random.default_rng(0)

    def draw(count):
        return rng.integers(256, size=(count, 3, 32, 32), dtype=np.uint8), rng.integers(10, size=count)

    return Dataset.from_arrays("noise", train=draw(IMAGES), val=draw(BATCH), test=draw(BATCH))


def make_trainer(data, hidden, optimizer, **options):
    model = fully_connected(nn, hidden_dims=hidden).reset_parameters(np.random.default_rng(0))
    return Trainer(model, data, optimizer=optimizer(model.parameters(), lr=1e-6), batch_size=BATCH, **options)


class Prepared(Trainer):
    """A Trainer whose batches are there already."""

    def training_batches(self):
        return (batch for batch in self.prepared)


def bare_epoch(trainer, prepared):
    """Seconds of an epoch that does the steps and nothing else."""
    start = time.perf_counter()
    for images, labels in prepared:
        trainer.engine.step(images, labels, None)
    return time.perf_counter() - start


def trainer_epoch(trainer):
    """Seconds of an epoch within `fit`, validation left out."""
    return trainer.fit(trainer.epoch + 1).records[-1]["seconds"]


class Idle:
    """An engine that returns the same result at once."""

    def __init__(self, engine, images, labels):
        self.result = engine.step(images, labels, None)
        self.criterion, self.evaluate, self.dtype = engine.criterion, engine.evaluate, engine.dtype
        self.model_state, self.optimizer_state = engine.model_state, engine.optimizer_state

    def step(self, images, labels, rng):
        return self.result


def bookkeeping(data, hidden, optimizer, prepared, folder):
    """Seconds a step, the median of 20 epochs."""
    run = Run.create(folder, None, {})
    trainer = make_trainer(data, hidden, optimizer, callbacks=[command.Progress(Settings("fully-connected", epochs=20))], run=run)
    trainer.__class__, trainer.prepared, trainer.engine = Prepared, prepared, Idle(trainer.engine, *prepared[0])
    with run.lock():
        return statistics.median(trainer_epoch(trainer) for _ in range(20)) / len(prepared)


def measure(data, hidden, optimizer, rounds, folder):
    """Ratios to the bare loop of the same round, of the bookkeeping and of the whole; seconds of a step, and of its bookkeeping."""
    bare = make_trainer(data, hidden, optimizer)
    prepared = list(bare.training_batches())
    trainers = []
    for kind in (Prepared, Trainer):
        progress = command.Progress(Settings("fully-connected", epochs=rounds + 1))
        trainer = make_trainer(data, hidden, optimizer, callbacks=[progress], run=Run.create(folder, None, {}))
        trainer.__class__ = kind
        trainer.prepared = prepared
        trainers.append(trainer)
    ratios = [[], []]
    with trainers[0].run.lock(), trainers[1].run.lock():
        for number in range(rounds + 1):
            before = bare_epoch(bare, prepared)
            times = [trainer_epoch(trainer) for trainer in trainers]
            alone = (before + bare_epoch(bare, prepared)) / 2
            if number:  # the first one warms up
                for found, seconds in zip(ratios, times, strict=True):
                    found.append(seconds / alone)
    return ratios, alone / len(prepared), bookkeeping(data, hidden, optimizer, prepared, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="epochs of each (default 15)")
    rounds = parser.parse_args().rounds
    data = make_data()
    command.out = Console(file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115 (a terminal that nobody watches, to the end)
    print(f"{'':24} {'step':>8}  {'bookkeeping':>17}   {'ratio with bookkeeping':^26}   {'and preparing batches':^26}")
    for name, (hidden, optimizer) in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            ratios, step, extra = measure(data, hidden, optimizer, rounds, Path(folder))
        columns = (f"{statistics.median(found):.4f} ({min(found):.4f} to {max(found):.4f})" for found in ratios)
        print(f"{name:24} {step * 1e6:5.0f} us  {extra * 1e6:5.1f} us = {extra / step:5.2%}   {'   '.join(columns)}")


if __name__ == "__main__":
    main()
