import json
import os
import signal
import subprocess
import sys
import time

import pytest

from chainrule.data import digits
from chainrule.experiments import check_study, prepare_folder, read_study, run_study
from chainrule.experiments.results import outcome, result_file
from chainrule.training import Run, build_data, build_trainer

SMALL_GRID = ("lr = [0.001, 0.02]", "lr = [0.02]")


@pytest.fixture
def two_cells(small):
    """A study of two cells."""
    small.write_text(small.read_text().replace(*SMALL_GRID).replace("seeds = 2", "seeds = 1"))
    return small


def run(study, root, **how):
    return run_study(study, prepare_folder(study, root), **how)


def test_a_cell_reaches_what_a_trainer_with_its_settings_reaches(two_cells, tmp_path):
    study = read_study(two_cells)
    found = run(study, tmp_path)
    for cell, reached in zip(study.cells, found, strict=True):
        assert reached.cell == cell
        trainer = build_trainer(cell.settings, build_data(cell.settings))
        history = trainer.fit(cell.settings.epochs)
        assert reached.values["val_accuracy"] == history.best()["val_accuracy"]
        assert reached.values["train_loss"] == history.records[-1]["train_loss"]
        kept = Run.open(tmp_path / "small" / "runs", cell.name)
        assert kept.history().column("val_loss") == history.column("val_loss")


def test_what_is_finished_is_not_trained_again(two_cells, tmp_path):
    study = read_study(two_cells)
    run(study, tmp_path)
    ages = [path.stat().st_mtime_ns for path in sorted((tmp_path / "small" / "results").iterdir())]
    started = []
    found = run(study, tmp_path, on_start=started.append)
    assert started == []
    assert len(found) == 2
    assert ages == [path.stat().st_mtime_ns for path in sorted((tmp_path / "small" / "results").iterdir())]


def test_more_seeds_enlarge_a_study(two_cells, tmp_path):
    run(read_study(two_cells), tmp_path)
    started = []
    found = run(read_study(two_cells, seeds=2), tmp_path, on_start=started.append)
    assert [cell.seed for cell in started] == [1, 1]
    assert len(found) == 4


def test_other_settings_in_the_same_folder_are_refused(two_cells, tmp_path):
    prepare_folder(read_study(two_cells), tmp_path)
    with pytest.raises(ValueError, match="epochs was 2, is 3"):
        prepare_folder(read_study(two_cells, settings={"epochs": 3}), tmp_path)


def test_a_failing_cell_is_marked_and_the_rest_goes_on(small, tmp_path):
    small.write_text(small.read_text().replace("lr = [0.001, 0.02]", "lr = [1e38, 0.02]").replace("seeds = 2", "seeds = 1"))
    study = read_study(small)
    found = run(study, tmp_path, workers=2)
    assert [reached.error is not None for reached in found] == [True, True, False, False]
    assert "at step" in found[0].error
    started = []
    run(study, tmp_path, on_start=started.append)
    assert started == []
    run(study, tmp_path, on_start=started.append, retry=True)
    assert len(started) == 2


def test_a_cell_whose_process_is_killed_is_marked(two_cells, tmp_path):
    two_cells.write_text(two_cells.read_text().replace("epochs = 2", "epochs = 200000"))
    study = read_study(two_cells, settings={})

    def kill(cell):
        pid = _pid_of(tmp_path / "small" / "claims" / cell.name)
        os.kill(pid, signal.SIGKILL)

    found = run(study, tmp_path, on_start=kill)
    assert [reached.error for reached in found] == ["its process was ended by SIGKILL (memory may have run out)"] * 2


def _pid_of(claim):
    """The other process that has the file open."""
    while True:
        for process in os.listdir("/proc"):
            if process.isdecimal() and int(process) != os.getpid():
                try:
                    if any(os.readlink(f"/proc/{process}/fd/{fd}") == str(claim) for fd in os.listdir(f"/proc/{process}/fd")):
                        return int(process)
                except OSError:
                    continue
        time.sleep(0.01)


COMMAND = [sys.executable, "-m", "chainrule", "experiment", "run"]


