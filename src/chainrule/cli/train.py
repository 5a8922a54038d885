"""`chainrule train`."""

import math
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.console import announce_compilation, err, out, percent
from chainrule.cli.options import DataFolder, RunsFolder, given_settings, with_settings

__all__ = ["EXAMPLES", "train"]

EXAMPLES = """Examples:

chainrule train fully-connected --epochs 30

chainrule train fully-connected --data cifar10 --hidden 512 256 --normalization batch --name fc

chainrule train speedrun --data cifar10

chainrule train --resume fc

chainrule train --config runs/fc/config.json --seed 1"""

FILES = "a TOML file (keys are the options with _ for -; the model's go under \\[model_arguments], as hidden_dims), or a run's config.json"


@with_settings("training")
def train(
    model: Annotated[str | None, typer.Argument(help="Name of a model; `chainrule models` lists them.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run (default: MODEL-DATA-N).")] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Go on with this run, bit for bit; more --epochs make it longer (constant or step schedule)."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help=f"Settings from {FILES}; options win."),
    ] = None,
    overfit_batch: Annotated[bool, typer.Option("--overfit-batch", help="Only try to drive the loss of one batch to zero.")] = False,
    find_lr: Annotated[bool, typer.Option("--find-lr", help="Only sweep the learning rate and suggest one.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard files into the run.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Write the epochs as metrics.csv into the run.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with (default: all cores).")] = None,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    **options,
):
    """Train a network; or resume a run, overfit one batch, find a learning rate."""
    from chainrule.settings import Settings
    from chainrule.training import Run, build_data, build_trainer
    from chainrule.training.configuration import combine, continued_settings, read_settings

    if not (model or config or resume):
        err.print("error: name a model: chainrule train fully-connected (`chainrule models` lists them)", markup=False)
        raise typer.Exit(2)
    announce_compilation()
    if resume and (name or config or overfit_batch or find_lr):
        raise ValueError("--resume goes on with a run as it was; leave out --name, --config, --overfit-batch and --find-lr")
    if resume:
        run = Run.open(runs, resume)
        settings = continued_settings(run, given_settings(model or run.config.get("settings", {}).get("model"), options))
    else:
        run = None
        values = read_settings(config, model) if config else {}
        values, remarks = combine(values, given_settings(model or values.get("model"), options))
        settings = Settings.from_dict(values)
        for remark in (*remarks, *settings.without_effect()):
            err.print(f"warning: {remark}", style="yellow", markup=False)
        if not (overfit_batch or find_lr):
            Run.check_new(runs, name)
    if threads:
        _set_threads(threads, settings.engine)
    group = _group(settings)
    out.quiet = group.rank > 0  # one of several processes speaks

    data = build_data(settings, data_folder)
    if overfit_batch or find_lr:  # these go by the learning rate itself
        settings = replace(settings, schedule="constant", warmup_epochs=0.0)
    progress = Progress(settings)
    trainer = build_trainer(settings, data, callbacks=[progress], group=group)
    out.print(_headline(settings, data, trainer), markup=False)
    trainer.check_memory()  # before a run takes the name
    if overfit_batch:
        return _overfit_batch(trainer)
    if find_lr:
        return _find_lr(trainer)
    if group.rank > 0:
        return _follow(trainer, run, settings)
    if run is None:
        from chainrule.training import provenance

        run = Run.create(runs, name, provenance(settings, data), stem=f"{settings.model}-{settings.data}")
    _run(run, trainer, settings, data, resumed=bool(resume), tensorboard=tensorboard, csv=csv)
    group.leave()
    return None


def _group(settings):
    """The processes that train together: those that torchrun started, else this one alone."""
    if settings.engine == "torch":
        from chainrule.pytorch import choose_device, join_group

        return join_group(choose_device(settings.device))
    from chainrule.group import Group, started_processes

    if started_processes() > 1:
        raise ValueError("torchrun starts several processes, and the hand-written engine trains in one; use --engine torch")
    return Group()


def _follow(trainer, run, settings):
    """What all processes of a group do but the first, which writes the run."""
    if run is not None:
        trainer.resume(run)
    trainer.fit(settings.epochs)
    trainer.engine.group.leave()


