"""Hyperparameter search on Optuna: as many workers as one likes, on one machine or several, on one database.

Each trial is tried once: a worker that dies leaves its trial to another one, and when all that were asked for are finished, all stop.
`python -m chainrule.experiments.tuning` is a worker, its task as JSON on stdin.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.data import Dataset
from chainrule.experiments.running import cores, end_processes, thread_limits
from chainrule.experiments.space import Space, choice_text, place
from chainrule.search import Choices, Range
from chainrule.settings import Settings
from chainrule.training import Callback, build_data, build_trainer

try:
    import optuna
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise ImportError("this needs Optuna: pip install chainrule[tune]") from error

__all__ = ["Tuning", "open_study", "run_workers", "shown_url", "work"]

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
PATIENCE = 0.5  # seconds between two looks at the study
STARTUP_TRIALS = 10  # drawn at random, before the sampler and the pruner have something to go by


@dataclass(frozen=True)
class Tuning:
    """A search.

    Parameters
    ----------
    storage : URL of the database
    name : of the study in it
    values : what is fixed, as for `Settings.from_dict`
    space : what is searched
    trials : how many are to be finished, of the study altogether
    seeds : trainings of each trial, whose accuracies are averaged
    heartbeat : seconds between the signs of life of a worker; after three without one, its trial is another's
    data_folder : where the dataset lies
    """

    storage: str
    name: str
    values: dict[str, Any]
    space: Space
    trials: int
    seeds: int = 1
    heartbeat: int = 10
    data_folder: str | None = None

    def to_json(self) -> str:
        """For `from_json`, in another process."""
        space = {name: [type(worth).__name__, dataclasses.asdict(worth)] for name, worth in self.space.items()}
        return json.dumps(vars(self) | {"space": space})

    @classmethod
    def from_json(cls, text: str) -> "Tuning":
        values = json.loads(text)
        space: Space = {}
        for name, (kind, worth) in values["space"].items():
            if kind == "Range":
                space[name] = Range(**worth)
            else:
                space[name] = Choices(tuple(tuple(value) if isinstance(value, list) else value for value in worth["values"]))
        return cls(**(values | {"space": space}))

    def chosen(self, trial: FrozenTrial) -> dict[str, Any]:
        """Values for `Settings.from_dict` that a trial was made with."""
        found = {}
        for name, worth in self.space.items():
            value = trial.params[name]
            found[name] = next(own for own in worth.values if choice_text(own) == value) if isinstance(worth, Choices) else value
        return place(self.values, found)


def open_study(tuning: Tuning) -> optuna.Study:
    """The study in its database, made if there is none.

    Raises
    ------
    ImportError, ConnectionError, ValueError
        The database has no driver here, does not answer, or has a study of that name with other settings.
    """
    import sqlalchemy.exc

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    where = shown_url(tuning.storage)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            storage = _opened(tuning)
            pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS // 2, n_warmup_steps=2)
            how = {"direction": "maximize", "sampler": _SamplerOfTrial(tuning.values.get("seed", 0)), "pruner": pruner}
            study = optuna.create_study(storage=storage, study_name=tuning.name, load_if_exists=True, **how)
    except ModuleNotFoundError as error:
        raise ImportError(f"{where} needs a driver: pip install chainrule[postgresql] has that of PostgreSQL ({error})") from error
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise ValueError(f"the storage {where} is no URL of a database: {error}; write sqlite:///tune.db or postgresql://...") from error
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        reason = str(getattr(cause, "orig", cause)).strip().splitlines()[0]
        raise ConnectionError(f"the storage {where} does not answer: {reason}") from error
    _check_same(study, tuning, where)
    return study


def shown_url(url: str) -> str:
    """A database's URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return repr(url)