def test_two_commands_share_the_work_and_repeat_no_cell(small, tmp_path):
    both = [subprocess.Popen([*COMMAND, small, "--experiments", tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("8/8" in text for text in said)  # each sees all of them end
    study = read_study(small)
    for cell in study.cells:
        steps = [record["epoch"] for record in Run.open(tmp_path / "small" / "runs", cell.name).metrics() if "epoch" in record]
        assert steps == [1, 2]
    logs = [(tmp_path / "small" / "logs" / f"{cell.name}.txt").read_text() for cell in study.cells]
    assert not any("another process" in log or "error" in log for log in logs)


def test_a_stopped_study_goes_on_where_it_was(small, tmp_path):
    small.write_text(small.read_text().replace("epochs = 2", "epochs = 3000").replace("seeds = 2", "seeds = 1").replace(*SMALL_GRID))
    study = read_study(small)
    process = subprocess.Popen([*COMMAND, small, "--experiments", tmp_path])
    metrics = tmp_path / "small" / "runs" / study.cells[0].name / "metrics.jsonl"
    _wait_for(lambda: metrics.exists() and metrics.stat().st_size > 2000)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert not result_file(tmp_path / "small", study.cells[0].name).exists()
    done = Run.open(tmp_path / "small" / "runs", study.cells[0].name).load_state("last")["epoch"]
    assert done > 3
    assert not Run.open(tmp_path / "small" / "runs", study.cells[0].name).is_locked()

    run(study, tmp_path, workers=2)
    resumed = Run.open(tmp_path / "small" / "runs", study.cells[0].name).history()
    whole = build_trainer(study.cells[0].settings, digits(limit=60, seed=0)).fit(3000)
    assert resumed.column("train_loss") == whole.column("train_loss")


def test_a_killed_command_leaves_its_cell_claimed_until_it_is_trained(two_cells, tmp_path):
    two_cells.write_text(two_cells.read_text().replace("epochs = 2", "epochs = 2000"))
    study = read_study(two_cells)
    process = subprocess.Popen([*COMMAND, two_cells, "--experiments", tmp_path])
    metrics = tmp_path / "small" / "runs" / study.cells[0].name / "metrics.jsonl"
    _wait_for(lambda: metrics.exists() and metrics.stat().st_size > 0)
    process.kill()
    process.wait()
    started = []
    found = run(study, tmp_path, on_start=started.append)
    assert [cell.name for cell in started] == [study.cells[1].name]  # the first was trained to its end by its own process
    assert [reached.error for reached in found] == [None, None]


def _wait_for(condition):
    ends = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_cores_are_divided_between_workers(two_cells, tmp_path, monkeypatch):
    seen = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, env, **how):
            seen.append(env["NUMBA_NUM_THREADS"])
            super().__init__(*args, env=env, **how)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    monkeypatch.setattr("chainrule.experiments.running.cores", lambda: 4)
    run(read_study(two_cells), tmp_path, workers=2)
    assert seen == ["2", "2"]


def test_a_network_that_does_not_take_the_images_is_found_before_any_training(small):
    small.write_text(
        small.read_text()
        .replace("hidden_dims = [8]", "")
        .replace('"fully-connected"', '"convnet"')
        .replace("lr = [0.001, 0.02]", "channels = [[4], [4, 4, 4, 4]]")
    )
    with pytest.raises(ValueError, match=r"channels-4-4-4-4.*can be halved 3 times"):
        check_study(read_study(small))


def test_more_images_than_there_are_is_found_before_any_training(small):
    small.write_text(small.read_text().replace("limit = 60\n", "").replace("lr = [0.001, 0.02]", "limit = [60, 5000]"))
    with pytest.raises(ValueError, match=r"limit-5000.*limit is 5000"):
        check_study(read_study(small))


def test_a_result_of_other_settings_is_not_believed(two_cells, tmp_path):
    study = read_study(two_cells)
    run(study, tmp_path)
    path = result_file(tmp_path / "small", study.cells[0].name)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"settings": kept["settings"] | {"lr": 0.5}}))
    with pytest.raises(ValueError, match="other settings"):
        outcome(tmp_path / "small", study.cells[0])
    path.write_text("[]")
    with pytest.raises(ValueError, match="not the result of a cell"):
        outcome(tmp_path / "small", study.cells[0])
