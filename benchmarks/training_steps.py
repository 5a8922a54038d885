"""Times whole training steps of small networks: chainrule, its PyTorch twin in eager mode, and course-style NumPy.

    python benchmarks/training_steps.py                     # the three networks of the README's table, about two minutes
    python benchmarks/training_steps.py --networks b --rounds 4 --json

Every contender is a process of its own, held to the same number of threads, and lives through the whole comparison. They take turns: in
every round each in its turn makes some steps while the others sleep. What counts is the ratio within a round (whatever else the machine
does at the time, it does to all of them), of which the median and the range over the rounds are shown. Float32; four batches of random
images, used in rotation. All contenders start from the same weights, and the losses of their first steps must agree. Memory is the peak of
the whole process, kernels loaded from the cache.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ENGINES = {"hand": "chainrule", "torch": "PyTorch", "numpy": "course-style NumPy"}
# name: hidden widths, batch norm, optimizer, batch size
NETWORKS = {"a": ((200,), False, "sgd", 200), "b": ((100,) * 4, False, "adam", 100), "c": ((100,) * 5, True, "adam", 100)}
INPUTS, CLASSES, LEARNING_RATE = 3072, 10, 1e-3


def title(network):
    hidden, norm, optimizer, batch = NETWORKS[network]
    layers = f"{hidden[0]}" if len(hidden) == 1 else f"{len(hidden)} x {hidden[0]}"
    rule = {"sgd": "SGD", "adam": "Adam"}[optimizer]
    return f"{INPUTS} - {layers}{' with batch norm' if norm else ''} - {CLASSES}, {rule}, batch {batch}"


def weights(network):
    """The first values of all parameters, by the names of CS231n: W1 (D, H), b1, gamma1, beta1, ..."""
    hidden, norm, _, _ = NETWORKS[network]
    rng, params, sizes = np.random.default_rng(0), {}, (INPUTS, *hidden, CLASSES)
    for i, (before, after) in enumerate(itertools.pairwise(sizes), start=1):
        params[f"W{i}"] = (rng.standard_normal((before, after)) / before**0.5).astype(np.float32)
        params[f"b{i}"] = np.zeros(after, np.float32)
        if norm and i < len(sizes) - 1:
            params[f"gamma{i}"], params[f"beta{i}"] = np.ones(after, np.float32), np.zeros(after, np.float32)
    return params


def batches(network):
    rng, size = np.random.default_rng(1), NETWORKS[network][3]
    return [(rng.standard_normal((size, INPUTS), dtype=np.float32), rng.integers(0, CLASSES, size)) for _ in range(4)]


def modules(nn, network):
    """The network for an `nn` namespace, and its state_dict names in the order of `weights`."""
    hidden, norm, _, _ = NETWORKS[network]
    layers, names, width = [], [], INPUTS
    for after in hidden:
        names += [f"{len(layers)}.weight", f"{len(layers)}.bias"]
        layers.append(nn.Linear(width, after))
        if norm:
            names += [f"{len(layers)}.weight", f"{len(layers)}.bias"]
            layers.append(nn.BatchNorm1d(after))
        layers.append(nn.ReLU())
        width = after
    names += [f"{len(layers)}.weight", f"{len(layers)}.bias"]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES)), names


def hand_step(network):
    from chainrule import nn, optim
    from chainrule.training.engine import HandEngine

    model, names = modules(nn, network)
    model.load_state_dict(model.state_dict() | {name: value.T for name, value in zip(names, weights(network).values(), strict=True)})
    kind = optim.SGD if NETWORKS[network][2] == "sgd" else optim.Adam
    engine = HandEngine(model, nn.CrossEntropyLoss(), kind(model.parameters(), lr=LEARNING_RATE))
    return lambda x, y: engine.step(x, y, None)[0]


def torch_step(network):
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model, names = modules(torch.nn, network)
    values = {name: torch.from_numpy(np.ascontiguousarray(value.T)) for name, value in zip(names, weights(network).values(), strict=True)}
    model.load_state_dict(model.state_dict() | values)
    kind = torch.optim.SGD if NETWORKS[network][2] == "sgd" else torch.optim.Adam
    optimizer, criterion = kind(model.parameters(), lr=LEARNING_RATE), torch.nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def numpy_step(network):
    import course_style

    hidden, _, optimizer, _ = NETWORKS[network]
    model = course_style.FullyConnectedNet(weights(network), len(hidden) + 1)
    return course_style.Solver(model, getattr(course_style, optimizer), LEARNING_RATE).step


def work(engine, network):
    """The worker process: a line with a number of steps comes in, a line of JSON goes out, until there are no more."""
    step, rotation = {"hand": hand_step, "torch": torch_step, "numpy": numpy_step}[engine](network), batches(network)
    losses = [float(step(*rotation[0])) for _ in range(3)]
    print(json.dumps({"losses": losses}), flush=True)
    for line in sys.stdin:
        times = []
        for i in range(int(line)):
            x, y = rotation[i % len(rotation)]
            start = time.perf_counter()
            step(x, y)
            times.append(1000 * (time.perf_counter() - start))
        # in kilobytes on Linux, bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        print(json.dumps({"median": statistics.median(times), "best": min(times), "peak_mib": peak}), flush=True)


class Worker:
    """A contender in a process of its own."""

    def __init__(self, engine, network, threads):
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        command = [sys.executable, __file__, "--worker", engine, "--networks", network]
        self.process = subprocess.Popen(
            command, env=os.environ | dict.fromkeys(variables, str(threads)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.losses = self.answer()["losses"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"error: the worker {' '.join(self.process.args[1:])} ended early")
        return json.loads(line)

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(network, engines, threads, rounds, steps):
    """Times and ratios of one network: a dict for each engine."""
    Worker("hand", network, threads).close()  # compiles what is not in the cache yet, which would count towards the peak of memory
    workers = {engine: Worker(engine, network, threads) for engine in engines}
    for engine, worker in workers.items():
        if not np.allclose(worker.losses, workers["hand"].losses, rtol=1e-4):
            losses = f"{worker.losses}, than chainrule, {workers['hand'].losses}"
            sys.exit(f"error: network {network}: {ENGINES[engine]} computes other losses, {losses}")
    results = {engine: [] for engine in engines}
    for worker in workers.values():
        worker.run(steps)  # to warm up
    for number in range(rounds):
        order = engines[number % len(engines) :] + engines[: number % len(engines)]
        for engine in order:
            time.sleep(0.2)  # until the threads of the one before have gone to sleep
            results[engine].append(workers[engine].run(steps))
    for worker in workers.values():
        worker.close()
    table = {}
    for engine in engines:
        ratios = [theirs["median"] / ours["median"] for theirs, ours in zip(results[engine], results["hand"], strict=True)]
        table[engine] = {
            "median_ms": statistics.median(result["median"] for result in results[engine]),
            "best_ms": min(result["best"] for result in results[engine]),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
            "peak_mib": max(result["peak_mib"] for result in results[engine]),
        }
    return table


def show(results, threads):
    from rich.console import Console
    from rich.table import Table

    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), processor)
    table = Table(title=f"One training step, float32, {threads} threads, {processor}")
    for column in ("network", "engine", "median ms", "best ms", "time / chainrule's", "range", "peak MiB"):
        table.add_column(column, justify="left" if column in ("network", "engine") else "right")
    for network, engines in results.items():
        for engine, row in engines.items():
            low, high = row["ratio_range"]
            table.add_row(
                title(network) if engine == "hand" else "", ENGINES[engine], f"{row['median_ms']:.2f}", f"{row['best_ms']:.2f}",
                f"{row['ratio']:.2f}", f"{low:.2f} - {high:.2f}", f"{row['peak_mib']:.0f}",
                end_section=engine == list(engines)[-1],
            )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES), help="chainrule always takes part")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender (default 9)")
    parser.add_argument("--steps", type=int, default=200, help="steps a turn (default 200)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every contender (default 2)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--worker", choices=list(ENGINES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.networks[0])
        return
    engines = ["hand", *(engine for engine in arguments.engines if engine != "hand")]
    results = {network: compare(network, engines, arguments.threads, arguments.rounds, arguments.steps) for network in arguments.networks}
    if arguments.json:
        print(json.dumps({"threads": arguments.threads, "networks": results}, indent=2))
    else:
        show(results, arguments.threads)


if __name__ == "__main__":
    main()
