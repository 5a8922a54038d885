"""The promise of the library: the same weights, batches and optimizer give the same training as PyTorch, to float64 rounding."""

import dataclasses

import numpy as np
import pytest

from chainrule.models import mlp
from chainrule.settings import Settings
from chainrule.training import Callback, build_data, build_trainer
from chainrule.verification.parity import biases_without_influence

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
    ("RMSprop", {"lr": 1e-3}),
    ("RMSprop", {"lr": 1e-3, "momentum": 0.5, "centered": True}),
    ("Adam", {"lr": 1e-3}),
    ("Adam", {"lr": 1e-3, "amsgrad": True, "weight_decay": 1e-3}),
    ("AdamW", {"lr": 1e-3}),
    ("Adagrad", {"lr": 1e-2}),
]
NETWORKS = {
    "plain": {"hidden_dims": (11, 7)},
    "batch norm": {"hidden_dims": (11, 7), "normalization": "batch"},
    "layer norm": {"hidden_dims": (11, 7), "normalization": "layer"},
    "mlp": {"model": mlp, "hidden_dims": (11, 9, 8, 7), "activations": ("tanh", "gelu", "sigmoid", "leaky_relu")},
}


# 50 steps of sums of at most 24 terms and some ten roundings each, at 1.1e-16, stay near 1e-14; training amplifies them where an update
# divides by the root of a small average. The promise is 1e-10.
@pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["no dropout", "shared masks"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("optimizer", "options"), OPTIMIZERS, ids=str)
def test_fifty_steps_give_the_same_losses_and_parameters(twin_engines, batches, optimizer, options, network, dropout):
    ours, torchs = twin_engines(optimizer, options, **network, dropout=dropout)
    data = batches(50)
    losses = np.array([[engine.step(batch.images, batch.labels, batch.rng)[0] for engine in (ours, torchs)] for batch in data])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-10)
    expected, without_influence = torchs.model_state(), biases_without_influence(ours.model)
    for name, array in ours.model_state().items():
        tolerance = 1e-5 if name in without_influence else 1e-10
        np.testing.assert_allclose(array, expected[name], rtol=tolerance, atol=tolerance * np.abs(expected[name]).max(), err_msg=name)
    assert losses[-10:].mean() < losses[:10].mean() or dropout, "the comparison is of a network that learns"


MUON = {
    "optimizer": "muon",
    "lr": 0.05,
    "groups": {"vectors": {"optimizer": "sgd", "lr": 0.1, "epochs": 1.0}, "matrices": {"ns_steps": 3, "normalize_weights": True}},
    "schedule": "triangular",
    "warmup_epochs": 0.5,
    "ema": 0.9,
    "augment": True,
    "border": "reflect",
    "label_smoothing": 0.2,
}


# as above: 50 steps near 1e-14, amplified by the iteration of Muon
def test_muon_averages_triangle_and_views_give_the_same_in_both_engines(tmp_path):
    settings = Settings("mlp", {"hidden_dims": [12]}, dtype="float64", limit=250, batch_size=10, epochs=2, **MUON)
    data = build_data(settings)
    losses, evaluations = [], []
    for engine in ("hand", "torch"):
        trainer = build_trainer(dataclasses.replace(settings, engine=engine), data)
        losses.append([])
        trainer.callbacks.append(Losses(losses[-1]))
        trainer.fit(2)
        evaluations.append(trainer.evaluate("test", tta="mirror-shift"))
    assert len(losses[0]) == 50
    np.testing.assert_allclose(*losses, rtol=1e-10)
    np.testing.assert_allclose(evaluations[0].scores, evaluations[1].scores, rtol=1e-9, atol=1e-9)
    assert evaluations[0].accuracy == evaluations[1].accuracy > 0.5, "the comparison is of a network that learns"


class Losses(Callback):
    def __init__(self, losses):
        self.losses = losses

    def on_step(self, trainer, loss):
        self.losses.append(loss)
