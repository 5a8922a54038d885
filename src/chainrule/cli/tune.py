"""`chainrule tune`."""

import shlex
import threading
from typing import Annotated

import typer

from chainrule.cli.console import announce_compilation, err, out, percent
from chainrule.cli.options import DataFolder, as_options, given_settings, with_settings

__all__ = ["EXAMPLES", "tune"]

EXAMPLES = """Examples:

chainrule tune two-layer --data cifar10 --trials 40 --storage sqlite:///tune.db

chainrule tune convnet --data cifar10 --limit 5000 --epochs 5 --workers 2 --search lr=0.0001..0.01 --search optimizer=adam,sgd

chainrule tune two-layer --storage postgresql://me@database.example/tuning --trials 400"""


@with_settings("training")
def tune(
    model: Annotated[str, typer.Argument(help="Name of a model; `chainrule models` lists them.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study altogether, on all machines.")] = 40,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each trial, with different seeds, whose accuracies are averaged.")] = 1,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES", help="What to search: a range (lr=0.001..0.1) or values (optimizer=adam,sgd); may be repeated."
        ),
    ] = None,
    storage: Annotated[str, typer.Option(help="Database of the study; postgresql:// serves several machines.")] = "sqlite:///tune.db",
    study: Annotated[str | None, typer.Option(help="Name of the study in the database (default: MODEL-DATA).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes here; the cores are divided between them.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each worker (default: cores / workers).")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Show the study in the browser while it goes on, until Ctrl-C.")] = False,
    data_folder: DataFolder = None,
    **options,
):
    """Search for the settings with the best validation accuracy; what is given as an option is fixed, the rest is searched.

    The same command goes on with a study that was stopped, or helps one that runs.
    """
    from chainrule.experiments.space import search_space
    from chainrule.experiments.tuning import Tuning, run_workers
    from chainrule.settings import Settings

    values = given_settings(model, options)
    settings = Settings.from_dict(values)
    said = dict(map(_name_and_values, search or []))
    if len(said) < len(search or []):
        raise ValueError("--search names a setting twice; give all its values at once: --search optimizer=adam,sgd")
    space = search_space(values, said)
    name = study or f"{settings.model}-{settings.data}"
    folder = data_folder and str(data_folder)
    tuning = Tuning(storage, name, values, space, trials, seeds=seeds, data_folder=folder)
    _check(settings, data_folder)
    out.print(f"study {name}: trials {trials}, epochs of each {settings.epochs}, {workers} at a time; searching", markup=False)
    for searched, worth in space.items():
        out.print(f"  {searched}: {worth}", markup=False)
    progress = _Progress()
    if dashboard:
        _open_dashboard(tuning)
    try:
        found = run_workers(tuning, workers=workers, threads=threads, on_trial=progress.show)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    except KeyboardInterrupt:
        err.print("\nstopped; the same command goes on", markup=False)
        raise
    _print_best(tuning, found)
    if dashboard:
        out.print("the dashboard stays open; Ctrl-C ends it")
        threading.Event().wait()


def _name_and_values(text):
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise ValueError(f"--search {text}: it must be NAME=VALUES, such as lr=0.001..0.1 or optimizer=adam,sgd")
    return name.strip(), values.strip()


def _check(settings, data_folder):
    """What would end every trial shows at once; and the kernels are compiled once, not by every worker."""
    from chainrule.training import build_data, build_trainer

    announce_compilation()
    trainer = build_trainer(settings, build_data(settings, data_folder))
    trainer.check_memory()


class _Progress:
    """A line for each trial that ends."""

    def __init__(self):
        self._best = 0.0

    def show(self, trial):
        chosen = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
        accuracies = trial.intermediate_values.values()
        if "error" in trial.user_attrs:
            said = f"failed: {trial.user_attrs['error']}"
        elif trial.value is None or trial.state.name == "PRUNED":
            said = f"val {percent(max(accuracies, default=0.0)):>7}   pruned after {len(accuracies)}"
        else:
            mark = "  best" if trial.value > self._best else "      "
            self._best = max(self._best, trial.value)
            said = f"val {percent(trial.value):>7}{mark}"
        out.print(f"trial {trial.number:3d}   {said}   {chosen}", markup=False)


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else value


def _print_best(tuning, study):
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if not done:
        raise ValueError("no trial reached its end: all were pruned or failed; search smaller learning rates, or take more trials")
    pruned = sum(trial.state == TrialState.PRUNED for trial in study.get_trials(deepcopy=False))
    best = max(done, key=lambda trial: trial.value)
    out.print(f"{len(done)} trials completed, {pruned} pruned; best validation accuracy {percent(best.value)}, of trial {best.number}")
    if tuning.seeds == 1:
        err.print("the best of many is partly luck: train it with other seeds before you believe the number", style="dim")
    out.print("train it with:", markup=False)
    out.print(f"  chainrule train {shlex.join(as_options(tuning.chosen(best)))}", markup=False)


def _open_dashboard(tuning):
    """Serve optuna-dashboard on this machine, in a thread, on a free port."""
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise ImportError("--dashboard needs optuna-dashboard: pip install chainrule[tune]") from error
    from chainrule.experiments.tuning import open_study

    class Silent(WSGIRequestHandler):
        def log_message(self, format, *args):
            pass

    server = make_server("127.0.0.1", 0, wsgi(open_study(tuning)._storage), handler_class=Silent)
    address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out.print(f"dashboard {address}", markup=False)
    if out.is_terminal:
        typer.launch(address)