def run_workers(
    tuning: Tuning,
    *,
    workers: int = 1,
    threads: int | None = None,
    on_trial: Callable[[FrozenTrial], Any] = lambda trial: None,
) -> optuna.Study:
    """Search until all trials are finished, here or elsewhere, by so many processes here.

    Parameters
    ----------
    tuning : Tuning
    workers : processes
    threads : of each (default: the cores divided by the workers)
    on_trial : is called with each trial that ends, whoever's it was

    Raises
    ------
    RuntimeError
        All workers ended before the study did.
    """
    study = open_study(tuning)
    threads = max(1, cores() // workers) if threads is None else threads
    seen = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state in FINISHED}
    command = [sys.executable, "-m", "chainrule.experiments.tuning"]
    processes = []
    try:
        for _ in range(workers):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | thread_limits(threads), text=True)
            processes.append(process)
            with process.stdin as stdin:  # pyright: ignore[reportOptionalContextManager]
                stdin.write(tuning.to_json())
        while True:
            codes = [process.poll() for process in processes]
            for trial in study.get_trials(deepcopy=False):
                if trial.state in FINISHED and trial.number not in seen:
                    seen.add(trial.number)
                    on_trial(trial)
            if all(code is not None for code in codes):
                break
            time.sleep(PATIENCE)
    finally:
        end_processes(processes)
    if _live(study, FINISHED) < tuning.trials:
        raise RuntimeError("all workers have ended before the search; the same command goes on where they stopped")
    return study


def work(tuning: Tuning):
    """Try until all trials are finished, by this worker or another one."""
    study = open_study(tuning)
    objective = _Objective(tuning)
    missed: set[int] = set()  # trials that `_miss` has begun to wait for
    while _live(study, FINISHED) < tuning.trials and not _orphaned():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
            _miss(study, missed)
            if _live(study, (*FINISHED, TrialState.RUNNING)) >= tuning.trials:
                time.sleep(PATIENCE)  # others are at the last ones; if one dies, its trial is ours
                continue
            try:
                study.optimize(objective, n_trials=1, catch=_Surplus)
            except (AssertionError, ValueError):  # what Optuna says of a trial that is finished already
                if study.get_trials(deepcopy=False)[objective.number].state != TrialState.FAIL:
                    raise
                # this worker gave no sign of life for a while, and its trial is another's now


def _miss(study, missed):
    """Wait for a sign of life of each trial that runs, even if it never gave one.

    Optuna waits for the next one only: a worker that is killed before its first one would leave a trial that runs for ever.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.number not in missed:
            missed.add(trial.number)
            study._storage.record_heartbeat(trial._trial_id)


PARENT = os.getppid()


def _orphaned():
    """Whether the process that began this one has ended: nobody waits for what a worker finds then."""
    return os.getppid() != PARENT


class _Surplus(Exception):
    """Another worker began the last trial at the same moment."""


class _Objective:
    """A trial: mean over the seeds of the best validation accuracy."""

    def __init__(self, tuning):
        self._tuning = tuning
        self._data: dict[int, Dataset] = {}
        self.number = -1  # of the last trial

    def __call__(self, trial):
        self.number = trial.number
        live = [other.number for other in trial.study.get_trials(deepcopy=False) if other.state != TrialState.FAIL]
        if sorted(live).index(trial.number) >= self._tuning.trials:
            raise _Surplus
        for name, worth in self._tuning.space.items():
            _suggest(trial, name, worth)
        values = self._tuning.chosen(trial)
        first = values.get("seed", 0)
        try:
            accuracies = [self._accuracy(trial, Settings.from_dict(values | {"seed": first + i}), i) for i in range(self._tuning.seeds)]
        except (MemoryError, ValueError) as error:  # it diverged, or does not fit: a bad choice, and no end of the search
            trial.set_user_attr("error", str(error))
            raise optuna.TrialPruned from error
        return float(np.mean(accuracies))

    def _accuracy(self, trial, settings, turn):
        if settings.seed not in self._data:
            self._data[settings.seed] = build_data(settings, self._tuning.data_folder)
        pruning = _Pruning(trial, turn * settings.epochs)
        history = build_trainer(settings, self._data[settings.seed], callbacks=[pruning]).fit(settings.epochs)
        if pruning.pruned:
            raise optuna.TrialPruned
        best = history.best()
        assert best is not None
        return best["val_accuracy"]


class _Pruning(Callback):
    """Reports each epoch's validation accuracy, and ends a training that is below the median of the others."""

    def __init__(self, trial, epochs_before):
        self._trial, self._before = trial, epochs_before
        self.pruned = False

    def on_epoch(self, trainer, record):
        if _orphaned():
            raise KeyboardInterrupt
        self._trial.report(record["val_accuracy"], self._before + record["epoch"])
        if self._trial.should_prune():
            self.pruned = True
            trainer.stop("pruned")