def _run(run, trainer, settings, data, *, resumed, tensorboard, csv):
    from chainrule.training import TensorBoard, evaluate
    from chainrule.training.build import check_same_data
    from chainrule.training.callbacks import write_csv
    from chainrule.training.configuration import store_end
    from chainrule.visualization.report import write_report

    with run.lock():
        trainer.run = run
        if tensorboard:
            trainer.callbacks.append(TensorBoard(run.file("tensorboard")))
        if resumed:
            check_same_data(run, data)
            _warn_of_other_versions(run)
            trainer.resume()
            store_end(run, settings)
        try:
            history = trainer.fit(settings.epochs)
        except (KeyboardInterrupt, ConnectionError):
            saved = f"saved up to step {run.load_state('last')['step']}" if run.checkpoints() else "nothing is saved yet"
            err.print(f"\nstopped at step {trainer.step}, {saved}; go on with:", markup=False)
            err.print(f"  chainrule train --resume {run.name}{_runs_option(run)}", markup=False)
            raise
        if csv:
            write_csv(run.file("metrics.csv"), history)
        best = history.best()
        out.print(f"best validation accuracy {percent(best['val_accuracy'])} in epoch {best['epoch']}", markup=False)
        if trainer.stopped:
            out.print(f"stopped early: {trainer.stopped}", markup=False)
        trainer.engine.load_model_state(run.load_checkpoint("best")[0])
        if settings.tta != "none":
            with_views, plain = (evaluate(trainer.engine, data, data.test, tta=tta).accuracy for tta in (settings.tta, "none"))
            out.print(f"test accuracy {percent(with_views)} with test-time augmentation ({settings.tta}), {percent(plain)} without")
        out.print(f"run     {run.path}", markup=False)
        report = write_report(run, data, trainer.engine, checkpoint="best")
        out.print(f"report  {report}", markup=False)


def _runs_option(run):
    return "" if run.path.parent == Path("runs") else f" --runs {shlex.quote(str(run.path.parent))}"


def _warn_of_other_versions(run):
    from chainrule.training.provenance import versions

    before, now = run.config.get("versions"), versions()
    if isinstance(before, dict) and before != now:
        changed = [f"{name} was {before.get(name)}, is {now.get(name)}" for name in before | now if before.get(name) != now.get(name)]
        err.print(f"warning: the run may not go on bit for bit: {', '.join(changed)}", style="yellow", markup=False)


def _set_threads(threads, engine):
    if engine == "hand":
        from chainrule import kernels

        kernels.set_threads(threads)
    else:
        from chainrule.pytorch import set_num_threads

        set_num_threads(threads)


def _headline(settings, data, trainer):
    parameters = sum(math.prod(parameter.shape) for parameter in trainer.model.parameters())
    images = f"{len(data.train):,} training and {len(data.val):,} validation images"
    return f"{settings.model}, {parameters:,} parameters; {data.name}, {images}; {settings.optimizer}, lr {settings.lr:g}"


def _overfit_batch(trainer):
    from chainrule.training import overfit_batch

    losses = overfit_batch(trainer)
    shown = [index for index in range(len(losses)) if index % max(1, len(losses) // 10) == 0 or index == len(losses) - 1]
    for index in shown:
        out.print(f"step {index + 1:4d}   loss {losses[index]:.4f}")
    if losses[-1] > 0.1:
        raise ValueError(
            f"one batch of {trainer.batch_size} images was not learned by heart in {len(losses)} steps (loss {losses[-1]:.3f}): "
            "look for a wrong gradient, a learning rate far off, dropout or weight decay"
        )
    out.print(
        f"one batch of {trainer.batch_size} images is learned by heart after {len(losses)} steps: the gradients lead downhill", markup=False
    )


def _find_lr(trainer):
    from chainrule.training import learning_rate_range_test

    rates, losses, suggestion = learning_rate_range_test(trainer)
    every = max(1, len(rates) // 20)
    for rate, loss in zip(rates[::every], losses[::every], strict=True):
        out.print(f"lr {rate:9.2e}   loss {loss:8.4f}")
    out.print(f"the loss falls most steeply at this rate: --lr {suggestion:.1e}", markup=False)


class Progress:
    """A line an epoch, and on a terminal a live bar within it. Costs a clock reading a step, and a redraw five times a second."""

    def __init__(self, settings):
        self._epochs = settings.epochs
        self._bar = None
        self._drawn = 0.0

    def on_start(self, trainer):
        if not out.is_terminal:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
        self._bar = Bar(*columns, TimeRemainingColumn(), console=out, transient=True, auto_refresh=False)
        self._bar.start()
        self._task = self._bar.add_task(self._title(trainer), total=trainer.steps_per_epoch, loss=float("nan"))

    def on_step(self, trainer, loss):
        if self._bar is None or time.monotonic() - self._drawn < 0.2:
            return
        self._drawn = time.monotonic()
        self._bar.update(self._task, completed=trainer.batch, description=self._title(trainer), loss=loss)
        self._bar.refresh()

    def on_epoch(self, trainer, record):
        width = len(str(self._epochs))
        line = (
            f"epoch {record['epoch']:{width}d}/{self._epochs}   loss {record['train_loss']:.3f}   "
            f"train {percent(record['train_accuracy']):>7}   val {percent(record['val_accuracy']):>7}   "
            f"lr {record['lr']:.2g}   {record['seconds']:.1f} s"
        )
        (self._bar.console if self._bar else out).print(line, markup=False)

    def on_end(self, trainer):
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _title(self, trainer):
        return f"epoch {trainer.epoch + 1}/{self._epochs}"
