"""What may watch a training run: early stopping, statistics of layers, exports."""

import csv
import io

import numpy as np

from chainrule.nn import Module
from chainrule.nn.recording import record_layers
from chainrule.training.history import History
from chainrule.training.storage import write_file

__all__ = ["Callback", "EarlyStopping", "LayerStatistics", "TensorBoard", "write_csv"]


class Callback:
    """Called by the Trainer; override what is wanted. Nothing here may change the run's random numbers or parameters."""

    def on_start(self, trainer):
        """Before the first step of `fit`, also of a resumed one."""

    def on_step(self, trainer, loss):
        """After every update; `trainer.step` counts them. Runs inside the loop: keep it to microseconds.

        On a GPU, `loss` is a tensor there: whoever takes `float(loss)` makes the loop wait for the update.
        """

    def on_epoch(self, trainer, record):
        """After validation. `record` is the epoch's and may be added to; it is logged afterwards."""

    def on_end(self, trainer):
        """When `fit` leaves, whatever the reason."""


class EarlyStopping(Callback):
    """Stop when `patience` epochs in a row were no better than the best before them, as `History.best` has it.

    That is: none had a higher validation accuracy, nor the same one at a lower validation loss.
    Its state is the history, so a resumed run stops where the uninterrupted one would.
    """

    def __init__(self, patience):
        if patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience}; it must be at least 1 epoch")
        self.patience = patience

    def on_start(self, trainer):
        self._look_at(trainer, trainer.history)  # a run that was stopped so stays stopped when it is resumed

    def on_epoch(self, trainer, record):
        self._look_at(trainer, History([*trainer.history, record]))

    def _look_at(self, trainer, history):
        best = history.best()
        if best is not None and history.records[-1]["epoch"] - best["epoch"] >= self.patience:
            trainer.stop(f"no better validation accuracy for {self.patience} epochs (best in epoch {best['epoch']})")


class LayerStatistics(Callback):
    """Mean and spread of every layer's activations and gradients, and the share of dead units, at the end of each epoch.

    Measured in eval mode on the first `samples` validation images, so that training itself is not touched. A unit is dead when it puts out
    0 for all of them. They are logged in the epoch's record under "layers". For networks of `chainrule.nn`.
    """

    def __init__(self, samples=200):
        self.samples = samples

    def on_start(self, trainer):
        if not isinstance(trainer.model, Module):
            raise TypeError(f"LayerStatistics looks into networks of chainrule.nn; this one is a {type(trainer.model).__name__}")

    def on_epoch(self, trainer, record):
        model, criterion = trainer.model, trainer.engine.criterion
        split = trainer.data.val
        images = trainer.data.normalize(split.images[: self.samples], trainer.engine.dtype)
        model.eval()
        model.zero_grad()
        with record_layers(model) as layers:
            criterion(model(images), split.labels[: self.samples])
            model.backward(criterion.backward())
        model.zero_grad()
        record["layers"] = {f"{layer.name} {type(layer.module).__name__}": _statistics(layer) for layer in layers}


def _statistics(layer):
    out, dout = layer.out.reshape(len(layer.out), -1), layer.dout
    return {
        "mean": float(out.mean()),
        "std": float(out.std()),
        "grad_rms": float(np.sqrt(np.mean(np.square(dout)))),
        "dead": float(np.mean(~out.any(axis=0))),
    }


class TensorBoard(Callback):
    """Write the epoch's numbers as TensorBoard event files (needs `pip install chainrule[tensorboard]`, and torch)."""

    def __init__(self, folder):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard files need two packages: pip install chainrule[torch,tensorboard]") from error
        self._writer = SummaryWriter(folder)

    def on_epoch(self, trainer, record):
        for name, value in record.items():
            if isinstance(value, int | float) and name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, record["epoch"])
        for layer, numbers in record.get("layers", {}).items():
            for name, value in numbers.items():
                self._writer.add_scalar(f"layers/{layer}/{name}", value, record["epoch"])
        self._writer.flush()

    def on_end(self, trainer):
        self._writer.close()


def write_csv(path, history):
    """The epochs' numbers as a CSV file; made anew from the log each time, so that columns never shift."""
    names = list(dict.fromkeys(name for record in history for name, value in record.items() if not isinstance(value, dict)))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(history)
    write_file(path, text.getvalue().encode(), what="the table of epochs")
