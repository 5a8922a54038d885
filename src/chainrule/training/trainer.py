"""Trainer: the loop over epochs and batches, for either engine."""

import math
import operator
import time
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from chainrule.data import Dataset, Split
from chainrule.nn import CrossEntropyLoss, Module
from chainrule.optim import EMA
from chainrule.training.callbacks import Callback
from chainrule.training.engine import HandEngine
from chainrule.training.evaluation import Evaluation, evaluate
from chainrule.training.history import History
from chainrule.training.interrupts import deferred_interrupt
from chainrule.training.memory import check_memory
from chainrule.training.optimizer_state import join_optimizer_state, split_optimizer_state

__all__ = ["StepResult", "Trainer", "TrainingDiverged"]

DROPOUT = 0xD20  # tells the generator of dropout masks from the others that come from the same seed


class TrainingDiverged(ValueError):
    """The loss, or a parameter, is NaN or infinite."""


class StepResult(NamedTuple):
    """What came out of one update.

    Attributes
    ----------
    loss : before it, the mean over the batch
    right, seen : how many images of the batch were classified rightly, and how many there are

    On a GPU loss and right are tensors there, which are still being computed: `float(loss)` and `int(right)` wait for them.
    """

    loss: Any
    right: Any
    seen: int


class Trainer:
    """Train a network on a dataset: `Trainer(model, data, optimizer=Adam(model.parameters())).fit(epochs=10)`.

    Every random choice comes from (seed, epoch, batch), so a run that is stopped and resumed goes on bit for bit.

    Parameters
    ----------
    model : chainrule.nn.Module, or a torch.nn.Module (with a torch optimizer and loss)
    data : Dataset
    optimizer : over the model's parameters; with an `optim.EMA`, evaluations and checkpoints are of the averages
    schedule : learning-rate schedule; one step an update (default: none)
    loss : module (scores, labels) -> loss (default: cross-entropy)
    batch_size : samples an update (default 100)
    seed : of the order of the data, augmentation and dropout
    augment : chainrule.data.Augmentation, or function (images, rng) -> images, applied to training batches (default: none)
    clip_norm : greatest Euclidean norm of all gradients together (default: no clipping)
    callbacks : Callback objects
    run : Run on disk that receives log and checkpoints (default: nothing is written); `fit` and `resume` need its lock
    checkpoint_every : seconds between checkpoints within an epoch (default 10)
    log_every : updates between logged losses (default 50), and on a GPU between looks at them
    engine : further arguments of the engine: amp, compile, accumulate and group, of `chainrule.pytorch.TorchEngine`

    Raises
    ------
    ValueError, TypeError
        The network does not take the data's images or does not give one score a class (the message names the layer), the optimizer holds
        other parameters than the network's, or a batch would be too small for batch normalization.
    """

    def __init__(
        self,
        model,
        data,
        *,
        optimizer,
        schedule=None,
        loss=None,
        batch_size: int = 100,
        seed: int = 0,
        augment=None,
        clip_norm: float | None = None,
        callbacks: Sequence[Callback] = (),
        run=None,
        checkpoint_every: float = 10.0,
        log_every: int = 50,
        **engine,
    ):
        _check_data(data)
        batch_size = _checked_batch_size(batch_size, len(data.train))
        _check_optimizer(optimizer)
        self.model, self.data, self.optimizer, self.schedule = model, data, optimizer, schedule
        self.batch_size, self.seed, self.augment = batch_size, seed, augment
        self.callbacks, self.run = list(callbacks), run
        self.checkpoint_every, self.log_every = checkpoint_every, log_every
        self.engine = self._engine(loss, clip_norm=clip_norm, **engine)
        self._check_parameters()
        self._check_scores()
        self._check_last_batch()

        self.history = History()
        self.epoch, self.batch, self.step = 0, 0, 0  # whole epochs done, batches done in this one, updates done
        self.stopped: str | None = None  # why `fit` ended before its last epoch
        self._complete = False
        self._continues = False  # the run's checkpoint is this trainer's own
        self._sums = _EpochSums()
        self._unread: list[StepResult] = []  # of the last updates, not yet in the sums

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.data.train) / self.batch_size)

    def check_memory(self):
        """Raise MemoryError if a step of the hand-written engine needs more memory than there is; `fit` asks first of all."""
        if isinstance(self.engine, HandEngine):
            check_memory(self.model, self.engine.criterion, self.data.image_shape, min(self.batch_size, len(self.data.train)))

    def fit(self, epochs: int) -> History:
        """Train until `epochs` epochs are done, counting those before a resume.

        Ctrl-C finishes the update at hand, saves a checkpoint and raises KeyboardInterrupt.

        Raises
        ------
        TrainingDiverged
            The loss is NaN or infinite; the last good checkpoint is kept.
        OSError
            A checkpoint could not be written; the earlier one is intact.
        MemoryError
            A step needs more memory than there is; found out before the first one.
        """
        if epochs < 1:
            raise ValueError(f"epochs is {epochs}; it must be at least 1")
        self.check_memory()
        self.stopped, self._complete = None, False
        with deferred_interrupt() as interrupt:
            self._first_checkpoint()
            try:
                for callback in self.callbacks:
                    callback.on_start(self)
                while self.epoch < epochs and not self.stopped:
                    lr = self._train_epoch(interrupt)
                    self._finish_epoch(lr)
                    if self.epoch < epochs and not self.stopped:
                        self._save_if_due()
                    self._leave_if_asked(interrupt)
                self._complete = True
                self.save()
            finally:
                for callback in self.callbacks:
                    callback.on_end(self)
        return self.history

    def stop(self, reason: str):
        """End training after this epoch; for callbacks."""
        self.stopped = reason

    def evaluate(self, split: Split | str = "val", *, tta: str = "none") -> Evaluation:
        """Loss and accuracy on a split, given by its name or itself (default: the validation images); `tta` as in `evaluate`."""
        with self._averaged():
            return evaluate(self.engine, self.data, self.data.split(split) if isinstance(split, str) else split, tta=tta)

    def training_batches(self):
        """The rest of the current epoch: normalised, augmented images and labels, each prepared while the one before is in use."""
        how = {"seed": self.seed, "epoch": self.epoch, "start": self.batch, "augment": self.augment}
        return self.engine.batches(self.data, self.data.train, self.batch_size, **how)

    def train_step(self, images, labels) -> "StepResult":
        """One update with a batch, or with this process's share of it."""
        seeds = [self.seed, DROPOUT, self.step]
        loss, scores = self.engine.step(images, labels, lambda: np.random.default_rng(seeds))
        right, seen, group = self.engine.count_right(scores, labels), len(labels), self.engine.group
        if group.size > 1:
            total, right, seen = group.sum(float(loss) * seen, int(right), seen)
            loss, right, seen = total / seen, int(right), int(seen)
        if not self.engine.defers and not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}", images)
        if self.step == 0:
            self._warn_of_first_loss(float(loss))
        self.step += 1
        if self.schedule is not None:
            self.schedule.step()
        return StepResult(loss, right, seen)

    # --- one epoch ----------------------------------------------------------------------------------------------------------------

    def _train_epoch(self, interrupt):
        """The rest of the epoch; returns the learning rate of its last update."""
        steps, lr = self.steps_per_epoch, math.nan
        before = time.perf_counter()
        data = self.training_batches()
        try:
            for images, labels in data:
                lr = self.optimizer.param_groups[0]["lr"]
                done = self.train_step(images, labels)
                self.batch += 1
                self._unread.append(done)
                due = self.step % self.log_every == 0
                if due or not self.engine.defers:
                    self._read_results()
                now = time.perf_counter()
                self._sums.seconds += now - before
                before = now
                if due and self.run is not None:
                    self.run.log({"step": self.step, "loss": float(done.loss), "lr": lr})
                for callback in self.callbacks:
                    callback.on_step(self, done.loss)
                if self.batch < steps:  # at its end an epoch is finished first
                    self._save_if_due()
                    self._leave_if_asked(interrupt)
            self._read_results()
            self._sums.seconds += time.perf_counter() - before
        finally:
            data.close()
        return lr

    def _read_results(self):
        """Add up what came of the updates since the last reading; with an engine that defers, this waits for them."""
        unread, self._unread = self._unread, []
        for step, done in enumerate(unread, self.step + 1 - len(unread)):
            loss = float(done.loss)
            if not math.isfinite(loss):
                raise self._diverged(f"the loss became {loss}", step=step)
            self._sums.add(loss, int(done.right), done.seen)

    def _finish_epoch(self, lr):
        validation = self.evaluate()
        loss, accuracy = self.engine.group.of_first(validation.loss, validation.accuracy)  # other processes have averages of their own
        if not math.isfinite(loss):
            raise self._diverged(f"the validation loss became {loss}")
        record = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "train_loss": self._sums.loss / self._sums.seen,
            "train_accuracy": self._sums.right / self._sums.seen,
            "val_loss": loss,
            "val_accuracy": accuracy,
            "lr": lr,
            "seconds": self._sums.seconds,
        }
        for callback in self.callbacks:
            callback.on_epoch(self, record)
        self.history.append(record)
        self.epoch, self.batch, self._sums = self.epoch + 1, 0, _EpochSums()
        if self.run is not None:
            self.run.log(record)
            if self.history.best() is record:
                self.save("best")

    # --- checkpoints --------------------------------------------------------------------------------------------------------------

    def save(self, kind="last"):
        """Write a checkpoint, "last" or "best", to the run folder (if there is one).

        Raises
        ------
        TrainingDiverged
            A parameter, or a number of the optimizer, is NaN or infinite; nothing is written.
        """
        if self.run is None:
            return
        self._read_results()
        with self._averaged():
            self._write_checkpoint(self.run, kind)
        if kind == "last":
            self._last_save = time.monotonic()

    def _write_checkpoint(self, run, kind):
        model = self.engine.model_state()
        arrays, groups = split_optimizer_state(self.engine.optimizer_state())
        for owner, named in (("parameter", model), ("state of the optimizer", arrays)):
            for name, array in named.items():
                if not np.isfinite(array).all():
                    raise self._diverged(f"{owner} {name} became NaN or infinite")
        state = {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "sums": vars(self._sums),
            "param_groups": groups,
            "metrics_offset": run.metrics_offset(),
            "best": self.history.best(),
            "seconds": sum(self.history.column("seconds")) + self._sums.seconds,
            "complete": self._complete,
            "data": self.data.checksum,
        }
        run.save_checkpoint(kind, model, arrays, state)

    def resume(self, run=None):
        """Go back to the run's last checkpoint: parameters, optimizer, schedule, position in the data, and log.

        A run that was killed before its first checkpoint starts again.

        Parameters
        ----------
        run : to read from (default: the one that is written to)

        Raises
        ------
        ValueError
            The checkpoint is of another network, optimizer, batch size or dataset; the message says what differs.
        """
        run = self.run if run is None else run
        if run is None:
            raise ValueError("there is no run to resume; give one to the Trainer: run=Run.open(folder, name)")
        self._continues = True
        if "last" not in run.checkpoints():
            self._forget_log(0)
            return
        model, arrays, state = run.load_checkpoint("last")
        self._check_state(state, run.name)
        self.engine.load_model_state(model)
        try:
            self.engine.load_optimizer_state(join_optimizer_state(arrays, state["param_groups"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"the optimizer's state in the last checkpoint is not one: {error!r}") from error
        self._swap()  # the model's arrays are the averages, and the optimizer's the weights
        self._forget_log(state["metrics_offset"])
        self.history = History(record for record in run.history() if record["epoch"] <= state["epoch"])
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self._sums, self._unread = _EpochSums(**state["sums"]), []
        if self.schedule is not None:
            self.schedule.seek(self.step)

    def _forget_log(self, offset):
        if self.run is not None:
            self.run.truncate_metrics(offset)

    @contextmanager
    def _averaged(self):
        """With an `optim.EMA`, let the network have the averages of its weights, and the optimizer the weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self):
        if isinstance(self.optimizer, EMA):
            self.optimizer.swap()

    def _check_state(self, state, run_name):
        of = f"the last checkpoint of run {run_name!r}"
        match state:
            case {
                "epoch": int(epoch), "batch": int(batch), "step": int(step), "metrics_offset": int(), "param_groups": list(),
                "sums": {"loss": float(), "right": int(), "seen": int(), "seconds": float(), **others}, "data": str(data),
            } if not others:  # fmt: skip
                pass
            case _:
                raise ValueError(f"{of} has no position in a training; it was not written by a Trainer, or was changed since")
        if data != self.data.checksum:
            raise ValueError(
                f"{of} is of data with checksum {data[:12]}..., these data are {self.data.name} with {self.data.checksum[:12]}...; "
                "resume with the data that it was begun with"
            )
        if not 0 <= batch < self.steps_per_epoch or step != epoch * self.steps_per_epoch + batch:
            raise ValueError(
                f"{of} is at step {step} in epoch {epoch + 1}, after {batch} batches of it; with batch_size {self.batch_size} an epoch has "
                f"{self.steps_per_epoch} steps: resume with the batch size that it was begun with"
            )

    def _first_checkpoint(self):
        """From the start there is something to go back to, and a disk that cannot be written to shows at once."""
        if self.run is None:
            return
        if not self._continues and self.run.checkpoints():
            raise ValueError(f"run {self.run.name!r} has a checkpoint already; call resume() before fit(), or make another run")
        self._last_save = time.monotonic()
        if not self.run.checkpoints():
            self._continues = True
            self.save()

    def _save_if_due(self):
        if self.run is not None and time.monotonic() - self._last_save >= self.checkpoint_every:
            self.save()

    def _leave_if_asked(self, interrupt):
        if self.engine.group.sum(interrupt.requested)[0]:  # all processes leave after the same update
            self.save()
            raise KeyboardInterrupt

    # --- at the door --------------------------------------------------------------------------------------------------------------

    def _engine(self, loss, **options) -> Any:
        if isinstance(self.model, Module):
            return HandEngine(self.model, loss or CrossEntropyLoss(), self.optimizer, **options)
        from chainrule.pytorch import TorchEngine
        from chainrule.pytorch import nn as torch_nn

        if not isinstance(self.model, torch_nn.Module):
            raise TypeError(f"model is of type {type(self.model).__name__}; it must be a Module of chainrule.nn or of torch.nn")
        return TorchEngine(self.model, loss or torch_nn.CrossEntropyLoss(), self.optimizer, **options)

    def _check_parameters(self):
        own = {id(parameter) for parameter in self.model.parameters()}
        if not all(id(parameter) in own for group in self.optimizer.param_groups for parameter in group["params"]):
            raise ValueError("the optimizer holds parameters that are not the model's; make it with model.parameters() of this model")

    def _check_scores(self):
        images = self.data.normalize(self.data.train.images[:2], self.engine.dtype)
        try:
            _, scores = self.engine.evaluate(images, self.data.train.labels[:2])
        except (RuntimeError, TypeError, ValueError) as error:
            error.add_note(f"of the network {_head(self.model)}, given images {images.shape} of {self.data.name}")
            raise error if isinstance(error, TypeError | ValueError) else ValueError(str(error)) from error
        expected = (len(images), len(self.data.classes))
        if scores.shape != expected:
            raise ValueError(
                f"the network turns images {images.shape} into scores {scores.shape}; "
                f"{self.data.name} has {expected[1]} classes, so it must be {expected}"
            )

    def _check_last_batch(self):
        """Every process needs an image of every batch, and batch norm two."""
        normalized = any("BatchNorm" in type(module).__name__ for module in self.model.modules())
        samples, processes, least = len(self.data.train), self.engine.group.size, 2 if normalized else 1
        if least * processes == 1:
            return
        sizes = (size for size in range(self.batch_size, samples + 1) if min(size, samples % size or size) >= least * processes)
        fitting = next(sizes, None)
        if fitting != self.batch_size:
            last = samples % self.batch_size or self.batch_size
            what = "is" if self.batch_size == last else f"leaves a last batch of {last} of the {samples} training samples, which is"
            whom = " and ".join((["batch normalization"] if normalized else []) + ([f"{processes} processes"] if processes > 1 else []))
            advice = "more training samples are needed" if fitting is None else f"take {fitting}"
            raise ValueError(f"batch_size {self.batch_size} {what} too small for {whom}; {advice}")

    # --- what is said -------------------------------------------------------------------------------------------------------------

    def _warn_of_first_loss(self, loss):
        classes, expected = len(self.data.classes), math.log(len(self.data.classes))
        # with few classes, or in a small batch, chance alone makes a difference of half of that
        if "CrossEntropy" in type(self.engine.criterion).__name__ and abs(loss - expected) > max(1.0, 0.5 * expected):
            warnings.warn(
                f"the first loss is {loss:.2f}; a network that knows nothing yet has about ln({classes}) = {expected:.2f}: "
                "look at the initialisation and at the scale of the images",
                stacklevel=4,
            )

    def _diverged(self, what, images=None, *, step=None):
        if images is not None and not np.isfinite(images).all():
            advice = "the images of this batch have NaN or infinite values: look at the augmentation"
        else:
            lr = self.optimizer.param_groups[0]["lr"]
            advice = f"try a lower learning rate (it is {lr:g}), gradient clipping, or normalization"
        kept = ""
        if self.run is not None and "last" in self.run.checkpoints():
            saved = self.run.load_state("last")["step"]
            kept = f"; the last good checkpoint, of step {saved}, is kept in {self.run.path / 'checkpoints'}"
        return TrainingDiverged(f"{what} at step {step or self.step + 1} (epoch {self.epoch + 1}){kept}; {advice}")


class _EpochSums:
    """What an epoch has added up so far; in the checkpoint, so that its averages do not change with a resume."""

    def __init__(self, loss=0.0, right=0, seen=0, seconds=0.0):
        self.loss, self.right, self.seen, self.seconds = loss, right, seen, seconds

    def add(self, loss, right, seen):
        self.loss += loss * seen
        self.right += right
        self.seen += seen


def _check_data(data):
    if not isinstance(data, Dataset):
        raise TypeError(
            f"data is of type {type(data).__name__}; it must be a Dataset: "
            'Dataset.from_arrays("name", train=(images, labels), val=(images, labels), test=(images, labels))'
        )


def _checked_batch_size(batch_size, samples):
    expected = f"it must be a whole number between 1 and the {samples} training samples"
    try:
        size = operator.index(batch_size)
    except TypeError:
        raise TypeError(f"batch_size is {batch_size!r}; {expected}") from None
    if not 1 <= size <= samples:
        raise ValueError(f"batch_size is {size}; {expected}")
    return size


def _check_optimizer(optimizer):
    if isinstance(optimizer, type):
        raise TypeError(f"optimizer is the class {optimizer.__name__}; give an object of it: {optimizer.__name__}(model.parameters())")
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(
            f"optimizer is of type {type(optimizer).__name__}; it must be one of chainrule.optim, or of torch.optim for its networks"
        )


def _head(model):
    """The first line of a model's text, with the number of its layers: Sequential(5 layers)."""
    layers = sum(1 for _ in model.children())
    return f"{type(model).__name__}({layers} layers)" if layers else repr(model)
