"""Trains real networks with a learner's functions in place of the library's, and once more with the library's alone, step for step alike.

Runs in the learner's process (`lab.child`).
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import functional, nn
from chainrule.data import Dataset
from chainrule.models import fully_connected, mlp, three_layer_convnet, two_layer
from chainrule.nn.functions import REFERENCE, Pair
from chainrule.optim import SGD, Optimizer
from chainrule.training.callbacks import Callback
from chainrule.training.trainer import Trainer, TrainingDiverged

__all__ = ["BATCH", "RUNS", "Run"]

BATCH = 50


@dataclass(frozen=True)
class Run:
    """A network to train.

    Attributes
    ----------
    title : what is trained
    build : namespace and further arguments -> network
    functions : entries of the table of functions that may be the learner's
    rule : name of the update rule that may be the learner's; "" for plain SGD
    learning_rate : of all steps
    """

    title: str
    build: Callable[..., Any]
    functions: tuple[str, ...]
    rule: str = ""
    learning_rate: float = 0.1

    def train(self, written: Mapping[str, Mapping[str, Any]], dataset: Dataset, say: Callable[..., None], *, epochs: int, seed: int):
        """Train the network twice and report every step; do nothing if no function of it is written.

        Parameters
        ----------
        written : the learner's functions, by file and name
        dataset : to train on
        say : is told what happens, in keywords: `run`, `uses`, `steps` and `drawn`, whether other draws make other curves; then `who`
            ("yours" or "library"), `step` and `loss`; then `who` and `accuracy` on the validation images
        epochs, seed : of the training
        """
        functions = {name: function for file in written.values() for name, function in file.items()}
        swapped = {name: pair for name in self.functions if (pair := _entry(name, functions)) is not None}
        rule = functions.get(self.rule)
        if not swapped and rule is None:
            return
        steps = epochs * -(-len(dataset.train) // BATCH)
        say(run=self.title, uses=[*swapped, *([self.rule] if rule else [])], steps=steps, drawn="dropout" in swapped)
        library = getattr(functional, self.rule or "sgd")
        for who, table, step in (("library", REFERENCE, library), ("yours", replace(REFERENCE, **swapped), rule or library)):
            namespace = nn.namespace(table)
            model = self.build(namespace, image=dataset.image_shape, classes=len(dataset.classes))
            model.reset_parameters(np.random.default_rng(seed)).double()
            parameters = list(model.parameters())
            optimizer = Ruled(parameters, step, self.learning_rate) if self.rule else SGD(parameters, lr=self.learning_rate)
            watch = Losses(lambda number, loss, who=who: say(who=who, step=number, loss=loss))
            trainer = Trainer(
                model, dataset, optimizer=optimizer, loss=namespace.CrossEntropyLoss(), batch_size=BATCH, seed=seed, callbacks=[watch]
            )
            with contextlib.suppress(TrainingDiverged):  # its losses end there
                trainer.fit(epochs)
                say(who=who, accuracy=trainer.history.records[-1]["val_accuracy"])


def _fully_connected(**options):
    return lambda nn, **shape: fully_connected(nn, **shape, hidden_dims=(100, 50), **options)


def _two_layer(activation):
    return lambda nn, **shape: mlp(nn, **shape, hidden_dims=(50,), activations=(activation,))


LAYERS = ("affine", "relu", "softmax_loss")
RUNS = {
    "backpropagation": (
        Run("affine - relu - affine", lambda nn, **shape: two_layer(nn, **shape, hidden_dim=50), LAYERS),
        Run("affine - sigmoid - affine", _two_layer("sigmoid"), ("affine", "sigmoid", "softmax_loss"), learning_rate=0.5),
        Run("affine - tanh - affine", _two_layer("tanh"), ("affine", "tanh", "softmax_loss")),
    ),
    "fully-connected-nets": (Run("[affine - relu] x 2 - affine", _fully_connected(), LAYERS),),
    "optimization": tuple(
        Run(f"[affine - relu] x 2 - affine by {rule}", _fully_connected(), (), rule, rate)
        for rule, rate in (("sgd", 0.1), ("sgd_momentum", 0.02), ("rmsprop", 1e-3), ("adam", 2e-3))
    ),
    "normalization": (
        Run("[affine - batch norm - relu] x 2 - affine", _fully_connected(normalization="batch"), ("batchnorm",)),
        Run("[affine - layer norm - relu] x 2 - affine", _fully_connected(normalization="layer"), ("layernorm",)),
    ),
    "dropout": (Run("[affine - relu - dropout] x 2 - affine", _fully_connected(dropout=0.3), ("dropout",)),),
    "convolution": (
        Run(
            "conv - relu - max pool - affine - relu - affine",
            lambda nn, **shape: three_layer_convnet(nn, **shape, filters=8, kernel_size=3, hidden_dim=50),
            ("conv", "max_pool"),
        ),
    ),
}
PAIRS = {  # where an entry of the table is not called as its functions are; the first that are written
    "conv": (("conv_forward_im2col", "conv_backward_im2col"), ("conv_forward_naive", "conv_backward_naive")),
    "max_pool": (("max_pool_forward_naive", "max_pool_backward_naive"),),
}


class Ruled(Optimizer):
    """An update rule of CS231n's kind, rule(w, dw, config) -> (next_w, config), as an optimizer."""

    def __init__(self, params, rule, learning_rate):
        super().__init__(params, {"lr": learning_rate})
        self.rule, self.config = rule, {"learning_rate": learning_rate}

    def state_names(self, group):
        return ()

    def update(self, group, data, grad, state, steps):
        data[...], self.config = self.rule(data.copy(), grad.copy(), self.config)


class Losses(Callback):
    """Reports the loss of every step."""

    def __init__(self, report):
        self.report = report

    def on_step(self, trainer, loss):
        self.report(trainer.step, float(loss))


def _entry(name, written):
    """The learner's functions for an entry of the table, None unless all of them are written."""
    if name.endswith("_loss"):
        return written.get(name)
    for forward, backward in PAIRS.get(name, ((f"{name}_forward", f"{name}_backward"),)):
        if forward in written and backward in written:
            return Pair(_with_numbers(written[forward]) if name in PAIRS else written[forward], written[backward])
    return None


def _with_numbers(forward):
    """A forward pass whose parameters are one number for both axes, as the labs ask for it; the modules give one for each."""

    def called(*arguments):
        *arrays, param = arguments
        return forward(*arrays, {key: value[0] if isinstance(value, tuple) else value for key, value in param.items()})

    return called
