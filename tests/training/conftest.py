"""A small dataset, and trainers and runs on it that take milliseconds."""

import numpy as np
import pytest

from chainrule import nn, optim
from chainrule.data import Dataset
from chainrule.training import Run, Trainer


@pytest.fixture(scope="session")
def blobs():
    """3 classes that a linear map cannot quite tell apart, images (1, 2, 3): 55 to train on, 21 and 20 held out."""
    rng = np.random.default_rng(7)
    centres = rng.normal(0, 2, (3, 1, 2, 3))

    def draw(count):
        labels = np.arange(count) % 3
        return (centres[labels] + rng.normal(0, 1, (count, 1, 2, 3))).astype(np.float32), labels

    return Dataset.from_arrays("blobs", train=draw(55), val=draw(21), test=draw(20))


@pytest.fixture
def network():
    """Makes the same small network at every call: batch norm, dropout, 3 classes."""

    def make(seed=0):
        layers = nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)
        return nn.Sequential(*layers).reset_parameters(np.random.default_rng(seed))

    return make


@pytest.fixture
def make_trainer(blobs, network):
    """Makes a Trainer of the small network on the small dataset: 5 updates of 11 images an epoch."""

    def make(run=None, *, lr=0.01, data=blobs, model=None, seed=0, **options):
        model = network(seed) if model is None else model
        options.setdefault("optimizer", optim.Adam(model.parameters(), lr=lr))
        return Trainer(model, data, batch_size=11, seed=seed, run=run, log_every=2, **options)

    return make


@pytest.fixture
def make_run(tmp_path):
    """Makes an empty run folder."""
    return lambda name="run": Run.create(tmp_path, name, {})
