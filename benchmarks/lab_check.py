"""How long a check of a lab takes: finished labs, one function of them, and from a save to the verdict, beside the imports alone.

python benchmarks/lab_check.py [--rounds 5]
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chainrule.lab.labs import LABS
from chainrule.lab.workspace import start

CHAINRULE = [sys.executable, "-m", "chainrule", "lab", "check"]


def seconds(arguments):
    begun = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def seconds_to_verdicts(folder, file, rounds):
    """Of `--watch`, from the save of a file to the last line about it."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*CHAINRULE, str(folder), "--watch"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        times = []
        try:
            _wait_for(process.stdout, "waiting for the next save")
            for _ in range(rounds):
                time.sleep(0.5)
                begun = time.perf_counter()
                file.write_bytes(file.read_bytes())
                _wait_for(process.stdout, " right")
                times.append(time.perf_counter() - begun)
        finally:
            process.kill()
    return times


def _wait_for(lines, text):
    """The summary, "5 functions: 5 right", is the first line that begins with a number and holds the text."""
    for line in lines:
        if text in line and (line[0].isdigit() or line.startswith(text)):
            return
    raise SystemExit("the check ended")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default 5)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        commands = {f"import {package}": [sys.executable, "-c", f"import {package}"] for package in ("numpy", "torch")}
        saves = {}
        for lab in LABS:
            if any(importlib.util.find_spec(need) is None for file in lab.files for need in file.needs):
                continue
            folder = Path(name, lab.name)
            start(lab, folder, solutions=True)
            commands[lab.name] = [*CHAINRULE, str(folder)]
            commands[f"{lab.name}: {lab.exercises[-1].name}"] = [*CHAINRULE, str(folder), lab.exercises[-1].name]
            saves[f"{lab.name}: {lab.files[-1].name} saved"] = folder, folder / lab.files[-1].name
        times = {title: [] for title in commands}
        for command in commands.values():
            seconds(command)  # files into the cache of the system, bytecode to the disk
        for _ in range(rounds):
            for title, command in commands.items():
                times[title].append(seconds(command))
        for title, (folder, file) in saves.items():
            times[title] = seconds_to_verdicts(folder, file, rounds)
    print(f"{'seconds':58}   median     least  greatest")
    for title, values in times.items():
        print(f"{title:58} {statistics.median(values):8.2f}  {min(values):8.2f}  {max(values):8.2f}")


if __name__ == "__main__":
    main()
