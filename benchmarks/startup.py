"""How long the command line takes to answer, and an import: interleaved with a Python that does nothing.

python benchmarks/startup.py [--rounds 15]
"""

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import chainrule": ["-c", "import chainrule"],
    "chainrule --help": ["-m", "chainrule", "--help"],
    "chainrule train --help": ["-m", "chainrule", "train", "--help"],
    "chainrule runs": ["-m", "chainrule", "runs", "--runs", "none"],
}


def seconds(arguments):
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each is started (default 15)")
    rounds = parser.parse_args().rounds
    times = {name: [] for name in COMMANDS}
    for name in COMMANDS:
        seconds(COMMANDS[name])  # files into the cache of the system, bytecode to the disk
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    print(f"{'seconds':24}   median     least  greatest")
    for name, values in times.items():
        print(f"{name:24} {statistics.median(values):8.3f}  {min(values):8.3f}  {max(values):8.3f}")


if __name__ == "__main__":
    main()