class _SamplerOfTrial(optuna.samplers.BaseSampler):
    """TPE (Bergstra et al. 2011) whose randomness comes from (seed, number of the trial), so that no two workers draw the same."""

    def __init__(self, seed):
        self._seed = seed
        self._own: tuple[int, optuna.samplers.TPESampler] | None = None

    def _of(self, trial):
        if self._own is None or self._own[0] != trial.number:
            seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
            self._own = trial.number, optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=True)
        return self._own[1]

    def infer_relative_search_space(self, study, trial):
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)


def _suggest(trial, name, worth):
    if isinstance(worth, Choices):
        trial.suggest_categorical(name, [choice_text(value) for value in worth.values])
    elif isinstance(worth.low, int):
        trial.suggest_int(name, worth.low, int(worth.high), log=worth.log)
    else:
        trial.suggest_float(name, worth.low, worth.high, log=worth.log)


def _live(study, states):
    return sum(trial.state in states for trial in study.get_trials(deepcopy=False))


def _opened(tuning):
    """The database; of several workers that begin on an empty one, the others find that its tables are being made, and look again."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    for _ in range(10):
        try:
            return _storage(tuning)
        except (IntegrityError, ProgrammingError):
            time.sleep(PATIENCE)
    return _storage(tuning)


def _storage(tuning):
    url = tuning.storage
    if url.startswith("sqlite") and (url.rstrip("/").endswith(":") or ":memory:" in url):
        raise ValueError(f"the storage {url} is in the memory of one process; name a file: sqlite:///tune.db")
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = "postgresql+psycopg://" + url.removeprefix(scheme)
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": 60}  # seconds that a writer waits for another one
    elif url.startswith("postgresql+psycopg"):
        options["connect_args"] = {"connect_timeout": 10, "client_encoding": "utf8"}  # seconds; text also from a database in SQL_ASCII
    return optuna.storages.RDBStorage(
        url,
        engine_kwargs=options,
        heartbeat_interval=tuning.heartbeat,
        grace_period=3 * tuning.heartbeat,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
    )


def _check_same(study, tuning, where):
    """Refuse to go on with a study that was begun with other settings; of a new one, keep them."""
    own = {"values": tuning.values, "space": {name: str(worth) for name, worth in tuning.space.items()}, "seeds": tuning.seeds}
    own = json.loads(json.dumps(own))
    begun = study.user_attrs.get("chainrule")
    if begun is None:
        study.set_user_attr("chainrule", own)
    elif begun != own:
        flat = [{**kept["values"], **kept["space"], "seeds": kept["seeds"]} for kept in (begun, own)]
        keys = [key for key in flat[0] | flat[1] if flat[0].get(key) != flat[1].get(key)]
        differences = [f"{key} was {flat[0].get(key)}, is {flat[1].get(key)}" for key in keys]
        raise ValueError(
            f"{where} has a study {tuning.name!r} with other settings: {'; '.join(differences)}; give this one another --study"
        )


def main():
    try:
        work(Tuning.from_json(sys.stdin.read()))
    except KeyboardInterrupt:
        sys.exit(130)
    except (ImportError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
