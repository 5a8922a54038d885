"""CS231n's Solver: trains any model with `params` and `loss(X, y)` by a named update rule, and keeps the parameters that validate best."""
# ruff: noqa: NPY002 - the notebooks seed NumPy's global generator and expect the batches to come from it

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compat.cs231n import optim
from chainrule.training.storage import encode_json, save_arrays

__all__ = ["Solver"]


class Solver:
    """Stochastic training of a model on `data`, as CS231n's notebooks call it.

    Parameters
    ----------
    model : object with a dict `params` of arrays; `loss(X, y)` gives (loss, grads), `loss(X)` gives scores (N, C)
    data : dict of X_train (N, ...), y_train (N,), X_val, y_val
    update_rule : name of a function in cs231n.optim, "sgd" by default
    optim_config : settings of the rule; each parameter gets a copy
    lr_decay : factor of the learning rates after every epoch
    batch_size : samples a step, drawn with replacement, with NumPy's global generator
    num_epochs : an epoch is N // batch_size steps, at least one
    num_train_samples, num_val_samples : at most so many are drawn, once an epoch, to measure accuracy; None takes all
    checkpoint_name : after every epoch NAME_epoch_E.safetensors is written: parameters, histories, settings (the course writes a pickle)
    print_every : steps between two printed losses
    verbose : print losses and accuracies

    Attributes
    ----------
    loss_history : the loss of every step
    train_acc_history, val_acc_history : accuracy in [0, 1], first after one step, then after every epoch
    best_val_acc, best_params : of the best measurement; after `train` model.params is best_params
    epoch, optim_configs, model
    """

    def __init__(
        self,
        model,
        data,
        update_rule="sgd",
        optim_config=None,
        lr_decay=1.0,
        batch_size=100,
        num_epochs=10,
        num_train_samples=1000,
        num_val_samples=None,
        checkpoint_name=None,
        print_every=10,
        verbose=True,
        **unknown,
    ):
        if unknown:
            raise ValueError(f"Solver: unrecognized arguments {', '.join(sorted(unknown))}; see help(Solver) for those there are")
        rule = getattr(optim, update_rule, None)
        if not callable(rule):
            raise ValueError(f"Solver: no update rule is called {update_rule!r} in cs231n.optim; there are {', '.join(optim.__all__)}")
        self.model = model
        self.X_train, self.y_train = data["X_train"], data["y_train"]
        self.X_val, self.y_val = data["X_val"], data["y_val"]
        self.update_rule: Callable[..., Any] = rule
        self.update_rule_name = update_rule
        self.optim_config = dict(optim_config or {})
        self.lr_decay = lr_decay
        self.batch_size = batch_size
        self.num_epochs = num_epochs
        self.num_train_samples = num_train_samples
        self.num_val_samples = num_val_samples
        self.checkpoint_name = checkpoint_name
        self.print_every = print_every
        self.verbose = verbose

        self.epoch = 0
        self.best_val_acc = 0
        self.best_params = {}
        self.loss_history = []
        self.train_acc_history = []
        self.val_acc_history = []
        self.optim_configs = {name: dict(self.optim_config) for name in model.params}

    def train(self):
        """Run all epochs, then put the parameters that validated best into the model."""
        steps_per_epoch = max(len(self.X_train) // self.batch_size, 1)
        steps = self.num_epochs * steps_per_epoch
        for step in range(1, steps + 1):
            self._step()
            if self.verbose and (step - 1) % self.print_every == 0:
                print(f"(Iteration {step} / {steps}) loss: {self.loss_history[-1]:f}")
            ends_epoch = step % steps_per_epoch == 0
            if ends_epoch:
                self.epoch += 1
                for config in self.optim_configs.values():
                    config["learning_rate"] *= self.lr_decay
            if step == 1 or ends_epoch:
                self._measure()
        self.model.params = self.best_params

    def check_accuracy(self, X, y, num_samples=None, batch_size=100):
        """Share of X (N, ...) that the model classifies as y (N,), in [0, 1]; of num_samples drawn at random if there are more."""
        if num_samples is not None and len(X) > num_samples:
            chosen = np.random.choice(len(X), num_samples)
            X, y = X[chosen], y[chosen]
        predicted = [self.model.loss(X[start : start + batch_size]).argmax(axis=1) for start in range(0, len(X), batch_size)]
        return np.mean(np.concatenate(predicted) == y)

    def _step(self):
        batch = np.random.choice(len(self.X_train), self.batch_size)
        loss, grads = self.model.loss(self.X_train[batch], self.y_train[batch])
        self.loss_history.append(loss)
        for name, w in self.model.params.items():
            self.model.params[name], self.optim_configs[name] = self.update_rule(w, grads[name], self.optim_configs[name])

    def _measure(self):
        """Append both accuracies, keep the parameters if they are the best so far, write the checkpoint."""
        self.train_acc_history.append(self.check_accuracy(self.X_train, self.y_train, self.num_train_samples))
        self.val_acc_history.append(self.check_accuracy(self.X_val, self.y_val, self.num_val_samples))
        if self.val_acc_history[-1] > self.best_val_acc or not self.best_params:
            self.best_val_acc = self.val_acc_history[-1]
            self.best_params = {name: w.copy() for name, w in self.model.params.items()}
        if self.verbose:
            print(
                f"(Epoch {self.epoch} / {self.num_epochs}) train acc: {self.train_acc_history[-1]:f}; val_acc: {self.val_acc_history[-1]:f}"
            )
        if self.checkpoint_name is not None:
            self._save_checkpoint()

    def _save_checkpoint(self):
        histories = {name: np.array(getattr(self, name)) for name in ("loss_history", "train_acc_history", "val_acc_history")}
        settings = {
            "update_rule": self.update_rule_name,
            "optim_config": self.optim_config,
            "lr_decay": self.lr_decay,
            "batch_size": self.batch_size,
            "num_train_samples": self.num_train_samples,
            "num_val_samples": self.num_val_samples,
            "epoch": self.epoch,
        }
        path = Path(f"{self.checkpoint_name}_epoch_{self.epoch}.safetensors")
        save_arrays(path, self.model.params | histories, {"settings": encode_json(settings).decode()}, what="the checkpoint")
        if self.verbose:
            print(f"Saving checkpoint to {path}")
