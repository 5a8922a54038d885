"""CS236781's trainer: epochs over data loaders, early stopping, checkpoints."""

import abc
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from chainrule.pytorch import to_arrays
from chainrule.training.storage import save_arrays

__all__ = ["BatchResult", "ClassifierTrainer", "EpochResult", "FitResult", "LayerTrainer", "TorchTrainer", "Trainer"]


class BatchResult(NamedTuple):
    """Mean loss of a batch, and how many of its samples were classified correctly."""

    loss: float
    num_correct: int


class EpochResult(NamedTuple):
    """Losses of the batches of an epoch, and accuracy in percent."""

    losses: list[float]
    accuracy: float


class FitResult(NamedTuple):
    """For each of num_epochs epochs: mean loss of its batches and accuracy in percent, on training and test set."""

    num_epochs: int
    train_loss: list[float]
    train_acc: list[float]
    test_loss: list[float]
    test_acc: list[float]


class Trainer(abc.ABC):
    """Trains a model with `train(training_mode)`; what happens with a batch is up to `train_batch` and `test_batch`.

    Parameters
    ----------
    model, loss_fn, optimizer : kept as attributes
    device : where a PyTorch model is moved, or None
    """

    def __init__(self, model, loss_fn: Any = None, optimizer: Any = None, device=None):
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.device = device
        if device:
            model.to(device)

    def fit(self, dl_train, dl_test, num_epochs, checkpoints=None, early_stopping=None, print_every=1, **kw) -> FitResult:
        """Train, and measure after every epoch.

        Parameters
        ----------
        dl_train, dl_test : iterables of batches (X, y), such as PyTorch's DataLoader
        num_epochs : at most so many
        checkpoints : a path without extension; whenever the test accuracy improves, the parameters are written to CHECKPOINTS.safetensors
        early_stopping : stop after so many epochs in a row that did not improve the test loss; None never stops
        print_every : epochs between two that are printed; 0 prints none
        kw : for `train_epoch` and `test_epoch`: max_batches
        """
        history = FitResult(0, [], [], [], [])
        best_loss, best_accuracy, epochs_without_improvement = float("inf"), -1.0, 0
        for epoch in range(1, num_epochs + 1):
            verbose = print_every > 0 and ((epoch - 1) % print_every == 0 or epoch == num_epochs)
            if verbose:
                print(f"--- EPOCH {epoch}/{num_epochs} ---")
            train = self.train_epoch(dl_train, verbose=verbose, **kw)
            test = self.test_epoch(dl_test, verbose=verbose, **kw)
            test_loss = float(np.mean(test.losses))
            history = history._replace(num_epochs=epoch)
            history.train_loss.append(float(np.mean(train.losses)))
            history.train_acc.append(train.accuracy)
            history.test_loss.append(test_loss)
            history.test_acc.append(test.accuracy)

            if checkpoints is not None and test.accuracy > best_accuracy:
                self.save_checkpoint(checkpoints)
            best_accuracy = max(best_accuracy, test.accuracy)
            epochs_without_improvement = 0 if test_loss < best_loss else epochs_without_improvement + 1
            best_loss = min(best_loss, test_loss)
            if early_stopping is not None and epochs_without_improvement >= early_stopping:
                break
        return history

    def save_checkpoint(self, checkpoint_filename):
        """Write the parameters to CHECKPOINT_FILENAME.safetensors (the homework writes a pickle)."""
        path = Path(f"{checkpoint_filename}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_arrays(path, self._arrays(), what="the checkpoint")
        print(f"*** Saved checkpoint {path}")

    def _arrays(self):
        """The parameters by their place in `model.params()`."""
        return {str(index): p.detach().numpy() for index, (p, _) in enumerate(self.model.params())}

    def train_epoch(self, dl_train, **kw) -> EpochResult:
        """Train on every batch once; max_batches limits how many, verbose prints the mean loss and accuracy."""
        self.model.train(True)
        return self._each_batch(dl_train, self.train_batch, "train", **kw)

    def test_epoch(self, dl_test, **kw) -> EpochResult:
        """Measure on every batch once; arguments as in `train_epoch`."""
        self.model.train(False)
        return self._each_batch(dl_test, self.test_batch, "test", **kw)

    @abc.abstractmethod
    def train_batch(self, batch) -> BatchResult:
        """Forward, backward, and a step of the optimizer on one batch."""

    @abc.abstractmethod
    def test_batch(self, batch) -> BatchResult:
        """Forward on one batch."""

    @staticmethod
    def _each_batch(batches, function, name, verbose=True, max_batches=None):
        losses, correct, samples = [], 0, 0
        for X, y in islice(batches, max_batches):
            result = function((X, y))
            losses.append(float(result.loss))
            correct += int(result.num_correct)
            samples += len(y)
        if not losses:
            raise ValueError(f"Trainer: the data of {name}_epoch gave no batch; a loader that was used up, or max_batches={max_batches}?")
        accuracy = 100.0 * correct / samples
        if verbose:
            print(f"{name}: mean loss {np.mean(losses):.3f}, accuracy {accuracy:.1f} %, {len(losses)} batches")
        return EpochResult(losses, accuracy)


class LayerTrainer(Trainer):
    """Trains a model of `hw2.layers` on batches (X, y); every sample of X is flattened to one row.

    Parameters
    ----------
    model : a `Layer` giving scores (N, C)
    loss_fn : a `Layer` called with scores and labels
    optimizer : over `model.params()`
    """

    def __init__(self, model, loss_fn, optimizer):
        super().__init__(model, loss_fn, optimizer)

    def train_batch(self, batch):
        result = self.test_batch(batch)
        self.optimizer.zero_grad()
        self.model.backward(self.loss_fn.backward())
        self.optimizer.step()
        return result

    def test_batch(self, batch):
        X, y = batch
        scores = self.model(X.reshape(len(X), -1))
        loss = self.loss_fn(scores, y)
        return BatchResult(loss.item(), int((scores.argmax(dim=1) == y).sum()))


class TorchTrainer(Trainer):
    """Trains a PyTorch network on batches (X, y); a checkpoint is its state_dict.

    Parameters
    ----------
    model : a Module giving scores (N, C)
    loss_fn : called with scores and labels
    optimizer : of torch.optim, over the model's parameters
    device : where model and batches are moved, or None
    """

    def __init__(self, model, loss_fn, optimizer, device=None):
        super().__init__(model, loss_fn, optimizer, device)

    def train_batch(self, batch):
        loss, result = self._forward(batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return result

    def test_batch(self, batch):
        with torch.no_grad():
            return self._forward(batch)[1]

    def _forward(self, batch):
        X, y = (tensor.to(self.device) for tensor in batch) if self.device else batch
        scores = self.model(X)
        loss = self.loss_fn(scores, y)
        return loss, BatchResult(loss.item(), int((self._classify(scores) == y).sum()))

    def _classify(self, scores):
        return scores.argmax(dim=1)

    def _arrays(self):
        return to_arrays(self.model.state_dict())


class ClassifierTrainer(TorchTrainer):
    """A `TorchTrainer` for the `Classifier`s of `hw2.classifier`, which say themselves what label their scores mean."""

    def __init__(self, model, loss_fn, optimizer, device=None):
        if not hasattr(model, "classify_scores"):
            raise TypeError(
                f"ClassifierTrainer: {type(model).__name__} has no classify_scores(scores), which gives labels; "
                "wrap the network in a Classifier, or use TorchTrainer, for which the highest score is the label"
            )
        super().__init__(model, loss_fn, optimizer, device)

    def _classify(self, scores):
        return self.model.classify_scores(scores)
