"""The searches run in processes of their own, as they do for a user; the real PostgreSQL is Debian's, started here."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from chainrule.experiments.space import search_space
from chainrule.experiments.tuning import FINISHED, Tuning, _SamplerOfTrial, open_study, run_workers, work
from chainrule.search import Choices, Range
from chainrule.settings import Settings
from chainrule.training import build_data, build_trainer

VALUES = {"model": "two-layer", "data": "digits", "limit": 60, "epochs": 3}


def tuning(storage, **changes):
    how = {"storage": storage, "name": "two-layer-digits", "values": VALUES, "space": search_space(VALUES, {}), "trials": 6}
    return Tuning(**(how | changes))


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite:///{tmp_path / 'tune.db'}"


@contextlib.contextmanager
def opened(own):
    """Its study, for a while: a connection that stays open is a warning."""
    study = open_study(own)
    try:
        yield study
    finally:
        study._storage._backend.engine.dispose()


def finished(study):
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state in FINISHED]


def drawn(study):
    """Trials that run with what they have drawn."""
    return [trial for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]) if trial.params]


def test_a_tuning_survives_the_way_to_another_process(sqlite):
    space = {"channels": Choices(((8,), (8, 16))), "lr": Range(0.1, 1.0, log=True), "normalization": Choices((None, "batch"))}
    own = tuning(sqlite, values={"model": "convnet"}, space=space, data_folder="/data")
    assert Tuning.from_json(own.to_json()) == own


def test_the_value_of_a_trial_is_what_a_trainer_with_its_settings_reaches(sqlite):
    own = tuning(sqlite, trials=3, seeds=2)
    work(own)
    study = open_study(own)
    assert [trial.number for trial in finished(study)] == [0, 1, 2]
    for trial in study.get_trials(states=[TrialState.COMPLETE]):
        reached = []
        for seed in (0, 1):
            settings = Settings.from_dict(own.chosen(trial) | {"seed": seed})
            reached.append(build_trainer(settings, build_data(settings)).fit(3).best()["val_accuracy"])
        assert trial.value == pytest.approx(sum(reached) / 2, abs=1e-12)


def test_the_same_search_finds_the_same(tmp_path):
    runs = []
    for name in ("a", "b"):
        own = tuning(f"sqlite:///{tmp_path / name}.db", trials=12)
        work(own)
        runs.append([(trial.params, trial.value) for trial in open_study(own).get_trials()])
    assert runs[0] == runs[1]


def test_no_two_trials_draw_the_same_even_where_workers_begin_at_once():
    study = optuna.create_study(sampler=_SamplerOfTrial(0))
    first, second = (study.ask() for _ in range(2))
    assert first.suggest_float("lr", 0, 1) != second.suggest_float("lr", 0, 1)


def test_a_study_goes_on_where_it_stopped(sqlite):
    work(tuning(sqlite, trials=2))
    work(tuning(sqlite, trials=5))
    work(tuning(sqlite, trials=4))
    assert len(open_study(tuning(sqlite)).get_trials()) == 5


def test_other_settings_of_the_same_study_are_refused(sqlite):
    open_study(tuning(sqlite))
    with pytest.raises(ValueError, match=r"epochs was 3, is 4.*--study"):
        open_study(tuning(sqlite, values=VALUES | {"epochs": 4}))
    with pytest.raises(ValueError, match=r"lr was .* is 0.1 to 0.2"):
        open_study(tuning(sqlite, space=search_space(VALUES, {"lr": "0.1..0.2"})))


def test_a_training_below_the_median_is_ended_early(sqlite):
    values = VALUES | {"epochs": 6}
    own = tuning(sqlite, values=values, space=search_space(values, {"lr": "0.0000001..0.05"}), trials=16)
    work(own)
    pruned = open_study(own).get_trials(states=[TrialState.PRUNED])
    assert pruned
    assert all(len(trial.intermediate_values) < 6 for trial in pruned)


def test_a_choice_that_diverges_is_a_bad_trial_and_no_end(sqlite):
    own = tuning(sqlite, space={"lr": Choices((1e38,))}, trials=2)
    work(own)
    trials = open_study(own).get_trials()
    assert [trial.state for trial in trials] == [TrialState.PRUNED] * 2
    assert "at step" in trials[0].user_attrs["error"]


def test_workers_finish_exactly_the_trials_that_were_asked_for(sqlite):
    seen = []
    study = run_workers(tuning(sqlite, trials=7), workers=3, on_trial=seen.append)
    assert len(finished(study)) == 7
    assert sorted(trial.number for trial in seen) == sorted(trial.number for trial in finished(study))


def test_the_end_of_all_workers_is_an_error(sqlite, tmp_path):
    own = tuning(sqlite, values=VALUES | {"data": "cifar10", "limit": 100}, data_folder=str(tmp_path))
    with pytest.raises(RuntimeError, match="goes on where they stopped"):
        run_workers(own)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is no URL of a database"),
        ("sqlite://", "in the memory of one process"),
        ("nosuchbase://me@here/x", "is no URL of a database"),
        ("sqlite:////no/such/folder/tune.db", "does not answer: unable to open database file"),
    ],
)
def test_a_wrong_storage_is_one_sentence(url, message):
    with pytest.raises((ConnectionError, ValueError)) as error:
        open_study(tuning(url))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_database_that_does_not_answer_is_named_without_its_password():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionError) as error:
        open_study(tuning(f"postgresql://me:secret@127.0.0.1:{port}/tune"))
    assert "does not answer" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_worker_ends_with_the_command_that_began_it(tmp_path):
    command = [sys.executable, "-m", "chainrule", "tune", "two-layer", "--epochs", "3000", "--storage", f"sqlite:///{tmp_path / 'tune.db'}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        _wait_for(lambda: children.read_text().split() and (tmp_path / "tune.db").exists())
        (worker,) = children.read_text().split()
        time.sleep(1)
        parent.kill()
    _wait_for(lambda: not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2])


def test_a_trial_whose_worker_died_before_its_first_sign_of_life_is_done_by_another(sqlite):
    own = tuning(sqlite, trials=2, heartbeat=1)
    with opened(own) as study, pytest.warns(UserWarning, match="Heartbeat"):
        study.ask()  # by a worker that is no more
    worker = subprocess.Popen([sys.executable, "-m", "chainrule.experiments.tuning"], stdin=subprocess.PIPE, text=True)
    try:
        worker.communicate(own.to_json(), timeout=60)
    finally:
        worker.kill()
        worker.wait()
    with opened(own) as study:
        assert [trial.number for trial in finished(study)] == [1, 2]
        assert study.trials[0].state == TrialState.FAIL


# --- a real PostgreSQL ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgresql():
    """URL of a new database on a server of its own."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("no PostgreSQL; `apt-get install postgresql`")
    folder = Path(tempfile.gettempdir()) / f"chainrule-postgresql-{os.getpid()}"  # its socket's path must be short
    folder.mkdir(mode=0o700)
    user = None
    if os.getuid() == 0:  # it refuses to run as root
        user = "postgres"
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(name, *args):
        command = [binaries[-1].with_name(name), *map(str, args)]
        subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"LC_ALL": "C"})

    call("initdb", "-D", folder / "data", "-U", "me", "-A", "trust", "--no-sync")
    call("pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1", "start")
    try:
        yield f"postgresql://me@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@contextlib.contextmanager
