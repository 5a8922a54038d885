"""Contenders in processes of their own that take turns: their times, and ratios that a busy machine does not spoil.

Every contender lives through the whole comparison, held to the same number of threads. In every round each in its turn computes for some
tenths of a second while the others sleep. What counts is the ratio within a round: whatever else the machine does at the time, it does to
all of them. The median of the ratios is shown, and their range.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Task", "Worker", "compare", "measure", "workers"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LEAST = 3  # repetitions of a turn, however long one takes
PAUSE = 0.1  # seconds until the threads of the contender before have gone to sleep
ROUNDING = 1e-3  # of the numbers that contenders must agree on, by default; relative, and absolute for those below 1


class Task(NamedTuple):
    """What one contender computes.

    Attributes
    ----------
    run : run(i) does it once, for i = 0, 1, 2, ...
    check : does it, too, and yields numbers on which all contenders must agree; none if this one has nothing to compare
    scale : how many times as long as `run` the whole takes, for one that is too slow to be run as a whole
    """

    run: Callable[[int], object]
    check: Callable[[], Iterator[float]]
    scale: float = 1.0


def measure(task: Task, seconds: float) -> dict:
    """One turn: as many runs as the seconds allow, but at least three. Median and best time of one, in milliseconds."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < LEAST or time.perf_counter() < end:
        start = time.perf_counter()
        task.run(len(times))
        times.append(1000 * task.scale * (time.perf_counter() - start))
    return {"median_ms": statistics.median(times), "best_ms": min(times)}


class Worker:
    """A contender in a process of its own, `chainrule.benchmarks.worker`; a context manager, which ends the process.

    Parameters
    ----------
    table : "steps", "layers" or "ladder": the module whose `task` makes its tasks
    contender : its name there
    threads : of all libraries
    environment : more variables for it
    """

    def __init__(self, table: str, contender: str, threads: int, **environment: str):
        command = [sys.executable, "-m", "chainrule.benchmarks.worker", table, contender]
        variables = os.environ | dict.fromkeys(THREADS, str(threads)) | environment
        self.contender, self._start = contender, time.time()
        self._process = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin and self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def prepare(self, case: str) -> dict:
        """Make ready for a case: {"check": numbers, "first_s": seconds from the process's start to the end of its first run}."""
        return self._ask({"prepare": case, "since": self._start})

    def turn(self, seconds: float) -> dict:
        """What `measure` gives, and "peak_mib", the most memory that the process has had so far."""
        return self._ask({"seconds": seconds})

    def _ask(self, request):
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self._requests, flush=True)
        line = self._answers.readline()
        if not line:
            raise ChildProcessError(f"the worker process of {self.contender} ended with status {self._process.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if any(error):
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        self._answers.close()
        self._process.wait()


@contextlib.contextmanager
def workers(table: str, contenders: dict[str, tuple[str, int]]) -> Iterator[dict[str, Worker]]:
    """Workers by name, for {name: (contender, threads)}."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Worker(table, *arguments)) for name, arguments in contenders.items()}


def compare(
    contenders: dict[str, Worker],
    *,
    rounds: int,
    seconds: float,
    tolerance: float = ROUNDING,
    case: str,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, dict]:
    """Let the contenders compute one case in turns.

    Parameters
    ----------
    contenders : by name; the first one is that to which the others are compared
    rounds : turns of each
    seconds : of a turn
    tolerance : relative difference that the numbers of their checks may have
    case : what they compute
    progress : called with a line about what happens

    Returns
    -------
    for each contender a dict: "median_ms" of all turns, "best_ms" of all runs, "ratio" of its time to that of the first (the median over
    the rounds), "ratio_range" [least, greatest], "peak_mib"

    Raises
    ------
    ValueError
        The contenders do not compute the same.
    """
    checks, turns = {}, {name: [] for name in contenders}
    for name, worker in contenders.items():
        progress(f"{case}: {name} gets ready")
        checks[name] = worker.prepare(case)["check"]
    _check_agreement(case, checks, tolerance)
    for worker in contenders.values():
        worker.turn(seconds / 2)  # to warm up
    names = list(contenders)
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            progress(f"{case}: round {number + 1} of {rounds}, {name}")
            time.sleep(PAUSE)
            turns[name].append(contenders[name].turn(seconds))
    return {name: _row(turns[name], turns[names[0]]) for name in names}


def _row(turns, reference):
    ratios = [ours["median_ms"] / theirs["median_ms"] for ours, theirs in zip(turns, reference, strict=True)]
    return {
        "median_ms": statistics.median(turn["median_ms"] for turn in turns),
        "best_ms": min(turn["best_ms"] for turn in turns),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "peak_mib": max(turn["peak_mib"] for turn in turns),
    }


def _check_agreement(case, checks, tolerance):
    (first, expected), *others = checks.items()
    for name, numbers in others:
        if numbers and not (len(numbers) == len(expected) and np.allclose(numbers, expected, rtol=tolerance, atol=tolerance)):
            raise ValueError(f"{case}: {name} does not compute what {first} does: {_numbers(numbers)}, and {_numbers(expected)} there")


def _numbers(values):
    shown = ", ".join(f"{value:.6g}" for value in values[:8])
    return f"{shown}, ..." if len(values) > 8 else shown
