"""The process of one contender: `python -m chainrule.benchmarks.worker TABLE CONTENDER`, started by `chainrule.benchmarks.turns.Worker`.

A line of JSON comes in and one goes out, until there are no more: {"prepare": case, "since": time} or {"seconds": length of a turn}.
"""

import importlib
import itertools
import json
import os
import sys
import time
from pathlib import Path

from chainrule.benchmarks.turns import Task, measure

__all__ = ["main", "peak_memory"]

NOTHING = Task(lambda i: None, lambda: iter(()))


def peak_memory():
    """The most memory that this process has had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage, on Linux, counts what the parent had when it started this process
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes


def main(table, contender):
    """Answer the lines of stdin; what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    make, task = importlib.import_module(f"chainrule.benchmarks.{table}").task, NOTHING
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            task = make(contender, request["prepare"])
            numbers = task.check()
            first = list(itertools.islice(numbers, 1))
            seconds = time.time() - request["since"]
            answer = {"check": [*first, *numbers], "first_s": seconds}
        else:
            answer = measure(task, request["seconds"]) | {"peak_mib": peak_memory()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