def four_workers(own):
    """As of four machines, each on one thread."""
    command = [sys.executable, "-m", "chainrule.experiments.tuning"]
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    try:
        for worker in workers:
            with worker.stdin as stdin:
                stdin.write(own.to_json())
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_no_trial_is_lost_or_counted_twice_when_two_of_four_workers_are_killed_and_one_sleeps(postgresql):
    values = VALUES | {"epochs": 60}
    own = tuning(postgresql, values=values, space=search_space(values, {}), trials=24, heartbeat=1)
    with opened(own) as study:
        with four_workers(own) as workers:
            for number, worker in enumerate(workers[:3], start=1):
                busy = 5 - number  # all that are left: so the one that is killed has a trial
                _wait_for(lambda number=number, busy=busy: len(finished(study)) > 4 * number and len(drawn(study)) >= busy)
                worker.send_signal(signal.SIGSTOP if number == 3 else signal.SIGKILL)
            time.sleep(8)  # it is held for dead
            workers[2].send_signal(signal.SIGCONT)
            assert [worker.wait(timeout=200) for worker in workers] == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
        trials, done = study.get_trials(), finished(study)
    assert len(done) == 24
    assert len({json.dumps(trial.params, sort_keys=True) for trial in done}) == 24
    # a trial may be lost twice: the worker that had taken it over was killed, too
    again = {number: trial for trial in done for number in trial.system_attrs.get("retry_history", ())}
    lost = [trial for trial in trials if trial.state == TrialState.FAIL and trial.params]
    assert 1 <= len(lost) <= 3
    for trial in lost:  # what a worker had begun was done by another one, as it was (it may have been killed while it drew)
        assert trial.params.items() <= again[trial.number].params.items()


def test_four_workers_can_begin_on_an_empty_database_at_once(postgresql):
    own = tuning(postgresql, trials=4)
    with four_workers(own) as workers:
        assert [worker.wait(timeout=200) for worker in workers] == [0] * 4
    with opened(own) as study:
        assert len(finished(study)) == 4


def _wait_for(condition):
    ends = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.1)
