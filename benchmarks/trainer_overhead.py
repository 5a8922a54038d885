"""What the Trainer adds to a training step: log, sums, progress bar, preparing batches; against a bare loop over the same batches.

Three networks with the same weights take turns, an epoch each: one trained by `engine.step` in a loop over batches that were prepared
before, one by `Trainer.fit` with a run on disk and a live progress bar, over such batches too, one by `Trainer.fit` that prepares its
batches, in a thread that competes with the step for the cores. Ratios of two epochs are as unsteady as the machine; so the bookkeeping
(sums, log, progress) is measured by itself as well: a Trainer whose engine does nothing. Waiting is what the Trainer spends between the
end of a step and the next batch.

    python benchmarks/trainer_overhead.py [--rounds 15] [--engine torch]

With --engine torch the bare loop is the one that one writes in PyTorch: zero_grad, forward, loss, backward, step.
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
from chainrule.models import MODELS
from chainrule.settings import Settings
from chainrule.training import Run, Trainer

IMAGES, BATCH = 10_000, 100
NETWORKS = {
    "3072-100-10, SGD": ("fully-connected", {"hidden_dims": (100,)}, "SGD"),
    "3072-4x100-10, Adam": ("fully-connected", {"hidden_dims": (100,) * 4}, "Adam"),
    "3072-512-256-10, Adam": ("fully-connected", {"hidden_dims": (512, 256)}, "Adam"),
    "three-layer convnet, Adam": ("three-layer-convnet", {}, "Adam"),
}


def make_data():
    rng = np.random.default_rng(0)

    def draw(count):
        return rng.integers(256, size=(count, 3, 32, 32), dtype=np.uint8), rng.integers(10, size=count)

    return Dataset.from_arrays("noise", train=draw(IMAGES), val=draw(BATCH), test=draw(BATCH))


def make_trainer(data, network, engine, **options):
    name, arguments, optimizer = network
    model, optimizers = MODELS[name](nn, **arguments).reset_parameters(np.random.default_rng(0)), optim
    if engine == "torch":
        from chainrule import pytorch

        twin, optimizers = MODELS[name](pytorch.nn, **arguments), pytorch.optim
        pytorch.copy_weights(model, twin)
        model = twin
    return Trainer(model, data, optimizer=getattr(optimizers, optimizer)(model.parameters(), lr=1e-6), batch_size=BATCH, **options)


class Prepared(Trainer):
    """A Trainer whose batches are there already."""

    def training_batches(self):
        return (batch for batch in self.prepared)


def bare_epoch(trainer, prepared):
    """Seconds of an epoch that does the steps and nothing else."""
    start = time.perf_counter()
    if isinstance(trainer.model, nn.Module):
        for images, labels in prepared:
            trainer.engine.step(images, labels, None)
    else:
        import torch

        model, optimizer = trainer.model, trainer.optimizer
        model.train()
        for images, labels in prepared:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def trainer_epoch(trainer):
    """Seconds of an epoch within `fit`, validation left out."""
    return trainer.fit(trainer.epoch + 1).records[-1]["seconds"]


class Idle:
    """An engine that returns the same result at once."""

    def __init__(self, engine, images, labels):
        self.result = engine.step(images, labels, None)
        self.criterion, self.dtype, self.group, self.defers = engine.criterion, engine.dtype, engine.group, engine.defers
        self.in_order, self.evaluate, self.count_right = engine.in_order, engine.evaluate, engine.count_right
        self.model_state, self.optimizer_state = engine.model_state, engine.optimizer_state

    def step(self, images, labels, rng):
        return self.result


def bookkeeping(data, network, engine, prepared, folder):
    """Seconds a step, the median of 20 epochs."""
    run = Run.create(folder, None, {})
    trainer = make_trainer(data, network, engine, callbacks=[command.Progress(Settings("fully-connected", epochs=20))], run=run)
    trainer.__class__, trainer.prepared, trainer.engine = Prepared, prepared, Idle(trainer.engine, *prepared[0])
    with run.lock():
        return statistics.median(trainer_epoch(trainer) for _ in range(20)) / len(prepared)


def waiting(trainer):
    """Share of an epoch's seconds that pass before a batch is there."""
    seconds, start, before = 0.0, time.perf_counter(), time.perf_counter()
    for images, labels in trainer.training_batches():
        seconds += time.perf_counter() - before
        trainer.engine.step(images, labels, None)
        before = time.perf_counter()
    return seconds / (time.perf_counter() - start)


def measure(data, network, engine, rounds, folder):
    """Ratios to the bare loop of the same round, of the bookkeeping and of the whole; shares of waiting; seconds of a step, and of its
    bookkeeping.
    """
    bare = make_trainer(data, network, engine)
    prepared = list(bare.training_batches())
    trainers = []
    for kind in (Prepared, Trainer):
        progress = command.Progress(Settings("fully-connected", epochs=rounds + 1))
        trainer = make_trainer(data, network, engine, callbacks=[progress], run=Run.create(folder, None, {}))
        trainer.__class__ = kind
        trainer.prepared = prepared
        trainers.append(trainer)
    ratios, waits = [[], []], []
    with trainers[0].run.lock(), trainers[1].run.lock():
        for number in range(rounds + 1):
            before = bare_epoch(bare, prepared)
            times = [trainer_epoch(trainer) for trainer in trainers]
            alone = (before + bare_epoch(bare, prepared)) / 2
            waits.append(waiting(bare))
            if number:  # the first one warms up
                for found, seconds in zip(ratios, times, strict=True):
                    found.append(seconds / alone)
    return ratios, waits, alone / len(prepared), bookkeeping(data, network, engine, prepared, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="epochs of each (default 15)")
    parser.add_argument("--engine", choices=("hand", "torch"), default="hand")
    given = parser.parse_args()
    data = make_data()
    command.out = Console(file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115 (a terminal that nobody watches, to the end)
    print(f"{'':26} {'step':>8}  {'bookkeeping':>17}   {'ratio with bookkeeping':^26}   {'and preparing batches':^26}   waiting")
    for name, network in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            ratios, waits, step, extra = measure(data, network, given.engine, given.rounds, Path(folder))
        columns = [f"{statistics.median(found):.4f} ({min(found):.4f} to {max(found):.4f})" for found in ratios]
        columns.append(f"{statistics.median(waits):.2%}")
        print(f"{name:26} {step * 1e6:5.0f} us  {extra * 1e6:5.1f} us = {extra / step:5.2%}   {'   '.join(columns)}")


if __name__ == "__main__":
    main()
