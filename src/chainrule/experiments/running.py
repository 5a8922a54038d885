"""Running a study: a process for each cell, several at a time, with the cores divided between them.

What is finished is left alone, and a cell is claimed by a lock that its process holds, so that a study goes on where it stopped, and
several commands, on one machine, work on one study together.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from chainrule import models, nn
from chainrule.experiments.results import Outcome, outcome, outcomes_so_far, result_file
from chainrule.experiments.study import Cell, Study
from chainrule.training import build_data
from chainrule.training.storage import read_json, write_json

__all__ = ["check_study", "cores", "end_processes", "prepare_folder", "run_study", "thread_limits"]

PATIENCE = 0.05  # seconds between two looks at the processes
STOP = 20.0  # seconds that an interrupted process has to save its checkpoint


@dataclass
class _Worker:
    cell: Cell
    process: subprocess.Popen
    log: IO[str]
    claim: int


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_limits(threads: int) -> dict[str, str]:
    """What to set in the environment of a process that shall compute on so many threads."""
    return dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


def end_processes(processes: list[subprocess.Popen]):
    """Ask each to stop as Ctrl-C does, and end it if it does not."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    ends = time.monotonic() + STOP
    for process in processes:
        try:
            process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def check_study(study: Study, data_folder=None):
    """Find out before any training whether data and devices are there, and whether every network takes the images.

    Raises
    ------
    ImportError, OSError, ValueError
        They are not; the message says which cell.
    """
    data, networks = {}, set()
    for cell in study.cells:
        settings = replace(cell.settings, seed=study.cells[0].seed)
        try:
            if settings.engine == "torch":
                from chainrule.pytorch import choose_device

                choose_device(settings.device)
            wanted = (settings.data, settings.limit, settings.validation)
            if wanted not in data:
                found = build_data(settings, data_folder)
                data[wanted] = found.image_shape, len(found.classes)
            image, classes = data[wanted]
            network = (settings.model, str(settings.model_arguments), image)
            if network not in networks:
                networks.add(network)
                models.MODELS[settings.model](nn, image=image, classes=classes, **settings.model_arguments)
        except ValueError as error:
            raise ValueError(f"the cell {cell.name}: {error}") from error


def prepare_folder(study: Study, root: Path) -> Path:
    """The folder of a study, made if there is none; it keeps what the study is, and refuses another one of the same name.

    More seeds and more values of an axis are the same study, enlarged.

    Raises
    ------
    OSError, ValueError
        The folder cannot be written, or holds another study; the message says which cell differs, and how.
    """
    folder = root / study.name
    path = folder / "study.json"
    cells = {cell.name: cell.settings.to_dict() for cell in study.cells}
    if path.exists():
        before = read_json(path)
        match before:
            case {"cells": dict(earlier)}:
                _check_same_cells(folder, earlier, cells)
                cells = earlier | cells
            case _:
                raise ValueError(f"{path} is not the description of a study; choose another folder with --experiments")
    for part in ("runs", "results", "logs", "claims"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    described = {"name": study.name, "question": study.question, "source": study.source, "measure": study.measure, "axes": study.axes}
    write_json(path, described | {"cells": cells}, what="the study")
    return folder


def _check_same_cells(folder, earlier, cells):
    for name in cells.keys() & earlier.keys():
        before, now = (json.loads(json.dumps(value)) for value in (earlier[name], cells[name]))  # tuples are lists in a file
        if before != now:
            differences = [f"{key} was {before.get(key)!r}, is {now.get(key)!r}" for key in now if before.get(key) != now[key]]
            raise ValueError(
                f"{folder} holds this study with other settings ({name}: {'; '.join(differences)}); "
                "choose another folder with --experiments, or delete this one"
            )


def run_study(
    study: Study,
    folder: Path,
    *,
    workers: int = 1,
    threads: int | None = None,
    data_folder=None,
    retry: bool = False,
    on_start: Callable[[Cell], Any] = lambda cell: None,
    on_end: Callable[[Outcome], Any] = lambda outcome: None,
) -> list[Outcome]:
    """Train the cells that are not finished; returns what became of all.

    Parameters
    ----------
    study : Study
    folder : of `prepare_folder`
    workers : cells at a time
    threads : of each (default: the cores divided by the workers)
    data_folder : where the dataset lies
    retry : train those again that failed
    on_start, on_end : are called with each cell that begins, and with what became of it, its own or another command's

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C; the cells at hand have saved their checkpoints.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    threads = max(1, cores() // workers) if threads is None else threads
    if retry:
        for found in outcomes_so_far(study, folder):
            if found.error:
                result_file(folder, found.cell.name).unlink()
    unfinished = [cell for cell in study.cells if outcome(folder, cell) is None]
    at_work: list[_Worker] = []
    with _stopping(at_work):
        while unfinished:
            for worker in [worker for worker in at_work if worker.process.poll() is not None]:
                _note_the_end(folder, worker)
                at_work.remove(worker)
            for cell in list(unfinished):
                if (found := outcome(folder, cell)) is not None:
                    unfinished.remove(cell)
                    on_end(found)
            claimed = [worker.cell for worker in at_work]
            for cell in (cell for cell in unfinished if cell not in claimed):
                if len(at_work) == workers:
                    break
                if (worker := _start(folder, cell, threads, data_folder)) is not None:
                    at_work.append(worker)
                    on_start(cell)
            time.sleep(PATIENCE)
    return outcomes_so_far(study, folder)


def _start(folder, cell, threads, data_folder) -> _Worker | None:
    """The process of a cell; None if another command has claimed it, or just finished it."""
    claim = os.open(folder / "claims" / cell.name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        return None
    if outcome(folder, cell) is not None:
        os.close(claim)
        return None
    log = (folder / "logs" / f"{cell.name}.txt").open("w+", encoding="utf-8", errors="replace")
    # the process has the claim as well: if this one is killed, the cell stays claimed until it is trained
    process = subprocess.Popen(
        [sys.executable, "-m", "chainrule.experiments.cell"],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=os.environ | thread_limits(threads),
        pass_fds=[claim],
        text=True,
    )
    assert process.stdin is not None
    task = {"folder": str(folder), "name": cell.name, "settings": cell.settings.to_dict(), "data_folder": data_folder and str(data_folder)}
    with process.stdin as stdin:
        json.dump(task, stdin)
    return _Worker(cell, process, log, claim)


def _note_the_end(folder, worker):
    """If the process of a cell has left no result: that it failed, and why."""
    code = worker.process.returncode
    worker.log.seek(0)
    lines = worker.log.read().strip().splitlines()
    worker.log.close()
    if outcome(folder, worker.cell) is None and code != 130:
        if code < 0:
            hint = " (memory may have run out)" if -code == signal.SIGKILL else ""
            error = f"its process was ended by {signal.Signals(-code).name}{hint}"
        else:
            error = lines[-1].removeprefix("error: ") if lines else f"its process ended with status {code}"
        failed = {"status": "failed", "settings": worker.cell.settings.to_dict(), "error": error}
        write_json(result_file(folder, worker.cell.name), failed, what="the result")
    os.close(worker.claim)


@contextmanager
def _stopping(at_work: list[_Worker]) -> Iterator[None]:
    """However this ends, no process is left behind: each is asked to save its checkpoint, and ended if it does not."""
    try:
        yield
    finally:
        end_processes([worker.process for worker in at_work])
        for worker in at_work:
            worker.log.close()
            os.close(worker.claim)
